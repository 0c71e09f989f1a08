"""Two runs on one GPU: who may, how fast, and when to go back."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.fractions.canary import Canary
from scheduler_sim.fractions.history import Histogram
from scheduler_sim.fractions.matching import EXACT, match
from scheduler_sim.fractions.pairs import Load, mean_speed, over, share

GB = 10**9


def load(
    name: str,
    gpu: float | None = 0.3,
    memory: float | None = 0.1,
    peak: int | None = 10 * GB,
    *,
    outlier: bool = False,
) -> Load:
    return Load(name=name, gpu_util=gpu, memory_util=memory, mem_peak_bytes=peak, outlier=outlier)


def test_two_light_runs_may_share() -> None:
    pair = share(load("a"), load("b"), 80 * GB)
    assert pair.allowed
    assert pair.mean_speed == pytest.approx(1.106 - 0.179 * 0.6)
    assert (pair.slower_speed, pair.slower_low) == (0.95, 0.90)
    assert "measure the step time" in pair.why[0]
    assert pair.gain == pytest.approx(2 * (1.106 - 0.179 * 0.6) - 1)


@pytest.mark.parametrize(
    ("second", "word"),
    [
        (load("b", gpu=0.71), "GPU utilisation"),
        (load("b", memory=0.41), "memory bandwidth"),
        (load("b", peak=67 * GB), "memory: 77.0 GB"),
        (load("b", outlier=True), "b is an outlier"),
        (load("b", gpu=None), "b: GPU utilisation is not known"),
        (load("b", memory=None), "b: memory bandwidth is not known"),
        (load("b", peak=None), "b: peak memory is not known"),
    ],
)
def test_what_forbids_a_pair_is_said(second: Load, word: str) -> None:
    pair = share(load("a"), second, 80 * GB)
    assert not pair.allowed
    assert pair.gain == 0
    assert any(word in line for line in pair.why)


def test_the_limits_themselves_are_allowed() -> None:
    assert share(load("a", gpu=0.7), load("b", gpu=0.3), 80 * GB).allowed
    assert share(load("a", memory=0.2), load("b", memory=0.3), 80 * GB).allowed
    assert share(load("a", peak=66 * GB), load("b"), 80 * GB).allowed


def test_unknown_has_no_prediction() -> None:
    pair = share(load("a"), load("b", memory=None), 80 * GB)
    assert pair.mean_speed is pair.slower_speed is pair.slower_low is None


def test_a_promise_to_the_slower_run_narrows_the_choice() -> None:
    assert share(load("a"), load("b"), 80 * GB, promise=0.9).allowed
    refused = share(load("a", gpu=0.4), load("b"), 80 * GB, promise=0.9)
    assert not refused.allowed
    assert refused.why == ("the slower run may go at 0.87, 0.9 was promised",)
    assert share(load("a", gpu=0.4), load("b"), 80 * GB).allowed


@given(st.floats(0, 2), st.floats(0, 2))
def test_more_load_is_never_faster(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 < mean_speed(high) <= mean_speed(low) <= 1


levels = st.lists(st.one_of(st.none(), st.integers(0, 10)), min_size=1, max_size=12)


@given(levels, levels, st.integers(0, 20))
def test_the_convolution_counts_all_pairs_of_samples(
    first: list[int | None], second: list[int | None], limit: int
) -> None:
    likely = over(
        Histogram.of([None if v is None else v / 10 for v in first], bins=10),
        Histogram.of([None if v is None else v / 10 for v in second], bins=10),
        limit / 10,
    )
    if all(v is None for v in first) or all(v is None for v in second):
        assert likely is None
        return
    above = sum(a is None or b is None or a + b > limit for a, b in product(first, second))
    assert likely == pytest.approx(above / (len(first) * len(second)))


def test_histories_decide_instead_of_the_sum_of_levels() -> None:
    def bursts(name: str, busy: int) -> Load:
        history = Histogram.of([0.8] * busy + [0.05] * (100 - busy))
        return Load(
            name=name, gpu_util=0.8, memory_util=0.1, mem_peak_bytes=GB, gpu_history=history
        )

    rare = share(bursts("a", 20), bursts("b", 20), 80 * GB)
    assert rare.allowed  # both at once 4 % of the time
    often = share(bursts("a", 30), bursts("b", 20), 80 * GB)
    assert not often.allowed
    assert often.why == ("GPU utilisation: above 1 together 6 % of the time",)


def test_histories_without_samples_or_of_other_bins_are_not_used() -> None:
    assert over(Histogram.of([None]), Histogram.of([0.1]), 1.0) is None
    assert over(Histogram.of([0.1], bins=4), Histogram.of([0.1]), 1.0) is None


def test_nonsense_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^device_bytes: "):
        share(load("a"), load("b"), 0)
    with pytest.raises(ValueError, match=r"^promise: "):
        share(load("a"), load("b"), GB, promise=1.0)
    with pytest.raises(ValueError, match=r"^gpu_util: x: "):
        load("x", gpu=math.nan)
    with pytest.raises(ValueError, match=r"^mem_peak_bytes: x: "):
        load("x", peak=-1)
    with pytest.raises(ValueError, match=r"^loads: "):
        match([load("a"), load("a")], GB)


def best_gain(loads: list[Load]) -> float:
    if len(loads) < 2:
        return 0.0
    first, rest = loads[0], loads[1:]
    best = best_gain(rest)
    for i, other in enumerate(rest):
        gain = share(first, other, 80 * GB).gain
        best = max(best, gain + best_gain(rest[:i] + rest[i + 1 :]))
    return best


runs = st.lists(
    st.tuples(st.integers(0, 10), st.integers(0, 5), st.integers(1, 70)), max_size=6
).map(lambda rows: [load(f"r{i}", u / 10, b / 10, m * GB) for i, (u, b, m) in enumerate(rows)])


@settings(deadline=None, max_examples=60)
@given(runs)
def test_a_small_matching_is_the_best_there_is(loads: list[Load]) -> None:
    found = match(loads, 80 * GB)
    assert found.exact
    names = [name for pair in found.pairs for name in (pair.first, pair.second)]
    assert len(set(names)) == len(names)
    assert all(pair.allowed for pair in found.pairs)
    assert found.gain == pytest.approx(best_gain(loads))


def test_a_large_matching_says_that_it_is_not_exact() -> None:
    loads = [load(f"r{i:02}", 0.1 + 0.8 * (i % 2), 0.1) for i in range(EXACT + 6)]
    found = match(loads, 80 * GB)
    assert not found.exact
    assert len(found.pairs) == 10  # a busy one beside a light one, each time
    assert all(
        {p.first[-1] in "13579", p.second[-1] in "13579"} == {True, False} for p in found.pairs
    )


def test_a_canary_keeps_what_keeps_its_promise() -> None:
    canary = Canary(promise=0.9, steps=5, warm_up=2)
    kept = canary.verdict([1.0] * 5, [9.0, 9.0, 1.1, 1.1, 1.1, 1.1, 5.0])
    assert kept.keep is True
    assert kept.speed == pytest.approx(1 / 1.1)
    back = canary.verdict([1.0] * 5, [9.0, 9.0, 1.2, 1.2, 1.2, 1.2, 1.2])
    assert back.keep is False
    assert "go back" in back.why
    assert "1.11 times" in canary.words


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1.0] * 4, [1.0] * 7),
        ([1.0] * 5, [1.0] * 6),
        ([1.0, math.nan, 1.0, 1.0, 1.0], [1.0] * 7),
        ([1.0] * 5, [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_a_canary_that_measured_too_little_does_not_guess(
    before: list[float], after: list[float]
) -> None:
    verdict = Canary(promise=0.9, steps=5, warm_up=2).verdict(before, after)
    assert verdict.keep is None and verdict.speed is None


def test_a_canary_without_a_promise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^promise: "):
        Canary(promise=1.0)
    with pytest.raises(ValueError, match=r"^steps: "):
        Canary(steps=2)
