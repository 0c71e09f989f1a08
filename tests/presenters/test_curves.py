"""Curves over each other: letters, legend, scales, and what is no number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.estate.text import cells, safe
from foundry_tui.estate.tracked import Point
from foundry_tui.presenters.curves import MOST_CURVES, Overlay, Series, overlay

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)


def series(place: int, values: Sequence[float], each_s: int = 60) -> Series:
    points = tuple(
        Point(n, BEGAN + timedelta(hours=place, seconds=n * each_s), value)
        for n, value in enumerate(values)
    )
    return Series(place=place, label=safe(f"run-{place}"), points=points)


def text(drawn: Overlay) -> list[str]:
    return ["".join(part for part, _ in line) for line in drawn.lines]


def test_each_curve_has_its_letter_its_tone_and_its_last_value() -> None:
    falling, rising = series(0, [3, 2, 1, 0.5]), series(1, [0, 1, 2, 4])
    drawn = overlay([falling, rising], width=60, height=10)
    lines = text(drawn)
    assert len(lines) == 10
    assert all(cells(safe(line)) <= 60 for line in lines)
    assert lines[0].startswith("4 ") and lines[7].startswith("0 ")
    assert " step " in lines[8]
    assert "A run-0" in lines[9] and " 0.5" in lines[9]
    assert "B run-1" in lines[9] and " 4" in lines[9]
    assert "A" in "".join(lines[:8]) and "B" in "".join(lines[:8])
    tones = {tone for line in drawn.lines for _, tone in line}
    assert {"line0", "line1"} <= tones


def test_ascii_draws_each_curve_in_its_own_letter() -> None:
    drawn = overlay([series(0, [0, 1]), series(1, [1, 0])], width=40, height=8, ascii_only=True)
    plain = "".join(text(drawn)[:6])
    assert plain.isascii()
    assert "a" in plain and "b" in plain and "*" not in plain


def test_a_logarithmic_scale_leaves_out_what_is_not_above_zero() -> None:
    drawn = overlay([series(0, [1, 10, 100, 0, -1])], width=40, height=8, log_y=True)
    assert drawn.left_out == 2
    assert text(drawn)[0].startswith("100 ")
    middle = [n for n, line in enumerate(text(drawn)[:6]) if any(c > "\u2800" for c in line)]
    assert middle == list(range(6))  # a straight line from corner to corner
    assert (
        "no value above zero" in text(overlay([series(0, [-1])], width=40, height=8, log_y=True))[0]
    )


def test_over_time_each_run_begins_at_its_own_start() -> None:
    drawn = overlay([series(0, [1, 2]), series(5, [1, 2])], width=70, height=8, x="time")
    axis = next(line for line in text(drawn) if "time since its start" in line)
    assert axis.split()[0] == "0s" and axis.split()[-1] == "1m00s"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1.7976931348623157e308])
def test_what_is_no_number_is_left_out_and_counted(bad: float) -> None:
    drawn = overlay([series(0, [1, bad, 2])], width=40, height=8)
    assert drawn.left_out == 1
    assert text(drawn)[0].startswith("2 ")
    assert "no value to draw" in text(overlay([series(0, [bad])], width=40, height=8))[0]


def test_smoothed_curves_are_flatter() -> None:
    rough = series(0, [0, 10] * 20)
    plain = text(overlay([rough], width=60, height=8))
    smooth = text(overlay([rough], width=60, height=8, smooth=True))
    assert plain != smooth
    assert float(smooth[0].split()[0]) < 10


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 2), (20, 3), (300, 60)])
def test_it_keeps_within_any_room(width: int, height: int) -> None:
    many = [series(n, [n, n + 1, 3]) for n in range(MOST_CURVES)]
    for line in text(overlay(many, width=width, height=height))[:1]:
        assert len(line) <= max(width, 4 + 1)
