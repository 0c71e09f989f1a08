"""The six published policies as plain loops, fast where numba compiles them.

Each score is an integer, the highest wins and the first node of equals. The score of a kind of pod
on a node is remembered and computed again only where the node changed since. `vectors` makes the
same decisions with numpy, for machines without numba.
"""

from __future__ import annotations

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
from scheduler_sim.kernels import jit

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int32]


@jit
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
    """Place the arrivals one by one: node (-1: refused) and GPU bits of each. `nodes` is changed.

    `slots` is one more than the largest ASK_SLOT. `draws` is (arrivals, 2) of 32 random bits, used
    by Random alone; `tables` is used by FGD alone.
    """
    count = len(nodes)
    score = np.empty((slots, count), dtype=np.int64)
    seen = np.full(slots, -1, dtype=np.int64)
    changed_at = np.full(count, -1, dtype=np.int64)
    changed = np.empty(arrivals.size, dtype=np.int32)
    changes = 0
    rows = np.empty(count, dtype=np.int32)
    falls = np.empty(nodes.shape[1] - GPU0, dtype=np.int64)
    chosen = np.full(arrivals.size, -1, dtype=np.int32)
    masks = np.zeros(arrivals.size, dtype=np.uint16)
    if policy == FGD:
        for node in range(count):
            _strand(node, nodes, tables)
    for arrival in range(arrivals.size):
        kind = arrivals[arrival]
        ask = asks[kind]
        slot = ask[ASK_SLOT]
        row = score[slot]
        stale = _changed(seen[slot], changed[:changes], changed_at, rows)
        if slot > 0:
            seen[slot] = changes
        fitting = _fitting(stale, row, nodes, ask, accepts[kind])
        _score(policy, fitting, row, nodes, ask, tables, falls)
        node = _drawn(row, draws[arrival, 0]) if policy == RANDOM else _highest(row)
        if node < 0:
            continue
        if ask[ASK_GPUS] == 0:
            mask = 0
        elif ask[ASK_MILLI] == WHOLE_MILLI:
            mask = _free(node, nodes, ask)
        elif policy == RANDOM:
            mask = _drawn_gpu(node, nodes, ask, draws[arrival, 1])
        elif policy == FGD:
            rows[0] = node
            _fgd(rows[:1], row, nodes, ask, tables, falls)
            mask = _gentlest(row[node], falls, tables.thresholds)
        else:
            mask = _fullest(node, nodes, ask)
        _take(node, mask, nodes, ask)
        if policy == FGD:
            _strand(node, nodes, tables)
        chosen[arrival] = node
        masks[arrival] = mask
        changed[changes] = node
        changed_at[node] = changes
        changes += 1
    return chosen, masks


@jit
def _changed(since: int, changed: Rows, changed_at: Ints, rows: Rows) -> Rows:
    """The nodes that changed since then (-1: every node), kept in `rows`."""
    size = 0
    if since < 0 or changed.size - since >= changed_at.size:
        for node in range(changed_at.size):
            if changed_at[node] >= since:
                rows[size] = node
                size += 1
        return rows[:size]
    for change in range(since, changed.size):
        if changed_at[changed[change]] == change:  # its last change: each node once
            rows[size] = changed[change]
            size += 1
    return rows[:size]


@jit
def _fitting(rows: Rows, row: Ints, nodes: Ints, ask: Ints, accepted: Bools) -> Rows:
    """Those nodes of `rows` on which the pod fits, kept there; the others score NOWHERE."""
    size = 0
    for node in rows:
        fits = nodes[node, CPU] >= ask[ASK_CPU] and nodes[node, MEMORY] >= ask[ASK_MEMORY]
        if fits and ask[ASK_GPUS] > 0:
            fits = accepted[nodes[node, MODEL]] and nodes[node, MOST] >= ask[ASK_MILLI]
            if ask[ASK_MILLI] == WHOLE_MILLI:
                fits = fits and nodes[node, FREE] >= ask[ASK_GPUS]
        if fits:
            rows[size] = node
            size += 1
        else:
            row[node] = NOWHERE
    return rows[:size]


@jit
def _score(
    policy: int,
    rows: Rows,
    row: Ints,
    nodes: Ints,
    ask: Ints,
    tables: Stranding,
    falls: Ints,
) -> None:
    """Write into `row` the scores of these nodes, on which the pod fits."""
    if policy == FGD:
        _fgd(rows, row, nodes, ask, tables, falls)
    elif policy == BEST_FIT:
        _best_fit(rows, row, nodes, ask)
    elif policy == DOT_PROD:
        _dot_prod(rows, row, nodes, ask)
    elif policy == GPU_CLUSTERING and ask[ASK_GPUS] > 0:
        _clustering(rows, row, nodes, ask)
    elif policy == GPU_PACKING and ask[ASK_GPUS] > 0:
        _packing(rows, row, nodes, ask)
    else:
        for node in rows:
            row[node] = 0


@jit
def _dot_prod(rows: Rows, row: Ints, nodes: Ints, ask: Ints) -> None:
    gpu = GPU_WEIGHT * GPU_WEIGHT * ask[ASK_GPUS] * ask[ASK_MILLI]
    for node in rows:
        points = DOT_FULL - nodes[node, CPU] * ask[ASK_CPU] - nodes[node, GPU_SUM] * gpu
        row[node] = points // DOT_UNIT if points >= 0 else -(-points // DOT_UNIT)


@jit
def _best_fit(rows: Rows, row: Ints, nodes: Ints, ask: Ints) -> None:
    full = FIT_FULL + ask[ASK_CPU] + GPU_WEIGHT * ask[ASK_GPUS] * ask[ASK_MILLI]
    for node in rows:
        points = full - nodes[node, CPU] - GPU_WEIGHT * nodes[node, GPU_SUM]
        row[node] = points // FIT_UNIT if points >= 0 else -(-points // FIT_UNIT)


@jit
def _clustering(rows: Rows, row: Ints, nodes: Ints, ask: Ints) -> None:
    for node in rows:
        held = nodes[node, TAGS]
        if held == 0:
            bonus = 25
        elif held == ask[ASK_TAG]:
            bonus = 75
        else:
            bonus = 50 if held & ask[ASK_TAG] else 0
        used = PUBLISHED_GPU_MILLI - nodes[node, GPU_SUM]
        row[node] = 25 * used // PUBLISHED_GPU_MILLI + bonus


@jit
def _packing(rows: Rows, row: Ints, nodes: Ints, ask: Ints) -> None:
    for node in rows:
        gpus = nodes[node, GPUS]
        least = WHOLE_MILLI
        for gpu in range(GPU0, GPU0 + gpus):
            if nodes[node, gpu] >= ask[ASK_MILLI]:
                least = min(least, nodes[node, gpu])
        if nodes[node, FREE] == gpus:
            row[node] = max(33 - gpus, gpus)
        elif least == WHOLE_MILLI:
            row[node] = max(50 - ask[ASK_GPUS], 33)
        else:
            row[node] = max(100 - least * 100 // WHOLE_MILLI // 10, 50)


@jit
def _fgd(rows: Rows, row: Ints, nodes: Ints, ask: Ints, tables: Stranding, falls: Ints) -> None:
    """By how much N F falls, as points. `falls` is left with the GPUs of the last node, for shares.

    The tables are those of `stranding`: the loop over GPUs is N F with the CPU taken, and what
    follows is the difference that the taken GPUs make.
    """
    level, shared, whole, thresholds = tables.level, tables.shared, tables.whole, tables.thresholds
    steps, total = tables.cpu_steps, tables.total
    asked, milli = ask[ASK_GPUS], ask[ASK_MILLI]
    for node in rows:
        model, free = nodes[node, MODEL], nodes[node, FREE]
        covered = np.searchsorted(steps, nodes[node, CPU] - ask[ASK_CPU], "right")
        served = WHOLE_MILLI * free * whole[model, covered, free]
        for gpu in range(nodes[node, GPUS]):
            left = nodes[node, GPU0 + gpu]
            served += left * shared[model, covered, level[left]]
        best = nodes[node, STRANDED] - total * nodes[node, GPU_SUM] + served
        if asked > 0 and milli == WHOLE_MILLI:
            kept = free - asked
            broken = free * whole[model, covered, free] - kept * whole[model, covered, kept]
            lost = asked * shared[model, covered, level[WHOLE_MILLI]]
            best += WHOLE_MILLI * (total * asked - lost - broken)
        elif asked > 0:
            base, best = best + total * milli, NOWHERE
            for gpu in range(nodes[node, GPUS]):
                falls[gpu] = NOWHERE
                left = nodes[node, GPU0 + gpu]
                rest = left - milli
                if rest >= 0:
                    lost = left * shared[model, covered, level[left]]
                    lost -= rest * shared[model, covered, level[rest]]
                    if left == WHOLE_MILLI:
                        kept = free - 1
                        lost += WHOLE_MILLI * free * whole[model, covered, free]
                        lost -= WHOLE_MILLI * kept * whole[model, covered, kept]
                    falls[gpu] = base - lost
                    best = max(best, falls[gpu])
        row[node] = np.searchsorted(thresholds, best, "right")


@jit
def _strand(node: int, nodes: Ints, tables: Stranding) -> None:
    """N F of a node as it is now."""
    model, free = nodes[node, MODEL], nodes[node, FREE]
    covered = np.searchsorted(tables.cpu_steps, nodes[node, CPU], "right")
    served = WHOLE_MILLI * free * tables.whole[model, covered, free]
    for gpu in range(GPU0, GPU0 + nodes[node, GPUS]):
        left = nodes[node, gpu]
        served += left * tables.shared[model, covered, tables.level[left]]
    nodes[node, STRANDED] = tables.total * nodes[node, GPU_SUM] - served


@jit
def _take(node: int, mask: int, nodes: Ints, ask: Ints) -> None:
    nodes[node, CPU] -= ask[ASK_CPU]
    nodes[node, MEMORY] -= ask[ASK_MEMORY]
    nodes[node, TAGS] |= ask[ASK_TAG]
    total, most, free = 0, 0, 0
    for gpu in range(nodes[node, GPUS]):
        if mask >> gpu & 1:
            nodes[node, GPU0 + gpu] -= ask[ASK_MILLI]
        left = nodes[node, GPU0 + gpu]
        total += left
        most = max(most, left)
        free += left == WHOLE_MILLI
    nodes[node, GPU_SUM], nodes[node, MOST], nodes[node, FREE] = total, most, free


@jit
def _highest(row: Ints) -> int:
    """The first node of the highest score, -1 if the pod fits on none."""
    best = row[0]
    for node in range(row.size):
        best = max(best, row[node])
    if best == NOWHERE:
        return -1
    node = 0
    while row[node] != best:
        node += 1
    return node


@jit
def _drawn(row: Ints, draw: int) -> int:
    """One of the nodes on which the pod fits, each as likely, -1 if it fits on none."""
    fitting = 0
    for node in range(row.size):
        fitting += row[node] != NOWHERE
    skip = draw * fitting >> 32
    for node in range(row.size):
        if row[node] != NOWHERE:
            if skip == 0:
                return node
            skip -= 1
    return -1


@jit
def _free(node: int, nodes: Ints, ask: Ints) -> int:
    """The whole GPUs of lowest index."""
    missing, mask = ask[ASK_GPUS], 0
    for gpu in range(nodes[node, GPUS]):
        if missing > 0 and nodes[node, GPU0 + gpu] == WHOLE_MILLI:
            mask |= 1 << gpu
            missing -= 1
    return mask


@jit
def _fullest(node: int, nodes: Ints, ask: Ints) -> int:
    """The first of the GPUs that fit and have least left."""
    least, best = WHOLE_MILLI + 1, 0
    for gpu in range(nodes[node, GPUS]):
        if ask[ASK_MILLI] <= nodes[node, GPU0 + gpu] < least:
            least, best = nodes[node, GPU0 + gpu], gpu
    return 1 << best


@jit
def _gentlest(points: int, falls: Ints, thresholds: Ints) -> int:
    """The first GPU on which a share has that many points."""
    gpu = 0
    while falls[gpu] == NOWHERE or np.searchsorted(thresholds, falls[gpu], "right") < points:
        gpu += 1
    return 1 << gpu


@jit
def _drawn_gpu(node: int, nodes: Ints, ask: Ints, draw: int) -> int:
    """One of the GPUs that fit, each as likely."""
    fitting = 0
    for gpu in range(nodes[node, GPUS]):
        fitting += nodes[node, GPU0 + gpu] >= ask[ASK_MILLI]
    skip = draw * fitting >> 32
    gpu = 0
    while skip > 0 or nodes[node, GPU0 + gpu] < ask[ASK_MILLI]:
        if nodes[node, GPU0 + gpu] >= ask[ASK_MILLI]:
            skip -= 1
        gpu += 1
    return 1 << gpu
