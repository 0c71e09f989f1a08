"""Compare, then set: what a move found, and what of it no longer holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.acts import ChangeQueue, ChangeRun, Requeue
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.plan import Move, Target
from foundry_tui.estate.precondition import FREE, KEYS, broken, changed_by, needed, observed
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import ArrayPart, Placement, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
WORDS = st.none() | st.sampled_from(["short", "long", "a,b"])
MILLI = st.none() | st.integers(0, 8000)

RUNS = st.builds(
    lambda state, queue, held, tasks, reason: Run(
        id="lab/17", native_id="17", source="lab", scheduler="slurm", name=safe("x"), state=state,
        queue=queue, held=held, reason=reason,
        array=None if tasks is None else ArrayPart("17", "1-9", tasks),
        placement=(Placement("n1", (0,)),) if state is RunState.RUNNING else (),
    ),
    st.sampled_from([RunState.PENDING, RunState.RUNNING, RunState.CANCELLED]),
    WORDS, st.booleans(), st.none() | st.integers(1, 50), WORDS,
)  # fmt: skip
NODES = st.builds(
    lambda state, reason, held: Node(
        name="n1", source="lab", state=state, reason=reason, gpu_count=8, gpu_milli_allocated=held
    ),
    st.sampled_from(NodeState), WORDS, MILLI,
)  # fmt: skip
QUEUES = st.builds(
    lambda state, quota, limit, weight: Queue(
        name="short", source="lab", kind="partition", state=state, quota_gpu_milli=quota,
        limit_gpu_milli=limit, over_quota_weight=weight,
    ),
    st.sampled_from(["up", "down"]), MILLI, MILLI, st.none() | st.floats(0, 9, allow_nan=False),
)  # fmt: skip
ESTATES = st.builds(
    lambda run, node, queue: Snapshot(
        generated_at=NOW, runs=(run,), nodes=(node,), queues=(queue,)
    ),
    RUNS, NODES, QUEUES,
)  # fmt: skip
TARGETS = st.sampled_from(
    [Target("run", "lab/17"), Target("node", "lab/n1"), Target("queue", "lab/short")]
)


@given(ESTATES, TARGETS, MILLI)
def test_what_was_observed_holds_in_the_same_estate(
    estate: Snapshot, target: Target, need: int | None
) -> None:
    placement = (Placement("n1", (0,)),) if target.kind == "run" else ()
    move = Move(id="m1", target=target, action="x", placement=placement, gpu_milli=need)
    seen = observed(estate, move)
    known = {k: v for k, v in seen.items() if not k.startswith(FREE)}
    assert set(known) <= set(KEYS[target.kind])
    unknown = estate.nodes[0].gpu_milli_free is None
    wrong = broken(estate, replace(move, precondition=seen))
    assert wrong == () or (unknown and all("not known" in words for words in wrong))


@given(ESTATES, ESTATES, TARGETS)
def test_another_estate_breaks_exactly_what_differs(
    was: Snapshot, now: Snapshot, target: Target
) -> None:
    move = Move(id="m1", target=target, action="x")
    before, after = observed(was, move), observed(now, move)
    differs = {k for k in before if before[k] != after.get(k)}
    if target.kind == "run":
        differs -= {"reason"}
    found = broken(now, replace(move, precondition=before))
    assert len(found) == len(differs)
    assert all(any(f" {key} " in words for words in found) for key in differs)
    hidden = broken(now, replace(move, precondition=before), changed=frozenset(before))
    assert hidden == ()


@given(MILLI, st.integers(0, 8000), st.integers(0, 8000))
def test_room_on_a_node_is_enough_or_as_it_was_seen(
    seen: int | None, need: int, allocated: int
) -> None:
    node = Node(
        name="n1", source="lab", state=NodeState.MIXED, gpu_count=8, gpu_milli_allocated=allocated
    )
    run = Run(
        id="lab/17", native_id="17", source="lab", scheduler="slurm", name=safe("x"),
        state=RunState.PENDING,
    )  # fmt: skip
    estate = Snapshot(generated_at=NOW, nodes=(node,), runs=(run,))
    move = Move(
        id="m1", target=Target("run", "lab/17"), action="x", placement=(Placement("n1", (0,)),),
        gpu_milli=need, precondition={f"{FREE}n1": seen},
    )  # fmt: skip
    enough = 8000 - allocated >= min(need, need if seen is None else seen)
    assert (broken(estate, move) == ()) is enough


@pytest.mark.parametrize(
    "target", [Target("run", "lab/17"), Target("node", "lab/n1"), Target("queue", "lab/short")]
)
def test_a_target_that_is_gone_breaks_its_move(target: Target) -> None:
    move = Move(id="m1", target=target, action="x")
    assert broken(Snapshot(generated_at=NOW), move) == (f"{target.id} is not there any more",)


def test_a_key_that_nobody_can_compare_breaks_its_move() -> None:
    run = Run(
        id="lab/17", native_id="17", source="lab", scheduler="slurm", name=safe("x"),
        state=RunState.PENDING,
    )  # fmt: skip
    move = Move(id="m1", target=Target("run", "lab/17"), action="x", precondition={"mood": "good"})
    estate = Snapshot(generated_at=NOW, runs=(run,))
    assert broken(estate, move) == ("lab/17: mood cannot be compared",)


def test_what_a_move_needs_is_split_as_its_gpus_are() -> None:
    parts = (Placement("n1", (0, 1, 2)), Placement("n2", (0,)))
    move = Move(id="m1", target=Target("run", "lab/1"), action="x", placement=parts, gpu_milli=4000)
    assert needed(move) == {"n1": 3000, "n2": 1000}
    unknown = replace(move, placement=(Placement("n1", None), Placement("n2", (0,))))
    assert needed(unknown) == {"n1": None, "n2": None}


def test_an_act_says_which_keys_it_changes() -> None:
    queue = ChangeRun(source="lab", runs=("lab/1",), fields=(("queue", "x"),))
    limit = ChangeRun(source="lab", runs=("lab/1",), fields=(("time_limit_s", "60"),))
    assert "queue" in changed_by(queue)
    assert "queue" not in changed_by(limit)
    assert {"state", "held"} <= changed_by(Requeue(source="lab", runs=("lab/1",), hold=True))
    quota = ChangeQueue(source="lab", queue="q", fields=(("quota_gpu_milli", "1"),))
    assert "quota_gpu_milli" in changed_by(quota)
