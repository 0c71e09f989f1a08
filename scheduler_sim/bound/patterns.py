"""Fillings of one GPU: the whole shares that together are worth most at given prices.

A bounded knapsack per node class, solved for every capacity at once. Integers only, so that what it
proves is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scheduler_sim.bound.model import Ints, Mask

CELLS = 1 << 24
"""The most choices kept in memory at once; more classes are taken in several goes."""


@dataclass(frozen=True, slots=True)
class Knapsack:
    """Sizes (thousandths of a GPU) that can be put into bins, and how many of each there are.

    `bin_class` and `bin_milli` are (bins,): the class that sets the prices, and the capacity.
    """

    sizes_milli: Ints
    most: Ints
    bin_class: Ints
    bin_milli: Ints

    def fill(self, price: Ints) -> tuple[Ints, Ints]:
        """The best filling of each bin: its worth (bins,) and how many of each size (bins, sizes).

        `price` is (classes, sizes), not negative; sums over a bin must stay below 2^63.
        """
        worth = np.zeros(len(self.bin_class), dtype=np.int64)
        counts = np.zeros((len(self.bin_class), len(self.sizes_milli)), dtype=np.int64)
        if not len(self.sizes_milli) or not len(self.bin_class):
            return worth, counts
        unit = math.gcd(*self.sizes_milli.tolist())
        capacity = self.bin_milli // unit
        width = int(capacity.max()) + 1
        items = list(self._items(unit, width - 1))
        step = max(1, CELLS // (width * max(1, len(items))))
        for first in range(0, len(price), step):
            here = np.flatnonzero((self.bin_class >= first) & (self.bin_class < first + step))
            best, took = _table(items, price[first : first + step], width)
            rows, left = self.bin_class[here] - first, capacity[here].copy()
            worth[here] = best[rows, left]
            for (size, copies, weight), taken in zip(items[::-1], took[::-1], strict=True):
                chosen = taken[rows, left]
                counts[here[chosen], size] += copies
                left[chosen] -= weight
        return worth, counts

    def _items(self, unit: int, width: int) -> Iterator[tuple[int, int, int]]:
        """Bundles of 1, 2, 4, ... copies of a size make every number up to its most."""
        for size, (milli, most) in enumerate(zip(self.sizes_milli, self.most, strict=True)):
            weight = int(milli) // unit
            left, copies = min(int(most), width // weight), 1
            while left:
                copies = min(copies, left)
                yield size, copies, copies * weight
                left -= copies
                copies *= 2


def _table(items: list[tuple[int, int, int]], price: Ints, width: int) -> tuple[Ints, list[Mask]]:
    """The best worth of each class at each capacity, and which capacities took which bundle."""
    best = np.zeros((len(price), width), dtype=np.int64)
    took: list[Mask] = []
    for size, copies, weight in items:
        with_it = best[:, :-weight] + copies * price[:, size, None]
        taken = np.zeros(best.shape, dtype=np.bool_)
        np.greater(with_it, best[:, weight:], out=taken[:, weight:])
        np.maximum(with_it, best[:, weight:], out=best[:, weight:])
        took.append(taken)
    return best, took
