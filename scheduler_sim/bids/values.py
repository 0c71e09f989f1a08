"""What one run of each shape is worth: the price that the others pay for it.

A share of a GPU is worth itself, and it is worth as much as the whole GPU loses by it: 0.81 of one
takes all of it where nothing fits in the other 0.19. The second is

    v(i) = U(1) - U(1 - m(i)),  scaled so that a whole free GPU is worth 1,

which is what the dual prices of the linear program over GPU patterns come to (docs/placement.md);
U depends on v, so it is found by iteration. The value is the mean of both, in which neither a
plan that comes true nor one that does not costs much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.bids.shapes import Shapes
from scheduler_sim.bids.worth import SCALE, worth_tables
from scheduler_sim.cluster import WHOLE_MILLI

Ints = NDArray[np.int64]

ROUNDS = 30
"""Halvings of the distance to the fixed point: more change nothing on the public traces."""

CHOICE = 60
"""Runs that the price of a shape supposes a GPU to choose from."""

_FREE_CPU: Ints = np.zeros(1, dtype=np.int64)


def values(shapes: Shapes, *, compiled: bool = False) -> Ints:
    """The worth of one run of each shape, (shapes,), in units of worth."""
    own = shapes.gpus * shapes.milli * SCALE
    shares = np.flatnonzero((shapes.gpus == 1) & (shapes.milli < WHOLE_MILLI))
    cost = own.copy()
    if shares.size:
        for _ in range(ROUNDS):
            cost[shares] = (cost[shares] + _costs(shapes, cost, shares, compiled)) // 2
    return (own + cost) // 2


def _costs(shapes: Shapes, values: Ints, shares: Ints, compiled: bool) -> Ints:
    """What each share takes from a free GPU of the model that it takes least from."""
    tables = worth_tables(shapes, values, CHOICE, _FREE_CPU, compiled=compiled)
    table = tables[:, 0, :]
    whole = table[:, -1:]
    left = table[:, table.shape[1] - 1 - shapes.milli[shares] // shapes.unit]
    loss = (whole - left) * (WHOLE_MILLI * SCALE) // np.maximum(whole, 1)
    nowhere = np.iinfo(np.int64).max
    least = np.where(shapes.accepts[shares].T, loss, nowhere).min(axis=0)
    return np.where(least == nowhere, values[shares], least)
