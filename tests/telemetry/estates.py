"""Small estates and readings for the tests of attribution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from foundry_tui.estate.gpu import Gpu, Share, Tenant
from foundry_tui.estate.matched import Matched
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.reading import Holder, Reading
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.telemetry.attribution.match import match

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


def node(name: str = "n1", source: str = "s", gpus: int = 8) -> Node:
    return Node(name=name, source=source, state=NodeState.MIXED, gpu_count=gpus)


def gpu(index: int, *runs: str, name: str = "n1", source: str = "s", milli: int = 1000) -> Gpu:
    """A GPU held by these jobs, each with `milli` of it."""
    share = Share.WHOLE if milli == 1000 else Share.SHARD
    tenants = tuple(Tenant(f"{source}/{job}", milli, share) for job in runs)
    return Gpu(node=name, index=index, source=source, tenants=tenants)


def run(
    job: str,
    source: str = "s",
    state: RunState = RunState.RUNNING,
    *,
    age_s: float = 3600.0,
    seen_as: tuple[str, ...] = (),
) -> Run:
    return Run(
        id=f"{source}/{job}",
        native_id=job,
        source=source,
        scheduler="slurm",
        name=safe("train"),
        state=state,
        started_at=NOW - timedelta(seconds=age_s),
        seen_as=seen_as,
    )


def seen(job: str, sm_util_pct: float | None = None, gi: int | None = None) -> Holder:
    return Holder(job=job, how="cgroup", sm_util_pct=sm_util_pct, gi=gi)


def reading(
    index: int,
    util_pct: float | None = 50.0,
    *,
    minor: int | None = None,
    name: str = "n1",
    holders: Iterable[Holder] | None = None,
    uuid: str | None = None,
) -> Reading:
    return Reading(
        node=name,
        index=index,
        minor=minor,
        source="agents",
        read_at=NOW,
        how="agents",
        uuid=uuid or f"GPU-{name}-{index}",
        util_pct=util_pct,
        holders=None if holders is None else tuple(holders),
    )


def matched(gpus: Sequence[Gpu], runs: Sequence[Run], readings: Sequence[Reading]) -> Matched:
    """The match over the nodes that the GPUs name."""
    nodes = [node(name, source) for source, name in {(g.source, g.node) for g in gpus}]
    return match(nodes, gpus, runs, readings)


def indices(found: Matched, name: str = "n1", source: str = "s") -> dict[int, int]:
    """Scheduler's index -> NVML's index of the reading that was joined to it."""
    return {k: r.index for (s, n, k), r in found.by_gpu.items() if (s, n) == (source, name)}
