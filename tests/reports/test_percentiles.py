"""Percentiles by nearest rank."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.reports.percentiles import by_group, nearest_rank

PCTS = (1, 50, 90, 99, 100)


def test_r13_nearest_rank_is_a_value_that_was_seen() -> None:
    """The textbook example: 15, 20, 35, 40, 50."""
    values = [15, 20, 35, 40, 50]
    assert [nearest_rank(values, p) for p in (5, 30, 40, 50, 100)] == [15, 20, 20, 35, 50]


def test_r13_nothing_has_no_percentile() -> None:
    assert nearest_rank([], 50) is None
    assert by_group(np.empty(0, np.int64), np.empty(0, np.int64), PCTS) == {}


@pytest.mark.parametrize("pct", [0, 101, -5])
def test_a_percentile_is_1_to_100(pct: int) -> None:
    with pytest.raises(ValueError, match=f"1..100, not {pct}"):
        nearest_rank([1], pct)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1000))))
def test_r13_groups_are_told_as_one_by_one(pairs: list[tuple[int, int]]) -> None:
    groups = np.array([g for g, _ in pairs], np.int64)
    values = np.array([v for _, v in pairs], np.int64)
    expected = {}
    for group in {g for g, _ in pairs}:
        mine = sorted(v for g, v in pairs if g == group)
        expected[group] = tuple(mine[math.ceil(p * len(mine) / 100) - 1] for p in PCTS)
    assert by_group(groups, values, PCTS) == expected
