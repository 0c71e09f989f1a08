"""Line charts out of braille dots, two by four in each cell, or out of `*` where that is not safe.

All of a long series is drawn, not a sample of it: per column of dots its first, least, greatest and
last value, which gives the same picture as every point would (Jugel et al., M4, VLDB 2014).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from foundry_tui.estate.text import SafeText, clip
from foundry_tui.presenters import units

Points = Sequence[tuple[float, float]]
"""Pairs of x and y."""

Axis = Literal["step", "time", "moves"]
"""What the first numbers of the points are."""

LEAST_PLOT = 8
"""With fewer columns for the line, the numbers beside it go."""

DOTS_ACROSS = 2
"""Dots of a cell beside each other."""

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille cell by row and column of its dots (Unicode block Braille Patterns)."""

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.-:=+*#"
_UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Chart:
    """The lines of a chart, all of one width, and what it tells in words."""

    lines: tuple[SafeText, ...]
    told: SafeText


def chart(
    points: Points,
    *,
    width: int,
    height: int,
    x: Axis = "step",
    ascii_only: bool = False,
) -> Chart:
    """A chart in exactly `width` x `height` cells, with least, greatest and last value at its left.

    `x` says what the points' first numbers are: steps, moves, or seconds since the start. A value
    that is no finite number takes no part in the scale, leaves a gap, and is counted in `told`.
    """
    width, height = max(1, width), max(1, height)
    runs, left_out = _split(points)
    drawn = [point for run in runs for point in run]
    if not drawn:
        told = f"no value to draw: {left_out}" if left_out else "no value yet"
        first = clip(SafeText(told), width)
        lines = (first.ljust(width), *[" " * width] * (height - 1))
        return Chart(tuple(SafeText(line) for line in lines), SafeText(told))
    axis = height >= 3
    rows = height - 1 if axis else height
    low, high = min(y for _, y in drawn), max(y for _, y in drawn)
    last_x, last = drawn[-1]
    dots_x, dots_y = (1, 1) if ascii_only else (2, 4)
    labels = _labels(low, high, last, rows, dots_y)
    wide = max(len(label) for label in labels.values())
    beside = wide + 1 if width - wide - 1 >= LEAST_PLOT else 0
    columns = width - beside
    grid = _Grid(columns, rows, dots_x, dots_y)
    span = (drawn[0][0], last_x)
    for run in runs:
        grid.draw(run, span, (low, high))
    lines = tuple(
        (f"{labels.get(n, ''):>{wide}} " if beside else "") + text
        for n, text in enumerate(grid.lines(ascii_only))
    )
    if axis:
        lines = (*lines, " " * beside + _axis(span, x, columns))
    told = f"last {_number(last)} at {_place(last_x, x)}"
    told += f" · {left_out} not drawn" if left_out else ""
    return Chart(tuple(SafeText(line) for line in lines), SafeText(told))


def strip(
    points: Points,
    *,
    x_span: tuple[float, float],
    y_span: tuple[float, float],
    width: int,
    height: int,
    ascii_only: bool = False,
) -> list[str]:
    """A line in exactly `width` x `height` cells on scales that are given, without any number.

    A value that is no finite number leaves a gap; one outside the scale is drawn at its edge.
    """
    dots_x, dots_y = (1, 1) if ascii_only else (DOTS_ACROSS, 4)
    grid = _Grid(max(1, width), max(1, height), dots_x, dots_y)
    low, high = y_span
    inside = [
        (x, min(high, max(low, y)) if math.isfinite(y) else math.nan)
        for x, y in points
        if x_span[0] <= x <= x_span[1]
    ]
    for run in _split(inside)[0]:
        grid.draw(run, x_span, y_span)
    return grid.lines(ascii_only)


def sparkline(
    values: Sequence[float | None],
    width: int,
    *,
    top: float | None = None,
    ascii_only: bool = False,
) -> SafeText:
    """The last `width` values as one line of blocks from 0 to `top`, or to the greatest of them.

    A value that is unknown or no finite number is `?`, a negative one is drawn like 0.
    """
    levels = _ASCII_LEVELS if ascii_only else _BLOCKS
    shown = list(values)[-width:] if width > 0 else []
    known = [v for v in shown if v is not None and math.isfinite(v)]
    most = max(known, default=0.0) if top is None else top
    return SafeText("".join(_level(v, most, levels) for v in shown))


def _level(value: float | None, most: float, levels: str) -> str:
    if value is None or not math.isfinite(value):
        return _UNKNOWN
    return levels[_scaled(min(max(value, 0.0), max(most, 0.0)), 0.0, most, len(levels), flat=0)]


def _split(points: Points) -> tuple[list[list[tuple[float, float]]], str]:
    """The finite points in the order of x, in runs without a gap, and how many others there are."""
    nan = sum(math.isnan(x) or math.isnan(y) for x, y in points)
    finite = [p for p in points if math.isfinite(p[0])]
    runs: list[list[tuple[float, float]]] = [[]]
    kept = 0
    for x, y in sorted(finite, key=lambda point: point[0]):
        if math.isfinite(y):
            runs[-1].append((x, y))
            kept += 1
        elif runs[-1]:
            runs.append([])
    counts = [(nan, "NaN"), (len(points) - kept - nan, "inf")]
    return [run for run in runs if run], ", ".join(f"{n} {name}" for n, name in counts if n)


def _labels(low: float, high: float, last: float, rows: int, dots_y: int) -> dict[int, str]:
    """Row -> the value there: the greatest, the least and the last one."""
    digits = next((d for d in range(3, 8) if low == high or f"{low:.{d}g}" != f"{high:.{d}g}"), 8)
    found = {_down(last, (low, high), rows * dots_y) // dots_y: _number(last, digits)}
    if low != high:
        found |= {rows - 1: _number(low, digits), 0: _number(high, digits)}
    return found


def _number(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}g}"


def _place(x: float, kind: Axis) -> str:
    if kind == "moves":
        return f"{_step(x)} moves"
    return units.duration(x) if kind == "time" else f"step {_step(x)}"


def _step(x: float) -> str:
    return str(int(x)) if x == int(x) and abs(x) < 1e15 else _number(x)


def _axis(span: tuple[float, float], kind: Axis, width: int) -> str:
    """The least and the greatest x at the two ends, and what x is between them."""
    first, last = (units.duration(x) if kind == "time" else _step(x) for x in span)
    if len(first) + len(last) + 1 > width:
        return clip(SafeText(last), width).rjust(width)
    between = width - len(first) - len(last)
    word = f" {kind} " if between >= len(kind) + 4 else ""
    return first + word.center(between) + last


def _scaled(value: float, low: float, high: float, count: int, *, flat: int) -> int:
    """Which of `count` places a value has between `low` and `high`; `flat` where these are one.

    Halves are taken so that the difference of two large numbers of unlike sign stays finite.
    """
    span = high / 2 - low / 2
    if span <= 0:
        return flat
    return min(count - 1, max(0, int((value / 2 - low / 2) / span * (count - 1) + 0.5)))


def _down(value: float, span: tuple[float, float], count: int) -> int:
    """Which of `count` places from the top a value has; the middle where the span is one value."""
    return count - 1 - _scaled(value, *span, count, flat=(count - 1) // 2)


class _Grid:
    """Dots in cells of `dots_x` by `dots_y`."""

    def __init__(self, columns: int, rows: int, dots_x: int, dots_y: int) -> None:
        self._columns, self._rows = columns, rows
        self._dots_x, self._dots_y = dots_x, dots_y
        self._bits = [[0] * columns for _ in range(rows)]

    def draw(self, run: Points, x_span: tuple[float, float], y_span: tuple[float, float]) -> None:
        """Draw the line through a run of points that are ordered by x."""
        wide, high = self._columns * self._dots_x, self._rows * self._dots_y
        before: tuple[int, int] | None = None
        for column, (first, least, most, last) in _by_column(run, x_span, wide):
            ends = [_down(y, y_span, high) for y in (first, least, most, last)]
            if before is not None:
                self._line(before, (column, ends[0]))
            self._line((column, ends[1]), (column, ends[2]))
            before = (column, ends[3])

    def _line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Bresenham's line, both ends included."""
        (x, y), (end_x, end_y) = start, end
        wide, high = abs(end_x - x), -abs(end_y - y)
        step_x, step_y = (1 if end_x > x else -1), (1 if end_y > y else -1)
        error = wide + high
        while True:
            self._dot(x, y)
            if (x, y) == end:
                return
            twice = 2 * error
            if twice >= high:
                error += high
                x += step_x
            if twice <= wide:
                error += wide
                y += step_y

    def _dot(self, x: int, y: int) -> None:
        column, right = divmod(x, self._dots_x)
        row, below = divmod(y, self._dots_y)
        self._bits[row][column] |= _DOTS[below][right]

    def lines(self, ascii_only: bool) -> list[str]:
        """The cells as text."""
        return ["".join(_cell(bits, ascii_only) for bits in row) for row in self._bits]


def _cell(bits: int, ascii_only: bool) -> str:
    if not bits:
        return " "
    return "*" if ascii_only else chr(0x2800 + bits)


def _by_column(
    run: Points, span: tuple[float, float], wide: int
) -> Iterable[tuple[int, tuple[float, float, float, float]]]:
    """Per column of dots the first, least, greatest and last value."""
    found: dict[int, list[float]] = {}
    for x, y in run:
        found.setdefault(_scaled(x, *span, wide, flat=0), []).append(y)
    return ((at, (ys[0], min(ys), max(ys), ys[-1])) for at, ys in found.items())
