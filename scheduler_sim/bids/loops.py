"""Placing by bid prices as plain loops, fast where numba compiles them. `vectors` is their twin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.bids.state import NOWHERE, Books, Offers
from scheduler_sim.bids.worth import BITS, ONE, SCALE
from scheduler_sim.cluster import WHOLE_MILLI
from scheduler_sim.kernels import jit

Ints = NDArray[np.int64]
Left = NDArray[np.int32]


@jit
def worth(left: Left, cpu: int, table: Ints, prices: Ints, unit: int) -> int:
    """What a node is worth: the least over the prices of a core."""
    least = NOWHERE
    for price in range(prices.size):
        value = prices[price] * cpu // 1000
        for gpu in range(left.size):
            if left[gpu] > 0:
                value += table[price, left[gpu] // unit]
        least = min(least, value)
    return least


@jit
def hosted(left: Left, cpu: int, model: int, offers: Offers) -> int:
    """A bit for each large shape that the node can hold."""
    free = 0
    for gpu in range(left.size):
        if left[gpu] == WHOLE_MILLI:
            free += 1
    bits = 0
    for row in range(offers.large_gpus.size):
        fits = free >= offers.large_gpus[row] and cpu >= offers.large_cpu[row]
        if fits and offers.large_accepts[row, model]:
            bits |= 1 << row
    return bits


@jit
def _take(left: Left, gpus: int, milli: int, gpu: int) -> int:
    """Take the GPUs of a run: `gpu` for a share, else the first free ones; a bit for each."""
    if gpus == 1 and milli < WHOLE_MILLI:
        left[gpu] -= milli
        return 1 << gpu
    bits = 0
    for index in range(left.size):
        if gpus > 0 and left[index] == WHOLE_MILLI:
            left[index] = 0
            bits |= 1 << index
            gpus -= 1
    return bits


@jit
def offer(node: int, kind: int, books: Books, offers: Offers, after: Left) -> tuple[int, int, int]:
    """Loss of worth, GPU (-1: it does not fit) and bits of spoilt hosts for a run on a node."""
    gpus, milli, model = offers.gpus[kind], offers.milli[kind], books.model[node]
    cpu = books.cpu_left[node] - offers.cpu[kind]
    if cpu < 0 or books.memory_left[node] < offers.memory[kind] or not books.usable[node]:
        return NOWHERE, -1, 0
    if gpus > 0 and not offers.accepts[kind, model]:
        return NOWHERE, -1, 0
    left, table = books.gpu_left[node], offers.tables[model]
    fitting = 0
    for gpu in range(left.size):
        after[gpu] = left[gpu]
        if left[gpu] >= milli:
            fitting += 1
    if fitting < gpus:
        return NOWHERE, -1, 0
    best, where = NOWHERE, 0
    if gpus == 1 and milli < WHOLE_MILLI:
        for gpu in range(left.size):
            new = left[gpu] >= milli
            for earlier in range(gpu):
                new = new and left[earlier] != left[gpu]
            if new:
                after[gpu] -= milli
                loss = books.worth[node] - worth(after, cpu, table, offers.prices, offers.unit)
                after[gpu] += milli
                if left[gpu] == WHOLE_MILLI:
                    loss += offers.opening
                if loss < best:
                    best, where = loss, gpu
        after[where] -= milli
    else:
        _take(after, gpus, milli, 0)
        best = books.worth[node] - worth(after, cpu, table, offers.prices, offers.unit)
    return best, where, books.hosted[node] & ~hosted(after, cpu, model, offers)


@jit
def settle(node: int, kind: int, gpu: int, books: Books, offers: Offers) -> int:
    """Place a run and keep the books; a bit for each GPU taken."""
    bits = _take(books.gpu_left[node], offers.gpus[kind], offers.milli[kind], gpu)
    books.cpu_left[node] -= offers.cpu[kind]
    books.memory_left[node] -= offers.memory[kind]
    books.changes[node] += 1
    price(node, books, offers)
    return bits


@jit
def price(node: int, books: Books, offers: Offers) -> None:
    """Work out worth and hosted shapes of a node again, and the number of hosts with them."""
    left, cpu, model = books.gpu_left[node], books.cpu_left[node], books.model[node]
    books.worth[node] = worth(left, cpu, offers.tables[model], offers.prices, offers.unit)
    before, now = books.hosted[node], hosted(left, cpu, model, offers)
    books.hosted[node] = now
    for row in range(offers.large_gpus.size):
        books.hosts[row] += ((now >> row) & 1) - ((before >> row) & 1)


@jit
def reprice(books: Books, offers: Offers) -> None:
    """Work out every node again, after the tables changed; what is remembered is stale then."""
    for node in range(books.cpu_left.size):
        books.changes[node] += 1
        price(node, books, offers)


@jit
def choose(kind: int, books: Books, offers: Offers) -> tuple[int, int]:
    """The node that loses least, and its GPU; -1 where the run fits on none.

    Losses are compared in steps of `offers.step`, and ties go to the first node: what differs by
    less is the same, and the runs then gather on the first nodes instead of lying everywhere.
    """
    slot = offers.slot[kind]
    taken = offers.gpus[kind] * offers.milli[kind] * SCALE // 1000
    best, chosen = NOWHERE, -1
    after = np.empty(books.gpu_left.shape[1], dtype=np.int32)
    for node in range(books.cpu_left.size):
        if slot == 0 or books.seen[slot, node] != books.changes[node]:
            loss, gpu, spoilt = offer(node, kind, books, offers, after)
            books.loss[slot, node], books.gpu[slot, node] = loss, gpu
            books.spoilt[slot, node] = spoilt
            books.seen[slot, node] = books.changes[node]
        if books.gpu[slot, node] >= 0 and books.allowed[node]:
            loss = books.loss[slot, node] + taken * books.scarce[books.model[node]]
            spoilt = books.spoilt[slot, node]
            row = 0
            while spoilt:
                if spoilt & 1:
                    loss += books.penalty[row]
                spoilt >>= 1
                row += 1
            loss //= offers.step
            if loss < best:
                best, chosen = loss, node
    if chosen < 0:
        return -1, -1
    return chosen, books.gpu[slot, chosen]


@jit
def place(
    kinds: NDArray[np.int32],
    free_down_to: int,
    books: Books,
    offers: Offers,
    nodes: NDArray[np.int32],
    bits: NDArray[np.uint16],
    pause: bool,
) -> int:
    """Place runs one after the other until the free share falls below a mark; how many were seen.

    Writes node (-1: refused) and a bit for each GPU of every run. With `pause` it stops after a
    refusal.
    """
    for row in range(kinds.size):
        if books.free[0] < free_down_to:
            return row
        kind = kinds[row]
        node, gpu = choose(kind, books, offers)
        nodes[row] = node
        bits[row] = 0
        if node < 0 and pause:
            return row + 1
        if node >= 0:
            bits[row] = settle(node, kind, gpu, books, offers)
            books.free[0] -= offers.gpus[kind] * offers.milli[kind]
    return kinds.size


@jit
def _power(base: int, exponent: int) -> int:
    """base^exponent for a probability in 2^-30; cut, never rounded up."""
    result = ONE
    while exponent:
        if exponent & 1:
            result = (result * base) >> BITS
        base = (base * base) >> BITS
        exponent >>= 1
    return result


@jit
def fill(size: Ints, net: Ints, seen: Ints, total: int, choice: int, table: Ints) -> None:
    """Fill one model's (prices, levels), as `worth._fill` does for all prices at once."""
    count = len(size)
    gain, row = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    for price in range(len(net)):
        for level in range(1, table.shape[1]):
            fit = 0
            for shape in range(count):
                if size[shape] <= level:
                    value = net[price, shape] + table[price, level - size[shape]]
                    if value > 0:
                        gain[fit], row[fit] = value, shape
                        fit += 1
            order = np.argsort(-gain[:fit])
            better, above, mean = 0, ONE, 0
            for place in order:
                better += seen[row[place]]
                below = _power(((total - better) << BITS) // total, choice)
                mean += (above - below) * gain[place]
                above = below
                if below == 0:
                    break
            table[price, level] = max(mean >> BITS, table[price, level - 1])
