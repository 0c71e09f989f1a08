"""Nodes that are alike, taken as one: coarser where there would be too many classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from scheduler_sim.bound.model import Ints, NodeClass
from scheduler_sim.cluster import WHOLE_MILLI, Cluster, Request

MOST = 60
"""The time of a bound grows with the number of classes, its sharpness only a little."""

CELLS = 20_000
"""The most pairs of request and class, so that many kinds of request make do with fewer classes."""


def pools(
    cluster: Cluster, requests: Sequence[Request], room: Ints
) -> tuple[Ints, tuple[NodeClass, ...]]:
    """The class of each node (-1 where none of the requests fits), and the classes.

    `room` (requests, nodes) is as `room.alone` gives it.
    """
    useful = np.flatnonzero(room.any(axis=0))
    free = (cluster.gpu_left == WHOLE_MILLI).sum(axis=1)
    sums = cluster.gpu_left.sum(axis=1)
    fits = np.packbits(room > 0, axis=0)
    taken = np.where(cluster.gpu_left < WHOLE_MILLI, cluster.gpu_left, 0).sum(axis=1)

    def ratio(left: Ints, node: int) -> int:
        """Powers of two of what is left beside each GPU."""
        return math.frexp(float(left[node]) * WHOLE_MILLI / max(1, int(sums[node])))[1]

    def cpu(node: int) -> int:
        return ratio(cluster.cpu_left, node)

    def memory(node: int) -> int:
        return ratio(cluster.memory_left, node)

    keys: tuple[Callable[[int], Hashable], ...] = (
        lambda n: (
            fits[:, n].tobytes(),
            np.sort(cluster.gpu_left[n]).tobytes(),
            int(cluster.cpu_left[n]),
            int(cluster.memory_left[n]),
        ),
        lambda n: (int(cluster.model[n]), int(free[n]), bool(taken[n]), cpu(n), memory(n)),
        lambda n: (int(cluster.model[n]), int(free[n]), cpu(n)),
        lambda n: (int(cluster.model[n]), int(free[n])),
        lambda n: (int(cluster.model[n]), int(free[n]).bit_length()),
        lambda n: int(cluster.model[n]),
        lambda n: 0,
    )
    for key in keys:
        rows: dict[Hashable, list[int]] = {}
        for node in useful.tolist():
            rows.setdefault(key(node), []).append(node)
        if len(rows) <= min(MOST, CELLS // max(1, len(requests))):
            break
    pool_of = np.full(len(cluster.nodes), -1, dtype=np.int64)
    for row, nodes in enumerate(rows.values()):
        pool_of[nodes] = row
    reach = _reachable(requests)
    return pool_of, tuple(_together(cluster, nodes, reach) for nodes in rows.values())


def _together(cluster: Cluster, nodes: list[int], reach: Ints) -> NodeClass:
    left = reach[cluster.gpu_left[nodes]]
    milli, number = np.unique(left[left > 0], return_counts=True)
    return NodeClass(
        bins=tuple(zip(milli.tolist(), number.tolist(), strict=True)),
        cpu_milli=int(cluster.cpu_left[nodes].sum()),
        memory_mib=int(cluster.memory_left[nodes].sum()),
    )


def _reachable(requests: Sequence[Request]) -> Ints:
    """For 0..1000 thousandths, how many of them shares of the requested sizes can fill."""
    sizes = {r.gpu_milli for r in requests if r.gpus}
    fills = np.zeros(WHOLE_MILLI + 1, dtype=np.bool_)
    fills[0] = True
    for size in sizes:
        for milli in range(size, WHOLE_MILLI + 1):
            fills[milli] |= fills[milli - size]
    reach: Ints = np.maximum.accumulate(np.where(fills, np.arange(WHOLE_MILLI + 1), 0))
    return reach
