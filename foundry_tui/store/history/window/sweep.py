"""Laying intervals over each other: what is true at once, for many things at a time.

Intervals are columns of numbers. Where they begin and end is sorted once, and sums of what begins
and ends there say what is true in between, so that a month of a large site takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Track:
    """Intervals with a number each, sorted by whom they are about: `owner`, then by time."""

    owner: Ints
    since: Ints
    until: Ints
    value: Ints

    def of(self, owners: Ints) -> tuple[Ints, Ints]:
        """The places of all intervals of these owners, and for each the place of its owner."""
        low = np.searchsorted(self.owner, owners, "left")
        counts = np.searchsorted(self.owner, owners, "right") - low
        whose = np.repeat(np.arange(len(owners), dtype=np.int64), counts)
        begins = np.cumsum(counts) - counts
        return low[whose] + np.arange(len(whose), dtype=np.int64) - begins[whose], whose


@dataclass(frozen=True, slots=True)
class Swept:
    """Stretches of every owner, in its order, and the level of each number in them."""

    owner: Ints
    since: Ints
    until: Ints
    levels: Sequence[Ints]


class Sweep:
    """Lays intervals over each other: sorts where they begin and end, and adds up."""

    def __init__(self, start: int, end: int) -> None:
        self._start = start
        self._width = end - start + 1
        self._keys: list[Ints] = []
        self._deltas: list[Ints] = []

    def track(self, intervals: Track, owners: Ints) -> int:
        """Add the intervals of these owners; the place of their sum among the levels."""
        place, whose = intervals.of(owners)
        return self.add(
            whose, intervals.since[place], intervals.until[place], intervals.value[place]
        )

    def add(self, owner: Ints, since: Ints, until: Ints, value: Ints) -> int:
        """Add intervals with a number each; the place of their sum among the levels."""
        last = self._width - 1
        base = owner * self._width
        begins = base + np.clip(since - self._start, 0, last)
        ends = base + np.clip(until - self._start, 0, last)
        self._keys.append(np.concatenate([begins, ends]))
        self._deltas.append(np.concatenate([value, -value]))
        return len(self._keys) - 1

    def run(self, cuts: tuple[Ints, Ints], wanted: Sequence[int]) -> Swept:
        """All stretches; `cuts` are owners and times at which one ends in any case.

        The end of an owner's window is a stretch without levels, and so is what lies between it
        and the next owner's first.
        """
        cut = cuts[0] * self._width + cuts[1] - self._start
        keys = np.sort(np.concatenate([*self._keys, cut]))
        keys = keys[np.diff(keys, prepend=-1) > 0]  # np.unique hashes first: three times as long
        levels = []
        for number in wanted:
            change = np.zeros(len(keys), np.int64)
            np.add.at(change, np.searchsorted(keys, self._keys[number]), self._deltas[number])
            levels.append(np.cumsum(change)[:-1])
        owner = keys[:-1] // self._width
        base = owner * self._width - self._start
        return Swept(owner, keys[:-1] - base, keys[1:] - base, levels)
