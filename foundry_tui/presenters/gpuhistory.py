"""What one GPU did over a time, as curves: use, memory, power. What was not seen stays a gap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from foundry_tui.estate.text import SafeText, pad
from foundry_tui.presenters import units
from foundry_tui.presenters.braille import DOTS_ACROSS, strip
from foundry_tui.presenters.toned import Line

SPANS = ((3600, "1 h"), (6 * 3600, "6 h"), (24 * 3600, "24 h"), (7 * 86_400, "7 d"))
"""Times that can be looked at, in seconds, with their words."""

LABEL = 13
"""Cells left of the curves."""

LEAST_W = 100.0
"""The scale of power goes at least so far: noise at rest is drawn small."""

Values = Sequence[float | int | None]


class Curves(Protocol):
    """One GPU on a regular grid of steps, each ended by its time; None where nothing was seen."""

    @property
    def step_s(self) -> int: ...
    @property
    def times(self) -> Sequence[datetime]: ...
    @property
    def util_pct(self) -> Sequence[float | None]: ...
    @property
    def util_max_pct(self) -> Sequence[float | None]: ...
    @property
    def mem_used_bytes(self) -> Sequence[int | None]: ...
    @property
    def power_w(self) -> Sequence[float | None]: ...
    @property
    def seen(self) -> Sequence[float]: ...


def steps(width: int) -> int:
    """How many values can be told apart in `width` cells."""
    return max(2, DOTS_ACROSS * (width - LABEL))


def coverage(series: Curves) -> float:
    """Share of the time that was seen, in 0..1."""
    return sum(series.seen) / len(series.seen) if series.seen else 0.0


def history_title(length_s: int, series: Curves | None) -> str:
    """What the title says: the time that is shown, its steps, and how much of it was seen."""
    words = f"last {dict(SPANS)[length_s]}"
    if series is None:
        return words
    words = f"{words} in steps of {_step(series.step_s)}"
    share = coverage(series)
    return words if share > 0.99 else f"{words}, {share:.0%} of it measured"


def _step(step_s: int) -> str:
    return f"{step_s / 60:g} min" if step_s % 60 == 0 and step_s < 3600 else units.duration(step_s)


def curve_lines(
    series: Curves,
    *,
    since: datetime,
    until: datetime,
    mem_total_bytes: int | None,
    width: int,
    height: int,
    ascii_only: bool = False,
) -> list[Line]:
    """Three curves below each other over one axis of time, in `height` lines.

    Beside each stand its last and its greatest value, or its mean.
    """
    rows = max(1, (height - 1) // 3)
    wide = max(1, width - LABEL)
    length_s = (until - since).total_seconds()
    at = [(moment - since).total_seconds() - series.step_s / 2 for moment in series.times]
    most_mem = _most(series.mem_used_bytes)
    of_memory = f"of {_size(mem_total_bytes)}" if mem_total_bytes else f"most {_size(most_mem)}"
    power = _most(series.power_w)
    lines: list[Line] = []
    for labels, values, top in (
        (
            (f"use {units.percent(_last(series.util_pct))}", f"mean {_mean_pct(series.util_pct)}"),
            series.util_pct,
            100.0,
        ),
        (
            (f"memory {_size(_last(series.mem_used_bytes))}", of_memory),
            series.mem_used_bytes,
            float(mem_total_bytes or most_mem or 1),
        ),
        (
            (f"power {_watts(_last(series.power_w))}", f"most {_watts(power)}"),
            series.power_w,
            max(LEAST_W, power or 0.0),
        ),
    ):
        points = [(x, math.nan if y is None else float(y)) for x, y in zip(at, values, strict=True)]
        drawn = strip(
            points, x_span=(0.0, length_s), y_span=(0.0, top), width=wide, height=rows,
            ascii_only=ascii_only,
        )  # fmt: skip
        for n, text in enumerate(drawn):
            label = labels[n] if n < len(labels) else ""
            lines.append([(f" {pad(SafeText(label), LABEL - 1)}", "dim"), (text, "accent")])
    lines.append([(f" {' ' * (LABEL - 1)}", ""), (_axis(since, until, wide), "dim")])
    return lines


def _last(values: Values) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _most(values: Values) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _mean_pct(values: Values) -> SafeText:
    known = [value for value in values if value is not None]
    return units.percent(sum(known) / len(known) if known else None)


def _size(value: float | None) -> SafeText:
    return units.size(None if value is None else int(value))


def _watts(value: float | None) -> str:
    return units.UNKNOWN if value is None else f"{value:.0f}W"


def _axis(since: datetime, until: datetime, width: int) -> str:
    """The first, the middle and the last time, as far as there is room."""
    several_days = until - since > timedelta(days=1)
    first, last = (units.when(t) if several_days else units.clock(t) for t in (since, until))
    if width < len(first) + len(last) + 1:
        return pad(last, width, "right")
    middle = since + (until - since) / 2
    between = units.when(middle) if several_days else units.clock(middle)
    left = width // 2 - len(between) // 2
    if left <= len(first) or left + len(between) >= width - len(last):
        return first + " " * (width - len(first) - len(last)) + last
    head = pad(first, left) + between
    return head + pad(last, width - len(head), "right")
