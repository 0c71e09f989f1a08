"""Sums over an estate: GPUs, states, waits and what lies idle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import Placement, Run, RunState

AT_ZERO_PCT = 1.0
"""Per cent: a GPU whose utilisation is at most this does nothing now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTotals:
    """The GPUs of an estate: allocated, free, out of service and unknown add up to the total.

    Out of service is what is not allocated on a node that takes no work; unknown is what nobody
    told the tenants of. `allocated_count` counts the devices with a tenant, `measured_count` those
    of them with a reading, `at_zero_count` those of them that do nothing now (`AT_ZERO_PCT`), and
    `idle_count` those of which it is known since when. A single reading tells only of now.
    """

    total_milli: int
    allocated_milli: int
    free_milli: int
    out_of_service_milli: int
    unknown_milli: int
    allocated_count: int
    measured_count: int
    at_zero_count: int
    idle_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """The GPUs that a run holds without using them; all of them have been idle since `since`."""

    run: str
    since: datetime
    placement: tuple[Placement, ...]
    count: int


def gpu_totals(nodes: Iterable[Node], devices: Iterable[Gpu]) -> GpuTotals:
    """Add up the GPUs; devices that a node counts and nobody describes are unknown."""
    allocated = free = out = unknown = held = measured = at_zero = idle_count = 0
    placeable: dict[tuple[str, str], bool] = {}
    missing: dict[tuple[str, str], int] = {}
    for node in nodes:
        key = (node.source, node.name)
        placeable[key], missing[key] = node.placeable, node.gpu_count
    for gpu in devices:
        key = (gpu.source, gpu.node)
        missing[key] = missing.get(key, 0) - 1
        milli = gpu.milli_allocated
        if milli is None:
            unknown += WHOLE_MILLI
            continue
        used = min(milli, WHOLE_MILLI)
        allocated += used
        if placeable.get(key, True):
            free += WHOLE_MILLI - used
        else:
            out += WHOLE_MILLI - used
        if used:
            held += 1
            measured += gpu.util_pct is not None
            at_zero += gpu.util_pct is not None and gpu.util_pct <= AT_ZERO_PCT
            idle_count += gpu.idle_since is not None
    unknown += sum(WHOLE_MILLI * count for count in missing.values() if count > 0)
    return GpuTotals(
        total_milli=allocated + free + out + unknown,
        allocated_milli=allocated,
        free_milli=free,
        out_of_service_milli=out,
        unknown_milli=unknown,
        allocated_count=held,
        measured_count=measured,
        at_zero_count=at_zero,
        idle_count=idle_count,
    )


def nodes_by_state(nodes: Iterable[Node]) -> dict[str, int]:
    """State -> number of nodes, in the order of the states, those that occur."""
    found = Counter(node.state for node in nodes)
    return {state.value: found[state] for state in NodeState if found[state]}


def runs_by_state(runs: Iterable[Run]) -> dict[str, int]:
    """State -> number of runs, each task of an array counted, in the order of the states."""
    found: Counter[RunState] = Counter()
    for run in runs:
        found[run.state] += run.count
    return {state.value: found[state] for state in RunState if found[state]}


def waits(runs: Iterable[Run], now: datetime) -> list[tuple[float | None, Run]]:
    """Waiting runs with the seconds they have waited, the longest first."""
    found = [(run.wait_s(now), run) for run in runs if run.state is RunState.PENDING]
    return sorted(found, key=lambda pair: (-(pair[0] or 0.0), pair[1].id))


def idle(devices: Iterable[Gpu]) -> list[Idle]:
    """Allocated GPUs that do nothing, by the run that holds them, most GPUs first."""
    found: dict[str, list[Gpu]] = {}
    for gpu in devices:
        if gpu.idle_since is not None:
            for run in gpu.runs:
                found.setdefault(run, []).append(gpu)
    return sorted(
        (_idle(run, held) for run, held in found.items()),
        key=lambda one: (-one.count, one.since, one.run),
    )


def _idle(run: str, held: list[Gpu]) -> Idle:
    by_node: dict[str, tuple[int, ...]] = {}
    for gpu in held:
        by_node[gpu.node] = (*by_node.get(gpu.node, ()), gpu.index)
    return Idle(
        run=run,
        since=max(gpu.idle_since for gpu in held if gpu.idle_since is not None),
        placement=tuple(Placement(node, indices) for node, indices in by_node.items()),
        count=len(held),
    )
