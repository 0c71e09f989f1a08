"""One experiment: a trace, a policy, a seed, and what came of it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass

from scheduler_sim.arrivals.decisions import REFUSED, Decisions, Move
from scheduler_sim.arrivals.ledger import check
from scheduler_sim.arrivals.metrics import Curve, curve, metrics
from scheduler_sim.arrivals.rules import NAMES
from scheduler_sim.arrivals.stranding import stranding, typical_pods
from scheduler_sim.arrivals.stream import INFLATE, Stream, stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.cluster import NodeSpec, Request

__all__ = [
    "POLICIES",
    "REFUSED",
    "Curve",
    "Decisions",
    "Move",
    "SeedResult",
    "check",
    "curve",
    "metrics",
    "policy",
    "replay",
]

BEST = "best"
POLICIES = (*NAMES, BEST)
"""Names of all policies: the published ones and ours."""

Policy = Callable[[Trace, Stream], Decisions]


@dataclass(frozen=True, slots=True, eq=False)
class SeedResult:
    """What one seed gave: `metrics` by name (those of `metrics.metrics`, `placements_per_s` and
    `cpu_s`), and the course of allocation and stranding."""

    policy: str
    seed: int
    metrics: dict[str, float | int | None]
    curve: Curve


def policy(name: str, migrations: int = 0) -> Policy:
    """The policy of that name, in capitals or not, which may move so many pods.

    Raises:
        ValueError: there is none, or it moves nothing.
    """
    known = name.lower()
    if known not in POLICIES:
        raise ValueError(f"policy: must be one of {', '.join(POLICIES)}, got {name}")
    if migrations < 0:
        raise ValueError(f"migrations: cannot be below 0, got {migrations}")
    if migrations and known != BEST:
        raise ValueError(f"migrations: policy {known} moves nothing, {migrations} are allowed")
    # numba is loaded here and not before
    if known == BEST:
        from scheduler_sim.arrivals import best, repair

        if migrations:
            return functools.partial(repair.decide, migrations=migrations)
        return best.decide
    from scheduler_sim.arrivals import published

    return functools.partial(published.decide, name=known)


def replay(
    trace: Trace, policy_name: str, seed: int, inflate: float = INFLATE, migrations: int = 0
) -> SeedResult:
    """Place the arrivals of one seed and measure what came of it.

    `cpu_s` is the CPU time of the decisions, without reading, compiling and measuring;
    `placements_per_s` counts the pods that were placed in it.

    Raises:
        ValueError: no such policy, it cannot move pods, or `inflate` is not a positive number.
        TraceError: no pod asks for a GPU, or there are too many kinds of pod to be measured.
    """
    decide = policy(policy_name, migrations)
    stranding(trace, typical_pods(trace))  # what cannot be measured is refused before the work
    arrivals = stream(trace, seed, inflate)
    _compile(policy_name.lower())
    start = time.process_time()
    decisions = decide(trace, arrivals)
    cpu_s = time.process_time() - start
    course = curve(trace, arrivals, decisions)
    found = metrics(trace, arrivals, decisions, course=course)
    placed = int((decisions.node != REFUSED).sum())
    found["placements_per_s"] = placed / cpu_s if cpu_s > 0 else None
    found["cpu_s"] = cpu_s
    return SeedResult(policy_name.lower(), seed, found, course)


@functools.cache
def _compile(policy_name: str) -> None:
    """Let a policy place one pod, so that its loops are compiled before its time is taken."""
    node, pod = NodeSpec("node", 8, "", 1000, 1000), Request(1, 500, 100, 100)
    tiny = Trace.of("tiny", [node], [("pod", pod)])
    policy(policy_name)(tiny, stream(tiny, 0, 0.5))
