"""One value for a run out of its curve."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.tracked import Point
from foundry_tui.experiments.nouns import Reduce
from foundry_tui.experiments.reduce import reduced, smoothed
from tests.experiments.records import at, points

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def test_last_least_greatest() -> None:
    curve = points(3, 1, math.nan, 5, math.inf, 2)
    assert reduced(Reduce.LAST, curve) == 2
    assert reduced(Reduce.MIN, curve) == 1
    assert reduced(Reduce.MAX, curve) == 5


def test_the_last_value_is_told_as_it_is() -> None:
    """A run that ended in NaN must not be shown with the value before."""
    assert math.isnan(reduced(Reduce.LAST, points(1, math.nan)) or 0)
    last = Point(9, at(9), 0.25)
    assert reduced(Reduce.LAST, points(3, 1), last=last) == 0.25
    assert reduced(Reduce.MIN, points(3, 1), last=last) == 0.25, "a sample may leave it out"


@pytest.mark.parametrize("how", list(Reduce))
def test_nothing_gives_nothing(how: Reduce) -> None:
    assert reduced(how, ()) is None
    if how is not Reduce.LAST:
        assert reduced(how, points(math.nan, math.inf, -math.inf)) is None


def test_smoothed_as_the_formula_has_it() -> None:
    """s1 = x1; s2 = (α x2 + (1-α) α x1) / (1 - (1-α)²), and so on."""
    line = smoothed(points(1, 2, 4), 0.5)
    assert [p.value for p in line] == pytest.approx(
        [1, 5 / 3, (0.5 * 4 + 0.25 * 2 + 0.125) / 0.875]
    )
    assert reduced(Reduce.SMOOTH, points(1, 2, 4), alpha=1) == 4
    for alpha in (0, -1, 1.1, math.nan):
        with pytest.raises(ValueError, match="alpha"):
            smoothed(points(1), alpha)


def test_the_order_is_that_of_the_steps() -> None:
    assert smoothed(tuple(reversed(points(1, 2, 4))), 0.5) == smoothed(points(1, 2, 4), 0.5)


@given(st.lists(FINITE, min_size=1, max_size=30), st.floats(0.001, 1))
def test_smoothed_stays_between_least_and_greatest(values: list[float], alpha: float) -> None:
    line = smoothed(points(*values), alpha)
    assert len(line) == len(values)
    room = 1e-9 * max(1.0, *map(abs, values))
    for n, point in enumerate(line):
        seen = values[: n + 1]
        assert min(seen) - room <= point.value <= max(seen) + room


@given(st.floats(-1e6, 1e6), st.integers(1, 40), st.floats(0.001, 1))
def test_a_flat_curve_stays_where_it_is(value: float, count: int, alpha: float) -> None:
    line = smoothed(points(*[value] * count), alpha)
    assert [p.value for p in line] == pytest.approx([value] * count)
