"""The ledger finds every decision that breaks a rule, and lets moves pass that break none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from scheduler_sim.arrivals.decisions import Decisions, Move
from scheduler_sim.arrivals.ledger import check, states
from scheduler_sim.arrivals.published import decide
from scheduler_sim.arrivals.stream import Stream, stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.cluster import NodeSpec, Request
from tests.scheduler_sim.arrivals import small

HALF, WHOLE, CPU_ONLY = Request(1, 500, 10, 1), Request(1, 1000, 10, 1), Request(0, 1000, 50, 1)
T4 = Request(1, 500, 10, 1, ("T4",))
PODS = (HALF, WHOLE, CPU_ONLY, T4)


def hand_made(*pods: Request) -> tuple[Trace, Stream]:
    """Two nodes, a with 2 T4 and b with 1 G2, 100 thousandths of a core each; these pods come."""
    nodes = [NodeSpec("a", 2, "T4", 100, 100), NodeSpec("b", 1, "G2", 100, 100)]
    trace = Trace.of("t", nodes, [(f"p{i}", pod) for i, pod in enumerate(PODS)])
    rows = np.array([PODS.index(pod) for pod in pods], dtype=np.int32)
    rank = np.array([0, 1], dtype=np.int32)
    return trace, Stream(trace.kind_of[rows], rows, rank)


def decided(*places: tuple[int, int], moves: tuple[Move, ...] = ()) -> Decisions:
    nodes, gpus = zip(*places, strict=True)
    return Decisions(np.array(nodes, dtype=np.int32), np.array(gpus, dtype=np.uint16), moves)


@pytest.mark.parametrize(
    ("pods", "decisions", "what"),
    [
        ([HALF, WHOLE], decided((0, 1), (0, 1)), "arrival 1 on a: gpu_milli: GPU 0 is 500 short"),
        ([HALF] * 3, decided((1, 1), (1, 1), (1, 1)), "arrival 2 on b: gpu_milli: GPU 0 is 500"),
        ([HALF], decided((1, 2)), "arrival 0 on b: gpus: 1 of 1, got 0b10"),
        ([HALF], decided((0, 3)), "arrival 0 on a: gpus: 1 of 2, got 0b11"),
        ([HALF], decided((0, 0)), "arrival 0 on a: gpus: 1 of 2, got 0b0"),
        ([HALF], decided((2, 1)), "arrival 0: node: there is no row 2"),
        ([HALF], decided((-2, 1)), "arrival 0: node: there is no row -2"),
        ([HALF], decided((-1, 1)), "arrival 0: gpus: was refused but holds 0b1"),
        ([T4], decided((1, 1)), "arrival 0 on b: models: it has G2"),
        ([CPU_ONLY] * 3, decided((0, 0), (0, 0), (0, 0)), "arrival 2 on a: cpu_milli: 50 short"),
        ([CPU_ONLY], decided((0, 1)), "arrival 0 on a: gpus: 0 of 2"),
        ([HALF, HALF], decided((0, 1)), "one of each is needed for 2 arrivals"),
    ],
)
def test_a_broken_rule_is_named(pods: list[Request], decisions: Decisions, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        check(*hand_made(*pods), decisions)


def test_memory_is_held_against_the_rules_too() -> None:
    node = NodeSpec("a", 1, "T4", 100, 100)
    trace = Trace.of("t", [node], [("p", Request(1, 100, 1, 60))])
    rows = np.zeros(2, dtype=np.int32)
    arrivals = Stream(rows, rows, np.zeros(1, dtype=np.int32))
    with pytest.raises(ValueError, match="arrival 1 on a: memory_mib: 20 short"):
        check(trace, arrivals, decided((0, 1), (0, 1)))


def test_moves_of_one_moment_may_change_places() -> None:
    """A half and a whole swap GPUs; one after the other neither would have room."""
    swap = (Move(3, 0, 1, 1), Move(3, 1, 0, 1))
    pods = hand_made(HALF, WHOLE, WHOLE, HALF)
    places = (0, 1), (1, 1), (0, 2)
    check(*pods, decided(*places, (1, 1), moves=swap))
    last = list(states(*pods, decided(*places, (1, 1), moves=swap)))[-1]
    assert last == (3, 1, [0], 80)
    with pytest.raises(ValueError, match="arrival 3 on b: gpu_milli: GPU 0 is 500 short"):
        check(*pods, decided(*places, (1, 1)))


@pytest.mark.parametrize(
    ("moves", "what"),
    [
        ((Move(1, 1, 1, 1),), "arrival 1 is nowhere to be moved from"),
        ((Move(2, 0, 1, 1),), "there is no arrival 2"),
        ((Move(1, 0, 1, 1), Move(0, 0, 1, 1)), "in the order in which they happen"),
        ((Move(1, 0, 1, 2),), "arrival 0 on b: gpus"),
        ((Move(1, 0, 1, 1), Move(1, 0, 0, 1)), "arrival 0 is nowhere to be moved from"),
    ],
)
def test_a_move_that_cannot_be_is_named(moves: tuple[Move, ...], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        check(*hand_made(HALF, HALF), decided((0, 1), (0, 1), moves=moves))


Corruption = Callable[[Decisions, int], None]


def _other_node(decisions: Decisions, arrival: int) -> None:
    decisions.node[arrival] += 1000


def _no_gpu(decisions: Decisions, arrival: int) -> None:
    decisions.gpus[arrival] = 0


def _all_gpus(decisions: Decisions, arrival: int) -> None:
    decisions.gpus[arrival] = 0xFFFF


@pytest.mark.parametrize("corrupt", [_other_node, _no_gpu, _all_gpus])
def test_one_corrupted_decision_among_many_is_found(corrupt: Corruption) -> None:
    trace = small.middling()
    arrivals = stream(trace, 1)
    decisions = decide(trace, arrivals, "fgd")
    check(trace, arrivals, decisions)
    placed = np.flatnonzero(decisions.gpus)
    assert placed.size > 5
    for arrival in placed.tolist():
        copy = replace(decisions, node=decisions.node.copy(), gpus=decisions.gpus.copy())
        corrupt(copy, arrival)
        with pytest.raises(ValueError, match=f"arrival {arrival}"):
            check(trace, arrivals, copy)


def test_everything_on_the_first_node_is_found() -> None:
    trace = small.middling()
    arrivals = stream(trace, 1, 3.0)
    decisions = decide(trace, arrivals, "bestfit")
    assert len(set(decisions.node.tolist())) > 2
    crowded = replace(decisions, node=np.where(decisions.node >= 0, 0, -1).astype(np.int32))
    with pytest.raises(ValueError, match="arrival"):
        check(trace, arrivals, crowded)
