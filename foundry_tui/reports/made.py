"""What is asked for when a report is made, and what comes back: the words of both faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foundry_tui.reports.columns import Column, Row

BY = ("hour", "day", "week", "month")
"""Lengths of the periods into which a window can be cut, at their borders in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One report: its name and its window `start <= t < end`, cut `by` periods or one as a whole.

    `accounts`, `users` and `queues` keep only what is theirs; empty keeps all. `prices` stands for
    those of the configuration. `command` is what the sidecar says was asked.
    """

    name: str
    start: datetime
    end: datetime
    by: str | None = None
    accounts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    prices: Path | None = None
    anonymise: bool = False
    excel_bom: bool = False
    mode: int = 0o600
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a report is, in 0..1, and what is being done."""

    done: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a report adds up to, in whole GPU-seconds: `used + idle + unknown == allocated`."""

    allocated_s: int
    used_s: int
    idle_s: int
    unknown_s: int

    @property
    def coverage_pct(self) -> float | None:
        """How much of the allocated time was measured; None of no time."""
        known = self.used_s + self.idle_s
        return 100 * known / self.allocated_s if self.allocated_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A report. `rows` are those to look at, `row_count` is how many there are.

    `totals` is None for reports of GPUs and queues, which are not about runs. `meta` is what the
    sidecar says. `notes` say what is missing in it. `lines` gives the CSV file line by line,
    without line ends. `path` is where it was written. `incomplete`: some of its rows are
    missing, because a source did not answer or told what could not be read.
    """

    asked: Asked
    columns: Sequence[Column]
    rows: Sequence[Row]
    row_count: int
    totals: Totals | None
    meta: Mapping[str, Any]
    notes: tuple[str, ...]
    lines: Callable[[], Iterator[str]] = field(repr=False)
    path: Path | None = None
    incomplete: bool = False
