"""The bound of the published experiment: against trying everything, and on the public traces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.arrivals.replay import policy
from scheduler_sim.arrivals.stream import stream
from scheduler_sim.arrivals.trace import Trace, read_trace
from scheduler_sim.bound.arrivals import bound
from scheduler_sim.bound.live import Waiting
from scheduler_sim.cluster import Cluster, NodeSpec, Request
from tests.scheduler_sim.arrivals import small
from tests.scheduler_sim.bound.brute import best
from tests.scheduler_sim.bound.test_live import requests


@st.composite
def traces_of_few(draw: st.DrawFn) -> Trace:
    """One or two nodes with two GPUs in all, and pods of at least a quarter of a GPU."""
    models = st.sampled_from(("A", "B"))
    nodes = [NodeSpec(f"n{i}", 1, draw(models), 3000, 2048) for i in range(2)]
    if draw(st.booleans()):
        nodes = [NodeSpec("n0", 2, "A", 6000, 4096)]
    large = requests().filter(lambda r: not r.gpus or r.gpu_milli >= 250)
    asked = draw(st.lists(large, min_size=1, max_size=5))
    # a pod asks for something, and several GPUs are never shared
    kinds = [Request(r.gpus, 1000, 500, 0, r.models) if r.gpus != 1 else r for r in asked]
    pods = [Request(1, 500), *kinds]
    return Trace.of("few", nodes, [(f"p{i}", pod) for i, pod in enumerate(pods)])


@settings(max_examples=150, deadline=None)
@given(traces_of_few(), st.integers(0, 5), st.sampled_from((0, 30, 60, 90, 120)))
def test_never_below_the_best_choice_of_arrivals(trace: Trace, seed: int, prefix: int) -> None:
    kinds = [trace.kinds[k] for k in stream(trace, seed).kinds]
    cluster = Cluster(trace.nodes)
    asked = np.cumsum([k.total_milli for k in kinds])
    hosted = [bool(best(cluster, [Waiting(k, 1)])) for k in kinds]
    forced = [
        bool(prefix) and 100 * int(a) <= prefix * trace.capacity_milli and fits
        for a, fits in zip(asked, hosted, strict=True)
    ]
    reached = best(cluster, [Waiting(k, k.total_milli) for k in kinds], tuple(forced))
    found = bound(trace, seed, prefix)
    assert found.proven
    assert {trace.kinds[i] for i in found.excluded} == {
        k for k, fits in zip(kinds, hosted, strict=True) if not fits
    }
    if reached is not None:
        assert found.feasible
        assert found.bound_pct is not None
        assert 100 >= found.bound_pct >= 100 * reached / trace.capacity_milli


def _trace(*pods: Request, nodes: int = 1) -> Trace:
    specs = [NodeSpec(f"n{i}", 4, "A", 64_000, 65_536) for i in range(nodes)]
    return Trace.of("made", specs, [(f"p{i}", pod) for i, pod in enumerate(pods)])


def test_one_kind_that_leaves_a_rest_on_each_gpu() -> None:
    found = bound(_trace(Request(1, 810), nodes=10), 42)
    assert found.bound_pct == pytest.approx(81, rel=1e-6)
    assert found.feasible and found.proven
    assert found.gap_pct == pytest.approx(0, abs=1e-4)
    assert found.prices.gpu[0][0] == pytest.approx(810, rel=1e-6)
    assert found.arrival_price == pytest.approx((0,), abs=1e-3)


def test_a_kind_that_is_short_has_a_price_of_its_own() -> None:
    """With 19 % pods beside those of 81 %, one more of the scarce kind fills one more GPU."""
    pods = [Request(1, 810)] * 9 + [Request(1, 190)]
    found = bound(_trace(*pods, nodes=40), 42)
    price = dict(zip(found.kinds, found.arrival_price, strict=True))
    assert price[0] == pytest.approx(190, rel=1e-3)
    assert price[1] == pytest.approx(0, abs=1e-3)


def test_the_bound_of_a_hundred_percent_is_no_more_than_that() -> None:
    found = bound(_trace(Request(1, 500)), 42)
    assert found.bound_pct == 100


def test_without_time_the_bound_holds() -> None:
    found = bound(_trace(Request(1, 810), nodes=10), 42, 50, time_limit_s=0)
    assert not found.proven
    assert found.feasible is None
    assert found.gap_pct is None
    assert found.bound_pct is not None and found.bound_pct >= 81


def test_everything_forced_is_found_impossible() -> None:
    found = bound(_trace(Request(1, 810), nodes=10), 42, 130)
    assert (found.feasible, found.bound_pct, found.gap_pct) == (False, None, None)


@pytest.mark.parametrize("prefix", [-1, float("nan"), float("inf")])
def test_a_prefix_that_makes_no_sense_is_refused(prefix: float) -> None:
    with pytest.raises(ValueError, match="prefix: percent of all GPUs"):
        bound(_trace(Request(1, 810)), 42, prefix)


@pytest.mark.parametrize(
    ("name", "prefix", "expected"),
    [
        ("default", 0, 99.89),
        ("default", 90, 96.71),
        ("default", 95, 96.51),
        ("default", 96, 96.46),
        ("default", 97, None),
        ("cpu100", 95, 96.51),
        ("gpushare40", 90, 95.35),
        ("gpushare40", 96, None),
        ("multigpu20", 95, 96.97),
        ("gpuspec33", 70, 97.53),
        ("gpuspec33", 90, None),
    ],
)
def test_the_bounds_of_the_public_traces(
    traces: Path, name: str, prefix: float, expected: float | None
) -> None:
    """Other arrival lists of the same traces gave these bounds, so that they differ a little."""
    pods = traces / f"openb_pod_list_{name}.csv.gz"
    trace = read_trace(traces / "openb_node_list_gpu_node.csv", pods)
    found = bound(trace, 42, prefix)
    assert found.proven
    assert found.feasible is (expected is not None)
    if expected is not None:
        assert found.bound_pct == pytest.approx(expected, abs=0.05)
    named = [trace.kinds[i] for i in found.excluded]
    assert [(k.gpus, k.models) for k in named] == ([(8, ("G2",))] if name == "gpuspec33" else [])
    assert found.cpu_s < 10


@pytest.mark.parametrize("name", ["bestfit", "fgd"])
def test_no_policy_gets_above_the_bound_at_its_own_first_refusal(name: str) -> None:
    decide = policy(name)
    for number in range(40):
        trace = small.trace(number)
        arrivals = stream(trace, number)
        placed = decide(trace, arrivals).node >= 0
        milli = np.array([trace.kinds[k].total_milli for k in arrivals.kinds])
        free = bound(trace, number)
        hosted = ~np.isin(arrivals.kinds, free.excluded)
        assert placed[~hosted].sum() == 0
        refused = np.flatnonzero(hosted & ~placed)
        arrived = np.cumsum(milli)
        first = int(arrived[refused[0]]) if len(refused) else int(arrived[-1]) + 1
        prefix = 100 * max(0, first - 1) / trace.capacity_milli
        found = bound(trace, number, prefix)
        assert found.feasible and found.proven
        assert found.bound_pct is not None and free.bound_pct is not None
        allocated = 100 * int(milli[placed].sum()) / trace.capacity_milli
        assert allocated <= found.bound_pct <= free.bound_pct * (1 + 1e-6)
