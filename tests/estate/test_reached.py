"""Whether what an act wants stands already, as the snapshot shows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from foundry_tui.estate.acts import (
    Cancel,
    ChangeNode,
    ChangeRun,
    Hold,
    MoveNode,
    Release,
    Requeue,
    Resume,
    Suspend,
)
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.reached import reached
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RUN = Run(
    id="lab/1",
    native_id="1",
    source="lab",
    scheduler="slurm",
    name=safe("x"),
    state=RunState.RUNNING,
)


def shown(run: Run | None = RUN, state: NodeState = NodeState.IDLE) -> Snapshot:
    node = Node(name="n1", source="lab", state=state, queues=("a",))
    return Snapshot(generated_at=NOW, nodes=(node,), runs=() if run is None else (run,))


def test_runs() -> None:
    held = replace(RUN, state=RunState.PENDING, held=True)
    stopped = replace(RUN, state=RunState.SUSPENDED)
    told = {
        (kind, name): reached(kind(source="lab", runs=("lab/1",)), "lab/1", shown(run))
        for kind in (Cancel, Hold, Release, Suspend, Resume)
        for name, run in (("runs", RUN), ("held", held), ("stopped", stopped), ("gone", None))
    }
    assert {key for key, value in told.items() if value} == {
        (Cancel, "gone"),
        (Hold, "held"),
        (Release, "runs"),
        (Release, "stopped"),
        (Suspend, "stopped"),
        (Resume, "runs"),
        (Resume, "held"),
    }
    assert reached(Requeue(source="lab", runs=("lab/1",), hold=True), "lab/1", shown(held))
    fields = (("queue", "b"),)
    change = ChangeRun(source="lab", runs=("lab/1",), fields=fields)
    assert reached(change, "lab/1", shown()) is None, "the scheduler itself has to prove it"


def test_nodes() -> None:
    drain = ChangeNode(source="lab", nodes=("n1",), state="drain", reason="fan")
    resume = ChangeNode(source="lab", nodes=("n1",), state="resume")
    assert reached(drain, "lab/n1", shown(state=NodeState.DRAINING)) is True
    assert reached(drain, "n1", shown()) is False
    assert reached(resume, "n1", shown()) is True
    assert reached(resume, "n2", shown()) is None
    assert reached(MoveNode(source="lab", nodes=("n1",), pool="a"), "n1", shown()) is True
    assert reached(MoveNode(source="lab", nodes=("n1",), pool=None), "n1", shown()) is None
