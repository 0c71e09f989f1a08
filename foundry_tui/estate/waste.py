"""What lies idle while somebody holds it: since when, whose it is, and the GPU-hours lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.run import Placement, Run

IDLE_AFTER_S = 1800.0
"""Seconds without work after which a held GPU counts as idle where nothing else is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """The GPUs that a run holds without using them; all of them have been idle since `since`.

    `milli` is what the run holds of them, in thousandths of a GPU; `gpu_hours` is what that has
    cost since each of them fell idle.
    """

    run: str
    user: str | None
    since: datetime
    placement: tuple[Placement, ...]
    count: int
    milli: int
    gpu_hours: float


def idle_s(gpu: Gpu, now: datetime) -> float | None:
    """Seconds for which a held GPU has done nothing; None when it works or nobody knows."""
    if gpu.idle_since is None or not gpu.milli_allocated:
        return None
    return max(0.0, (now - gpu.idle_since).total_seconds())


def is_idle(gpu: Gpu, now: datetime, after_s: float) -> bool:
    """Whether a held GPU has done nothing for at least `after_s` seconds."""
    since_s = idle_s(gpu, now)
    return since_s is not None and since_s >= after_s


def gpu_hours_idle(gpu: Gpu, now: datetime) -> float | None:
    """GPU-hours that a GPU has been held without work until now: its held share x idle time."""
    since_s = idle_s(gpu, now)
    if since_s is None:
        return None
    return since_s / 3600 * min(gpu.milli_allocated or 0, WHOLE_MILLI) / WHOLE_MILLI


def idle(gpus: Iterable[Gpu], runs: Iterable[Run], now: datetime, after_s: float) -> list[Idle]:
    """Held GPUs that do nothing, by the run that holds them, those that waste most first."""
    found: dict[str, list[Gpu]] = {}
    for gpu in gpus:
        if is_idle(gpu, now, after_s):
            for run in gpu.runs:
                found.setdefault(run, []).append(gpu)
    users = {run.id: run.user for run in runs if run.id in found}
    return sorted(
        (_idle(run, users.get(run), held, now) for run, held in found.items()),
        key=lambda one: (-one.gpu_hours, one.since, one.run),
    )


def _idle(run: str, user: str | None, held: list[Gpu], now: datetime) -> Idle:
    by_node: dict[str, tuple[int, ...]] = {}
    milli, lost_s = 0, 0.0
    for gpu in held:
        by_node[gpu.node] = (*by_node.get(gpu.node, ()), gpu.index)
        mine = sum(t.milli for t in gpu.tenants or () if t.run == run)
        milli += mine
        lost_s += (idle_s(gpu, now) or 0.0) * mine / WHOLE_MILLI
    return Idle(
        run=run,
        user=user,
        since=max(gpu.idle_since for gpu in held if gpu.idle_since is not None),
        placement=tuple(Placement(node, indices) for node, indices in by_node.items()),
        count=len(held),
        milli=milli,
        gpu_hours=lost_s / 3600,
    )
