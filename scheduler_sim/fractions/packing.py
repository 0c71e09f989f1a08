"""How many GPUs a demand for shares needs at least, and what one share of each size costs there.

The cutting-stock program of Gilmore and Gomory ("A Linear Programming Approach to the Cutting-Stock
Problem", Operations Research 9, 1961): choose how often each filling of one GPU is used, so that
every share is covered and as few GPUs as possible are. Fillings are found when they are needed, by
a knapsack over the shadow prices. The shadow price of a size is what one more such share costs, in
GPUs, given everything else that is asked for.

Only GPU share is looked at: cores, memory and nodes are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.cluster import WHOLE_MILLI

Filling = tuple[tuple[int, int], ...]
"""(size in thousandths, how many) of what lies on one GPU."""

Floats = NDArray[np.float64]

_GAIN = 1e-7
_ROUNDS = 10_000


@dataclass(frozen=True, slots=True)
class Packing:
    """`gpus` are needed at least, fractions of devices allowed; `price` of one share in GPUs."""

    gpus: float
    price: dict[int, float]


class Packer:
    """Packs demands one after the other; remembers fillings, so that the next one goes faster."""

    __slots__ = ("_fillings",)

    def __init__(self) -> None:
        self._fillings: dict[Filling, None] = {}

    def pack(self, shares: Mapping[int, int]) -> Packing:
        """The fewest GPUs for `shares`: how many are asked for of each size in thousandths.

        Raises:
            ValueError: a size outside 1..1000 or a negative count.
            RuntimeError: the solver gave no answer.
        """
        wanted = checked(shares)
        if not wanted:
            return Packing(0.0, {})
        row = {milli: i for i, milli in enumerate(wanted)}
        fillings = [f for f in self._fillings if all(wanted.get(m, 0) >= n for m, n in f)]
        fillings += [((milli, min(n, WHOLE_MILLI // milli)),) for milli, n in wanted.items()]
        for _ in range(_ROUNDS):
            gpus, price = _cover(fillings, row, wanted)
            worth, best = fill(dict(zip(wanted, price.tolist(), strict=True)), wanted)
            if worth[WHOLE_MILLI] <= 1 + _GAIN:
                return Packing(gpus, dict(zip(wanted, price.tolist(), strict=True)))
            filling = best(WHOLE_MILLI)
            self._fillings[filling] = None
            fillings.append(filling)
        raise RuntimeError("the packing of shares did not settle")


def checked(shares: Mapping[int, int]) -> dict[int, int]:
    """The sizes that are asked for at all, smallest first.

    Raises:
        ValueError: a size outside 1..1000 or a negative count.
    """
    for milli, count in shares.items():
        if not 1 <= milli <= WHOLE_MILLI:
            raise ValueError(f"shares: a size is 1..1000 thousandths, got {milli}")
        if count < 0:
            raise ValueError(f"shares: {count} of {milli} thousandths are asked for")
    return {milli: shares[milli] for milli in sorted(shares) if shares[milli]}


class Best:
    """The filling that is worth most, for every room: called with the room in thousandths."""

    __slots__ = ("_took",)

    def __init__(self, took: list[tuple[int, int, NDArray[np.bool_]]]) -> None:
        self._took = took

    def __call__(self, room_milli: int) -> Filling:
        """(size, how many), smallest size first."""
        found: dict[int, int] = {}
        for milli, copies, taken in reversed(self._took):
            if taken[room_milli]:
                found[milli] = found.get(milli, 0) + copies
                room_milli -= milli * copies
        return tuple(sorted(found.items()))


def fill(price: Mapping[int, float], supply: Mapping[int, int]) -> tuple[Floats, Best]:
    """What room on a GPU is worth when it is filled as well as `supply` allows.

    Returns the worth of 0..1000 thousandths of room, in the unit of `price`, and the fillings.
    Prices of 0 or below are never taken.
    """
    worth = np.zeros(WHOLE_MILLI + 1)
    took: list[tuple[int, int, NDArray[np.bool_]]] = []
    for milli, each in price.items():
        left, copies = min(supply.get(milli, 0), WHOLE_MILLI // milli), 1
        while left and each > 0:  # bundles of 1, 2, 4, ... make every number up to the supply
            copies = min(copies, left)
            taken = np.zeros(WHOLE_MILLI + 1, dtype=np.bool_)
            with_it = worth[: -milli * copies] + copies * each
            taken[milli * copies :] = with_it > worth[milli * copies :] + 1e-12
            worth[milli * copies :] = np.maximum(worth[milli * copies :], with_it)
            took.append((milli, copies, taken))
            left -= copies
            copies *= 2
    return worth, Best(took)


def _cover(
    fillings: list[Filling], row: Mapping[int, int], wanted: Mapping[int, int]
) -> tuple[float, Floats]:
    """The program over known fillings: GPUs used, and the shadow price of each size."""
    from scipy.optimize import linprog

    holds = np.zeros((len(row), len(fillings)))
    for column, filling in enumerate(fillings):
        for milli, count in filling:
            holds[row[milli], column] = count
    counts = np.array(list(wanted.values()), dtype=np.float64)
    found = linprog(np.ones(len(fillings)), A_ub=-holds, b_ub=-counts, method="highs")
    if found.status != 0:
        raise RuntimeError(f"the packing of shares has no answer: {found.message}")
    return float(found.fun), -np.asarray(found.ineqlin.marginals, dtype=np.float64)
