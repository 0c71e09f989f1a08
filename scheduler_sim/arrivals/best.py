"""The policy `best`: each arrival goes where the worth of the nodes falls least (`bids`).

Online: nothing is known of the arrivals to come but the mix of the trace, as FGD knows it, or with
`learn` not even that; nothing is moved, and nothing is refused that fits.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

import numpy as np

from scheduler_sim import kernels
from scheduler_sim.arrivals.arrays import kind_arrays, model_names, node_arrays
from scheduler_sim.arrivals.decisions import Decisions
from scheduler_sim.arrivals.stream import Stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.bids import vectors
from scheduler_sim.bids.prices import Prices
from scheduler_sim.bids.shapes import shapes
from scheduler_sim.bids.stages import LAST, Stages
from scheduler_sim.bids.state import Books, Offers, new_books, new_offers, slots_of
from scheduler_sim.cluster import WHOLE_MILLI, Request

EVERY = 50
"""Arrivals after which the prices of hosts are worked out again."""

MANY_KINDS, COARSE_MILLI = 500, 10
"""With more kinds of pod than this, shares of the mix are taken in steps of so many thousandths."""

FIRST_LOOK = 50
"""Arrivals after which an unknown mix is looked at for the first time; then at each doubling."""


def decide(trace: Trace, stream: Stream, *, learn: bool = False) -> Decisions:
    """Where `best` places each arrival; with `learn` it knows the mix from what has come alone."""
    run = Bidding(trace, stream, learn=learn)
    run.go()
    return Decisions(run.nodes, run.bits)


class Bidding:
    """One experiment as it goes on: arrivals placed so far, books, prices."""

    def __init__(self, trace: Trace, stream: Stream, *, learn: bool = False) -> None:
        self.trace, self.arrivals, self.learn = trace, stream.kinds, learn
        self.kinds, nodes = kind_arrays(trace), node_arrays(trace, stream)
        self.capacity = trace.capacity_milli
        self.slot = slots_of(np.bincount(stream.kinds, minlength=len(trace.kinds)))
        self._prices = Prices(_unknown(trace) if learn else _known(trace))
        self.books = new_books(
            nodes.gpu_left,
            nodes.cpu_left,
            nodes.memory_left,
            nodes.model,
            int(self.slot.max(initial=0)),
            self._prices.large.gpus.size,
            self.kinds.accepts.shape[1],
        )
        self.nodes = np.full(stream.kinds.size, -1, dtype=np.int32)
        self.bits = np.zeros(stream.kinds.size, dtype=np.uint16)
        self.done = 0
        self.pause = False
        self.form = _form()
        self._next_look = FIRST_LOOK
        self._stage = -1
        self.offers: Offers | None = None

    def go(self) -> None:
        """Place all that is left."""
        while self.done < self.arrivals.size:
            self.step()

    def step(self) -> None:
        """Work out prices and place until they have to be worked out again."""
        if self.learn and self.done >= self._next_look:
            self._look()
        offers, until = self._offers(), self.done + EVERY
        if self.learn:
            until = min(until, max(self._next_look, self.done + 1))
        down_to = self._down_to()
        self.done += self.form.place(
            self.arrivals[self.done : until],
            down_to,
            self.books,
            offers,
            self.nodes[self.done : until],
            self.bits[self.done : until],
            self.pause,
        )

    def _offers(self) -> Offers:
        stages, free = self._prices.stages, int(self.books.free[0])
        stage = stages.stage(self.capacity - free, self.capacity)
        if stage != self._stage or self.offers is None:
            self._stage = stage
            tables, large = stages.tables(stage, self.capacity), self._prices.large
            self.offers = new_offers(self.kinds, self.slot, tables, stages.shapes.unit, large)
            self.form.reprice(self.books, self.offers)
        self._prices.charge(self.books, free, self.capacity)
        return self.offers

    def _down_to(self) -> int:
        """Free thousandths below which the next stage begins; -1 in the last."""
        stages = self._prices.stages
        return -1 if self._stage == LAST else stages.ends_at(self._stage, self.capacity)

    def _look(self) -> None:
        """Learn the mix from what has come so far."""
        self._next_look *= 2
        seen = np.bincount(self.arrivals[: self.done], minlength=len(self.trace.kinds))
        self._prices = Prices(_stages(self.trace, seen.tolist()))
        self.books = _with_large(self.books, self._prices.large.gpus.size)
        self._stage = -1


def _form() -> ModuleType:
    """The loops where numba compiles them, else numpy."""
    if not kernels.FAST:
        return vectors
    from scheduler_sim.bids import loops

    return loops


def _with_large(books: Books, count: int) -> Books:
    return books._replace(
        hosts=np.zeros(count, dtype=np.int64),
        penalty=np.zeros(count, dtype=np.int64),
        hosted=np.zeros(books.hosted.size, dtype=np.int64),
    )


@lru_cache(maxsize=4)
def _known(trace: Trace) -> Stages:
    """The mix of the trace, as it is known before the first arrival."""
    counts = np.bincount(trace.kind_of, minlength=len(trace.kinds)).tolist()
    return _stages(trace, counts)


def _stages(trace: Trace, counts: list[int]) -> Stages:
    grain = COARSE_MILLI if len(trace.kinds) > MANY_KINDS else 1
    mix = shapes(zip(trace.kinds, counts, strict=True), model_names(trace), grain)
    return Stages(mix, compiled=kernels.FAST)


def _unknown(trace: Trace) -> Stages:
    """What is supposed of a mix that nobody knows: whole GPUs with their part of the cores."""
    gpus = max(1, sum(node.gpus for node in trace.nodes))
    cores = sum(node.cpu_milli for node in trace.nodes) // gpus
    mix = shapes([(Request(1, WHOLE_MILLI, cores), 1)], model_names(trace))
    return Stages(mix, compiled=kernels.FAST)
