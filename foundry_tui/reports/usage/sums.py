"""Exact sums by rows, for millions of cells: whole numbers only, so that no order changes them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from foundry_tui.reports.part import Ints

Key = tuple[int, ...]
"""What a row stands for, as whole numbers."""


class Sums:
    """Sums of several amounts by key. A key gets the number of its row when it is first seen."""

    def __init__(self, width: int) -> None:
        self.keys: dict[Key, int] = {}
        self._values = np.zeros((width, 64), np.int64)

    @property
    def values(self) -> Ints:
        """Amounts by row, of shape (width, rows)."""
        return self._values[:, : len(self.keys)]

    def add(self, keys: Sequence[Ints], amounts: Sequence[Ints]) -> Ints:
        """Add amounts, all of the length of the keys; the rows that they went to."""
        length = len(keys[0])
        if not length:
            return np.empty(0, np.int64)
        order = np.lexsort(tuple(reversed(keys)))
        ordered = [key[order] for key in keys]
        new = np.ones(length, bool)
        new[1:] = np.any([key[1:] != key[:-1] for key in ordered], axis=0)
        begins = np.flatnonzero(new)
        found = zip(*(key[begins].tolist() for key in ordered), strict=True)
        rows = np.array([self.keys.setdefault(key, len(self.keys)) for key in found], np.int64)
        short = len(self.keys) - self._values.shape[1]
        if short > 0:
            more = max(short, self._values.shape[1])
            self._values = np.pad(self._values, ((0, 0), (0, more)))
        self._values[:, rows] += np.add.reduceat(np.stack(amounts)[:, order], begins, axis=1)
        where = np.empty(length, np.int64)
        where[order] = np.repeat(rows, np.diff(begins, append=length))
        return where


class Distinct:
    """How many different things each row had, such as its users."""

    def __init__(self) -> None:
        self._pairs: list[Ints] = []

    def add(self, rows: Ints, things: Ints) -> None:
        """Pairs of row and thing, in which a pair may stand more than once."""
        if len(rows):
            self._pairs.append(_once(np.stack((rows, things))))

    def counts(self, rows: int) -> Ints:
        """The number of different things of each row."""
        if not self._pairs:
            return np.zeros(rows, np.int64)
        self._pairs = [_once(np.concatenate(self._pairs, axis=1))]
        return np.bincount(self._pairs[0][0], minlength=rows).astype(np.int64)


def firsts(rows: Ints, things: Ints) -> Ints:
    """The places at which each pair of row and thing stands first."""
    order = np.lexsort((things, rows))
    return order[_new(rows[order], things[order])]


def quotient(amount: int, whole: int, places: int) -> Decimal:
    """`amount / whole` with fixed decimal places, half to even, exactly: `whole` above 0."""
    digits, rest = divmod(amount * 10**places, whole)
    if 2 * rest > whole or (2 * rest == whole and digits % 2):
        digits += 1
    return Decimal(digits).scaleb(-places)


def parted(amounts: Sequence[int], unit: int) -> list[int]:
    """Whole units of amounts, such that they add up to the whole units of their sum.

    Each is rounded up or down, those with the largest rest up: what is lost in rounding one field
    is found in another, and a sum in a spreadsheet has no rest.
    """
    total = int(quotient(sum(amounts), unit, 0))
    units = [amount // unit for amount in amounts]
    by_rest = sorted(range(len(units)), key=lambda i: -(amounts[i] % unit))
    for place in by_rest[: total - sum(units)]:
        units[place] += 1
    return units


def _once(pairs: Ints) -> Ints:
    ordered = pairs[:, np.lexsort(pairs[::-1])]
    return ordered[:, _new(ordered[0], ordered[1])]


def _new(rows: Ints, things: Ints) -> Ints:
    """Where a pair differs from the one before."""
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]) | (things[1:] != things[:-1])
    return np.flatnonzero(new)
