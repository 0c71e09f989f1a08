"""Charts: the picture follows the numbers, and what is no number is counted and not drawn."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.text import cells
from foundry_tui.presenters.braille import chart, sparkline

Pair = tuple[float, float]


def dots(lines: tuple[str, ...], *, beside: int) -> set[tuple[int, int]]:
    """Places of the dots, x from the left, y from the top."""
    bits = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
    found = set()
    for row, line in enumerate(lines):
        for column, char in enumerate(line[beside:]):
            if 0x2800 <= ord(char) < 0x2900:
                for y, pair in enumerate(bits):
                    for x, bit in enumerate(pair):
                        if (ord(char) - 0x2800) & bit:
                            found.add((2 * column + x, 4 * row + y))
    return found


def test_a_rising_line_goes_from_corner_to_corner() -> None:
    found = chart([(0, 0.0), (10, 1.0)], width=14, height=5)
    assert [line[:2] for line in found.lines] == ["1 ", "  ", "  ", "0 ", "  "]
    placed = dots(found.lines[:4], beside=2)
    assert {(0, 15), (23, 0)} <= placed
    heights = [{y for x, y in placed if x == column} for column in range(24)]
    assert all(heights)  # no gap
    assert [max(ys) for ys in heights] == sorted((max(ys) for ys in heights), reverse=True)
    assert found.lines[4] == "  0   step  10"
    assert found.told == "last 1 at step 10"


def test_the_last_value_has_its_own_label() -> None:
    found = chart([(0, 0.0), (5, 4.0), (10, 2.0)], width=30, height=6)
    assert [line[:1] for line in found.lines[:5]] == ["4", " ", "2", " ", "0"]


def test_time_is_told_as_time() -> None:
    found = chart([(0, 1.0), (7500, 2.0)], width=40, height=4, x="time")
    assert found.lines[-1].split() == ["0s", "time", "2h05m"]
    assert found.told == "last 2 at 2h05m"


def test_no_number_is_left_out_told_and_leaves_a_gap() -> None:
    points = [(float(n), 1.0) for n in range(20)]
    points[9] = (9.0, math.nan)
    points[10] = (10.0, -math.inf)
    found = chart(points, width=22, height=3)
    assert found.told == "last 1 at step 19 · 1 NaN, 1 inf not drawn"
    columns = {x for x, _ in dots(found.lines[:2], beside=2)}
    assert {0, 39} <= columns
    assert columns.isdisjoint({18, 19, 20})
    whole = chart([p for p in points if math.isfinite(p[1])], width=22, height=3)
    assert {18, 19, 20} <= {x for x, _ in dots(whole.lines[:2], beside=2)}


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ([], "no value yet"),
        ([(0, math.nan), (1, math.inf), (math.nan, 1.0)], "no value to draw: 2 NaN, 1 inf"),
    ],
)
def test_nothing_to_draw_is_told(points: list[Pair], told: str) -> None:
    found = chart(points, width=40, height=3)
    assert found.told == told
    assert [line.rstrip() for line in found.lines] == [told, "", ""]


def test_one_value_and_a_constant_stand_in_the_middle() -> None:
    one = chart([(7, 3.25)], width=20, height=4)
    assert len(dots(one.lines[:3], beside=5)) == 1
    assert sum("3.25" in line for line in one.lines) == 1
    for height in (4, 5, 7):
        for ascii_only in (False, True):
            flat = chart(
                [(0, 3.25), (9, 3.25)], width=20, height=height, ascii_only=ascii_only
            ).lines[:-1]
            (at,) = (n for n, line in enumerate(flat) if line[5:].strip())
            assert flat[at].startswith("3.25 ") and at == len(flat) // 2


def test_numbers_that_differ_little_get_the_digits_that_tell_them_apart() -> None:
    found = chart([(0, 1.00001), (1, 1.00002)], width=30, height=4)
    assert found.lines[0].split()[0] != found.lines[2].split()[0]


def test_extremes_of_floating_point_stay_in_the_chart() -> None:
    for low, high in ((-1.7e308, 1.7e308), (0.0, 5e-324), (-5e-324, 0.0)):
        found = chart([(0, low), (1, high)], width=40, height=5)
        assert all(cells(line) == 40 for line in found.lines)


def test_a_spike_among_many_points_is_seen() -> None:
    points = [(float(n), 0.0) for n in range(10_000)]
    points[4321] = (4321.0, 8.0)
    found = chart(points, width=42, height=5)
    assert min(y for _, y in dots(found.lines[:4], beside=2)) == 0


def test_steps_that_come_back_are_drawn_in_order() -> None:
    found = chart([(5, 2.0), (1, 1.0), (5, 3.0)], width=20, height=4)
    assert found.told == "last 3 at step 5"


def test_ascii_has_stars_only() -> None:
    found = chart([(0, 0.0), (10, 1.0), (20, 0.5)], width=30, height=6, ascii_only=True)
    assert all(line.isascii() for line in found.lines)
    assert "*" in found.lines[0] and "*" in found.lines[4]


def test_sparkline_levels_and_unknown() -> None:
    assert sparkline([0, 50, 100, None, math.nan], 9, top=100) == "▁▅█??"
    assert sparkline([0, 1, 2], 2) == "▅█"
    assert sparkline([0, 0, -3], 9) == "▁▁▁"
    assert sparkline([200], 9, top=100) == "█"
    assert sparkline([0, 100, None], 9, top=100, ascii_only=True) == "_#?"
    assert sparkline([], 9) == sparkline([1], 0) == ""


any_number = st.one_of(
    st.floats(), st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324])
)


@given(
    st.lists(st.tuples(any_number, any_number), max_size=40),
    st.integers(1, 90),
    st.integers(1, 20),
    st.booleans(),
)
def test_any_numbers_fill_exactly_the_cells_given(
    points: list[Pair], width: int, height: int, ascii_only: bool
) -> None:
    found = chart(points, width=width, height=height, ascii_only=ascii_only)
    assert len(found.lines) == height
    if any(math.isfinite(x) and math.isfinite(y) for x, y in points):
        assert {cells(line) for line in found.lines} == {width}
        left_out = [n for n in found.told.split(" · ")[-1].split() if n.isdecimal()]
        dropped = sum(not (math.isfinite(x) and math.isfinite(y)) for x, y in points)
        if "not drawn" in found.told:
            assert sum(map(int, left_out)) == dropped
        else:
            assert dropped == 0


@given(st.lists(st.one_of(st.none(), any_number), max_size=50), st.integers(0, 30))
def test_any_sparkline_has_a_cell_per_value(values: list[float | None], width: int) -> None:
    found = sparkline(values, width)
    shown = values[-width:] if width else []
    assert cells(found) == len(shown)
    unknown = sum(v is None or not math.isfinite(v) for v in shown)
    assert found.count("?") == unknown
