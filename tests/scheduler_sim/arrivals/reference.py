"""The published experiment, written slowly and plainly: one pod, one node, one GPU at a time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from scheduler_sim.arrivals.stream import Stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.fragmentation import Mix, typical

Score = Callable[["Node", Request], int]


@dataclass
class Node:
    """What a node has left and which sorts of pod it holds."""

    spec: NodeSpec
    gpus: list[int]
    cpu: int
    memory: int
    sorts: set[str] = field(default_factory=set)

    def fits(self, pod: Request) -> bool:
        if self.cpu < pod.cpu_milli or self.memory < pod.memory_mib:
            return False
        if pod.gpus == 0:
            return True
        if pod.models and self.spec.model not in pod.models:
            return False
        return len(self.fitting(pod)) >= pod.gpus

    def fitting(self, pod: Request) -> list[int]:
        return [i for i, left in enumerate(self.gpus) if left >= pod.gpu_milli]

    def without(self, pod: Request, gpus: list[int]) -> Node:
        rest = [left - pod.gpu_milli * (i in gpus) for i, left in enumerate(self.gpus)]
        cpu, memory = self.cpu - pod.cpu_milli, self.memory - pod.memory_mib
        return Node(self.spec, rest, cpu, memory, self.sorts | ({sort(pod)} if pod.gpus else set()))


def sort(pod: Request) -> str:
    return "share" if pod.gpu_milli < 1000 else f"{pod.gpus}-gpu"


def decide(trace: Trace, stream: Stream, name: str) -> list[tuple[int, list[int]]]:
    """Node in tie-break order (-1: refused) and GPUs of each arrival."""
    specs = [trace.nodes[row] for row in stream.order]
    nodes = [Node(spec, [1000] * spec.gpus, spec.cpu_milli, spec.memory_mib) for spec in specs]
    mix = typical(trace.kinds[row] for row in trace.kind_of)
    draw = random.Random(stream.seed ^ 0x5EED_0000)
    decisions: list[tuple[int, list[int]]] = []
    for kind in stream.kinds:
        pod = trace.kinds[kind]
        draws = [int(draw.random() * 2**32), int(draw.random() * 2**32)]
        fitting = [row for row, node in enumerate(nodes) if node.fits(pod)]
        if not fitting:
            decisions.append((-1, []))
            continue
        if name == "random":
            row = fitting[draws[0] * len(fitting) // 2**32]
            gpus = nodes[row].fitting(pod)
            if sort(pod) == "share":
                gpus = [gpus[draws[1] * len(gpus) // 2**32]]
        elif name == "fgd":
            scores = {i: fgd(nodes[i], pod, mix) for i in fitting}
            row = max(fitting, key=lambda i: (scores[i][0], -i))
            gpus = scores[row][1]
        else:
            score = {i: SCORES[name](nodes[i], pod) for i in fitting}
            if name == "bestfit":
                score = rescaled(score)
            row = max(fitting, key=lambda i: (score[i], -i))
            gpus = fullest(nodes[row], pod)
        gpus = gpus[: pod.gpus]
        nodes[row] = nodes[row].without(pod, gpus)
        decisions.append((row, gpus))
    return decisions


def fullest(node: Node, pod: Request) -> list[int]:
    """The fitting GPUs with least left, lowest index first on ties."""
    return sorted(node.fitting(pod), key=lambda i: (node.gpus[i], i))[: pod.gpus]


def dot_prod(node: Node, pod: Request) -> int:
    cpu = Fraction(node.cpu, 128_000) * Fraction(pod.cpu_milli, 128_000)
    gpu = Fraction(sum(node.gpus), 8000) * Fraction(pod.gpus * pod.gpu_milli, 8000)
    return int(100 * (1 - (cpu + gpu) / 2))


def best_fit(node: Node, pod: Request) -> int:
    cpu = Fraction(node.cpu - pod.cpu_milli, 128_000)
    gpu = Fraction(sum(node.gpus) - pod.gpus * pod.gpu_milli, 8000)
    return int(100 * (1 - (cpu + gpu) / 2))


def rescaled(scores: dict[int, int]) -> dict[int, int]:
    low, high = min(scores.values()), max(scores.values())
    return {i: 100 if low == high else (s - low) * 100 // (high - low) for i, s in scores.items()}


def clustering(node: Node, pod: Request) -> int:
    if pod.gpus == 0:
        return 0
    base = 25 * (8000 - sum(node.gpus)) // 8000
    if not node.sorts:
        return base + 25
    if node.sorts == {sort(pod)}:
        return base + 75
    return base + 50 if sort(pod) in node.sorts else base


def packing(node: Node, pod: Request) -> int:
    if pod.gpus == 0:
        return 0
    count = len(node.gpus)
    if node.gpus == [1000] * count:
        return max(33 - count, count)
    taken = [node.gpus[i] for i in fullest(node, pod)]
    whole = taken.count(1000)
    if whole:
        return max(50 - whole, 33)
    return max(100 - (sum(taken) * 100 // 1000) // 10, 50)


SCORES: dict[str, Score] = {
    "dotprod": dot_prod,
    "bestfit": best_fit,
    "gpuclustering": clustering,
    "gpupacking": packing,
}


def stranded(node: Node, mix: Mix) -> int:
    """F times the sum of the counts."""
    total = 0
    for pod, count in zip(mix.requests, mix.counts, strict=True):
        fitting = node.fitting(pod)
        if (
            pod.gpus == 0
            or node.cpu < pod.cpu_milli
            or (pod.models and node.spec.model not in pod.models)
            or len(fitting) < pod.gpus
        ):
            total += count * sum(node.gpus)
        else:
            total += count * sum(left for left in node.gpus if left < pod.gpu_milli)
    return total


def fgd(node: Node, pod: Request, mix: Mix) -> tuple[int, list[int]]:
    """Best score of the node, and the GPUs that give it."""
    tries = [[i] for i in node.fitting(pod)] if sort(pod) == "share" else [fullest(node, pod)]
    if pod.gpus == 0:
        tries = [[]]
    before, best = stranded(node, mix), (-1, [0])
    for gpus in tries:
        fall = Fraction(before - stranded(node.without(pod, gpus), mix), mix.total)
        score = int(100 / (1 + math.exp(-float(fall) / 1000)))
        if score > best[0]:
            best = score, gpus
    return best
