"""Listings of tracked runs, from the server and from the mirror, and what a reference means."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.experiments import find, mirrored
from foundry_tui.actions.opening import open_site
from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.estate.recorded import CLUSTER_TAG, SUBMIT_TAG
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import TrackStatus
from foundry_tui.process import user_name
from foundry_tui.tracking.credentials import Credentials
from foundry_tui.tracking.mlflow import Mlflow
from foundry_tui.tracking.ports import TrackerDenied, TrackerDown
from tests.collector.mirrors import Server, add
from tests.lab.mlflow import MlflowLab

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TOKEN = "0123456789abcdef"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def site(tmp_path: Path, told: list[str]) -> Site:
    (tmp_path / "cache").mkdir()
    return Site(
        options=Options(),
        config=Config(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache"),
        mode="live",
        tell=told.append,
        clock=lambda: T0 + timedelta(days=1),
    )


@pytest.fixture
def server(site: Site) -> Server:
    """500 runs of two experiments; the loss of the oldest is the lowest."""
    made = Server()
    for number in range(500):
        run_id = add(made, ("llama", "vision")[number % 2], T0 + timedelta(seconds=number))
        made.log(run_id, metrics={"loss": 0.0 + number}, at=T0 + timedelta(hours=9))
    made.asked.clear()
    site._tracker = made
    return made


def numbers(found: find.Listing) -> list[int]:
    """Which runs these are, by their start."""
    return [int((r.started_at - T0).total_seconds()) for r in found.rows if r.started_at]


def test_the_newest_page_is_one_question(site: Site, server: Server, tmp_path: Path) -> None:
    found = find.listing(site, most=50)
    assert numbers(found) == list(range(499, 449, -1))
    assert len(server.asked) == 1
    assert not found.complete
    assert "--all" in found.words
    assert {e.name for e in found.experiments.values()} == {"llama", "vision"}
    assert list((tmp_path / "cache" / "mirror").glob("*.sqlite"))


def test_a_sort_by_metric_reads_all_once(site: Site, server: Server) -> None:
    found = find.listing(site, sort="loss", descending=False, most=3)
    assert numbers(found) == [0, 1, 2]
    assert (found.complete, found.total, found.words) == (True, 500, "500 runs of 2 experiments")
    asked = len(server.asked)
    assert numbers(find.listing(site, sort="metric.loss", most=3)) == [499, 498, 497]
    assert numbers(find.listing(site, most=2)) == [499, 498]
    assert len(server.asked) == asked  # it is fresh
    assert all("order" not in where for _, where in server.asked)


def test_a_filter_looks_at_what_is_read_and_says_so(site: Site, server: Server) -> None:
    found = find.listing(site, where="metric.loss=3|499")
    assert numbers(found) == [499]
    assert not found.complete
    assert "200 runs read so far" in found.words
    found = find.listing(site, where="metric.loss=3|499", whole=True)
    assert numbers(found) == [499, 3]
    assert found.complete


def test_one_experiment(site: Site, server: Server) -> None:
    found = find.listing(site, experiment="vision", sort="loss", most=2)
    assert numbers(found) == [499, 497]
    assert found.total == 250
    by_id = next(e.id for e in found.experiments.values() if e.name == "llama")
    assert numbers(find.listing(site, experiment=by_id, most=1)) == [498]
    with pytest.raises(NothingMatched, match="did you mean 'vision'"):
        find.listing(site, experiment="visio")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"where": "metric.loss<"}, "--where"),
        ({"where": "metrik.loss<3"}, "there is no field"),
        ({"sort": "lose"}, "did you mean"),
    ],
)
def test_what_is_not_understood(
    site: Site, server: Server, more: dict[str, str], words: str
) -> None:
    with pytest.raises(WrongUse, match=words):
        find.listing(site, **more)  # type: ignore[arg-type]


def test_a_silent_server_with_and_without_a_mirror(site: Site, server: Server) -> None:
    server.fault = TrackerDown("the runs", "no connection")
    with pytest.raises(SourceMissing, match="no connection"):
        find.listing(site)
    server.fault = TrackerDenied("the runs", "401: the login is refused")
    with pytest.raises(ActionError, match="401"):
        find.listing(site)
    server.fault = None
    find.listing(site, whole=True)
    server.fault = TrackerDown("the runs", "no connection")
    site.clock = lambda: T0 + timedelta(days=2)
    found = find.listing(site, sort="loss", most=1)
    assert numbers(found) == [499]
    assert found.problem is not None
    assert "no connection" in found.problem


def test_no_server(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(SourceMissing, match="no tracking server is set"):
        find.listing(site)


def test_while_another_process_writes_the_page_is_shown_all_the_same(
    site: Site, server: Server
) -> None:
    one = mirrored.held(site)
    with one.mirror.writer() as writer:
        assert writer is not None
        assert len(find.listing(site, most=10).rows) == 10
        assert one.mirror.state().runs == 0


def test_a_full_disk_does_not_hide_the_page(site: Site, server: Server, tmp_path: Path) -> None:
    one = mirrored.held(site)
    assert one.mirror.file is not None
    one.mirror.file.mkdir()  # nothing can be opened there
    assert len(find.listing(site, most=10).rows) == 10


def test_the_background_serves_the_screens(site: Site, server: Server) -> None:
    stop = threading.Event()
    told: list[str] = []
    thread = threading.Thread(target=find.refresh, args=(site, told.append, stop), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and "500 runs of 2 experiments" not in told:
        time.sleep(0.02)
    server.fault = TrackerDown("the runs", "no connection")
    found = find.listing(site, sort="loss", most=1)  # asks nobody
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert (numbers(found), found.complete, found.problem) == ([499], True, None)
    assert "metric.loss" in find.names(site)


def scheduled(site: Site, monkeypatch: pytest.MonkeyPatch, *runs: Run) -> None:
    """Let the schedulers have these runs."""
    now = T0 + timedelta(days=1)
    seen = Snapshot(generated_at=now, sources=(), runs=runs)
    monkeypatch.setattr(Site, "snapshot", lambda *_, **__: seen)


RUN = Run(id="lab/123456", native_id="123456", source="lab", scheduler="slurm", name=safe("a"),
          state=RunState.RUNNING, user=user_name())  # fmt: skip


def tagged(server: Server, tags: dict[str, str]) -> str:
    run_id = add(server, "llama", T0 + timedelta(hours=1), TrackStatus.RUNNING)
    server.update(run_id, tags=tags)
    return run_id


def test_a_record_by_its_id_and_a_beginning_of_it(
    site: Site, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled(site, monkeypatch)
    wanted = find.listing(site, most=1).rows[0]
    assert find.resolve(site, wanted.run_id).run_id == wanted.run_id
    assert find.resolve(site, wanted.run_id[:8]).run_id == wanted.run_id
    oldest = find.listing(site, sort="loss", descending=False, most=1).rows[0]
    assert find.resolve(site, oldest.run_id[:12]).run_id == oldest.run_id
    for nobody in ("f" * 32, "abcdefabc", wanted.run_id[:5], "nobody/"):
        with pytest.raises(NothingMatched, match="no tracked run"):
            find.resolve(site, nobody)


def test_an_ambiguous_beginning_names_the_candidates(
    site: Site, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled(site, monkeypatch)
    first, second = list(server._runs)[:2]
    other = first[:10] + second[10:]
    server._runs[other] = replace(server._runs.pop(second), run_id=other)
    with pytest.raises(WrongUse, match="several runs") as caught:
        find.resolve(site, first[:8])
    assert first in str(caught.value)
    assert other in str(caught.value)


def test_a_run_of_a_scheduler(site: Site, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    by_token = tagged(server, {SUBMIT_TAG: TOKEN})
    linked = replace(RUN, id="lab/9", native_id="9", mlflow_run_id=list(server._runs)[7])
    scheduled(site, monkeypatch, replace(RUN, submit_token=TOKEN), linked)
    assert find.resolve(site, "lab/123456").run_id == by_token
    assert find.resolve(site, "123456").run_id == by_token
    assert find.resolve(site, "9").run_id == linked.mlflow_run_id


def test_a_job_that_no_scheduler_knows_any_more(
    site: Site, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled(site, monkeypatch)
    on_lab = tagged(server, {"foundry.slurm.job_id": "77", CLUSTER_TAG: "lab"})
    assert find.resolve(site, "77").run_id == on_lab
    elsewhere = tagged(server, {"foundry.slurm.job_id": "77", CLUSTER_TAG: "other"})
    assert find.resolve(site, "other/77").run_id == elsewhere
    with pytest.raises(WrongUse, match="lab/77, other/77"):
        find.resolve(site, "77")


def test_a_run_that_is_opened_is_brought_up_to_date(
    site: Site, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled(site, monkeypatch)
    find.listing(site, whole=True)
    kept, gone = list(server._runs)[:2]
    server.update(kept, tags={"note": "the good one"})
    server.delete(gone)
    assert find.resolve(site, kept[:9]).tags["note"] == "the good one"
    with pytest.raises(NothingMatched):
        find.resolve(site, gone)
    assert [r.run_id for r in find.listing(site, where="tag.note~good").rows] == [kept]
    assert find.listing(site).total == 499


def test_the_demo_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    site = open_site(Options(demo=True), tell=lambda _: None)
    found = find.listing(site, sort="loss", most=5)
    assert found.rows
    assert found.complete
    assert mirrored.held(site).mirror.file is None
    assert find.resolve(site, found.rows[0].run_id).run_id == found.rows[0].run_id


def test_on_a_real_server(
    site: Site, mlflow_server: MlflowLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduled(site, monkeypatch)
    tracker = Mlflow("lab", mlflow_server.url, credentials=Credentials,
                     clock=lambda: datetime.now(UTC), timeout_s=60)  # fmt: skip
    site._tracker = tracker
    site.clock = lambda: datetime.now(UTC)
    made = []
    for number in range(4):
        run = tracker.create("find-it", name=f"r{number}", tags={}, started_at=T0)
        tracker.log(run.run_id, metrics={"loss": float(-number)}, at=T0)
        made.append(run.run_id)
    found = find.listing(site, experiment="find-it", sort="loss", descending=False)
    assert [run.run_id for run in found.rows] == made[::-1]
    assert find.resolve(site, made[0][:12]).run_id == made[0]
    tracker.close()
