"""Whether a run would find a free place now. Run:ai tells no start times, so that is all there is.

Counted are free GPUs of ready nodes and the project's limit and quota. CPU and memory of nodes are
not told by the control plane, nor who would be preempted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu, Tenant, fitting
from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Placement, Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.options import Wanted
from foundry_tui.schedulers.ports import Estimate

HOW = "free GPUs as last read; Run:ai tells no start times, and its CPU and memory are not counted"


@dataclass(frozen=True, slots=True)
class Need:
    """`pods` pods that start together, each with `devices` GPUs and `milli` of each (None: ?)."""

    pods: int
    devices: int
    milli: int | None
    pools: tuple[str, ...]
    queue: str | None
    preemptible: bool


def need_of_run(run: Run) -> Need:
    """What a run like this one needs."""
    request, native = run.request, run.native or {}
    pods = max(1, request.nodes)
    pools = native.get("node_pools", "")
    return Need(
        pods,
        request.gpu_count // pods,
        request.milli_per_gpu,
        tuple(pools.split(",")) if pools else (),
        run.queue,
        native.get("preemptible") != "false",
    )


def need_of_wanted(wanted: Wanted, queue: str | None) -> Need:
    """What a submission needs; trainings are preemptible unless they say otherwise."""
    milli = None if wanted.gpu_memory_bytes else wanted.gpu_portion_milli or WHOLE_MILLI
    return Need(
        wanted.min_replicas or wanted.workers,
        wanted.gpu_devices,
        milli,
        wanted.node_pools,
        queue,
        wanted.preemptibility != "non-preemptible",
    )


def estimate(need: Need, estate: Snapshot, now: datetime) -> Estimate:
    """Now, with the place, where there is one; else the reason why nothing is known."""
    queue = next((q for q in estate.queues if q.name == need.queue), None)
    reason = _barred(need, queue)
    if reason is None and need.devices and need.milli is None:
        reason = "GPU memory is asked for, and the memory of the GPUs is not told"
    parts = None if reason else _places(need, estate)
    if parts is None:
        words = reason or "no node has the free GPUs now"
        return Estimate(starts_at=None, reason=safe(words), how=HOW)
    return Estimate(starts_at=now, placement=parts, queue=need.queue, how=HOW)


def _barred(need: Need, queue: Queue | None) -> str | None:
    """Why the project's numbers keep it from starting."""
    if queue is None or not need.devices or need.milli is None:
        return None
    asked = need.pods * need.devices * need.milli
    held, firm = queue.allocated_gpu_milli, queue.allocated_non_preemptible_gpu_milli
    limit, quota = queue.limit_gpu_milli, queue.quota_gpu_milli
    if limit is not None and held is not None and held + asked > limit:
        return f"OverLimit: {queue.name} holds {held / 1000:g} of at most {limit / 1000:g} GPUs"
    if not need.preemptible and None not in (quota, firm) and (firm or 0) + asked > (quota or 0):
        return (
            f"NonPreemptibleOverQuota: {queue.name} holds {(firm or 0) / 1000:g} GPUs "
            f"non-preemptible of a quota of {(quota or 0) / 1000:g}"
        )
    return None


def _places(need: Need, estate: Snapshot) -> tuple[Placement, ...] | None:
    """A place for each pod, on the fullest nodes that fit, as Run:ai packs them."""
    by_node: dict[str, list[Gpu]] = defaultdict(list)
    for gpu in estate.gpus:
        by_node[gpu.node].append(gpu)
    nodes = [
        n
        for n in estate.nodes
        if n.placeable and (not need.pools or set(n.queues) & set(need.pools))
    ]
    free = {n.name: n.gpu_milli_free or 0 for n in nodes}
    parts: list[Placement] = []
    for _ in range(need.pods):
        nodes.sort(key=lambda n: (free[n.name], n.name))
        for node in nodes:
            place = _place(need, node, by_node[node.name], free[node.name])
            if place is not None:
                break
        else:
            return None
        parts.append(place)
        free[node.name] -= need.devices * (need.milli or 0)
        by_node[node.name] = _taken(by_node[node.name], place, need.milli or 0)
    return tuple(parts)


def _place(need: Need, node: Node, gpus: Sequence[Gpu], free_milli: int) -> Placement | None:
    if not need.devices:
        return Placement(node.name)
    if free_milli < need.devices * (need.milli or 0):
        return None
    found = fitting(gpus, milli=need.milli or WHOLE_MILLI, count=need.devices)
    return None if found is None else Placement(node.name, found)


def _taken(gpus: Sequence[Gpu], place: Placement, milli: int) -> list[Gpu]:
    return [
        replace(g, tenants=(*(g.tenants or ()), Tenant("next", milli)))
        if g.index in (place.gpus or ())
        else g
        for g in gpus
    ]
