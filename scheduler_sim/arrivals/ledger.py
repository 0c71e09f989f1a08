"""Decisions replayed pod by pod on plain lists, held against every rule of placement.

Shares nothing with the loops that made the decisions, so that a mistake there shows here.
"""

from __future__ import annotations

from collections.abc import Iterator

from scheduler_sim.arrivals.decisions import REFUSED, Decisions, Move
from scheduler_sim.arrivals.stream import Stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.cluster import WHOLE_MILLI

Row = tuple[int, int, list[int], int]
"""Arrival, node in tie-break order, and what the node has left then: its GPUs and its CPU."""


def check(trace: Trace, stream: Stream, decisions: Decisions) -> None:
    """Hold every decision against the rules.

    Raises:
        ValueError: a placement takes what is not there, a model that will not do, or the wrong
            number of GPUs, or a move cannot be; the message names arrival and field.
    """
    for _ in states(trace, stream, decisions):
        pass


def states(trace: Trace, stream: Stream, decisions: Decisions) -> Iterator[Row]:
    """What a node has left after each change to it, in order.

    Raises:
        ValueError: as `check`.
    """
    count = stream.kinds.size
    if decisions.node.shape != (count,) or decisions.gpus.shape != (count,):
        raise ValueError(f"node, gpus: one of each is needed for {count} arrivals")
    ledger = _Ledger(trace, stream)
    moves = list(decisions.moves)
    if [move.after_arrival for move in moves] != sorted(move.after_arrival for move in moves):
        raise ValueError("moves: must be in the order in which they happen")
    done = 0
    for arrival, node in enumerate(decisions.node.tolist()):
        at_once = []
        while done < len(moves) and moves[done].after_arrival == arrival:
            at_once.append(moves[done])
            done += 1
        yield from ledger.move(at_once)
        gpus = int(decisions.gpus[arrival])
        if node != REFUSED:
            yield ledger.place(arrival, arrival, node, gpus)
        elif gpus:
            raise ValueError(f"arrival {arrival}: gpus: was refused but holds {gpus:#b}")
    if done < len(moves):
        raise ValueError(f"moves: there is no arrival {moves[done].after_arrival}")


class _Ledger:
    """What is left, and who is where."""

    __slots__ = ("_cpu", "_held", "_kinds", "_left", "_memory", "_nodes", "_trace")

    def __init__(self, trace: Trace, stream: Stream) -> None:
        self._trace = trace
        self._kinds = stream.kinds.tolist()
        self._nodes = [trace.nodes[row] for row in stream.order.tolist()]
        self._left = [[WHOLE_MILLI] * node.gpus for node in self._nodes]
        self._cpu = [node.cpu_milli for node in self._nodes]
        self._memory = [node.memory_mib for node in self._nodes]
        self._held: dict[int, tuple[int, int]] = {}

    def place(self, now: int, arrival: int, node: int, gpus: int) -> Row:
        request = self._trace.kinds[self._kinds[arrival]]
        if not 0 <= node < len(self._nodes):
            raise ValueError(f"arrival {arrival}: node: there is no row {node}")
        spec, left = self._nodes[node], self._left[node]
        where = f"arrival {arrival} on {spec.name}"
        if gpus >> spec.gpus or gpus.bit_count() != request.gpus:
            raise ValueError(f"{where}: gpus: {request.gpus} of {spec.gpus}, got {gpus:#b}")
        if request.gpus and request.models and spec.model not in request.models:
            raise ValueError(f"{where}: models: it has {spec.model}, not {request.models}")
        for gpu in _indices(gpus):
            left[gpu] -= request.gpu_milli
            if left[gpu] < 0:
                raise ValueError(f"{where}: gpu_milli: GPU {gpu} is {-left[gpu]} short")
        self._cpu[node] -= request.cpu_milli
        if self._cpu[node] < 0:
            raise ValueError(f"{where}: cpu_milli: {-self._cpu[node]} short")
        self._memory[node] -= request.memory_mib
        if self._memory[node] < 0:
            raise ValueError(f"{where}: memory_mib: {-self._memory[node]} short")
        self._held[arrival] = node, gpus
        return now, node, left.copy(), self._cpu[node]

    def move(self, moves: list[Move]) -> Iterator[Row]:
        for move in moves:
            yield self._leave(move)
        for move in moves:
            yield self.place(move.after_arrival, move.arrival, move.node, move.gpus)

    def _leave(self, move: Move) -> Row:
        if move.arrival not in self._held:
            raise ValueError(f"moves: arrival {move.arrival} is nowhere to be moved from")
        node, gpus = self._held.pop(move.arrival)
        request = self._trace.kinds[self._kinds[move.arrival]]
        for gpu in _indices(gpus):
            self._left[node][gpu] += request.gpu_milli
        self._cpu[node] += request.cpu_milli
        self._memory[node] += request.memory_mib
        return move.after_arrival, node, self._left[node].copy(), self._cpu[node]


def _indices(gpus: int) -> list[int]:
    return [gpu for gpu in range(gpus.bit_length()) if gpus >> gpu & 1]
