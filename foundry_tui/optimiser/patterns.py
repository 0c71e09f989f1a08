"""The GPU-pattern bound for a problem: `scheduler_sim.bound` asked about what is free now."""

from __future__ import annotations

import math

import numpy as np

from foundry_tui.optimiser.problem import Kind, Problem
from scheduler_sim.bound.live import Waiting, bound_live
from scheduler_sim.cluster import Cluster, NodeSpec, Request

_SLACK = 1e-6


def pattern_bound(problem: Problem, time_limit_s: float) -> float | None:
    """No tasks of the problem are worth more; None when there was no time to tell.

    Limits and what is kept for later are left out, and of the ways to ask for one task the easiest
    and the most valuable count together: all of it only makes the bound higher.

    Raises:
        ValueError: the problem is about stranded share, which this bound does not know.
    """
    if problem.mix:
        raise ValueError("mix: this bound is on the worth of what starts")
    if time_limit_s <= 0 or not problem.places or not problem.kinds:
        return None
    lefts = [place.levels[0] for place in problem.places]
    cluster = Cluster(
        [
            NodeSpec(str(n), len(left.gpus), "", left.cpu_milli, left.memory_mib)
            for n, left in enumerate(lefts)
        ]
    )
    for n, left in enumerate(lefts):
        cluster.gpu_left[n, : len(left.gpus)] = left.gpus
    if not any(o.gpus and o.profile is None for kind in problem.kinds for o in kind.options):
        return None
    waiting = [_waiting(kind, len(lefts)) for kind in problem.kinds]
    most = bound_live(cluster, waiting, time_limit_s).most
    return None if most <= 0 else math.floor(most * (1 + _SLACK) + _SLACK)


def _waiting(kind: Kind, places: int) -> Waiting:
    allowed = np.zeros(places, dtype=np.bool_)
    for option in kind.options:
        allowed[list(option.places)] = True
    devices = [o for o in kind.options if o.gpus and o.profile is None]
    if len(devices) < len(kind.options):
        devices = []
    request = Request(
        gpus=min((o.gpus for o in devices), default=0),
        gpu_milli=min((o.gpu_milli for o in devices), default=1000),
        cpu_milli=min(o.cpu_milli for o in kind.options),
        memory_mib=min(o.memory_mib for o in kind.options),
    )
    worth = max(o.worth for o in kind.options)
    return Waiting(request, float(worth), kind.count, kind.nodes, allowed)
