"""The price of GPU models that are wanted by name.

Runs that accept few models have nowhere else to go. For a set M of models, the demand confined to
it is what will come of the runs that accept no other model; where that is more than M has left, a
GPU of M given to a run that could go elsewhere is a GPU that one of them lacks (Hall's condition:
all can be served if and only if no set is short). The price of a model is the largest probability,
over the sets it is in, that the set is short, evenly within two standard deviations, times `PRICE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.bids.shapes import Ints, Shapes

MOST_SETS = 2000
"""Sets of models that are looked at: unions of what runs accept."""

CERTAIN = 1000
"""Probability 1."""

PRICE = 5
"""What a model costs that is certain to be short: thousandths of what is taken of it. So little
decides only between places that are all but equal: ten times as much serves those who name a model
earlier (`gpuspec33` at 100 % arrived: 95.2 for 93.9) and packs worse (at 130 %: 95.5 for 96.0)."""


@dataclass(frozen=True, slots=True, eq=False)
class Confined:
    """Sets of models with the demand that is confined to each.

    `sets` is (sets, models). Over all runs seen: `asked` in thousandths of a GPU and `squares` in
    their squares, (sets,), of the runs that accept no model outside the set.
    """

    sets: NDArray[np.bool_]
    asked: Ints
    squares: Ints


def confined(shapes: Shapes) -> Confined:
    """The sets of models of a mix, without the set of all."""
    rows = shapes.gpus > 0
    accepts, milli, seen = (
        shapes.accepts[rows],
        (shapes.gpus * shapes.milli)[rows],
        shapes.seen[rows],
    )
    wanted = sorted({tuple(a) for a in accepts.tolist() if any(a) and not all(a)})
    unions = {tuple(a) for a in wanted}
    for one in wanted:
        for other in sorted(unions):
            if len(unions) < MOST_SETS:
                unions.add(tuple(a or b for a, b in zip(one, other, strict=True)))
    unions.discard((True,) * accepts.shape[1])
    sets = np.array(sorted(unions), dtype=np.bool_).reshape(len(unions), accepts.shape[1])
    inside = ~(accepts[None, :, :] & ~sets[:, None, :]).any(axis=2) & accepts.any(axis=1)
    return Confined(
        sets, (inside * (milli * seen)).sum(axis=1), (inside * (milli**2 * seen)).sum(axis=1)
    )


def scarcity(known: Confined, shapes: Shapes, runs: int, free_milli: Ints) -> Ints:
    """The price of each model in thousandths of what is taken of it: (models,), 0 to `PRICE`.

    `runs` are those that still come, `free_milli` what each model has left: (models,).
    """
    prices = np.zeros(free_milli.size, dtype=np.int64)
    have = known.sets @ free_milli
    for row, models in enumerate(known.sets):
        mean = runs * int(known.asked[row]) // shapes.total
        spread = 2 * isqrt(runs * int(known.squares[row]) // shapes.total)
        short = line(mean, spread, int(have[row]))
        prices[models] = np.maximum(prices[models], short)
    return prices * PRICE // CERTAIN


def line(mean: int, spread: int, have: int) -> int:
    """How likely a need of `mean`, evenly within `spread` of it, is more than `have`: 0 to 1000."""
    if have <= mean - spread:
        return CERTAIN
    if have >= mean + spread:
        return 0
    return CERTAIN * (mean + spread - have) // (2 * spread)
