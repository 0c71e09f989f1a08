"""One cell run: the lists read, the arrivals made, the policy asked, what came of it measured.

The only module of the command line that knows the rooms of the experiment; it loads numpy.
"""

from __future__ import annotations

import functools
import math
import time
from pathlib import Path
from typing import Any

from scheduler_sim.arrivals import replay as experiment
from scheduler_sim.arrivals.stranding import stranding, typical_pods
from scheduler_sim.arrivals.stream import stream
from scheduler_sim.arrivals.trace import Trace, read_trace
from scheduler_sim.cli.cells import Cell, Measured, Value
from scheduler_sim.cli.plot import Curve
from scheduler_sim.cluster import NodeSpec, Request


@functools.lru_cache(maxsize=2)
def load(nodes: Path, pods: Path) -> Trace:
    """The trace of two lists, read once.

    Raises:
        TraceError: a list cannot be used.
    """
    return read_trace(nodes, pods)


def measure(cell: Cell) -> Measured:
    """Run one cell.

    Raises:
        ValueError: a list cannot be used, or the policy cannot do what is asked of it.
    """
    trace = load(cell.nodes, cell.pods)
    if cell.max_cut:
        return _measure_cut(trace, cell)
    result = experiment.replay(trace, cell.policy, cell.seed, cell.inflate, cell.migrations)
    return Measured(trace.name, result.metrics, _course(cell, result.curve))


def certificate(
    nodes: Path, pods: Path, seed: int, prefix: float, inflate: float, limit_s: float
) -> dict[str, Any]:
    """The bound of one seed's arrivals, as a record.

    Raises:
        ValueError: a list cannot be used.
    """
    from scheduler_sim.bound.arrivals import bound

    trace = load(nodes, pods)
    found = bound(trace, seed, prefix, inflate, limit_s)
    return {
        "trace": trace.name,
        "seed": seed,
        "inflate": inflate,
        "prefix": prefix,
        "bound_pct": found.bound_pct,
        "feasible": found.feasible,
        "proven": found.proven,
        "gap_pct": found.gap_pct,
        "unplaceable_kinds": len(found.excluded),
        "cpu_s": found.cpu_s,
    }


def _measure_cut(trace: Trace, cell: Cell) -> Measured:
    """The same pods in the same order, with fractions lowered; what is served counts uncut."""
    from scheduler_sim.fractions.cuts import lowered

    changes, cut_trace = _lowered_trace(cell.nodes, cell.pods, cell.max_cut)
    arrivals = lowered(stream(trace, cell.seed, cell.inflate), cut_trace)
    decide = experiment.policy(cell.policy, cell.migrations)
    _compiled(cell.policy)
    start = time.process_time()
    decisions = decide(cut_trace, arrivals)
    cpu_s = time.process_time() - start
    course = experiment.curve(cut_trace, arrivals, decisions, trace)
    metrics: dict[str, Value] = dict(
        experiment.metrics(cut_trace, arrivals, decisions, trace, course)
    )
    placed = int((decisions.node != experiment.REFUSED).sum())
    metrics["placements_per_s"] = placed / cpu_s if cpu_s > 0 else None
    metrics["cpu_s"] = cpu_s
    return Measured(trace.name, metrics, _course(cell, course), changes)


@functools.lru_cache(maxsize=2)
def _lowered_trace(
    nodes: Path, pods: Path, max_cut: float
) -> tuple[tuple[tuple[int, int], ...], Trace]:
    """The cuts that pay, as (old, new) thousandths, and the trace with them."""
    from scheduler_sim.fractions.cuts import apply, cuts, trace_shares

    trace = load(nodes, pods)
    stranding(trace, typical_pods(trace))  # what cannot be measured is refused before the work
    made = cuts(trace_shares(trace), max_cut)
    return tuple((cut.old_milli, cut.new_milli) for cut in made), apply(trace, made)


def _course(cell: Cell, course: experiment.Curve) -> Curve | None:
    if not cell.curve:
        return None
    columns = range(math.ceil(100 * cell.inflate) + 1)
    return Curve(
        cell.policy,
        tuple(course.at(course.allocated, c) for c in columns),
        tuple(course.at(course.stranded, c, course.weight) for c in columns),
    )


@functools.cache
def _compiled(policy: str) -> None:
    """Let a policy place one pod, so that compiling is not in the time of the first seed."""
    tiny = Trace.of("tiny", [NodeSpec("n", 1, "", 1, 1)], [("p", Request(gpus=1))])
    experiment.replay(tiny, policy, 0, 1.0)
