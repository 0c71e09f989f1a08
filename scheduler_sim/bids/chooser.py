"""Bid prices on a live cluster: where one request goes now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.bids import vectors
from scheduler_sim.bids.prices import Prices
from scheduler_sim.bids.shapes import shapes
from scheduler_sim.bids.stages import Stages
from scheduler_sim.bids.state import Ints, Offers, new_books, new_offers
from scheduler_sim.cluster import WHOLE_MILLI, Cluster, Mask, Request
from scheduler_sim.fragmentation import Mix
from scheduler_sim.policies import Choice, fullest_gpus

KINDS = 256
"""Different requests that are remembered at once."""

EVERY = 50
"""Choices after which the prices of hosts and models are worked out again."""

GRAIN_MILLI = 10
"""Shares of the mix are taken in steps of so many thousandths."""


@lru_cache(maxsize=4)
def _prices(mix: Mix, models: tuple[str, ...]) -> Prices:
    """The prices of a mix, worked out once for the clusters that are compared."""
    return Prices(Stages(shapes(zip(mix.requests, mix.counts, strict=True), models, GRAIN_MILLI)))


@dataclass(slots=True)
class _Asked:
    """The requests seen so far, as arrays with room for more."""

    gpus: Ints
    milli: Ints
    cpu: Ints
    memory: Ints
    accepts: NDArray[np.bool_]


class Bids:
    """The policy of `bids` beside `Fgd` and `best_fit`: the node whose worth falls least.

    `mix` is what is expected to come. The cluster may change between two choices: what changed is
    looked at again. A tie goes to the node with least GPU left, the first of those.
    """

    def __init__(self, cluster: Cluster, mix: Mix) -> None:
        self._cluster = cluster
        self._prices = _prices(mix, cluster.models)
        models = len(cluster.models)
        self._books = new_books(
            *(cluster.gpu_left, cluster.cpu_left, cluster.memory_left, cluster.model),
            KINDS,
            self._prices.large.gpus.size,
            models,
        )
        self._known: dict[Request, int] = {}
        one = np.zeros(KINDS, dtype=np.int64)
        accepts = np.zeros((KINDS, models), dtype=np.bool_)
        self._asked = _Asked(one, one.copy(), one.copy(), one.copy(), accepts)
        self._slot = np.arange(1, KINDS + 1)
        self._capacity = int(cluster.gpu_count.sum()) * WHOLE_MILLI
        self._changes = cluster.changes.copy()
        self._stage = -1
        self._offers: Offers | None = None
        self._choices = 0

    def choose(self, request: Request, allowed: Mask | None = None) -> Choice | None:
        """Where the request goes now, None if it fits on none of the allowed nodes."""
        kind = self._kind(request)
        offers = self._fresh()
        self._books.allowed[:] = True if allowed is None else allowed
        node, gpu = vectors.choose(kind, self._books, offers, self._books.gpu_left.sum(axis=1))
        if node < 0:
            return None
        score = -int(self._books.loss[self._slot[kind], node])
        if request.gpus == 1 and request.gpu_milli < WHOLE_MILLI:
            return Choice(int(node), (int(gpu),), score)
        return Choice(int(node), fullest_gpus(self._cluster, int(node), request), score)

    def _kind(self, request: Request) -> int:
        """The row of a request; the oldest ones are forgotten when there are too many."""
        if request not in self._known:
            if len(self._known) == KINDS:
                self._known.clear()
            row = self._known[request] = len(self._known)
            asked, models = self._asked, self._cluster.models
            asked.gpus[row], asked.milli[row] = request.gpus, request.gpu_milli
            asked.cpu[row], asked.memory[row] = request.cpu_milli, request.memory_mib
            asked.accepts[row] = [not request.models or m in request.models for m in models]
            self._books.seen[self._slot[row]] = -1
            if self._offers is not None:
                self._offers = self._made(self._stage)  # it holds copies
        return self._known[request]

    def _fresh(self) -> Offers:
        """The offers of this moment, with the books as the cluster is."""
        books, cluster = self._books, self._cluster
        rows = np.flatnonzero(self._changes != cluster.changes)
        books.gpu_left[rows] = cluster.gpu_left[rows]
        books.cpu_left[rows] = cluster.cpu_left[rows]
        books.memory_left[rows] = cluster.memory_left[rows]
        books.usable[:] = cluster.usable
        self._changes[rows] = cluster.changes[rows]
        free = int(books.gpu_left.sum())
        stage = self._prices.stages.stage(self._capacity - free, self._capacity)
        again = self._offers is None or stage != self._stage
        if self._offers is None or again:
            self._stage, self._offers = stage, self._made(stage)
            vectors.reprice(books, self._offers)
        elif rows.size:
            vectors.price(rows, books, self._offers)
        if again or self._choices % EVERY == 0:
            self._prices.charge(books, free, self._capacity)
        self._choices += 1
        return self._offers

    def _made(self, stage: int) -> Offers:
        stages, large = self._prices.stages, self._prices.large
        tables = stages.tables(stage, self._capacity)
        return new_offers(self._asked, self._slot, tables, stages.shapes.unit, large)
