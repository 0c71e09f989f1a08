"""The figures of a run that has ended: from the accounting, the job list and a real history."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.collector.figures import Figures, Try, figures, nodes_tag, tries
from foundry_tui.collector.reconcile import Report
from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.run import Placement, Request
from foundry_tui.estate.tracked import TrackStatus
from foundry_tui.estate.usage import HeldGpus, UsageRecord
from foundry_tui.store.history import HistoryError, Past
from foundry_tui.store.links import Links
from foundry_tui.tracking.ports import TrackerDown, TrackingError
from tests.collector.test_reconcile import NOW, Bench, did, ended
from tests.store.history import estate

HOUR = timedelta(hours=1)
NO_HISTORY = "gpu_util_pct, energy_kwh: there is no history here"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Links(tmp_path / "links"))


def told(state: str = "completed", **more: Any) -> UsageRecord:
    """A row of the accounting: two GPUs for half an hour, until now."""
    known: dict[str, Any] = {"started_at": NOW - HOUR / 2, "ended_at": NOW, "gpu_count": 2}
    known |= {"gpu_milli": 2000, "nodes": ("n1", "n2"), "gpu_model": "H200"}
    return replace(ended(state), **{**known, **more})


def values(bench: Bench, run_id: str) -> dict[str, float]:
    return {str(key): point.value for key, point in bench.shown(run_id).metrics.items()}


def test_an_ended_run_gets_its_figures_once(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.row("completed", ended_at=NOW, started_at=NOW - HOUR / 2)
    bench.slurm.records = (told(),)
    assert did(bench.run()) == ["wrote"]
    assert values(bench, run_id) == {"foundry/gpu_hours": 1.0}
    tags = bench.shown(run_id).tags
    assert tags["foundry.nodes"] == "n1,n2"
    assert tags["foundry.gpu_model"] == "H200"
    assert tags["foundry.figures"] == NO_HISTORY
    assert bench.run() == Report(), "settled"
    assert len(bench.slurm.asked) == 1


def test_a_run_that_ended_itself_gets_them_too(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.FINISHED)
    bench.row("completed", ended_at=NOW)
    bench.slurm.records = (told(),)
    assert did(bench.run()) == ["left"]
    assert values(bench, run_id) == {"foundry/gpu_hours": 1.0}


def test_all_tries_of_a_requeued_run_count(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING, attempt=2)
    bench.row("completed", started_at=NOW - HOUR / 2, ended_at=NOW)
    first = told("requeued", started_at=NOW - 3 * HOUR, ended_at=NOW - 2 * HOUR, nodes=("n9",))
    bench.slurm.records = (first, told())
    bench.run()
    assert values(bench, run_id) == {"foundry/gpu_hours": 3.0}
    assert bench.shown(run_id).tags["foundry.nodes"] == "n9,n1,n2"


def test_the_last_try_may_not_be_in_the_accounting_yet(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING, attempt=2)
    more = {"request": Request(gpu_count=2, gpu_milli=2000)}
    bench.row("completed", started_at=NOW - HOUR / 2, ended_at=NOW, **more)
    first = told("requeued", started_at=NOW - 3 * HOUR, ended_at=NOW - 2 * HOUR)
    bench.slurm.records = (first,)
    bench.run()
    assert values(bench, run_id) == {"foundry/gpu_hours": 3.0}


def test_without_accounting_the_job_list_tells_of_one_try(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    more = {"request": Request(gpu_count=1, gpu_milli=500)}
    bench.row("failed", started_at=NOW - HOUR, ended_at=NOW, **more)
    bench.slurm.down = True
    report = bench.run()
    assert (did(report), report.silent) == (["wrote"], {})
    assert values(bench, run_id) == {"foundry/gpu_hours": 0.5}


def test_without_accounting_nothing_is_claimed_of_several_tries(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING, attempt=2)
    bench.row("failed", started_at=NOW - HOUR, ended_at=NOW)
    bench.slurm.down = True
    bench.run()
    assert values(bench, run_id) == {}
    assert "earlier tries" in bench.shown(run_id).tags["foundry.figures"]


def test_a_quick_pass_leaves_the_figures_to_one_that_may_ask(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.row("completed", started_at=NOW - HOUR / 2, ended_at=NOW)
    bench.slurm.records = (told(),)
    bench.run(thorough=False, accounting=False)
    shown = bench.shown(run_id)
    assert (shown.status, shown.metrics) == (TrackStatus.FINISHED, {}), "the status comes at once"
    assert bench.slurm.asked == []
    bench.run(thorough=False, accounting=True)
    assert values(bench, run_id) == {"foundry/gpu_hours": 1.0}
    assert bench.links.still_open() == ((), ())


def test_figures_that_are_refused_are_told_and_keep_nothing_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.linked(TrackStatus.RUNNING)
    bench.row("completed", started_at=NOW - HOUR / 2, ended_at=NOW)
    bench.slurm.records = (told(),)

    def gone(*_: object, **__: object) -> None:
        raise TrackingError("the run", "404: it was deleted meanwhile")

    monkeypatch.setattr(bench.tracker, "log", gone)
    (item,) = bench.run().items
    assert "its figures are not on its record" in item.words
    assert bench.links.still_open() == ((), ())


def test_a_server_that_goes_away_between_loses_no_figures(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.row("completed", started_at=NOW - HOUR / 2, ended_at=NOW)
    bench.slurm.records = (told(),)

    def down(*_: object, **__: object) -> None:
        raise TrackerDown("the run", "no answer")

    with monkeypatch.context() as patch:
        patch.setattr(bench.tracker, "log", down)
        bench.run()
    assert bench.shown(run_id).status is TrackStatus.FINISHED
    assert did(bench.run()) == ["left"]
    assert values(bench, run_id) == {"foundry/gpu_hours": 1.0}


def test_a_dry_run_writes_no_figures(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.row("completed", started_at=NOW - HOUR / 2, ended_at=NOW)
    bench.run(dry_run=True)
    assert (values(bench, run_id), bench.slurm.asked) == ({}, [])


def test_a_run_that_starts_says_where(bench: Bench) -> None:
    run_id = bench.linked()
    bench.row("running", placement=(Placement("n1", (0,)), Placement("n2", None)))
    bench.run()
    assert bench.shown(run_id).tags["foundry.nodes"] == "n1,n2"
    bench.rows.clear()
    bench.row("running", placement=(Placement("n3", (0,)),))
    bench.run()
    assert bench.shown(run_id).tags["foundry.nodes"] == "n3", "a requeued run is elsewhere"


def test_a_program_that_was_quicker_than_the_pass_says_where_too(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.row("running", placement=(Placement("n1", (0,)),))
    bench.run(thorough=False)
    assert bench.shown(run_id).tags["foundry.nodes"] == "n1"


@pytest.mark.parametrize("minutes", [-70, -61, 10])
def test_an_end_is_never_before_the_begin(bench: Bench, minutes: int) -> None:
    """The clock of the controller is ten minutes behind that of the host that submitted."""
    run_id = bench.linked(TrackStatus.RUNNING)
    end = NOW + timedelta(minutes=minutes)
    bench.row("cancelled", ended_at=end, started_at=end + timedelta(minutes=5))
    bench.run()
    shown = bench.shown(run_id)
    assert shown.started_at is not None and shown.ended_at is not None
    assert shown.ended_at == max(end, shown.started_at)
    assert values(bench, run_id).get("foundry/gpu_hours", 0) >= 0


def test_a_reason_of_8000_characters_is_cut(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.row("failed", ended_at=NOW, reason="x" * 9000)
    bench.run()
    assert len(bench.shown(run_id).tags["foundry.reason"]) == 5000


def test_a_history_that_cannot_be_believed_is_told(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.row("completed", started_at=NOW - HOUR / 2, ended_at=NOW)
    bench.slurm.records = (told(),)

    def closed() -> Past | None:
        raise HistoryError("it belongs to somebody else")

    report = bench.run(past=closed)
    assert report.problems == ("it belongs to somebody else",)
    assert values(bench, run_id) == {"foundry/gpu_hours": 1.0}


def recorded(folder: Path, minutes: int, *tenants: Tenant, power: float | None = 360.0) -> Past:
    """GPU 0 of n1 at 50 % in windows 1 to `minutes`."""
    history = estate.opened(folder)
    for number in range(1, minutes + 1):
        at = estate.minute(number)
        seen = estate.gpu(0, 50.0, at=at, tenants=tenants, power=power)
        history.record(
            estate.snapshot(at, [seen], nodes=[estate.node(at=at)], runs=[estate.run(at=at)])
        )
    history.close()
    return estate.past(folder)


def one_try(minutes: int) -> Try:
    return Try("17", estate.START, estate.START + timedelta(minutes=minutes), 1000, ("n1",), None)


def test_the_history_tells_utilisation_and_energy(tmp_path: Path) -> None:
    past = recorded(tmp_path, 20, Tenant("alpha/17", 1000))
    found = figures("alpha", [one_try(20)], past)
    assert found.metrics["foundry/gpu_hours"] == pytest.approx(20 / 60, abs=1e-5)
    assert found.metrics["foundry/gpu_util_pct"] == pytest.approx(50.0)
    assert found.metrics["foundry/energy_kwh"] == pytest.approx(0.36 * 20 / 60, rel=0.11)
    assert found.tags == {"foundry.nodes": "n1", "foundry.gpu_model": "H200"}


def test_a_part_of_the_time_is_no_figure_of_the_whole(tmp_path: Path) -> None:
    past = recorded(tmp_path, 20, Tenant("alpha/17", 1000))
    found = figures("alpha", [one_try(60)], past)
    assert set(found.metrics) == {"foundry/gpu_hours"}
    assert "gpu_util_pct: 32 % of its time was seen" in found.tags["foundry.figures"]


def test_power_that_nobody_measured_is_no_energy(tmp_path: Path) -> None:
    past = recorded(tmp_path, 20, Tenant("alpha/17", 1000), power=None)
    found = figures("alpha", [one_try(20)], past)
    assert set(found.metrics) == {"foundry/gpu_hours", "foundry/gpu_util_pct"}
    assert "the power is known of 0 %" in found.tags["foundry.figures"]


def test_what_was_shared_is_nobodys(tmp_path: Path) -> None:
    both = (Tenant("alpha/17", 500, Share.FRACTION), Tenant("alpha/18", 500, Share.FRACTION))
    past = recorded(tmp_path, 20, *both)
    found = figures("alpha", [replace(one_try(20), gpu_milli=500)], past)
    assert set(found.metrics) == {"foundry/gpu_hours"}
    assert "shared" in found.tags["foundry.figures"]


def test_a_run_that_nobody_saw(tmp_path: Path) -> None:
    past = recorded(tmp_path, 20)
    found = figures("alpha", [one_try(20)], past)
    assert "did not see" in found.tags["foundry.figures"]


@pytest.mark.parametrize(
    ("known", "hours"),
    [
        ([], None),
        ([Try("1", None, NOW, 8000)], 0.0),
        ([Try("1", NOW - HOUR, NOW, 0)], 0.0),
        ([Try("1", NOW - HOUR, NOW, None)], None),
        ([Try("1", None, NOW, None)], 0.0),
        ([Try("1", NOW - HOUR, None, 1000)], None),
        ([Try("1", NOW - HOUR, NOW, 250, suspended_s=1800)], 0.125),
        ([Try("1", NOW, NOW - HOUR, 1000)], 0.0),
    ],
)
def test_gpu_hours(known: list[Try], hours: float | None) -> None:
    assert figures("lab", known, None).metrics.get("foundry/gpu_hours") == hours


def test_a_run_without_gpus_has_nothing_to_measure() -> None:
    found = figures("lab", [Try("1", NOW - HOUR, NOW, 0, ("n1",))], None)
    assert found == Figures(metrics={"foundry/gpu_hours": 0.0}, tags={"foundry.nodes": "n1"})


def test_gpus_of_unknown_worth_have_no_hours() -> None:
    held = (HeldGpus("H200", 2, None, Share.MPS),)
    (one,) = tries((), (told(held=held),))
    assert one.gpu_milli is None


@given(st.lists(st.text("abc-01", min_size=1, max_size=60), max_size=400))
def test_the_nodes_fit_into_a_tag(names: list[str]) -> None:
    tag = nodes_tag(names).get("foundry.nodes", "")
    assert len(tag) <= 5000
    if "…" not in tag:
        assert tag == ",".join(dict.fromkeys(names))
    else:
        assert f"({len(set(names))} nodes)" in tag


def test_live_rows_are_no_tries(bench: Bench) -> None:
    bench.row("running", started_at=NOW)
    assert tries(bench.rows, ()) == ()
