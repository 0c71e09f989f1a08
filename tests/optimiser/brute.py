"""Where a run could go, by trying everything: slow, obvious, and written from the nouns alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from foundry_tui.estate.gpu import Gpu, fitting
from foundry_tui.estate.node import Node
from foundry_tui.estate.run import HOLDING, Run
from foundry_tui.estate.snapshot import Snapshot


def possible(snapshot: Snapshot, run: Run, queues: Iterable[str]) -> bool:
    """Whether the run fits now in one of these queues, all of its nodes in the same one."""
    return any(_in_queue(snapshot, run, name) for name in queues)


def _in_queue(snapshot: Snapshot, run: Run, name: str) -> bool:
    queue = next(q for q in snapshot.queues if q.name == name)
    limit_s, most_s = run.request.time_limit_s, queue.time_limit_s
    if queue.state != "up" or (most_s is not None and (limit_s is None or limit_s > most_s)):
        return False
    room = [n for n in snapshot.nodes if name in n.queues and _fits(snapshot, n, run)]
    return len(room) >= run.request.nodes


def _fits(snapshot: Snapshot, node: Node, run: Run) -> bool:
    asks = run.request
    cpu = (node.cpu_milli or 0) - (node.cpu_milli_allocated or 0)
    memory = (node.memory_bytes or 0) - (node.memory_bytes_allocated or 0)
    feature = (run.native or {}).get("features")
    if not node.placeable or (feature and feature not in node.features):
        return False
    if cpu * asks.nodes < (asks.cpu_milli or 0) or memory * asks.nodes < (asks.memory_bytes or 0):
        return False
    if not asks.gpu_count:
        return True
    if asks.gpu_model not in (None, node.gpu_model):
        return False
    group = [g for g in snapshot.gpus if g.node == node.name]
    milli, count = asks.milli_per_gpu or 0, asks.gpu_count // asks.nodes
    return fitting(group, milli=milli, count=count) is not None


def first_start(snapshot: Snapshot, run: Run, queues: tuple[str, ...]) -> datetime | None:
    """When the run alone could start at the latest if running work ends at its limits."""
    moments = {r.ends_by for r in snapshot.runs if r.state in HOLDING and r.ends_by is not None}
    for at in sorted({snapshot.generated_at, *moments}):
        if possible(_at(snapshot, at), run, queues):
            return at
    return None


def _at(snapshot: Snapshot, at: datetime) -> Snapshot:
    """The estate once everything that ends until then is gone."""
    gone = {r.id: r for r in snapshot.runs if r.ends_by is not None and r.ends_by <= at}
    cpu: dict[str, int] = {}
    memory: dict[str, int] = {}
    for run in gone.values():
        # A started array stands for several tasks: each of its placements is one of them.
        parts = run.request.nodes if run.array is not None else len(run.placement)
        for place in run.placement:
            cpu[place.node] = cpu.get(place.node, 0) + (run.request.cpu_milli or 0) // parts
            part = (run.request.memory_bytes or 0) // parts
            memory[place.node] = memory.get(place.node, 0) + part
    return replace(
        snapshot,
        gpus=tuple(_without(gpu, gone) for gpu in snapshot.gpus),
        nodes=tuple(
            replace(
                n,
                cpu_milli_allocated=(n.cpu_milli_allocated or 0) - cpu.get(n.name, 0),
                memory_bytes_allocated=(n.memory_bytes_allocated or 0) - memory.get(n.name, 0),
            )
            for n in snapshot.nodes
        ),
    )


def _without(gpu: Gpu, gone: dict[str, Run]) -> Gpu:
    if gpu.tenants is None:
        return gpu
    return replace(gpu, tenants=tuple(t for t in gpu.tenants if t.run not in gone))
