"""The six published policies with numpy, for machines without numba: the decisions of `loops`.

The same table, the same integers, the same rule that only what changed is scored again; a kind of
pod is scored on all stale nodes at once.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.arrivals.rules import (
    BEST_FIT,
    DOT_FULL,
    DOT_PROD,
    DOT_UNIT,
    FGD,
    FIT_FULL,
    FIT_UNIT,
    GPU_CLUSTERING,
    GPU_PACKING,
    GPU_WEIGHT,
    NOWHERE,
    PUBLISHED_GPU_MILLI,
    RANDOM,
)
from scheduler_sim.arrivals.state import (
    ASK_CPU,
    ASK_GPUS,
    ASK_MEMORY,
    ASK_MILLI,
    ASK_SLOT,
    ASK_TAG,
    CPU,
    FREE,
    GPU0,
    GPU_SUM,
    GPUS,
    MEMORY,
    MODEL,
    MOST,
    STRANDED,
    TAGS,
)
from scheduler_sim.arrivals.stranding import Stranding
from scheduler_sim.cluster import WHOLE_MILLI

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int32]


def decide(
    policy: int,
    slots: int,
    arrivals: Rows,
    draws: Ints,
    nodes: Ints,
    asks: Ints,
    accepts: Bools,
    tables: Stranding,
) -> tuple[Rows, NDArray[np.uint16]]:
    """`loops.decide`: node (-1: refused) and GPU bits of each arrival. `nodes` is changed."""
    score = np.empty((slots, len(nodes)), dtype=np.int64)
    seen = np.full(slots, -1, dtype=np.int64)
    changed_at = np.full(len(nodes), -1, dtype=np.int64)
    changes = 0
    chosen = np.full(arrivals.size, -1, dtype=np.int32)
    masks = np.zeros(arrivals.size, dtype=np.uint16)
    if policy == FGD:
        nodes[:, STRANDED] = stranded(nodes, nodes[:, CPU], tables)
    for arrival, kind in enumerate(arrivals.tolist()):
        ask = asks[kind]
        row, since = score[ask[ASK_SLOT]], seen[ask[ASK_SLOT]]
        rows = np.flatnonzero(changed_at >= since)
        row[rows] = NOWHERE
        rows = rows[_fits(nodes[rows], ask, accepts[kind])]
        if rows.size:
            row[rows] = _score(policy, nodes[rows], ask, tables)
        if ask[ASK_SLOT]:
            seen[ask[ASK_SLOT]] = changes
        if policy == RANDOM:
            fitting = np.flatnonzero(row != NOWHERE)
            if not fitting.size:
                continue
            node = int(fitting[int(draws[arrival, 0]) * fitting.size >> 32])
        else:
            node = int(row.argmax())
            if row[node] == NOWHERE:
                continue
        gpus = _gpus(policy, nodes[node], ask, tables, draws, arrival)
        _take(nodes[node], gpus, ask)
        if policy == FGD:
            nodes[node, STRANDED] = stranded(nodes[node : node + 1], nodes[node, CPU], tables)[0]
        chosen[arrival] = node
        masks[arrival] = sum(1 << gpu for gpu in gpus)
        changed_at[node] = changes
        changes += 1
    return chosen, masks


def _fits(nodes: Ints, ask: Ints, accepted: Bools) -> Bools:
    fits = (nodes[:, CPU] >= ask[ASK_CPU]) & (nodes[:, MEMORY] >= ask[ASK_MEMORY])
    if ask[ASK_GPUS]:
        fits &= accepted[nodes[:, MODEL]] & (nodes[:, MOST] >= ask[ASK_MILLI])
        if ask[ASK_MILLI] == WHOLE_MILLI:
            fits &= nodes[:, FREE] >= ask[ASK_GPUS]
    return cast(Bools, fits)


def _score(policy: int, nodes: Ints, ask: Ints, tables: Stranding) -> Ints:
    """The scores of nodes on which the pod fits."""
    asked = ask[ASK_GPUS] * ask[ASK_MILLI]
    if policy == FGD:
        return _points(_falls(nodes, ask, tables).max(axis=1), tables)
    if policy == BEST_FIT:
        left = nodes[:, CPU] - ask[ASK_CPU] + GPU_WEIGHT * (nodes[:, GPU_SUM] - asked)
        return _cut(FIT_FULL - left, FIT_UNIT)
    if policy == DOT_PROD:
        product = nodes[:, CPU] * ask[ASK_CPU] + GPU_WEIGHT**2 * nodes[:, GPU_SUM] * asked
        return _cut(DOT_FULL - product, DOT_UNIT)
    if policy == GPU_CLUSTERING and asked:
        held, tag = nodes[:, TAGS], ask[ASK_TAG]
        bonus = np.select([held == 0, held == tag, (held & tag) > 0], [25, 75, 50], 0)
        used = PUBLISHED_GPU_MILLI - nodes[:, GPU_SUM]
        return cast(Ints, 25 * used // PUBLISHED_GPU_MILLI + bonus)
    if policy == GPU_PACKING and asked:
        left, gpus = nodes[:, GPU0:], nodes[:, GPUS]
        least = np.where(left >= ask[ASK_MILLI], left, WHOLE_MILLI).min(axis=1)
        return np.where(
            nodes[:, FREE] == gpus,
            np.maximum(33 - gpus, gpus),
            np.where(
                least == WHOLE_MILLI,
                max(50 - int(ask[ASK_GPUS]), 33),
                np.maximum(100 - least * 100 // WHOLE_MILLI // 10, 50),
            ),
        )
    return np.zeros(len(nodes), dtype=np.int64)


def _cut(points: Ints, unit: int) -> Ints:
    """Points over unit, cut towards 0."""
    return np.where(points >= 0, points // unit, -(-points // unit))


def _points(fall: Ints, tables: Stranding) -> Ints:
    return np.searchsorted(tables.thresholds, fall, side="right").astype(np.int64)


def stranded(nodes: Ints, cpu_left: Ints, tables: Stranding) -> Ints:
    """N F of nodes with so much CPU left."""
    covered = np.searchsorted(tables.cpu_steps, cpu_left, side="right")
    model, free, left = nodes[:, MODEL], nodes[:, FREE], nodes[:, GPU0:]
    worth = tables.shared[model[:, None], np.atleast_1d(covered)[:, None], tables.level[left]]
    served = (left * worth).sum(axis=1) + WHOLE_MILLI * free * tables.whole[model, covered, free]
    return cast(Ints, tables.total * nodes[:, GPU_SUM] - served)


def _falls(nodes: Ints, ask: Ints, tables: Stranding) -> Ints:
    """By how much N F falls: (nodes, GPUs) for a share, (nodes, 1) for any other pod."""
    asked, milli, cpu_left = ask[ASK_GPUS], ask[ASK_MILLI], nodes[:, CPU] - ask[ASK_CPU]
    before = nodes[:, STRANDED] - stranded(nodes, cpu_left, tables)
    if not asked:
        return before[:, None]
    model, free, left = nodes[:, MODEL], nodes[:, FREE], nodes[:, GPU0:]
    covered = np.searchsorted(tables.cpu_steps, cpu_left, side="right")
    shared, whole = tables.shared[model, covered], tables.whole[model, covered]
    at, taken = np.arange(len(nodes)), asked if milli == WHOLE_MILLI else 1
    kept = np.maximum(free - taken, 0)
    broken = WHOLE_MILLI * (free * whole[at, free] - kept * whole[at, kept])
    if milli == WHOLE_MILLI:
        lost = WHOLE_MILLI * asked * shared[:, tables.level[WHOLE_MILLI]] + broken
        return cast(Ints, (before + tables.total * WHOLE_MILLI * asked - lost)[:, None])
    rest = left - milli
    worth = left * shared[at[:, None], tables.level[left]]
    worth -= rest * shared[at[:, None], tables.level[np.maximum(rest, 0)]]
    worth += np.where(left == WHOLE_MILLI, broken[:, None], 0)
    return np.where(rest >= 0, before[:, None] + tables.total * milli - worth, NOWHERE)


def _gpus(
    policy: int, node: Ints, ask: Ints, tables: Stranding, draws: Ints, arrival: int
) -> list[int]:
    """Which GPUs of a node on which the pod fits."""
    fitting = np.flatnonzero(node[GPU0:] >= ask[ASK_MILLI]).tolist()
    if not ask[ASK_GPUS] or ask[ASK_MILLI] == WHOLE_MILLI:
        return fitting[: ask[ASK_GPUS]]
    if policy == RANDOM:
        return [fitting[int(draws[arrival, 1]) * len(fitting) >> 32]]
    if policy == FGD:
        falls = _falls(node[None, :], ask, tables)[0]
        points = np.where(falls == NOWHERE, -1, _points(falls, tables))
        return [int(points.argmax())]
    return [min(fitting, key=lambda gpu: int(node[GPU0 + gpu]))]


def _take(node: Ints, gpus: list[int], ask: Ints) -> None:
    """Take what the pod asks for off one row of the table."""
    node[CPU] -= ask[ASK_CPU]
    node[MEMORY] -= ask[ASK_MEMORY]
    node[TAGS] |= ask[ASK_TAG]
    for gpu in gpus:
        node[GPU0 + gpu] -= ask[ASK_MILLI]
    left = node[GPU0:]
    node[GPU_SUM], node[MOST], node[FREE] = left.sum(), left.max(), (left == WHOLE_MILLI).sum()
