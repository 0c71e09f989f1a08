"""The price of the last nodes that can hold a large run.

A run of several GPUs needs a node with so many of them free. While there are plenty, a host more or
less is worth nothing; when fewer are left than such runs are expected, the last one is worth the
whole run. Between the two, the value of keeping a host is the value of the run times the
probability that it is needed (Littlewood's rule of seats kept for late passengers, 1972). The
number of runs that come is taken to be within four standard deviations of its mean, evenly, so that
the probability is a line in integers (`scarce.line`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.bids.scarce import CERTAIN, line
from scheduler_sim.bids.shapes import Ints, Shapes
from scheduler_sim.bids.worth import SCALE
from scheduler_sim.cluster import WHOLE_MILLI

MOST = 60
"""Large shapes that are watched: a bit each."""

RARE_PCT = 5
"""Whole GPUs are watched too where they are less than this share of what is asked for."""

SHARE_OF_WORTH = 5
"""A host that is needed costs a fifth of the run: enough that nothing takes it that has another
place (chosen on `default`; 1/20 to 1 do the same)."""


@dataclass(frozen=True, slots=True, eq=False)
class Large:
    """The shapes that need whole GPUs and are not common, at most `MOST`: largest first.

    `gpus`, `cpu` and `price` are (large,); `accepts` is (large, models). `demand` is how often a
    run was seen that takes such a host: the shape itself and all that ask for as much or more.
    """

    gpus: Ints
    cpu: Ints
    accepts: NDArray[np.bool_]
    demand: Ints
    price: Ints


def large(shapes: Shapes) -> Large:
    """The large shapes of a mix."""
    whole = (shapes.gpus == 1) & (shapes.milli == WHOLE_MILLI)
    milli = shapes.gpus * shapes.milli * shapes.seen
    rare = 100 * milli[whole].sum() < RARE_PCT * milli.sum()
    rows = np.flatnonzero((shapes.gpus > 1) | (whole & rare))
    asked = shapes.gpus[rows] * shapes.seen[rows]
    rows = rows[np.argsort(-asked, kind="stable")][:MOST]
    rows = rows[np.lexsort((-shapes.cpu[rows], -shapes.gpus[rows]))]
    gpus, cpu, seen = shapes.gpus[rows], shapes.cpu[rows], shapes.seen[rows]
    accepts = shapes.accepts[rows]
    demand = np.zeros(rows.size, dtype=np.int64)
    for row in range(rows.size):
        takes = (gpus >= gpus[row]) & (cpu >= cpu[row]) & ~(accepts & ~accepts[row]).any(axis=1)
        demand[row] = seen[takes].sum()
    return Large(gpus, cpu, accepts, demand, gpus * WHOLE_MILLI * SCALE // SHARE_OF_WORTH)


def penalties(kinds: Large, shapes: Shapes, hosts: Ints, runs: int) -> Ints:
    """What it costs to spoil a host of each large shape now, in units of worth: (large,).

    `hosts` is how many nodes can hold it, `runs` how many runs still come.
    """
    found = np.zeros(kinds.gpus.size, dtype=np.int64)
    for row, demand in enumerate(kinds.demand.tolist()):
        mean = 1000 * runs * demand // shapes.total
        needed = line(mean, 4 * isqrt(1000 * mean), 1000 * int(hosts[row]))
        found[row] = int(kinds.price[row]) * needed // CERTAIN
    return found
