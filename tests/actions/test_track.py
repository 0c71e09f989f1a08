"""The tracked side of runs: found, missing with its reason, and never somebody else's."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.actions import doctor as doctors
from foundry_tui.actions import look, track, tracker
from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing
from foundry_tui.actions.opening import open_site
from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.config.sources import MlflowConfig
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import Point, TrackStatus
from foundry_tui.process import user_name
from foundry_tui.schedulers.simulated import build
from foundry_tui.store.links import Link
from foundry_tui.tracking.link import tags
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.ports import TrackerDown, TrackingError

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TOKEN = "0123456789abcdef"
RUN = Run(
    id="lab/17",
    native_id="17",
    source="lab",
    scheduler="slurm",
    name=safe("a"),
    state=RunState.RUNNING,
    user=user_name(),
    submit_token=TOKEN,
)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def site(tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Site(
        options=Options(),
        config=Config(state_dir=tmp_path / "state"),
        mode="live",
        tell=told.append,
    )


@pytest.fixture
def server(site: Site) -> MemoryTracker:
    made = MemoryTracker("lab", "https://mlflow.example.org")
    site._tracker = made
    return made


def linked(site: Site, server: MemoryTracker, token: str = TOKEN, *, mine: bool = True) -> str:
    """A record, and unless it is somebody else's its link; the id of the record."""
    known = tags(user="a", backend="slurm", cluster="lab", token=token, script="a", commit=None)
    run_id = server.create("llama", name="a", tags=known, started_at=NOW).run_id
    if mine:
        begun = Link.begin(
            token=token, source="lab", server=server.url, experiment="llama", now=NOW
        )
        site.links.save(replace(begun, mlflow_run_id=run_id, native_id="17"))
    return run_id


def test_a_record_in_full(site: Site, server: MemoryTracker) -> None:
    run_id = linked(site, server)
    server.update(run_id, status=TrackStatus.RUNNING)
    points = [Point(step, NOW, 1 / (step + 1)) for step in range(5)]
    server.trained(run_id, params={"lr": "1"}, metrics={"loss": points})
    known = track.record(site, RUN)
    assert known is not None
    assert (known.record, known.reason, known.note) == (server.get(run_id), None, None)
    assert (known.server, known.experiment) == (server.url, "llama")
    assert track.curve(site, RUN, "loss") == tuple(points)
    assert track.curve(site, RUN, "none such") == ()
    (filled,) = track.filled(site, (RUN,))
    assert filled.mlflow_run_id == run_id


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        (TrackStatus.FINISHED, RunState.RUNNING, "tracking ended (FINISHED), the job still runs"),
        (TrackStatus.FAILED, RunState.COMPLETED, "disagree"),
        (TrackStatus.RUNNING, RunState.CANCELLED, "foundry sync"),
    ],
)
def test_where_the_two_differ_it_is_noted(
    site: Site, server: MemoryTracker, status: TrackStatus, state: RunState, words: str
) -> None:
    server.update(linked(site, server), status=status)
    known = track.record(site, replace(RUN, state=state, ended_at=NOW))
    assert known is not None
    assert words in (known.note or "")


@pytest.mark.parametrize(("minutes", "noted"), [(-30, False), (10, False), (20, True)])
def test_what_is_written_after_the_end_is_noted(
    site: Site, server: MemoryTracker, minutes: int, noted: bool
) -> None:
    """By a rank that is left over, or a second job; clocks may differ by 10 minutes."""
    run_id = linked(site, server)
    server.update(run_id, status=TrackStatus.FINISHED)
    late = Point(1, NOW + timedelta(minutes=minutes), 0.5)
    server.trained(run_id, metrics={"loss": [late]})
    known = track.record(site, replace(RUN, state=RunState.COMPLETED, ended_at=NOW))
    assert known is not None
    assert known.note == (
        "a process still wrote to it 20 min after the job had ended" if noted else None
    )


def test_a_record_that_cannot_be_had_has_a_reason(site: Site, server: MemoryTracker) -> None:
    run_id = linked(site, server)
    server.fault = TrackerDown("the run", "no answer within 5 s")
    known = track.record(site, RUN)
    assert known is not None
    assert (known.record, known.mlflow_run_id) == (None, run_id)
    assert "no answer" in (known.reason or "")
    with pytest.raises(SourceMissing, match="no answer"):
        track.curve(site, RUN, "loss")
    server.fault = TrackingError("the run", "400: said no")
    with pytest.raises(ActionError, match="said no"):
        track.curve(site, RUN, "loss")
    server.fault = None
    server.delete(run_id)
    known = track.record(site, RUN)
    assert known is not None
    assert "has no record" in (known.reason or "")
    assert track.address(site, RUN) is None
    site._tracker = None
    known = track.record(site, RUN)
    assert known is not None
    assert server.url in (known.reason or ""), "where it was"


def test_a_run_that_is_not_linked(site: Site, server: MemoryTracker) -> None:
    assert track.record(site, RUN) is None
    assert track.record(site, replace(RUN, submit_token=None)) is None
    with pytest.raises(NothingMatched, match="no record"):
        track.curve(site, RUN, "loss")
    site._tracker = None
    assert track.record(site, RUN) is None
    with pytest.raises(SourceMissing, match="no tracking server"):
        track.curve(site, RUN, "loss")
    assert not (site.config.state_dir or Path("/")).exists() or site.links.still_open() == ((), ())


def test_a_run_of_somebody_else_is_found_by_its_token(site: Site, server: MemoryTracker) -> None:
    run_id = linked(site, server, mine=False)
    known = track.record(site, replace(RUN, user="bo"))
    assert known is not None
    assert known.record is not None
    assert known.record.run_id == run_id


def test_my_link_is_not_for_a_run_of_somebody_else_with_my_token(
    site: Site, server: MemoryTracker
) -> None:
    linked(site, server)
    forged = replace(RUN, id="lab/99", native_id="99", user="mallory")
    filled = track.filled(site, (forged, RUN, replace(RUN, submit_token=None)))
    assert [r.mlflow_run_id is not None for r in filled] == [False, True, False]


def test_rows_without_a_token_cost_nothing(site: Site, server: MemoryTracker) -> None:
    rows = (replace(RUN, submit_token=None), replace(RUN, user="bo"))
    assert track.filled(site, rows) is rows
    assert not (site.config.state_dir or Path("/")).exists(), "looking makes no folder"


def test_the_server_is_the_configured_one_then_that_of_the_environment(
    site: Site, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    assert site.tracker is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://env.example.org/")
    both = (
        MlflowConfig(name="first", url="https://first.example.org"),
        MlflowConfig(name="second", url="https://second.example.org"),
    )
    site.config = replace(site.config, mlflow=both)
    found = tracker.find(site)
    assert found is not None
    assert (found.name, found.url) == ("first", "https://first.example.org")
    site.config = replace(site.config, mlflow=())
    found = tracker.find(site)
    assert found is not None
    assert found.url == "https://env.example.org"
    assert told == []


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("file:///home/ada/mlruns", "no http address"),
        ("sqlite:///x.db", "no http address"),
        ("databricks", "no http address"),
        ("https://ada:s3cret@h.example.org", "user name or password"),
    ],
)
def test_an_address_that_is_not_used_says_why(
    site: Site, monkeypatch: pytest.MonkeyPatch, uri: str, words: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert site.tracker is None
    assert words in site.untracked
    assert "s3cret" not in site.untracked
    with pytest.raises(SourceMissing, match=words):
        track.sync(site)
    (line,) = next(probes for name, _, probes in doctors.doctor(site) if name == "mlflow")
    assert (line.state, words in line.found, line.mend) == ("broken", True, None)


def test_a_running_server_of_ours_is_found(site: Site) -> None:
    place = site.state / tracker.UP_FILE

    def leave(pid: int, host: str, url: str = "http://127.0.0.1:5999") -> None:
        place.write_text(json.dumps({"url": url, "pid": pid, "host": host}))
        place.chmod(0o600)

    leave(2**22 + 1, socket.gethostname())
    assert tracker.find(site) is None, "it died"
    leave(os.getpid(), "another-login-node")
    assert tracker.find(site) is None, "its loopback is not ours"
    for text in ("", "[]", "{}", '{"url":1,"pid":"x","host":null}'):
        place.write_text(text)
        assert tracker.find(site) is None
    leave(os.getpid(), socket.gethostname())
    place.chmod(0o666)
    assert tracker.find(site) is None, "anybody could have written it"
    place.chmod(0o600)
    found = tracker.find(site)
    assert found is not None
    assert found.url == "http://127.0.0.1:5999"


def test_a_saved_estate_asks_no_server(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    site.mode = "saved"
    assert site.tracker is None
    known = track.record(site, replace(RUN, mlflow_run_id="r1"))
    assert known is not None
    assert (known.mlflow_run_id, known.record) == ("r1", None)


def test_read_only_reconciles_nothing(site: Site, server: MemoryTracker) -> None:
    site.config = replace(site.config, read_only=True)
    with pytest.raises(ActionError, match="read-only"):
        track.sync(site)


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return open_site(Options(demo=True), lambda _: None)


def test_the_simulated_estate_has_records(demo: Site) -> None:
    snapshot = demo.snapshot()
    mine = [r for r in snapshot.runs if r.mlflow_run_id]
    assert mine
    assert {r.user for r in mine} == demo.me
    run = next(r for r in mine if r.state is RunState.RUNNING and r.started_at)
    looked = look.inspect(demo, snapshot, run)
    assert looked.tracked is not None
    record = looked.tracked.record
    assert record is not None
    assert (record.status, set(record.metrics)) == (TrackStatus.RUNNING, {"loss", "accuracy"})
    assert record.params["lr"]
    assert looked.tracked.experiment
    losses = [p.value for p in track.curve(demo, run, "loss")]
    assert losses[0] > losses[-1] > 0, "a falling loss"
    assert looked.tracked.address


def test_two_looks_at_the_same_simulated_moment_show_the_same(tmp_path: Path) -> None:
    shown = []
    for _ in range(2):
        sources = build(None, lambda: NOW)
        site = Site(
            options=Options(demo=True),
            config=Config(cache_dir=tmp_path),
            mode="demo",
            tell=lambda _: None,
            schedulers={source.name: source for source in sources},
            clock=lambda: NOW,
        )
        runs = site.snapshot().runs
        run = next(r for r in runs if r.mlflow_run_id and r.state is RunState.RUNNING)
        shown.append((track.record(site, run), track.curve(site, run, "loss")))
    assert shown[0] == shown[1]
    assert shown[0][1]
