"""The most that any policy could allocate of one seed's arrivals, in percent of all GPUs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from time import monotonic, process_time

import numpy as np

from scheduler_sim.arrivals.stream import INFLATE, stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.bound.columns import certify
from scheduler_sim.bound.model import Certificate, Ints, NodeClass, Order, Prices, Problem, Shape
from scheduler_sim.bound.room import alone
from scheduler_sim.cluster import WHOLE_MILLI, Cluster, NodeSpec

LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Bound:
    """No policy that places every pod of the first `prefix` % allocates more than `bound_pct`.

    `bound_pct` is None where the arrivals of the prefix cannot all be placed, which is then proven
    (`feasible` False). `feasible` is None where time ended before that was known, and `proven`
    False where time ended before the bound was as low as this program gets; it holds all the same.
    `gap_pct` is how far above the program's optimum it may then be, None where that is not known.
    `excluded` are kinds (rows of `trace.kinds`) that no node can host: they were not forced.

    `prices` are in thousandths of a GPU; its shapes are those of `kinds` (rows of `trace.kinds`),
    its classes are `nodes`, each of which stands for all nodes like it. `arrival_price` is what
    one more arrival of each of `kinds` would add.
    """

    bound_pct: float | None
    feasible: bool | None
    proven: bool
    gap_pct: float | None
    cpu_s: float
    rounds: int
    patterns: int
    excluded: tuple[int, ...]
    kinds: tuple[int, ...]
    nodes: tuple[NodeSpec, ...]
    arrival_price: tuple[float, ...]
    prices: Prices


def bound(
    trace: Trace,
    seed: int,
    prefix: float = 0.0,
    inflate: float = INFLATE,
    time_limit_s: float = LIMIT_S,
) -> Bound:
    """The bound for the arrivals of this seed.

    `prefix` is in percent of the cluster's GPUs: pods are forced while the GPU share requested so
    far, their own included, is at most that. Pods without GPUs that arrive in between are forced
    too. 0 leaves every pod to choice.

    Raises:
        ValueError: a prefix below 0 or not a number, or an inflation that `stream` refuses.
    """
    if not 0 <= prefix < float("inf"):
        raise ValueError(f"prefix: percent of all GPUs, at least 0, got {prefix}")
    began, ends = process_time(), monotonic() + time_limit_s
    arrived, forced = _arrivals(trace, seed, prefix, inflate)
    asked = np.flatnonzero(arrived)
    nodes, times = _alike(trace.nodes)
    room = alone(Cluster(nodes), [trace.kinds[i] for i in asked], arrived[asked])
    room = np.minimum(room * times, arrived[asked, None])
    hosted = room.any(axis=1)
    rows = asked[hosted].tolist()
    kinds = [trace.kinds[i] for i in rows]
    found = certify(
        Problem(
            shapes=tuple(Shape(k.gpus, k.gpu_milli, k.cpu_milli, k.memory_mib) for k in kinds),
            orders=tuple(
                Order(j, kind.total_milli, int(arrived[i]), int(forced[i]))
                for j, (i, kind) in enumerate(zip(rows, kinds, strict=True))
            ),
            classes=tuple(_class(n, int(t)) for n, t in zip(nodes, times, strict=True)),
            room=room[hosted],
        ),
        ends - monotonic(),
    )
    value = np.array([kind.total_milli for kind in kinds], dtype=np.int64)
    gain = np.maximum(value - found.prices.shape_cost, 0)
    return Bound(
        bound_pct=None if found.most is None else _up_pct(found.most, trace.capacity_milli),
        feasible=found.feasible,
        proven=found.proven,
        gap_pct=_gap_pct(found, trace.capacity_milli),
        cpu_s=process_time() - began,
        rounds=found.rounds,
        patterns=found.patterns,
        excluded=tuple(asked[~hosted].tolist()),
        kinds=tuple(rows),
        nodes=nodes,
        arrival_price=tuple(gain.tolist()),
        prices=found.prices,
    )


def _arrivals(trace: Trace, seed: int, prefix: float, inflate: float) -> tuple[Ints, Ints]:
    """How many pods of each kind arrive, and how many of them are forced: (kinds,) each."""
    kinds = stream(trace, seed, inflate).kinds
    milli = np.array([kind.total_milli for kind in trace.kinds], dtype=np.int64)
    asked = np.cumsum(milli[kinds])
    first = kinds[100 * asked <= prefix * trace.capacity_milli] if prefix else kinds[:0]
    size = len(trace.kinds)
    return np.bincount(kinds, minlength=size), np.bincount(first, minlength=size)


def _alike(nodes: tuple[NodeSpec, ...]) -> tuple[tuple[NodeSpec, ...], Ints]:
    """One node of each make, and how many there are of it."""
    first: dict[tuple[str, int, int, int], NodeSpec] = {}
    times: Counter[tuple[str, int, int, int]] = Counter()
    for node in nodes:
        make = node.model, node.gpus, node.cpu_milli, node.memory_mib
        first.setdefault(make, node)
        times[make] += 1
    makes = sorted(times)
    return tuple(first[m] for m in makes), np.array([times[m] for m in makes], dtype=np.int64)


def _class(node: NodeSpec, times: int) -> NodeClass:
    bins = ((WHOLE_MILLI, node.gpus * times),) if node.gpus else ()
    return NodeClass(bins, node.cpu_milli * times, node.memory_mib * times)


def _up_pct(milli: float, capacity_milli: int) -> float:
    """In percent, rounded upwards; nothing is above 100."""
    return min(100.0, float(np.nextafter(100 * milli / capacity_milli, np.inf)))


def _gap_pct(found: Certificate, capacity_milli: int) -> float | None:
    if found.most is None or found.reached is None:
        return None
    return 100 * max(0.0, found.most - found.reached) / capacity_milli
