"""Placing by bid prices with numpy, for machines without numba. `loops` is its twin, to the bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.bids.state import NOWHERE, Books, Offers
from scheduler_sim.bids.worth import SCALE
from scheduler_sim.cluster import WHOLE_MILLI

Ints = NDArray[np.int64]


def worths(left: Ints, cpu: Ints, model: Ints, offers: Offers) -> Ints:
    """What nodes are worth: (rows, GPUs), (rows,), (rows,) -> (rows,)."""
    tables = np.swapaxes(offers.tables[model], 1, 2)
    rows = np.arange(cpu.size)
    values = offers.prices * cpu[:, None] // 1000
    for gpu in range(left.shape[1]):
        # worth of nothing left is 0 at every price
        values += tables[rows, left[:, gpu] // offers.unit]
    least: Ints = values.min(axis=1)
    return least


def hosted(left: Ints, cpu: Ints, model: Ints, offers: Offers) -> Ints:
    """A bit for each large shape that a node can hold: (rows,)."""
    free = (left == WHOLE_MILLI).sum(axis=1)
    bits = np.zeros(cpu.size, dtype=np.int64)
    for row in range(offers.large_gpus.size):
        can = (free >= offers.large_gpus[row]) & (cpu >= offers.large_cpu[row])
        bits |= (can & offers.large_accepts[row, model]).astype(np.int64) << row
    return bits


def reprice(books: Books, offers: Offers) -> None:
    """Work out every node again, after the tables changed."""
    price(np.arange(books.worth.size), books, offers)


def price(rows: NDArray[np.intp], books: Books, offers: Offers) -> None:
    """Work out these nodes again, and the number of hosts; what is remembered of them is stale."""
    left, cpu = books.gpu_left[rows].astype(np.int64), books.cpu_left[rows]
    books.changes[rows] += 1
    books.worth[rows] = worths(left, cpu, books.model[rows], offers)
    books.hosted[rows] = hosted(left, cpu, books.model[rows], offers)
    for row in range(offers.large_gpus.size):
        books.hosts[row] = ((books.hosted >> row) & 1).sum()


def settle(node: int, kind: int, gpu: int, books: Books, offers: Offers) -> int:
    """Place a run and keep the books; a bit for each GPU taken."""
    left, gpus, milli = books.gpu_left[node], int(offers.gpus[kind]), int(offers.milli[kind])
    share = gpus == 1 and milli < WHOLE_MILLI
    taken = [gpu] if share else np.flatnonzero(left == WHOLE_MILLI)[:gpus].tolist()
    left[taken] -= milli
    books.cpu_left[node] -= offers.cpu[kind]
    books.memory_left[node] -= offers.memory[kind]
    price(np.array([node]), books, offers)
    return sum(1 << index for index in taken)


def _offer(rows: Ints, kind: int, slot: int, books: Books, offers: Offers) -> None:
    """Work out and remember loss, GPU and spoilt hosts of a kind on these nodes."""
    gpus, milli = int(offers.gpus[kind]), int(offers.milli[kind])
    books.seen[slot, rows] = books.changes[rows]
    books.gpu[slot, rows], books.loss[slot, rows] = -1, NOWHERE
    left = books.gpu_left[rows].astype(np.int64)
    cpu = books.cpu_left[rows] - offers.cpu[kind]
    fit = (cpu >= 0) & (books.memory_left[rows] >= offers.memory[kind]) & books.usable[rows]
    if gpus:
        fit &= offers.accepts[kind, books.model[rows]]
        fit &= (left >= milli).sum(axis=1) >= gpus
    rows, left, cpu = rows[fit], left[fit], cpu[fit]
    if not rows.size:
        return
    model, now = books.model[rows], books.worth[rows]
    where = np.zeros(rows.size, dtype=np.int64)
    if gpus == 1 and milli < WHOLE_MILLI:
        loss = np.full(rows.size, NOWHERE, dtype=np.int64)
        for gpu in range(left.shape[1]):
            can = left[:, gpu] >= milli
            if not can.any():
                continue
            after = left[can]
            after[:, gpu] -= milli
            here = now[can] - worths(after, cpu[can], model[can], offers)
            here += np.where(left[can, gpu] == WHOLE_MILLI, offers.opening, 0)
            better = here < loss[can]
            spots = np.flatnonzero(can)[better]
            loss[spots], where[spots] = here[better], gpu
        left[np.arange(rows.size), where] -= milli
    else:
        taken = (left == WHOLE_MILLI) & (np.cumsum(left == WHOLE_MILLI, axis=1) <= gpus)
        left[taken] = 0
        loss = now - worths(left, cpu, model, offers)
    books.loss[slot, rows], books.gpu[slot, rows] = loss, where
    books.spoilt[slot, rows] = books.hosted[rows] & ~hosted(left, cpu, model, offers)


def choose(kind: int, books: Books, offers: Offers, tie: Ints | None = None) -> tuple[int, int]:
    """The node that loses least, and its GPU; -1 where the run fits on none.

    Of equals the first, or with `tie` (nodes,), 0 to a million, the first with the least of it.
    """
    slot = int(offers.slot[kind])
    stale = books.seen[slot] != books.changes if slot else np.ones(books.worth.size, dtype=np.bool_)
    rows = np.flatnonzero(stale)
    if rows.size:
        _offer(rows, kind, slot, books, offers)
    can = (books.gpu[slot] >= 0) & books.allowed
    if not can.any():
        return -1, -1
    taken = offers.gpus[kind] * offers.milli[kind] * SCALE // 1000
    loss, spoilt = books.loss[slot] + taken * books.scarce[books.model], books.spoilt[slot]
    for row in np.flatnonzero(books.penalty).tolist():
        loss += ((spoilt >> row) & 1) * books.penalty[row]
    rank = loss // offers.step
    if tie is not None:
        rank = rank * 1_000_000 + tie
    node = int(np.where(can, rank, NOWHERE).argmin())
    return node, int(books.gpu[slot, node])


def place(
    kinds: NDArray[np.int32],
    free_down_to: int,
    books: Books,
    offers: Offers,
    nodes: NDArray[np.int32],
    bits: NDArray[np.uint16],
    pause: bool,
) -> int:
    """Place runs until the free share falls below a mark; how many were seen. See `loops.place`."""
    for row, kind in enumerate(kinds.tolist()):
        if books.free[0] < free_down_to:
            return row
        node, gpu = choose(kind, books, offers)
        nodes[row], bits[row] = node, 0
        if node < 0 and pause:
            return row + 1
        if node >= 0:
            bits[row] = settle(node, kind, gpu, books, offers)
            books.free[0] -= offers.gpus[kind] * offers.milli[kind]
    return len(kinds)
