"""Fair share: what accounts and users have used, halved again and again, in whole numbers.

Use is charged by the second while a run holds its share. At every 64th of the half-life all of it
is multiplied by 2^(-1/64), as 32415 / 32768 rounded down, so that no float decides who is first.
"""

from __future__ import annotations

import numpy as np

from scheduler_sim.kernels import jit
from scheduler_sim.queues.state import (
    ACCOUNT,
    FIRST_RANK,
    IN_PAIR,
    JOB_AT,
    LINE,
    NOW,
    RATE,
    SEGMENTS,
    STEP_S,
    USED,
    USED_AT_S,
    Int64s,
    World,
)
from scheduler_sim.queues.waiting import following

STEPS_OF_HALF_LIFE = 64
_KEPT, _OF_BITS = 32_415, 15


@jit
def count_use(world: World) -> None:
    """Bring all use up to the present second."""
    reg = world.reg
    grow(world.accounts, reg[USED_AT_S], reg[NOW], reg[STEP_S])
    grow(world.pairs, reg[USED_AT_S], reg[NOW], reg[STEP_S])
    reg[USED_AT_S] = reg[NOW]


@jit
def grow(table: Int64s, since_s: int, now_s: int, step_s: int) -> None:
    """Add what is used each second, and decay at every multiple of `step_s`."""
    for i in range(table.shape[1]):
        value, rate, at_s = table[USED, i], table[RATE, i], since_s
        while value + rate > 0:
            border_s = (at_s // step_s + 1) * step_s
            if border_s > now_s:
                break
            after = decayed(value + rate * (border_s - at_s))
            steady = after == value and border_s - at_s == step_s
            value, at_s = after, border_s
            if steady:  # nothing changes at later borders either
                at_s = now_s // step_s * step_s
        table[USED, i] = value + rate * (now_s - at_s)


@jit
def decayed(value: int) -> int:
    """The value after one step of decay; split so that no product overflows."""
    part = value & ((1 << _OF_BITS) - 1)
    return (value >> _OF_BITS) * _KEPT + ((part * _KEPT) >> _OF_BITS)


@jit
def charge(pairs: Int64s, accounts: Int64s, pair: int, rate: int) -> None:
    """A run of a pair starts (its rate) or ends (its negative); use is up to date."""
    pairs[RATE, pair] += rate
    accounts[RATE, pairs[ACCOUNT, pair]] += rate


@jit
def line_up(world: World) -> None:
    """Order the pairs that have waiting jobs: least used account, least used pair, first come."""
    pairs, accounts = world.pairs, world.accounts
    count = 0
    for pair in range(pairs.shape[1]):
        if pairs[IN_PAIR, pair] > 0:
            pairs[LINE, count] = pair
            count += 1
    world.reg[SEGMENTS] = count
    if count > 1:
        some = pairs[LINE, :count].copy()
        first = np.empty(count, dtype=np.int64)
        for i in range(count):
            rank = following(world.words, world.level, pairs[FIRST_RANK, some[i]])
            first[i] = world.runs[JOB_AT, rank]
        some = some[np.argsort(first, kind="mergesort")]
        some = some[np.argsort(pairs[USED][some], kind="mergesort")]
        some = some[np.argsort(accounts[USED][pairs[ACCOUNT][some]], kind="mergesort")]
        pairs[LINE, :count] = some
