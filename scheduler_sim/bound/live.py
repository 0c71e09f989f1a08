"""The most that any placement of waiting runs on what is free now could be worth.

Nodes are taken together where they are alike, so that the program stays small; CPU, memory and GPUs
of such a class are then one pool, and a run's parts may be cut: the bound only gets higher by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, process_time

import numpy as np

from scheduler_sim.bound.columns import certify
from scheduler_sim.bound.model import Ints, Mask, Order, Prices, Problem, Shape
from scheduler_sim.bound.pools import pools
from scheduler_sim.bound.room import alone
from scheduler_sim.cluster import Cluster, Request

LIMIT_S = 2.0

MOST_PARTS = 1 << 40
"""More parts of one kind than this are never asked about: no estate has room for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """`count` equal runs that wait, each worth `value` if it starts now.

    `request` is what each of its `nodes` parts needs; all of them start or none. `allowed`
    (nodes,) are the rows of the cluster that will do, None for any.

    Raises:
        ValueError: a negative number, no part, or a value that is no number.
    """

    request: Request
    value: float
    count: int = 1
    nodes: int = 1
    allowed: Mask | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.value < float("inf"):
            raise ValueError(f"value: at least 0 and finite, got {self.value}")
        if self.count < 0:
            raise ValueError(f"count: at least 0, got {self.count}")
        if self.nodes < 1:
            raise ValueError(f"nodes: at least 1, got {self.nodes}")


@dataclass(frozen=True, slots=True)
class LiveBound:
    """Nothing that can be started now is worth more than `most` in all.

    `proven` is False where time ended before the bound was as low as this program gets, `gap` how
    far above the program's optimum it may then be (None: not known). Of each of the waiting,
    `impossible` are the rows that cannot start now even alone, and `cost` is what starting one
    takes away from others (None where impossible): one whose value is above its cost belongs into
    a good plan. `pool_of` (nodes,) is the class of each node in `prices`, -1 where nothing fits.
    """

    most: float
    proven: bool
    gap: float | None
    cpu_s: float
    rounds: int
    patterns: int
    impossible: tuple[int, ...]
    cost: tuple[float | None, ...]
    pool_of: tuple[int, ...]
    prices: Prices


def bound_live(
    cluster: Cluster, waiting: Sequence[Waiting], time_limit_s: float = LIMIT_S
) -> LiveBound:
    """The bound for what is free in the cluster now; nothing in it is changed.

    Raises:
        ValueError: an `allowed` that is not one flag per node.
    """
    began, ends = process_time(), monotonic() + time_limit_s
    shape_of, shapes = _shapes(cluster, waiting)
    asked = np.zeros(len(shapes), dtype=np.int64)
    for row, run in zip(shape_of, waiting, strict=True):
        asked[row] += min(MOST_PARTS, run.count * run.nodes)
    asked = np.minimum(asked, MOST_PARTS)
    room = alone(cluster, [w.request for w in shapes], asked)
    for row, run in enumerate(shapes):
        if run.allowed is not None:
            room[row, ~run.allowed] = 0
    places = np.minimum(room.sum(axis=1), asked)
    orders, impossible = [], []
    for i, (row, run) in enumerate(zip(shape_of, waiting, strict=True)):
        gangs = int(places[row]) // run.nodes
        if gangs and run.count:
            startable = min(run.count, gangs if run.nodes > 1 else MOST_PARTS)
            orders.append(Order(row, run.value, startable, parts=run.nodes))
        elif run.count:
            impossible.append(i)
    pool_of, together = pools(cluster, [w.request for w in shapes], room)
    found = certify(
        Problem(
            shapes=tuple(_shape(w.request) for w in shapes),
            orders=tuple(orders),
            classes=together,
            room=_by_pool(room, pool_of, len(together), asked),
        ),
        ends - monotonic(),
    )
    cost = found.prices.shape_cost
    most = found.most or 0.0
    return LiveBound(
        most=most,
        proven=found.proven,
        gap=None if found.reached is None else max(0.0, most - found.reached),
        cpu_s=process_time() - began,
        rounds=found.rounds,
        patterns=found.patterns,
        impossible=tuple(impossible),
        cost=tuple(
            None if int(places[row]) < run.nodes else run.nodes * float(cost[row])
            for row, run in zip(shape_of, waiting, strict=True)
        ),
        pool_of=tuple(pool_of.tolist()),
        prices=found.prices,
    )


def _shapes(cluster: Cluster, waiting: Sequence[Waiting]) -> tuple[list[int], list[Waiting]]:
    """Runs that ask for the same on the same nodes share a shape: its row, and one run of each."""
    rows: dict[tuple[Request, bytes], int] = {}
    shape_of: list[int] = []
    first: list[Waiting] = []
    for i, run in enumerate(waiting):
        if run.allowed is not None and run.allowed.shape != (len(cluster.nodes),):
            raise ValueError(
                f"allowed: run {i} has {run.allowed.shape} flags for {len(cluster.nodes)} nodes"
            )
        key = run.request, b"" if run.allowed is None else run.allowed.tobytes()
        if key not in rows:
            rows[key] = len(first)
            first.append(run)
        shape_of.append(rows[key])
    return shape_of, first


def _shape(request: Request) -> Shape:
    return Shape(request.gpus, request.gpu_milli, request.cpu_milli, request.memory_mib)


def _by_pool(room: Ints, pool_of: Ints, size: int, asked: Ints) -> Ints:
    """(shapes, pools) from (shapes, nodes)."""
    if not size:
        return np.zeros((len(room), 0), dtype=np.int64)
    order = np.argsort(pool_of, kind="stable")
    firsts = np.searchsorted(pool_of[order], np.arange(size))
    return np.minimum(np.add.reduceat(room[:, order], firsts, axis=1), asked[:, None])
