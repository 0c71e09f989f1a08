"""What the tracker in memory has beyond the port."""

from __future__ import annotations

import subprocess
import sys

import pytest

from foundry_tui.estate.tracked import DataInput
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.ports import TrackerDown
from tests.tracking.contract import START


def test_a_fault_is_raised_until_it_is_mended() -> None:
    tracker = MemoryTracker("demo")
    run = tracker.create("e", name="n", tags={"a": "b"}, started_at=START)
    tracker.fault = TrackerDown("a run", "no answer", "wait")
    for call in (
        lambda: tracker.get(run.run_id),
        lambda: tracker.find("a", "b"),
        lambda: tracker.update(run.run_id, tags={"a": "c"}),
        lambda: tracker.history(run.run_id, "loss"),
        lambda: tracker.create("e", name="n", tags={}, started_at=START),
        lambda: tracker.curves([run.run_id], "loss"),
        lambda: tracker.experiments(),
        lambda: tracker.search([run.experiment_id]),
        lambda: tracker.log(run.run_id, params={"a": "1"}, at=START),
        lambda: tracker.log_inputs(run.run_id, [DataInput(name="a", digest="b", path="/")]),
        lambda: tracker.artifacts(run),
        lambda: tracker.read_artifact(run, "a", most_bytes=1),
        lambda: tracker.write_artifact(run, "a", b""),
    ):
        with pytest.raises(TrackerDown, match="no answer"):
            call()
    (finding,) = tracker.probe()
    assert (finding.state, finding.mend) == ("broken", "wait")
    tracker.fault = None
    assert tracker.find("a", "b") == (run,)


def test_ids_are_those_of_the_last_time() -> None:
    def ids() -> list[str]:
        tracker = MemoryTracker("demo")
        runs = [tracker.create("e", name="n", tags={}, started_at=START) for _ in range(3)]
        return [run.run_id for run in runs]

    assert ids() == ids()
    assert len(set(ids())) == 3


def test_no_room_of_tracking_imports_what_is_heavy() -> None:
    """httpx costs 0.2 s and is imported with the first request; mlflow never."""
    code = (
        "import sys, pkgutil, importlib, foundry_tui.tracking as room\n"
        "for module in pkgutil.walk_packages(room.__path__, 'foundry_tui.tracking.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    tops = {name.partition(".")[0] for name in done.stdout.decode().split()}
    assert "foundry_tui" in tops
    assert "foundry_tui.tracking.mlflow.writing" in done.stdout.decode().split()
    assert not tops & {"httpx", "mlflow", "requests", "textual", "numpy", "pandas"}
