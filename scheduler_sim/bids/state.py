"""What placing by bid prices works on: the books of a cluster, and what is offered for its places.

Named tuples of arrays, because compiled code takes those.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.bids.hosts import Large
from scheduler_sim.bids.worth import CPU_PRICES, SCALE

Ints = NDArray[np.int64]

NOWHERE = 1 << 60
"""Loss on a node on which the run does not fit."""

STEP = 10 * SCALE
"""Losses that differ by less than 10 thousandths of a GPU are the same."""

OPENING = 10 * SCALE
"""What it costs a share to open a free GPU, where one in use would do as well."""

MOST_SLOTS = 2000
"""Kinds of run whose losses are remembered; more are worked out each time."""


class Kinds(Protocol):
    """What each kind of run asks for: (kinds,), and `accepts` (kinds, models)."""

    @property
    def gpus(self) -> NDArray[np.signedinteger[Any]]: ...
    @property
    def milli(self) -> NDArray[np.signedinteger[Any]]: ...
    @property
    def cpu(self) -> NDArray[np.signedinteger[Any]]: ...
    @property
    def memory(self) -> NDArray[np.signedinteger[Any]]: ...
    @property
    def accepts(self) -> NDArray[np.bool_]: ...


class Offers(NamedTuple):
    """What does not change between two stages.

    Kinds: `gpus`, `milli`, `cpu`, `memory`, `slot` (row of the memory, 0 for none) are (kinds,),
    `accepts` is (kinds, models). `tables` is (models, prices, levels) of `worth`, `unit` its step
    in thousandths, `prices` those of a core. `large_*` are the large shapes of `hosts`. `step` is
    the difference of losses that counts, `opening` what a share pays for a free GPU.
    """

    gpus: Ints
    milli: Ints
    cpu: Ints
    memory: Ints
    slot: Ints
    accepts: NDArray[np.bool_]
    tables: Ints
    unit: int
    prices: Ints
    large_gpus: Ints
    large_cpu: Ints
    large_accepts: NDArray[np.bool_]
    step: int
    opening: int


class Books(NamedTuple):
    """What changes with each run; nodes in the order that breaks ties.

    `gpu_left` (nodes, GPUs), `cpu_left`, `memory_left`, `model`, `usable`, `allowed`, `worth`,
    `hosted` (bits of large shapes), `changes` (nodes,); `hosts` and `penalty` (large,); `scarce`
    (models,) in thousandths of what is taken; `free` one number: GPU thousandths left. `loss`,
    `gpu`, `spoilt`, `seen` (slots, nodes) are what is remembered of each kind, valid where `seen`
    equals `changes`.
    """

    gpu_left: NDArray[np.int32]
    cpu_left: Ints
    memory_left: Ints
    model: Ints
    usable: NDArray[np.bool_]
    allowed: NDArray[np.bool_]
    worth: Ints
    hosted: Ints
    changes: Ints
    hosts: Ints
    penalty: Ints
    scarce: Ints
    free: Ints
    loss: Ints
    gpu: NDArray[np.int8]
    spoilt: Ints
    seen: Ints


def new_books(
    gpu_left: NDArray[np.int32],
    cpu_left: Ints,
    memory_left: Ints,
    model: NDArray[np.signedinteger[Any]],
    slots: int,
    large: int,
    models: int,
) -> Books:
    """The books of a cluster as it stands; nothing is priced yet. The arrays are copied."""
    nodes = cpu_left.size
    return Books(
        gpu_left=gpu_left.astype(np.int32, copy=True),
        cpu_left=cpu_left.astype(np.int64, copy=True),
        memory_left=memory_left.astype(np.int64, copy=True),
        model=model.astype(np.int64),
        usable=np.ones(nodes, dtype=np.bool_),
        allowed=np.ones(nodes, dtype=np.bool_),
        worth=np.zeros(nodes, dtype=np.int64),
        hosted=np.zeros(nodes, dtype=np.int64),
        changes=np.zeros(nodes, dtype=np.int64),
        hosts=np.zeros(large, dtype=np.int64),
        penalty=np.zeros(large, dtype=np.int64),
        scarce=np.zeros(models, dtype=np.int64),
        free=np.array([gpu_left.sum(dtype=np.int64)]),
        loss=np.zeros((slots + 1, nodes), dtype=np.int64),
        gpu=np.full((slots + 1, nodes), -1, dtype=np.int8),
        spoilt=np.zeros((slots + 1, nodes), dtype=np.int64),
        seen=np.full((slots + 1, nodes), -1, dtype=np.int64),
    )


def slots_of(arrivals: Ints) -> Ints:
    """The row of memory of each kind from how often it comes: the most frequent, if repeated."""
    slot = np.zeros(arrivals.size, dtype=np.int64)
    rows = np.argsort(-arrivals, kind="stable")[:MOST_SLOTS]
    rows = rows[arrivals[rows] > 1]
    slot[rows] = np.arange(1, rows.size + 1)
    return slot


def new_offers(
    kinds: Kinds, slot: Ints, tables: Ints, unit: int, large: Large, prices: Ints = CPU_PRICES
) -> Offers:
    """The offers of one stage."""
    return Offers(
        gpus=kinds.gpus.astype(np.int64),
        milli=kinds.milli.astype(np.int64),
        cpu=kinds.cpu.astype(np.int64),
        memory=kinds.memory.astype(np.int64),
        slot=slot,
        accepts=kinds.accepts,
        tables=tables,
        unit=unit,
        prices=prices,
        large_gpus=large.gpus,
        large_cpu=large.cpu,
        large_accepts=large.accepts,
        step=STEP,
        opening=OPENING,
    )
