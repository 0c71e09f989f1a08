"""The published formulas, written slowly and plainly in floating point and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

from scheduler_sim.cluster import Cluster, Request
from scheduler_sim.fragmentation import Mix


def fits(cluster: Cluster, node: int, request: Request) -> bool:
    """Whether a request fits on a node, one rule after the other."""
    if not cluster.usable[node]:
        return False
    if cluster.cpu_left[node] < request.cpu_milli:
        return False
    if cluster.memory_left[node] < request.memory_mib:
        return False
    if request.gpus == 0:
        return True
    if request.models and cluster.nodes[node].model not in request.models:
        return False
    return len([g for g in left(cluster, node) if g >= request.gpu_milli]) >= request.gpus


def left(cluster: Cluster, node: int) -> list[int]:
    """What each GPU that the node really has still has left."""
    return [int(x) for x in cluster.gpu_left[node][: cluster.nodes[node].gpus]]


def fragmentation(gpus: list[int], cpu_left: int, model: str, mix: Mix) -> Fraction:
    """F of one node: the mean stranded share over the typical runs."""
    total = Fraction(0)
    for request, count in zip(mix.requests, mix.counts, strict=True):
        small = [g for g in gpus if g < request.gpu_milli]
        if (
            request.gpus == 0
            or cpu_left < request.cpu_milli
            or (request.models and model not in request.models)
            or len(gpus) - len(small) < request.gpus
        ):
            stranded = sum(gpus)
        else:
            stranded = sum(small)
        total += Fraction(count, sum(mix.counts)) * stranded
    return total


def fullest(gpus: list[int], request: Request) -> list[int]:
    """Indices of the fitting GPUs with least left, the lowest index on ties."""
    fitting = [(milli, i) for i, milli in enumerate(gpus) if milli >= request.gpu_milli]
    return sorted(i for _, i in sorted(fitting)[: request.gpus])


def best_fit(cluster: Cluster, request: Request) -> tuple[int, list[int]] | None:
    """Node and GPUs by the BestFit score, with the published rescaling to 0..100."""
    scores: dict[int, int] = {}
    for node in range(len(cluster.nodes)):
        if fits(cluster, node, request):
            cpu = int(cluster.cpu_left[node]) - request.cpu_milli
            gpu = sum(left(cluster, node)) - request.gpus * request.gpu_milli
            scores[node] = int(100 * (1 - (Fraction(cpu, 128_000) + Fraction(gpu, 8000)) / 2))
    if not scores:
        return None
    low, high = min(scores.values()), max(scores.values())
    scaled = {n: 100 if high == low else (s - low) * 100 // (high - low) for n, s in scores.items()}
    node = min(scaled, key=lambda n: (-scaled[n], n))
    return node, fullest(left(cluster, node), request)


def fgd(cluster: Cluster, request: Request, mix: Mix) -> tuple[int, list[int], int] | None:
    """Node, GPUs and score by fragmentation gradient descent."""
    best: tuple[int, int, list[int]] | None = None
    for node, spec in enumerate(cluster.nodes):
        if not fits(cluster, node, request):
            continue
        gpus, cpu = left(cluster, node), int(cluster.cpu_left[node])
        if request.gpus == 1 and request.gpu_milli < 1000:
            tries = [[i] for i, milli in enumerate(gpus) if milli >= request.gpu_milli]
        else:
            tries = [fullest(gpus, request)]
        for chosen in tries:
            after = [g - request.gpu_milli * (i in chosen) for i, g in enumerate(gpus)]
            fall = fragmentation(gpus, cpu, spec.model, mix) - fragmentation(
                after, cpu - request.cpu_milli, spec.model, mix
            )
            score = int(100 / (1 + math.exp(-float(fall) / 1000)))
            if best is None or score > best[0]:
                best = (score, node, chosen)
    return None if best is None else (best[1], best[2], best[0])
