"""Which fractions to lower: found from the demand, applied to a trace, proven by a replay."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.arrivals.replay import metrics, policy
from scheduler_sim.arrivals.stream import stream
from scheduler_sim.arrivals.trace import Trace, read_trace
from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.fractions.cuts import (
    Cut,
    apply,
    cuts,
    cuts_by_price,
    lowered,
    shares_of,
    trace_shares,
)
from scheduler_sim.fractions.packing import Packer
from scheduler_sim.fractions.partners import tariff


def need(shares: dict[int, int], change: dict[int, int]) -> float:
    """GPUs needed after a change, counted anew."""
    demand: dict[int, int] = {}
    for milli, count in shares.items():
        new = change.get(milli, milli)
        demand[new] = demand.get(new, 0) + count
    return Packer().pack(demand).gpus


def test_the_fraction_without_a_partner_is_found() -> None:
    shares = {810: 100, 230: 100, 500: 60}
    assert cuts(shares, 0.06) == (Cut(810, 770, 100, 25.0),)
    assert cuts(shares, 0.06, limit=1) == (Cut(810, 770, 100, 25.0),)
    assert cuts(shares, 0.04) == ()
    assert cuts(shares, 0.06)[0].cut == pytest.approx(40 / 810)


def test_fractions_that_only_help_together_are_found() -> None:
    shares = {650: 100, 390: 100}
    assert need(shares, {650: 620}) == need(shares, {390: 370}) == need(shares, {}) == 150
    found = cuts(shares, 0.06)
    assert {cut.old_milli for cut in found} == {650, 390}
    assert sum(cut.new_milli for cut in found) == 1000
    assert sum(cut.freed_gpus for cut in found) == pytest.approx(50)


demands = st.dictionaries(
    st.sampled_from((230, 320, 340, 370, 470, 530, 550, 650, 810)),
    st.integers(5, 60),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=25)
@given(demands)
def test_one_cut_is_the_best_single_one(shares: dict[int, int]) -> None:
    singles = {
        old: need(shares, {}) - need(shares, {old: new})
        for old in shares
        if (new := -(-old * 94 // 1000) * 10) < old
    }
    worth_it = {
        old: freed
        for old, freed in singles.items()
        if freed > 1e-5 and freed >= 0.5 * shares[old] * (old - -(-old * 94 // 1000) * 10) / 1000
    }
    found = cuts(shares, 0.06, limit=1)
    assert len(found) == bool(worth_it)
    for cut in found:
        assert cut.freed_gpus == pytest.approx(max(worth_it.values()), abs=1e-4)
        assert cut.freed_gpus == pytest.approx(
            need(shares, {}) - need(shares, {cut.old_milli: cut.new_milli}), abs=1e-5
        )


@settings(deadline=None, max_examples=25)
@given(demands, st.sampled_from((0.03, 0.06, 0.1)), st.sampled_from((1, 10)))
def test_nobody_loses_more_than_was_allowed_and_gains_are_what_they_say(
    shares: dict[int, int], most: float, grid: int
) -> None:
    found = cuts(shares, most, grid_milli=grid)
    change = {cut.old_milli: cut.new_milli for cut in found}
    assert len(change) == len(found)
    for cut in found:
        assert cut.new_milli < cut.old_milli
        assert cut.new_milli >= cut.old_milli * (1 - most) - 1e-9
        assert cut.new_milli % grid == 0
        assert cut.requests == shares[cut.old_milli]
        # a little more would free less: the cut is no deeper than it must be
        if cut.new_milli + grid < cut.old_milli:
            shallower = change | {cut.old_milli: cut.new_milli + grid}
            assert need(shares, shallower) > need(shares, change) + 1e-7
    freed = sum(cut.freed_gpus for cut in found)
    assert freed == pytest.approx(need(shares, {}) - need(shares, change), abs=1e-4)
    taken = sum(cut.requests * (cut.old_milli - cut.new_milli) for cut in found) / 1000
    assert freed >= 0.4 * taken


def test_a_limit_keeps_the_cuts_that_free_most() -> None:
    shares = {810: 400, 230: 400, 530: 60, 550: 60}
    assert len(cuts(shares, 0.1)) == 3
    assert [cut.old_milli for cut in cuts(shares, 0.1, limit=1)] == [810]
    assert len(cuts(shares, 0.1, limit=2)) <= 2


def test_prices_from_elsewhere_say_which_cut_pays() -> None:
    shares = {810: 100, 230: 400}
    found = cuts_by_price(tariff(shares), shares, 0.06)
    assert [(cut.old_milli, cut.new_milli) for cut in found] == [(810, 770)]
    assert found[0].freed_gpus == pytest.approx(25)
    assert cuts_by_price(tariff(shares), shares, 0.0) == ()


def test_whole_and_several_gpus_are_left_alone() -> None:
    requests = [Request(gpus=1, gpu_milli=810), Request(gpus=1), Request(gpus=4), Request()]
    assert shares_of(requests) == {810: 1}
    assert cuts({1000: 50}, 0.5) == ()


def small() -> Trace:
    nodes = [NodeSpec(f"n{i}", 2, "T4", 64_000, 256_000) for i in range(2)]
    sizes = (810, 770, 230, 810)
    pods = [(f"p{i}", Request(1, milli, 1000, 10)) for i, milli in enumerate(sizes)]
    return Trace.of("small", nodes, [*pods, ("whole", Request(1, 1000, 1000, 10))])


def test_a_trace_is_cut_and_its_pods_stay_who_they_are() -> None:
    trace = small()
    cut = apply(trace, [Cut(810, 770, 2, 0.0)])
    assert cut.pods == trace.pods
    assert [cut.kinds[k].gpu_milli for k in cut.kind_of] == [770, 770, 230, 770, 1000]
    arrivals = stream(trace, 7)
    made = lowered(arrivals, cut)
    assert np.array_equal(made.pods, arrivals.pods) and np.array_equal(made.rank, arrivals.rank)
    for row, old in zip(made.kinds, arrivals.kinds, strict=True):
        before, after = trace.kinds[old].gpu_milli, cut.kinds[row].gpu_milli
        assert after == (770 if before == 810 else before)
    assert apply(trace, []).kinds == trace.kinds


def test_what_is_no_cut_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^new_milli: 810 cannot become 820"):
        apply(small(), [Cut(810, 820, 2, 0.0)])
    with pytest.raises(ValueError, match=r"^old_milli: two cuts"):
        apply(small(), [Cut(810, 770, 2, 0.0), Cut(810, 760, 2, 0.0)])
    with pytest.raises(ValueError, match=r"^max_cut: "):
        cuts({810: 1}, 1.0)
    with pytest.raises(ValueError, match=r"^limit: "):
        cuts({810: 1}, 0.1, limit=0)
    with pytest.raises(ValueError, match=r"^shares: "):
        cuts({1810: 1}, 0.1)
    for nothing in product(({}, {810: 0}), (0.0, 0.5)):
        assert cuts(*nothing) == ()


@pytest.fixture(scope="module")
def default(traces: Path) -> Trace:
    return read_trace(
        traces / "openb_node_list_gpu_node.csv", traces / "openb_pod_list_default.csv.gz"
    )


def test_on_the_public_trace_810_becomes_770(default: Trace) -> None:
    shares = trace_shares(default)
    (single,) = cuts(shares, 0.06, limit=1)
    assert (single.old_milli, single.new_milli, single.requests) == (810, 770, 1078)
    assert 37 < single.freed_gpus < 40
    several = cuts(shares, 0.06)
    assert several[0] == single
    assert all(cut.cut <= 0.06 for cut in several)
    everything = {milli: -(-milli * 94 // 1000) * 10 for milli in shares}
    most = need(shares, {}) - need(shares, everything)
    assert sum(cut.freed_gpus for cut in several) > 0.98 * most


def test_a_single_cut_serves_a_point_more_of_what_was_asked_for(default: Trace) -> None:
    cut = apply(default, cuts(trace_shares(default), 0.06, limit=1))
    arrivals = stream(default, 42)
    fgd = policy("fgd")
    served = [
        metrics(trace, made, fgd(trace, made), default)["served_pct_of_original"]
        for trace, made in ((default, arrivals), (cut, lowered(arrivals, cut)))
    ]
    as_they_are, lower = served
    assert as_they_are is not None and lower is not None
    assert 95.0 < as_they_are < 95.8
    assert lower > as_they_are + 0.9
