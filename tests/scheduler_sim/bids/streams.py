"""Small traces for `best`, and what it decides on them as it is compared."""

from __future__ import annotations

import hashlib
import random

import pytest

from scheduler_sim import kernels
from scheduler_sim.arrivals import best
from scheduler_sim.arrivals.decisions import Decisions
from scheduler_sim.arrivals.stream import Stream, stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.cluster import Cluster, NodeSpec, Request
from tests.scheduler_sim.arrivals.small import CPU_MILLI, MODELS, pick

FINE = 10
"""One trace in so many has shares in steps of 50 thousandths; the others of 250, to be quick."""


def small_trace(number: int) -> Trace:
    """Trace of that number: up to 6 nodes and 30 pods of up to 8 kinds; some fit nowhere."""
    generator = random.Random(number)
    nodes = []
    for i in range(1 + int(generator.random() * 6)):
        gpus = pick(generator, (1, 2, 4, 8) if i == 0 else (0, 1, 2, 4))
        model, cpu_milli = pick(generator, MODELS), pick(generator, CPU_MILLI)
        nodes.append(NodeSpec(f"n{i}", gpus, model, cpu_milli, pick(generator, (4000, 64_000))))
    shares = (200, 350, 450, 500, 800) if number % FINE == 0 else (250, 500, 750)
    kinds = [Request(1, pick(generator, shares), 2000, 100)]
    for _ in range(int(generator.random() * 8)):
        gpus = pick(generator, (0, 1, 1, 1, 1, 2, 4, 8))
        kind = Request(
            gpus=gpus,
            gpu_milli=pick(generator, (*shares, 1000)) if gpus == 1 else 1000,
            cpu_milli=pick(generator, (0, 1000, 3152, 8000, 20_000)),
            memory_mib=pick(generator, (0, 50, 900)),
            models=pick(generator, ((), (), ("A100",), ("A100", "T4"), ("none",))) if gpus else (),
        )
        kinds.append(kind)
    pods = [("p0", kinds[0])]
    pods += [(f"p{i}", pick(generator, kinds)) for i in range(1, 1 + int(generator.random() * 30))]
    return Trace.of(f"small{number}", nodes, pods)


def force(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the compiled or the numpy form decide; what was known of a trace is forgotten."""
    monkeypatch.setattr(kernels, "FAST", fast)
    best._known.cache_clear()


def arrivals_of(trace: Trace, count: int) -> list[Stream]:
    """So many streams of a trace: too few pods to fill it, as published, and crowded ones."""
    return [stream(trace, seed, (0.7, 1.3, 2.0, 4.0)[seed % 4]) for seed in range(count)]


def digest(arrivals: Stream, decisions: Decisions) -> str:
    """A fingerprint of what came and where it went."""
    written = arrivals.pods.astype("<i4").tobytes() + decisions.node.astype("<i4").tobytes()
    return hashlib.sha256(written + decisions.gpus.astype("<u2").tobytes()).hexdigest()[:16]


def replay_on_cluster(trace: Trace, arrivals: Stream, decisions: Decisions) -> int:
    """Play decisions on a `Cluster`, which raises where one does not fit; how many were refused.

    Raises:
        AssertionError: a pod was refused that fits somewhere.
        ValueError: a pod was placed where it does not fit.
    """
    cluster = Cluster([trace.nodes[row] for row in arrivals.order.tolist()])
    refused = 0
    rows = zip(
        arrivals.kinds.tolist(), decisions.node.tolist(), decisions.gpus.tolist(), strict=True
    )
    for arrival, (kind, node, bits) in enumerate(rows):
        request = trace.kinds[kind]
        if node < 0:
            refused += 1
            assert not cluster.feasible(request).any(), f"arrival {arrival} was refused, it fits"
        else:
            cluster.place(node, [g for g in range(16) if bits >> g & 1], request)
    return refused
