"""Random small traces. Only `random.Random.random` is drawn from: the same on every machine."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.cluster import NodeSpec, Request

T = TypeVar("T")

MODELS = ("A100", "H100", "T4")
CPU_MILLI = (4000, 32_000, 96_000, 128_000, 300_000)


def pick(generator: random.Random, choices: Sequence[T]) -> T:
    return choices[int(generator.random() * len(choices))]


def trace(number: int, most_nodes: int = 5, most_pods: int = 14) -> Trace:
    """Trace of that number: up to so many nodes and pods, some of which fit nowhere."""
    generator = random.Random(number)
    nodes = []
    for i in range(1 + int(generator.random() * most_nodes)):
        gpus = pick(generator, (1, 2, 4, 8)) if i == 0 else pick(generator, (0, 1, 2, 4))
        model, cpu_milli = pick(generator, MODELS), pick(generator, CPU_MILLI)
        nodes.append(NodeSpec(f"n{i}", gpus, model, cpu_milli, pick(generator, (4000, 64_000))))
    shapes = [Request(1, pick(generator, (250, 500, 810)), 2000, 100)]
    shapes += [_request(generator) for _ in range(1 + int(generator.random() * 7))]
    pods = [("p0", shapes[0])]
    for i in range(1, 1 + int(generator.random() * most_pods)):
        pods.append((f"p{i}", pick(generator, shapes)))
    return Trace.of(f"small{number}", nodes, pods)


def middling() -> Trace:
    """150 nodes and 600 pods of about 40 kinds."""
    generator = random.Random(7)
    nodes = [
        NodeSpec(f"n{i}", pick(generator, (2, 4, 8)), pick(generator, MODELS), cpu, 1 << 20)
        for i, cpu in enumerate(pick(generator, (32_000, 96_000, 128_000)) for _ in range(150))
    ]
    kinds = []
    for i in range(40):
        gpus = pick(generator, (0, 1, 1, 1, 1, 2, 8))
        milli = pick(generator, (320, 460, 810, 1000)) if gpus == 1 else 1000
        models = ("T4",) if gpus and i % 9 == 0 else ()
        kinds.append(Request(gpus, milli, 1000 * int(1 + generator.random() * 14), 1024, models))
    return Trace.of("middling", nodes, [(f"p{i:03}", pick(generator, kinds)) for i in range(600)])


def _request(generator: random.Random) -> Request:
    gpus = pick(generator, (0, 1, 1, 1, 1, 2, 4, 8))
    return Request(
        gpus=gpus,
        gpu_milli=pick(generator, (190, 250, 401, 500, 810, 1000)) if gpus == 1 else 1000,
        cpu_milli=pick(generator, (0, 1000, 3152, 8000, 20_000)),
        memory_mib=pick(generator, (0, 50, 900)),
        models=pick(generator, ((), (), ("A100",), ("A100", "T4"), ("none",))) if gpus else (),
    )
