"""The GPUs that tries held, in columns, and how much of that time falls into which period.

Seconds are clipped as `reports/elapsed.py` says, exactly: the periods of a window add up to the
window, and the windows to the whole try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import LIVE
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.reports.part import Lines

if TYPE_CHECKING:
    from foundry_tui.reports.part import Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When each line began and ended (unix seconds, `start < end`), and how long it worked."""

    start: Ints
    end: Ints
    work_s: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """The pairs of line and period that have time in common, in this order.

    `first` is the first period of each line, `begins` the place of its first pair.
    """

    line: Ints
    period: Ints
    elapsed_s: Ints
    first: Ints
    begins: Ints


def of(records: Sequence[UsageRecord], now_s: int) -> tuple[Lines, Times]:
    """The lines of the tries that held GPUs for a time that is known.

    What runs still ends at `now_s`. No line have: a try in doubt, one whose GPUs or whose worth is
    not told, one that never started, ended before it started, or whose end nobody knows.
    """
    numbers: list[tuple[int, int, int, int, int, int, int]] = []
    types: list[str | None] = []
    shares: list[Share] = []
    for place, record in enumerate(records):
        kinds = record.gpus
        if not kinds or record.started_at is None or record.doubt is not None:
            continue
        start = int(record.started_at.timestamp() // 1)
        if record.ended_at is not None:
            end = int(record.ended_at.timestamp() // 1)
        elif record.state in LIVE:
            end = now_s
        else:
            continue
        if end <= start:
            continue
        work = max(0, end - start - record.suspended_s)
        for held in kinds:
            billed = held.billed_milli
            if billed is None or held.milli is None:
                continue
            numbers.append((place, held.count, billed, held.milli, start, end, work))
            types.append(held.gpu_type)
            shares.append(held.share)
    found = np.array(numbers, np.int64).reshape(-1, 7)
    record_, count, billed_, weighted, begins, ends, works = (found[:, i].copy() for i in range(7))
    lines = Lines(
        record=record_, gpu_type=types, share=shares, count=count, billed=billed_, weighted=weighted
    )
    return lines, Times(start=begins, end=ends, work_s=works)


def overlaps(times: Times, edges: Sequence[int]) -> Overlaps:
    """Which lines have time in which period, and how many seconds they worked in it."""
    borders = np.asarray(edges, np.int64)
    start, end = times.start, times.end
    first = np.maximum(np.searchsorted(borders, start, "right") - 1, 0)
    last = np.minimum(np.searchsorted(borders, end, "left"), len(borders) - 1)
    counts = np.where(end > borders[0], np.maximum(last - first, 0), 0)
    line, within = spread(counts)
    period = first[line] + within
    low = np.maximum(borders[period], start[line])
    high = np.minimum(borders[period + 1], end[line])
    began, length = start[line], (end - start)[line]
    off = length - times.work_s[line]  # mostly 0, so that no product is too large, as with the work
    elapsed = high - low + (began - high) * off // length - (began - low) * off // length
    return Overlaps(
        line=line,
        period=period,
        elapsed_s=elapsed,
        first=first.astype(np.int64),
        begins=np.cumsum(counts) - counts,
    )


def spread(counts: Ints) -> tuple[Ints, Ints]:
    """For each i, `counts[i]` pairs (i, 0), (i, 1), …: the two columns."""
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    begins = np.cumsum(counts) - counts
    return owner, np.arange(len(owner), dtype=np.int64) - begins[owner]
