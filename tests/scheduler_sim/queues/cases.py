"""Small random clusters with runs on them, and checks that hold for every outcome."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np

from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.queues.jobs import Jobs
from scheduler_sim.queues.outcome import Fault, Outcome

GPU = Request(1)
"""One whole GPU."""


def small(draw: random.Random, exact: bool = False) -> tuple[list[NodeSpec], Jobs]:
    """A few nodes and a few runs; with `exact` the limits are the durations."""
    nodes = [
        NodeSpec(
            f"n{i}",
            draw.randint(0 if i else 1, 4),
            draw.choice(("A", "B")),
            draw.choice((4000, 16_000, 64_000)),
            draw.choice((1000, 4000)),
        )
        for i in range(draw.randint(1, 5))
    ]
    kinds = [
        Request(
            draw.choice((0, 1, 1, 1, 2, 3)),
            draw.choice((250, 333, 500, 810, 1000, 1000, 1000)),
            draw.choice((0, 0, 1000, 3500, 12_000)),
            draw.choice((0, 0, 500, 900)),
            draw.choice(((), (), (), ("A",), ("B", "C"))),
        )
        for _ in range(draw.randint(1, 5))
    ]
    count = draw.randint(1, 16) if draw.random() < 0.9 else 60
    duration = [draw.choice((0, 1, 2, 3, 5, 8, 13, 20)) for _ in range(count)]
    over = draw.choice(((0,), (0, 1, 7), (0, 10, 40, -3)))
    limit = [max(1, d + (0 if exact else draw.choice(over))) for d in duration]
    jobs = Jobs.build(
        submit_s=[draw.randint(0, draw.choice((3, 25))) for _ in range(count)],
        duration_s=[max(d, 1) for d in duration] if exact else duration,
        limit_s=limit,
        kinds=kinds,
        kind=[draw.randrange(len(kinds)) for _ in range(count)],
        nodes=[draw.choice((1, 1, 1, 2, 3)) for _ in range(count)],
        user=[draw.randrange(3) for _ in range(count)],
        account=[draw.randrange(2) for _ in range(count)],
        priority=[draw.randint(-1, 2) for _ in range(count)],
        users=("u", "v", "w"),
        accounts=("a", "b"),
    )
    return nodes, jobs


def outages(draw: random.Random, nodes: list[NodeSpec]) -> list[Fault]:
    """Up to two faults of different nodes."""
    made = []
    for node in draw.sample(nodes, min(len(nodes), draw.randint(1, 2))):
        at_s = draw.randint(0, 30)
        back_s = draw.choice((None, at_s + draw.randint(1, 20)))
        made.append(Fault(at_s, node.name, back_s, draw.random() < 0.7))
    return made


def slots(count: int, gpus: int = 1) -> list[NodeSpec]:
    """Equal nodes with GPUs and more than enough of the rest."""
    return [NodeSpec(f"n{i:04}", gpus, "A", 10**6, 10**6) for i in range(count)]


def check(outcome: Outcome) -> None:
    """Nobody starts before submission or runs too long, and no node is ever over-allocated."""
    jobs = outcome.jobs
    changes: dict[int, list[tuple[int, int, int, int]]] = defaultdict(list)
    shares = [(a.job, a.start_s, a.end_s, a.parts) for a in outcome.lost]
    for row in np.flatnonzero(outcome.started).tolist():
        end_s = int(outcome.end_s[row])
        shares.append((row, int(outcome.start_s[row]), end_s, outcome.parts(row)))
        if end_s >= 0 and outcome.state[row] != 4:
            held_s = min(int(jobs.duration_s[row]), int(jobs.limit_s[row]))
            assert end_s - outcome.start_s[row] == held_s
    for row, start_s, end_s, parts in shares:
        assert start_s >= jobs.submit_s[row]
        assert len({node for node, _ in parts}) == jobs.nodes[row]
        request = jobs.kinds[jobs.kind[row]]
        for node, gpus in parts:
            assert gpus.bit_count() == request.gpus and gpus < 1 << outcome.nodes[node].gpus
            if request.gpus and request.models:
                assert outcome.nodes[node].model in request.models
            changes[node].append((start_s, 1, row, gpus))
            if end_s >= 0:
                changes[node].append((end_s, 0 if end_s > start_s else 2, row, gpus))
    for node, events in changes.items():
        spec = outcome.nodes[node]
        gpu, cpu, memory = [1000] * spec.gpus, spec.cpu_milli, spec.memory_mib
        # Ends come first at a second; a run of no length ends after it began.
        for _, order, row, gpus in sorted(_in_turn(events)):
            request, sign = jobs.kinds[jobs.kind[row]], -1 if order == 1 else 1
            cpu += sign * request.cpu_milli
            memory += sign * request.memory_mib
            for g in range(spec.gpus):
                if gpus >> g & 1:
                    gpu[g] += sign * request.gpu_milli
            assert cpu >= 0 and memory >= 0 and min(gpu, default=0) >= 0, spec.name


def _in_turn(events: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Without the runs of no length: they hold something at no moment of any length."""
    empty = {(at_s, row) for at_s, order, row, _ in events if order == 2}
    return [event for event in events if (event[0], event[2]) not in empty]
