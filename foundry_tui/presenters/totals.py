"""Sums over an estate: GPUs, states, waits and what lies idle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.idle import IDLE_PCT
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.waste import IDLE_AFTER_S, gpu_hours_idle, is_idle
from foundry_tui.presenters.health import grave

AT_ZERO_PCT = IDLE_PCT
"""Per cent: a GPU whose utilisation is at most this does nothing now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTotals:
    """The GPUs of an estate: allocated, free, out of service and unknown add up to the total.

    Out of service is what is not allocated on a node that takes no work; unknown is what nobody
    told the tenants of. `allocated_count` counts the devices with a tenant, `measured_count` those
    of them with a reading, `util_pct` is the mean of these readings, and `at_zero_count` are those
    that do nothing now (`AT_ZERO_PCT`). A single reading tells only of now: `idle_count` are those
    that have done nothing for long enough to be called idle, `idle_gpu_hours` what they have cost
    so far. `faulty_count` are all devices with a fault that needs an admin. `unheld_util_pct` is
    the mean use of the devices whose tenants nobody told.
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
    util_pct: float | None
    idle_gpu_hours: float
    faulty_count: int
    unheld_util_pct: float | None = None


def gpu_totals(
    nodes: Iterable[Node],
    devices: Iterable[Gpu],
    now: datetime,
    *,
    idle_after_s: float = IDLE_AFTER_S,
) -> GpuTotals:
    """Add up the GPUs; devices that a node counts and nobody describes are unknown."""
    allocated = free = out = unknown = held = measured = at_zero = idle_count = faulty = 0
    util_sum = lost_h = 0.0
    unheld: list[float] = []
    placeable: dict[tuple[str, str], bool] = {}
    missing: dict[tuple[str, str], int] = {}
    for node in nodes:
        key = (node.source, node.name)
        placeable[key], missing[key] = node.placeable, node.gpu_count
    for gpu in devices:
        key = (gpu.source, gpu.node)
        missing[key] = missing.get(key, 0) - 1
        faulty += grave(gpu)
        milli = gpu.milli_allocated
        if milli is None:
            unknown += WHOLE_MILLI
            unheld += () if gpu.util_pct is None else (gpu.util_pct,)
            continue
        used = min(milli, WHOLE_MILLI)
        allocated += used
        if placeable.get(key, True):
            free += WHOLE_MILLI - used
        else:
            out += WHOLE_MILLI - used
        if used:
            held += 1
            if gpu.util_pct is not None:
                measured += 1
                util_sum += gpu.util_pct
                at_zero += gpu.util_pct <= AT_ZERO_PCT
            if is_idle(gpu, now, idle_after_s):
                idle_count += 1
                lost_h += gpu_hours_idle(gpu, now) or 0.0
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
        util_pct=util_sum / measured if measured else None,
        idle_gpu_hours=lost_h,
        faulty_count=faulty,
        unheld_util_pct=sum(unheld) / len(unheld) if unheld else None,
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
