"""The six published policies decide what a slow reference decides, with numba and without."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from scheduler_sim import kernels
from scheduler_sim.arrivals.decisions import Decisions
from scheduler_sim.arrivals.ledger import check
from scheduler_sim.arrivals.published import decide
from scheduler_sim.arrivals.rules import NAMES
from scheduler_sim.arrivals.stream import Stream, stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.cluster import NodeSpec, Request
from tests.scheduler_sim.arrivals import reference, small

SMALL_CLUSTERS = 1000


@pytest.mark.parametrize("fast", [True, False], ids=["loops", "vectors"])
@pytest.mark.parametrize("name", NAMES)
def test_every_decision_is_that_of_the_reference(
    name: str, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "FAST", fast)
    refused = 0
    for number in range(SMALL_CLUSTERS):
        trace = small.trace(number)
        arrivals = stream(trace, number, (0.7, 1.3, 2.0)[number % 3])
        decisions = decide(trace, arrivals, name)
        assert readable(decisions) == expected(number, trace, arrivals, name), number
        check(trace, arrivals, decisions)
        refused += int((decisions.node < 0).sum())
    assert refused > SMALL_CLUSTERS


_KNOWN: dict[tuple[int, str], list[tuple[int, list[int]]]] = {}


def expected(number: int, trace: Trace, arrivals: Stream, name: str) -> list[tuple[int, list[int]]]:
    """What the reference decides; both forms are held against one run of it."""
    if (number, name) not in _KNOWN:
        found = reference.decide(trace, arrivals, name)
        _KNOWN[number, name] = [(row, sorted(gpus)) for row, gpus in found]
    return _KNOWN[number, name]


def readable(decisions: Decisions) -> list[tuple[int, list[int]]]:
    pairs = zip(decisions.node.tolist(), decisions.gpus.tolist(), strict=True)
    return [(node, [g for g in range(16) if mask >> g & 1]) for node, mask in pairs]


PINNED = {
    "random": "3179a11d39fbdde6",
    "dotprod": "e4b055b6df4273eb",
    "gpuclustering": "57b7e6426e081582",
    "gpupacking": "35a1b6b076b67bac",
    "bestfit": "d89e2df04e416555",
    "fgd": "206a09794a5db934",
}


@pytest.mark.parametrize("fast", [True, False], ids=["loops", "vectors"])
@pytest.mark.parametrize("name", NAMES)
def test_a_seed_means_the_same_on_every_machine(
    name: str, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "FAST", fast)
    trace = small.middling()
    arrivals = stream(trace, 42)
    decisions = decide(trace, arrivals, name)
    written = arrivals.pods.astype("<i4").tobytes() + decisions.node.astype("<i4").tobytes()
    digest = hashlib.sha256(written + decisions.gpus.astype("<u2").tobytes()).hexdigest()
    assert digest[:16] == PINNED[name]
    again = decide(trace, stream(trace, 42), name)
    assert (again.node == decisions.node).all()
    assert (again.gpus == decisions.gpus).all()


def test_a_kind_that_comes_once_is_decided_like_one_that_comes_often() -> None:
    """Kinds of one arrival share a row of the score cache."""
    nodes = [NodeSpec(f"n{i}", 4, "T4", 64_000, 64_000) for i in range(3)]
    pods = [(f"p{i}", Request(1, 100 + i, 1000 + i, 10)) for i in range(60)]
    trace = Trace.of("all-different", nodes, pods)
    arrivals = stream(trace, 1)
    assert len(trace.kinds) == 60
    for name in NAMES:
        found = [(row, sorted(gpus)) for row, gpus in reference.decide(trace, arrivals, name)]
        assert readable(decide(trace, arrivals, name)) == found


@pytest.mark.parametrize("fast", [True, False], ids=["loops", "vectors"])
@pytest.mark.parametrize(
    ("name", "pod", "first", "second"),
    [
        ("bestfit", Request(1, 500, 1, 1), 249_000, 247_000),
        ("dotprod", Request(0, 1000, 100_000, 1), 327_681, 327_679),
    ],
)
def test_scores_are_cut_towards_zero(
    name: str, pod: Request, first: int, second: int, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A little below and a little above zero tie, so that the first node has it."""
    monkeypatch.setattr(kernels, "FAST", fast)
    nodes = [NodeSpec("first", 1, "T4", first, 10), NodeSpec("second", 1, "T4", second, 10)]
    trace = Trace.of("t", nodes, [("p", pod)])
    rows = np.zeros(1, dtype=np.int32)
    arrivals = Stream(rows, rows, np.arange(2, dtype=np.int32))
    assert reference.decide(trace, arrivals, name)[0][0] == 0
    assert decide(trace, arrivals, name).node.tolist() == [0]


def test_a_model_that_no_node_has_is_refused_and_nothing_else_is() -> None:
    nodes = [NodeSpec("n", 8, "T4", 64_000, 64_000)]
    pods = [("a", Request(1, 1000, 1, 1)), ("b", Request(1, 1000, 1, 1, ("G9",)))]
    trace = Trace.of("t", nodes, pods)
    arrivals = stream(trace, 3, 1.0)
    unknown = np.array([trace.kinds[kind].models == ("G9",) for kind in arrivals.kinds])
    assert unknown.any() and not unknown.all()
    for name in NAMES:
        assert ((decide(trace, arrivals, name).node < 0) == unknown).all()


def test_an_unknown_policy_is_named() -> None:
    trace = small.trace(1)
    with pytest.raises(ValueError, match=r"policy: must be one of random.*got worst"):
        decide(trace, stream(trace, 1), "worst")
