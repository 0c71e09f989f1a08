"""Queues as steps in time: what each had, asked for, borrowed and left unused between two changes.

Sister queues are laid on one grid, so that what one borrows can be set against what others leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry_tui.store.history.window.queuelog import UNKNOWN, QueueSamples

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """One queue on the grid of its sisters: `length_s` are the seconds of each step.

    Amounts are thousandths of GPUs, 0 where nothing is known: `known` says where both what it had
    and what it asked for are, `entitled` where its quota is as well. `starved_s` is None without
    such a time; `fair_share` is the last one that was told.
    """

    length_s: Ints
    known: Flags
    entitled: Flags
    allocated: Floats
    requested: Floats
    borrowed: Floats
    unused: Floats
    seen_s: int
    starved_s: int | None
    fair_share: int | None

    def mean(self, amount: Floats, when: Flags | None = None) -> float | None:
        """The mean over the time in which it is known; None for no time."""
        length = self.length_s * (self.known if when is None else when)
        total = int(length.sum())
        return float((amount * length).sum()) / total if total else None

    def percentile(self, amount: Floats, share_pct: int) -> float | None:
        """The least value that is not exceeded for so much of the known time (nearest rank)."""
        length = self.length_s * self.known
        total = int(length.sum())
        if not total:
            return None
        order = np.argsort(amount, kind="stable")
        upto = np.cumsum(length[order]) * 100
        return float(amount[order][int(np.searchsorted(upto, share_pct * total, "left"))])


def steps_of(sisters: Sequence[QueueSamples], start: int, end: int) -> list[Steps]:
    """The queues between two times, on one grid."""
    marks = [np.array([start, end], np.int64)]
    for queue in sisters:
        low, high = _part(queue, start, end)
        marks += [queue.since[low:high], queue.until[low:high]]
        marks.append(np.array([f.since for f in queue.facts], np.int64))
    grid = np.unique(np.clip(np.concatenate(marks), start, end))
    return [_steps(queue, grid, start, end) for queue in sisters]


def _part(queue: QueueSamples, start: int, end: int) -> tuple[int, int]:
    """The samples that have time in common with [start, end)."""
    low, high = np.searchsorted(queue.until, start, "right"), np.searchsorted(queue.since, end)
    return int(low), max(int(low), int(high))


def _steps(queue: QueueSamples, grid: Ints, start: int, end: int) -> Steps:
    at, length = grid[:-1], np.diff(grid)
    low, high = _part(queue, start, end)
    since, until = queue.since[low:high], queue.until[low:high]
    place = np.searchsorted(since, at, "right") - 1
    seen = place >= 0
    if high > low:
        seen &= until[np.maximum(place, 0)] > at
    allocated, requested, fair = (
        np.where(seen, column[low:high][np.maximum(place, 0)], UNKNOWN)
        if high > low
        else np.full(len(at), UNKNOWN, np.int64)
        for column in (queue.allocated, queue.requested, queue.fair_share)
    )
    known = (allocated >= 0) & (requested >= 0)
    quota = _quotas(queue, at)
    entitled = known & (quota >= 0)
    had = np.where(known, allocated, 0).astype(np.float64)
    asked = np.where(known, requested, 0).astype(np.float64)
    hungry = entitled & (asked > 0) & (had < np.minimum(quota, had + asked))
    told = fair[fair >= 0]
    return Steps(
        length_s=length,
        known=known,
        entitled=entitled,
        allocated=had,
        requested=asked,
        borrowed=np.where(entitled, np.maximum(0, had - quota), 0.0),
        unused=np.where(entitled, np.maximum(0, quota - had), 0.0),
        seen_s=int(length[known].sum()),
        starved_s=int(length[hungry].sum()) if entitled.any() else None,
        fair_share=int(told[-1]) if len(told) else None,
    )


def _quotas(queue: QueueSamples, at: Ints) -> Ints:
    """The quota at each time; `UNKNOWN` where there is none."""

    def amount(told: Any) -> int:
        return UNKNOWN if told is None else int(told)

    since = np.array([f.since for f in queue.facts], np.int64)
    quotas = np.array([amount(f.told["quota_gpu_milli"]) for f in queue.facts], np.int64)
    return quotas[np.maximum(np.searchsorted(since, at, "right") - 1, 0)]
