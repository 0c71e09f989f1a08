"""The ranks that wait, as a set of bits, and the running jobs by their ends, as a heap.

The set answers "the next waiting rank from here" in a handful of steps however long the queue is,
and takes a rank in or out at any place; lists would move half of a queue of a million for that.
"""

from __future__ import annotations

import numpy as np

from scheduler_sim.kernels import jit
from scheduler_sim.queues.state import HEAP_JOB, HEAP_S, NONE, WORD, Int64s


def levels(count: int) -> tuple[Int64s, Int64s]:
    """Empty words for `count` ranks, and where each level of summaries begins."""
    begins, total, width = [0], 0, max(count, 1)
    while True:
        width = -(-width // WORD)
        total += width
        begins.append(total)
        if width == 1:
            return np.zeros(total, dtype=np.int64), np.array(begins, dtype=np.int64)


@jit
def add(words: Int64s, level: Int64s, rank: int) -> None:
    """The rank waits."""
    rank = int(rank)
    for i in range(len(level) - 1):
        words[level[i] + rank // WORD] |= 1 << (rank % WORD)
        rank //= WORD


@jit
def remove(words: Int64s, level: Int64s, rank: int) -> None:
    """The rank waits no longer."""
    rank = int(rank)
    for i in range(len(level) - 1):
        place = level[i] + rank // WORD
        words[place] &= ~(1 << (rank % WORD))
        if words[place] != 0:
            return
        rank //= WORD


@jit
def following(words: Int64s, level: Int64s, rank: int) -> int:
    """The first waiting rank that is `rank` or comes after it, NONE if there is none."""
    rank = int(rank)
    i = 0
    while True:
        if i == len(level) - 1 or level[i] + rank // WORD >= level[i + 1]:
            return NONE
        ahead = words[level[i] + rank // WORD] >> (rank % WORD)
        if ahead != 0:
            break
        rank = rank // WORD + 1
        i += 1
    rank += lowest(ahead)
    while i > 0:
        i -= 1
        rank = rank * WORD + lowest(words[level[i] + rank])
    return rank


@jit
def lowest(word: int) -> int:
    """The number of the lowest bit that is set; there must be one."""
    bit = 0
    for half in (16, 8, 4, 2, 1):
        if word & ((1 << half) - 1) == 0:
            word >>= half
            bit += half
    return bit


@jit
def push(runs: Int64s, size: int, at_s: int, job: int) -> None:
    """Put a job into a heap of `size`; the caller counts it."""
    child = size
    while child > 0:
        parent = (child - 1) // 2
        if runs[HEAP_S, parent] <= at_s:
            break
        runs[HEAP_S, child] = runs[HEAP_S, parent]
        runs[HEAP_JOB, child] = runs[HEAP_JOB, parent]
        child = parent
    runs[HEAP_S, child] = at_s
    runs[HEAP_JOB, child] = job


@jit
def pop(runs: Int64s, size: int) -> int:
    """Take the job that ends first out of a heap of `size`; the caller counts it."""
    first = runs[HEAP_JOB, 0]
    size -= 1
    at_s, job = runs[HEAP_S, size], runs[HEAP_JOB, size]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size and runs[HEAP_S, child + 1] < runs[HEAP_S, child]:
            child += 1
        if at_s <= runs[HEAP_S, child]:
            break
        runs[HEAP_S, parent] = runs[HEAP_S, child]
        runs[HEAP_JOB, parent] = runs[HEAP_JOB, child]
        parent = child
    runs[HEAP_S, parent] = at_s
    runs[HEAP_JOB, parent] = job
    return int(first)


@jit
def withdraw(runs: Int64s, size: int, job: int) -> None:
    """Take one job out of the middle of a heap of `size`; the caller counts it."""
    kept = 0
    for i in range(size):
        at_s, other = runs[HEAP_S, i], runs[HEAP_JOB, i]
        if other != job:
            # Entries up to i are free to be overwritten: kept never passes i.
            push(runs, kept, at_s, other)
            kept += 1
