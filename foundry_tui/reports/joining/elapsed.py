"""How long a try worked: the one rule of seconds that every report and its checks obey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.run import LIVE
from foundry_tui.estate.usage import UsageRecord, Window

if TYPE_CHECKING:
    from foundry_tui.reports.part import Ints


def second(moment: datetime) -> int:
    """The whole second of a time, in unix seconds."""
    return int(moment.timestamp() // 1)


def elapsed_s(record: UsageRecord, window: Window | None, now: datetime) -> int | None:
    """Whole seconds of work, suspended time taken off, within the window where one is given.

    Within [start, end) the work done up to second t is (t - start) x work // (end - start), so
    that the seconds of adjacent windows add up to those of the whole run exactly.
    None when the run has ended and nobody knows when.
    """
    if record.started_at is None:
        return 0
    if record.ended_at is None and record.state not in LIVE:
        return None
    start, end = second(record.started_at), second(record.ended_at or now)
    length = end - start
    if length <= 0:
        return 0
    work = max(0, length - record.suspended_s)
    first, last = (start, end) if window is None else (second(window.start), second(window.end))
    first, last = max(start, min(first, end)), max(start, min(last, end))
    return (last - start) * work // length - (first - start) * work // length


@dataclass(frozen=True, slots=True)
class Spans:
    """When tries began and ended, in unix seconds, and how long they worked, try by try.

    A try that never started, or ended before that, is a span of no length. `known` is False where
    the end is not known.
    """

    start: Ints
    end: Ints
    work_s: Ints
    known: Ints

    @classmethod
    def of(cls, records: Sequence[UsageRecord], now: datetime) -> Spans:
        """The spans of these tries; what still runs ends now."""
        now_s = second(now)
        rows = [_span(record, now_s) for record in records]
        table = np.array(rows, np.int64).reshape(-1, 4)
        return cls(*(np.ascontiguousarray(table[:, i]) for i in range(4)))

    def elapsed_s(self, window: Window | None = None) -> Ints:
        """`elapsed_s` of every try; 0 where it is not known."""
        start, end = self.start, self.end
        length = np.maximum(end - start, 1)
        if window is None:
            return self.work_s
        first = np.clip(second(window.start), start, end)
        last = np.clip(second(window.end), start, end)
        off = end - start - self.work_s  # mostly 0: the work times a time may be too large
        done: Ints = last - first + (start - last) * off // length
        done -= (start - first) * off // length
        return done

    def overlap_s(self, window: Window) -> Ints:
        """Seconds of every try within the window, suspended time included."""
        first = np.clip(second(window.start), self.start, self.end)
        overlap: Ints = np.clip(second(window.end), self.start, self.end) - first
        return overlap

    def held_at(self, moment: datetime) -> Ints:
        """1 for every try that was at work around this moment: it began before and ended after."""
        edge = second(moment)
        return ((self.start < edge) & (edge < self.end)).astype(np.int64)


def _span(record: UsageRecord, now_s: int) -> tuple[int, int, int, int]:
    if record.started_at is None:
        return 0, 0, 0, 1
    start = second(record.started_at)
    if record.ended_at is not None:
        end = second(record.ended_at)
    elif record.state in LIVE:
        end = now_s
    else:
        return start, start, 0, 0
    end = max(start, end)
    return start, end, max(0, end - start - record.suspended_s), 1
