"""Curves of one metric over each other, told apart by a letter on them as well as by colour."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from foundry_tui.estate.text import SafeText, cells, pad, safe
from foundry_tui.estate.tracked import Point
from foundry_tui.experiments.reduce import smoothed
from foundry_tui.presenters import units
from foundry_tui.presenters.braille import strip
from foundry_tui.presenters.toned import Line
from foundry_tui.presenters.tracked import LARGEST, metric_text

MOST_CURVES = 8
"""Curves over each other that an eye still tells apart, and letters and tones for them."""

LETTERS = "ABCDEFGH"

MARK_EVERY = 24
"""Cells from one letter on a curve to the next."""

LEGEND_CELLS = 28
"""Width of an entry of the legend."""

_BLANK = "\u2800"

XAxis = Literal["step", "time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One run's curve: its place among the letters, what it is called, and its points."""

    place: int
    label: SafeText
    points: tuple[Point, ...]

    @property
    def letter(self) -> str:
        """What stands on the curve and in the legend."""
        return LETTERS[self.place % MOST_CURVES]

    @property
    def tone(self) -> str:
        """The colour of the curve."""
        return f"line{self.place % MOST_CURVES}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """The lines of the chart, and how many values were left out of it."""

    lines: tuple[Line, ...]
    left_out: int


def overlay(
    series: Sequence[Series],
    *,
    width: int,
    height: int,
    x: XAxis = "step",
    log_y: bool = False,
    smooth: bool = False,
    ascii_only: bool = False,
) -> Overlay:
    """The curves in `width` x `height` cells with a legend below; what is no number is a gap.

    On a logarithmic scale what is not above zero is left out. `x` is the step, or the time since
    the first value of each run.
    """
    drawn = [(one, _points(one, x, log_y=log_y, smooth=smooth)) for one in series]
    left_out = sum(not math.isfinite(y) for _, points in drawn for _, y in points)
    finite = [(px, py) for _, points in drawn for px, py in points if math.isfinite(py)]
    legend = _legend(drawn, width, log_y=log_y)
    if not finite:
        word = "no value above zero" if log_y else "no value to draw"
        return Overlay(lines=(_word(word), *legend), left_out=left_out)
    rows = max(1, height - len(legend) - 1)
    x_span = (min(px for px, _ in finite), max(px for px, _ in finite))
    y_span = (min(py for _, py in finite), max(py for _, py in finite))
    high, low = (metric_text(_back(y, log_y)) for y in reversed(y_span))
    beside = max(cells(high), cells(low)) + 1
    columns = max(1, width - beside)
    grid = _Cells(columns, rows)
    for one, points in drawn:
        strips = strip(
            points, x_span=x_span, y_span=y_span, width=columns, height=rows, ascii_only=ascii_only
        )
        grid.add(one, strips, ascii_only=ascii_only)
    lines: list[Line] = []
    for n, line in enumerate(grid.lines()):
        label = high if n == 0 else low if n == rows - 1 else SafeText("")
        lines.append([(f"{pad(label, beside - 1, 'right')} ", "dim"), *line])
    lines.append([(" " * beside + _axis(x_span, x, columns), "dim")])
    return Overlay(lines=(*lines, *legend), left_out=left_out)


def _points(series: Series, x: XAxis, *, log_y: bool, smooth: bool) -> list[tuple[float, float]]:
    points: Iterable[Point] = smoothed(series.points) if smooth else series.points
    points = list(points)
    if not points:
        return []
    start = min(p.at for p in points)
    return [
        (
            float(p.step) if x == "step" else (p.at - start).total_seconds(),
            _scale(p.value, log_y),
        )
        for p in points
    ]


def _scale(value: float, log_y: bool) -> float:
    if not math.isfinite(value) or abs(value) >= LARGEST:
        return math.nan
    if not log_y:
        return value
    return math.log10(value) if value > 0 else math.nan


def _back(value: float, log_y: bool) -> float:
    return 10.0**value if log_y else value


def _axis(span: tuple[float, float], x: XAxis, width: int) -> str:
    first, last = (units.duration(v) if x == "time" else f"{v:g}" for v in span)
    word = "time since its start" if x == "time" else "step"
    between = width - len(first) - len(last)
    if between < 1:
        return str(last)[:width].rjust(width)
    return f"{first}{(f' {word} ' if between >= len(word) + 2 else '').center(between)}{last}"


def _legend(
    drawn: Sequence[tuple[Series, list[tuple[float, float]]]], width: int, *, log_y: bool
) -> list[Line]:
    """The curves with their letters and last values, as many beside each other as fit."""
    across = max(1, width // LEGEND_CELLS)
    lines: list[Line] = []
    for n, (one, points) in enumerate(drawn):
        known = [y for _, y in points if math.isfinite(y)]
        last = metric_text(_back(known[-1], log_y)) if known else SafeText("no value")
        room = LEGEND_CELLS - 5 - cells(last)
        text = f"{pad(one.label, max(4, room))} {last}"
        if n % across == 0:
            lines.append([])
        lines[-1] += [(f" {one.letter} ", one.tone), (f"{text} ", "")]
    return lines


def _word(text: str) -> Line:
    return [(f" {safe(text)}", "dim")]


class _Cells:
    """Cells in which several curves meet: dots are joined, the tone is that of the first."""

    def __init__(self, columns: int, rows: int) -> None:
        self._cells = [[(" ", "")] * columns for _ in range(rows)]
        self._columns = columns

    def add(self, series: Series, strips: Sequence[str], *, ascii_only: bool) -> None:
        """Draw one more curve below those that are there, then its letters on it."""
        for y, line in enumerate(strips):
            for x, char in enumerate(line):
                if char in (" ", _BLANK):
                    continue
                known, tone = self._cells[y][x]
                if ascii_only:
                    if known == " ":
                        self._cells[y][x] = (series.letter.lower(), series.tone)
                elif known == " ":
                    self._cells[y][x] = (char, series.tone)
                elif known >= _BLANK:
                    joined = chr(ord(_BLANK) | (ord(known) | ord(char)) & 0xFF)
                    self._cells[y][x] = (joined, tone)
        for x in self._marks(series.place):
            for y, line in enumerate(strips):
                if x < len(line) and line[x] not in (" ", _BLANK):
                    self._cells[y][x] = (series.letter, f"{series.tone} strong")
                    break

    def _marks(self, place: int) -> Iterable[int]:
        """The columns of a curve's letters, for each curve others."""
        return range(2 + 3 * (place % MOST_CURVES), self._columns, MARK_EVERY)

    def lines(self) -> list[Line]:
        """The rows, neighbours of one tone together."""
        found: list[Line] = []
        for row in self._cells:
            line: Line = []
            for char, tone in row:
                if line and line[-1][1] == tone:
                    line[-1] = (line[-1][0] + char, tone)
                else:
                    line.append((char, tone))
            found.append(line)
        return found
