"""Ejection repair: a pod that fits nowhere is let in by moving a few others.

A node that could hold the pod but for some of its tenants is looked for; they leave, the pod
settles, and each of them goes where `bids` would place it now, be it on the same node. Fewest
moves come first, then what they cost. If one of them finds no place, nothing has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from scheduler_sim.arrivals.best import Bidding
from scheduler_sim.arrivals.decisions import REFUSED, Decisions, Move
from scheduler_sim.arrivals.stream import Stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.bids import vectors
from scheduler_sim.cluster import WHOLE_MILLI

MOST_TOGETHER = 8
"""Moves that one pod is worth at most."""

TRIES = 40
"""Nodes that are tried for one pod."""

PATIENCE = 20
"""Refused pods in a row that no moves could help; after them the cluster counts as full."""

Cost = Callable[[int], int]
"""What it costs to move an arrival, in any unit."""


def decide(trace: Trace, stream: Stream, *, migrations: int, cost: Cost | None = None) -> Decisions:
    """Where `best` places each arrival when it may move at most so many earlier ones.

    `cost` of an arrival is its GPU share in thousandths where nothing else is known of it;
    `interruption` prices one whose progress is known.
    """
    run = Bidding(trace, stream)
    repair = _Repair(run, cost)
    helpless = 0
    while run.done < run.arrivals.size:
        budget = migrations - len(repair.moves)
        run.pause = budget > 0 and helpless < PATIENCE
        run.step()
        if run.pause and run.nodes[run.done - 1] == REFUSED:
            helpless = 0 if repair.admit(run.done - 1, budget) else helpless + 1
    return Decisions(repair.first_nodes(), repair.first_bits(), tuple(repair.moves))


def interruption(gpu_milli: int, since_checkpoint_s: int, restart_s: int) -> int:
    """What it costs to move a run, in GPU-thousandths times seconds.

    Lost is what it worked since its last checkpoint and what it takes to start again. Unknown
    progress has to be said by the caller: a run without checkpoints loses all since its start.

    Raises:
        ValueError: an amount below 0; names the field.
    """
    for field, value in (
        ("gpu_milli", gpu_milli),
        ("since_checkpoint_s", since_checkpoint_s),
        ("restart_s", restart_s),
    ):
        if value < 0:
            raise ValueError(f"{field}: cannot be below 0, got {value}")
    return gpu_milli * (since_checkpoint_s + restart_s)


@dataclass(frozen=True, slots=True)
class _Way:
    """Tenants that would have to leave a node, with what that costs."""

    moves: int
    cost: int
    node: int
    leave: tuple[int, ...]


class _Repair:
    """Moves within one experiment. Where a pod was first placed is kept beside where it is."""

    def __init__(self, run: Bidding, cost: Cost | None) -> None:
        self.run = run
        self.moves: list[Move] = []
        self._cost = cost or self._share
        self._first: dict[int, tuple[int, int]] = {}

    def first_nodes(self) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        """The node that each arrival was first given."""
        nodes = self.run.nodes.copy()
        for arrival, (node, _) in self._first.items():
            nodes[arrival] = node
        return nodes

    def first_bits(self) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
        """The GPUs that each arrival was first given."""
        bits = self.run.bits.copy()
        for arrival, (_, gpus) in self._first.items():
            bits[arrival] = gpus
        return bits

    def admit(self, arrival: int, budget: int) -> bool:
        """Let a refused arrival in with at most so many moves; whether that was possible."""
        kind = int(self.run.arrivals[arrival])
        most = min(budget, MOST_TOGETHER)
        ways = sorted(self._ways(kind, most), key=lambda w: (w.moves, w.cost, w.node))
        return any(self._try(arrival, kind, way) for way in ways[:TRIES])

    def _share(self, arrival: int) -> int:
        kinds, kind = self.run.kinds, self.run.arrivals[arrival]
        return int(kinds.gpus[kind]) * int(kinds.milli[kind])

    def _ways(self, kind: int, most: int) -> Iterator[_Way]:
        """The cheapest way on each node that could hold the pod with its tenants gone."""
        run, books = self.run, self.run.books
        gpus, milli = int(run.kinds.gpus[kind]), int(run.kinds.milli[kind])
        tenants: dict[int, list[int]] = {}
        for arrival in np.flatnonzero(run.nodes[: run.done] >= 0).tolist():
            tenants.setdefault(int(run.nodes[arrival]), []).append(arrival)
        for node, here in tenants.items():
            if gpus and not run.kinds.accepts[kind, books.model[node]]:
                continue
            leave = self._for_gpus(node, here, gpus, milli)
            if leave is None or len(leave) > most:
                continue
            leave = self._for_rest(kind, node, here, leave)
            if leave is not None and len(leave) <= most:
                cost = sum(self._cost(a) for a in leave)
                yield _Way(len(leave), cost, node, tuple(sorted(leave)))

    def _for_gpus(self, node: int, here: list[int], gpus: int, milli: int) -> set[int] | None:
        """The fewest tenants to leave so that enough GPUs have enough; None: there are too few."""
        run = self.run
        left = run.books.gpu_left[node].tolist()
        offers: list[tuple[int, int, set[int]]] = []
        for gpu, free in enumerate(left):
            holders = [a for a in here if int(run.bits[a]) >> gpu & 1]
            if free == 0 and not holders:
                continue  # the node has no such device
            gone: set[int] = set()
            for arrival in sorted(holders, key=lambda a: (-self._held(a), a)):
                if free >= milli:
                    break
                gone.add(arrival)
                free += self._held(arrival)
            if free >= milli:
                offers.append((len(gone), sum(self._cost(a) for a in gone), gone))
        if len(offers) < gpus:
            return None
        offers.sort(key=lambda o: o[:2])
        return set().union(*(gone for _, _, gone in offers[:gpus]))

    def _held(self, arrival: int) -> int:
        """What an arrival holds of each of its GPUs."""
        return int(self.run.kinds.milli[self.run.arrivals[arrival]])

    def _for_rest(self, kind: int, node: int, here: list[int], leave: set[int]) -> set[int] | None:
        """More tenants to leave until cores and memory are enough; None: they never are."""
        run, books = self.run, self.run.books
        need_cpu = int(run.kinds.cpu[kind]) - int(books.cpu_left[node])
        need_memory = int(run.kinds.memory[kind]) - int(books.memory_left[node])

        def cpu(arrival: int) -> int:
            return int(run.kinds.cpu[run.arrivals[arrival]])

        need_cpu -= sum(cpu(a) for a in leave)
        need_memory -= sum(int(run.kinds.memory[run.arrivals[a]]) for a in leave)
        rest = sorted((a for a in here if a not in leave), key=lambda a: (-cpu(a), a))
        for arrival in rest:
            if need_cpu <= 0 and need_memory <= 0:
                break
            leave = leave | {arrival}
            need_cpu -= cpu(arrival)
            need_memory -= int(run.kinds.memory[run.arrivals[arrival]])
        return leave if need_cpu <= 0 and need_memory <= 0 else None

    def _try(self, arrival: int, kind: int, way: _Way) -> bool:
        """Do it, or leave everything as it was."""
        run, books = self.run, self.run.books
        offers = run.offers
        assert offers is not None
        before = {way.node: self._row(way.node)}
        for tenant in way.leave:
            self._leave(way.node, tenant)
        vectors.price(np.array([way.node]), books, offers)
        books.allowed[:] = False
        books.allowed[way.node] = True
        node, gpu = run.form.choose(kind, books, offers)
        books.allowed[:] = True
        if node < 0:
            return self._back(before)
        settled = {arrival: (way.node, int(run.form.settle(way.node, kind, gpu, books, offers)))}
        largest = sorted(way.leave, key=lambda a: (-self._share(a), a))
        for tenant in largest:
            tenant_kind = int(run.arrivals[tenant])
            node, gpu = run.form.choose(tenant_kind, books, offers)
            if node < 0:
                return self._back(before)
            before.setdefault(node, self._row(node))
            settled[tenant] = (node, int(run.form.settle(node, tenant_kind, gpu, books, offers)))
        for tenant in largest:
            node, bits = settled[tenant]
            if (node, bits) == (int(run.nodes[tenant]), int(run.bits[tenant])):
                continue  # it found its own place again
            self._first.setdefault(tenant, (int(run.nodes[tenant]), int(run.bits[tenant])))
            self.moves.append(Move(arrival, tenant, node, bits))
            run.nodes[tenant], run.bits[tenant] = node, bits
        run.nodes[arrival], run.bits[arrival] = settled[arrival]
        books.free[0] -= self._share(arrival)
        return True

    def _leave(self, node: int, tenant: int) -> None:
        books, kinds, kind = self.run.books, self.run.kinds, self.run.arrivals[tenant]
        for gpu in range(books.gpu_left.shape[1]):
            if int(self.run.bits[tenant]) >> gpu & 1:
                books.gpu_left[node, gpu] += min(int(kinds.milli[kind]), WHOLE_MILLI)
        books.cpu_left[node] += kinds.cpu[kind]
        books.memory_left[node] += kinds.memory[kind]

    def _row(self, node: int) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int32]], int, int]:
        books = self.run.books
        row = books.gpu_left[node].copy()
        return row, int(books.cpu_left[node]), int(books.memory_left[node])

    def _back(
        self, before: dict[int, tuple[np.ndarray[tuple[int, ...], np.dtype[np.int32]], int, int]]
    ) -> bool:
        """Put nodes back as they were; False, for the caller to hand on."""
        run, books = self.run, self.run.books
        assert run.offers is not None
        for node, (gpus, cpu, memory) in before.items():
            books.gpu_left[node], books.cpu_left[node], books.memory_left[node] = gpus, cpu, memory
        vectors.price(np.array(sorted(before)), books, run.offers)
        return False
