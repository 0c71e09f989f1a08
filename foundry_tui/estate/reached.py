"""Whether an act's effect stands, as a snapshot shows it: for what its scheduler would not send.

A scheduler that is asked to resume what runs has nothing to spell out, and so nothing to prove.
"""

from __future__ import annotations

from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    Hold,
    MoveNode,
    Release,
    Requeue,
    Resume,
    Suspend,
)
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.estate.snapshot import Snapshot, find_run

_OUT = frozenset({NodeState.DRAINING, NodeState.DRAINED})


def reached(act: Act, target: str, snapshot: Snapshot) -> bool | None:
    """Whether a run or node (`target`) is as the act wants it; None where that is not told."""
    if isinstance(act, ChangeNode | MoveNode):
        return _node(act, target.rpartition("/")[2], snapshot)
    run = find_run(snapshot.runs, target)
    if run is None:
        return True if isinstance(act, Cancel) else None
    return _run(act, run)


def _node(act: ChangeNode | MoveNode, name: str, snapshot: Snapshot) -> bool | None:
    for node in snapshot.nodes:
        if node.source == act.source and node.name == name:
            if isinstance(act, ChangeNode):
                return (node.state in _OUT) == (act.state == "drain")
            return None if act.pool is None else act.pool in node.queues
    return None


def _run(act: Act, run: Run) -> bool | None:
    live = run.state in LIVE
    if isinstance(act, Cancel):
        return not live
    if isinstance(act, Hold) or (isinstance(act, Requeue) and act.hold):
        return run.held and run.state is RunState.PENDING
    if isinstance(act, Release):
        return live and not run.held
    if isinstance(act, Suspend):
        return run.state is RunState.SUSPENDED
    if isinstance(act, Resume):
        return live and run.state is not RunState.SUSPENDED
    return None
