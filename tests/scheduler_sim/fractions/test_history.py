"""Histograms of utilisation: exact per cents, and holes that are not zeros."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler_sim.fractions.history import Histogram, Prior, Usage

percents = st.lists(st.integers(0, 100), min_size=1, max_size=60)


@given(percents, st.integers(1, 100))
def test_a_percentile_is_a_sample_that_so_many_do_not_exceed(levels: list[int], pct: int) -> None:
    histogram = Histogram.of([level / 100 for level in levels])
    rank = -(-pct * len(levels) // 100)
    assert histogram.percentile(pct) == sorted(levels)[rank - 1] / 100


@given(percents, st.integers(1, 30), st.integers(1, 100))
def test_holes_count_as_higher_than_anything_seen(levels: list[int], holes: int, pct: int) -> None:
    samples: list[float | None] = [level / 100 for level in levels]
    histogram = Histogram.of(samples + [None, math.nan] * holes)
    assert histogram.missing == 2 * holes
    rank = -(-pct * (len(levels) + 2 * holes) // 100)
    expected = sorted(levels)[rank - 1] / 100 if rank <= len(levels) else None
    assert histogram.percentile(pct) == expected


def test_levels_are_never_rounded_down() -> None:
    histogram = Histogram.of([0.0, 0.201, 0.2, 1.0])
    assert histogram.counts[0] == histogram.counts[20] == histogram.counts[21] == 1
    assert histogram.counts[100] == 1
    assert Histogram.of([0.26], bins=4).percentile(50) == 0.5


def test_without_samples_there_is_no_percentile() -> None:
    assert Histogram.of([]).percentile(50) is None
    assert Histogram.of([None, math.nan]).percentile(1) is None
    assert Histogram.of([]).coverage == 0
    assert Histogram.of([0.5, None]).coverage == 0.5


@pytest.mark.parametrize("sample", [37.0, -0.01, math.inf])
def test_what_is_no_share_is_refused(sample: float) -> None:
    with pytest.raises(ValueError, match=r"^samples: a utilisation is 0\.\.1"):
        Histogram.of([sample])


def test_nonsense_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^counts: "):
        Histogram((1,))
    with pytest.raises(ValueError, match=r"^counts: "):
        Histogram((1, -1))
    with pytest.raises(ValueError, match=r"^bins: "):
        Histogram.of([0.5], bins=0)
    with pytest.raises(ValueError, match=r"^pct: "):
        Histogram.of([0.5]).percentile(0)
    with pytest.raises(ValueError, match=r"^mem_peak_bytes: "):
        Usage(mem_peak_bytes=-1)
    with pytest.raises(ValueError, match=r"^memory_util: "):
        Prior(gpu_util=0.5, memory_util=math.nan, origin="somebody")
    with pytest.raises(ValueError, match=r"^origin: "):
        Prior(gpu_util=0.5, origin=" ")
