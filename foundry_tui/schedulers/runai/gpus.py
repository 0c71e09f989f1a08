"""Nodes and physical GPUs: states, readings, and the tenants as far as the API tells them.

A portion is a share of a GPU's memory; compute is shared by time and is not guaranteed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import Placement, Request, Run
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.runai import wire
from foundry_tui.schedulers.runai.metrics import GpuReading, NodeReading
from foundry_tui.schedulers.runai.nouns import holding
from foundry_tui.schedulers.runai.pairing import Paired, Seat
from foundry_tui.schedulers.runai.wire import Pod, amount_bytes, count, milli, text

HOW = "Run:ai metrics; a portion is a share of memory, not of compute"
NOT_TOLD = "the control plane does not tell which pod holds which GPU here"
NO_METRICS = "the node's metrics were not read yet"
MIG = "MIG instances: the control plane tells no devices"

MAX_GPUS = 64
"""Cap against an absurd count: no node has more."""

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_AWAY = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True, slots=True)
class Host:
    """A node under the name by which it is shown, which no other one has."""

    id: str
    name: SafeText
    raw: tuple[str | None, str]
    told: wire.Node

    @property
    def gpu_count(self) -> int:
        """Its physical GPUs."""
        info = self.told.gpu_info
        return min(MAX_GPUS, (count(info.gpu_count) if info else None) or 0)


def hosts(found: Sequence[wire.Node], cluster: str | None) -> tuple[Host, ...]:
    """The nodes of one cluster, or of all (None); a name that occurs twice gets its cluster's."""
    names: set[str] = set()
    made: dict[tuple[str | None, str], Host] = {}
    for told in found:
        raw, uuid = text(told.name), text(told.cluster_uuid)
        if raw is None or (cluster is not None and uuid not in (None, cluster)):
            continue
        if (uuid, raw) in made:  # a list that moves between two pages shows a node twice
            continue
        name = safe(raw)
        if name in names:
            name = safe(f"{raw}@{uuid or text(told.id) or len(made)}")
        if name in names:
            continue
        names.add(name)
        made[uuid, raw] = Host(text(told.id) or raw, name, (uuid, raw), told)
    return tuple(made.values())


def seats(
    pods: Sequence[Pod], run: str, request: Request, told: Mapping[str, tuple[int, ...] | None]
) -> list[tuple[tuple[str | None, str], Seat]]:
    """The pods of one run that hold GPUs, each with its node as (cluster, name)."""
    found = []
    for pod in pods:
        name, key = text(pod.node_name), text(pod.id)
        if name is None or key is None or not holding(pod):
            continue
        given = milli(pod.allocated_resources.gpu) if pod.allocated_resources else None
        asked = pod.requested_resources
        if not given and asked is not None and asked.gpu is not None:
            given = milli(asked.gpu.request)
        wants_memory = bool(asked and asked.gpu_memory and amount_bytes(asked.gpu_memory.request))
        if not given and not wants_memory:
            continue
        indices = told.get(key)
        devices = len(indices) if indices else _devices(given, request)
        each = None if not given else min(WHOLE_MILLI, round(given / devices))
        seat = Seat(key, run, devices, each, indices)
        found.append(((text(pod.cluster_id), name), seat))
    return found


def _devices(given: int | None, request: Request) -> int:
    """GPUs of one pod: as its workload asked, and at least as many as the amount needs."""
    asked = max(1, request.gpu_count // max(1, request.nodes))
    return max(asked, -(-(given or 0) // WHOLE_MILLI))


def to_node(host: Host, held: Sequence[Seat], reading: NodeReading | None, source: str,
            now: datetime) -> Node:  # fmt: skip
    """One node. Allocated is what its pods hold, or what its metrics say if that is more."""
    amounts = [s.milli * s.devices if s.milli is not None else None for s in held]
    known = None if None in amounts else sum(a or 0 for a in amounts)
    told = [g.allocated_milli for g in reading.gpus.values()] if reading else []
    if known is not None and told and None not in told:
        by_metrics = sum(t or 0 for t in told)
        known = by_metrics if by_metrics > known + WHOLE_MILLI // 20 else known
    utils = [g.util_pct for g in reading.gpus.values() if g.util_pct is not None] if reading else []
    state, reason = _state(host, known)
    pool = text(host.told.node_pool)
    return Node(
        name=host.name,
        source=source,
        state=state,
        gpu_model=_model(host),
        gpu_count=host.gpu_count,
        gpu_milli_allocated=known,
        gpu_util_pct=round(sum(utils) / len(utils), 1) if utils else None,
        queues=(safe(pool),) if pool else (),
        reason=reason,
        read_at=now,
    )


def _state(host: Host, allocated: int | None) -> tuple[NodeState, SafeText | None]:
    told = text(host.told.status)
    if told != "Ready":
        why = [text(c.message) or text(c.reason) for c in host.told.conditions or ()]
        words = "; ".join(w for w in why if w) or told or "no status is told"
        return NodeState.DOWN if told == "NotReady" else NodeState.UNKNOWN, safe(words)
    for taint in host.told.taints or ():
        if text(taint.key) == UNSCHEDULABLE and text(taint.effect) in _AWAY:
            busy = NodeState.DRAINING if allocated else NodeState.DRAINED
            return busy, safe("cordoned: marked unschedulable")
    if not allocated:
        return NodeState.IDLE, None
    full = allocated >= WHOLE_MILLI * host.gpu_count
    return NodeState.ALLOCATED if full else NodeState.MIXED, None


def to_gpus(host: Host, paired: Paired, reading: NodeReading | None, source: str, now: datetime,
            mig: bool) -> tuple[Gpu, ...]:  # fmt: skip
    """The GPUs of one node, each with its tenants, or with the reason why they are not known."""
    return tuple(
        _gpu(host, index, paired, reading, source, now, mig) for index in range(host.gpu_count)
    )


def _gpu(host: Host, index: int, paired: Paired, reading: NodeReading | None, source: str,
         now: datetime, mig: bool) -> Gpu:  # fmt: skip
    tenants = None if mig else paired.tenants[index]
    values = (reading.gpus.get(index) if reading else None) or GpuReading()
    trouble = reading.trouble if reading else NO_METRICS
    how = MIG if mig else NOT_TOLD if tenants is None else HOW
    at = reading.at if reading and reading.gpus else now
    return Gpu(
        node=host.name,
        index=index,
        source=source,
        model=_model(host),
        minor=None,
        tenants=tenants,
        util_pct=values.util_pct,
        mem_used_bytes=values.mem_used_bytes,
        idle_since=at - timedelta(seconds=values.idle_s) if tenants and values.idle_s else None,
        how=f"{how}; {trouble}" if trouble else how,
        read_at=at,
    )


def _model(host: Host) -> SafeText | None:
    told = text(host.told.gpu_info.gpu_type) if host.told.gpu_info else None
    return None if told is None else safe(told)


def placed(run: Run, where: Mapping[SafeText, Paired], gpus: Mapping[str, Gpu]) -> Run:
    """A run with its GPUs per node, and what they are doing where it holds them alone."""
    if not run.placement:
        return run
    parts = []
    for part in run.placement:
        paired = where.get(safe(part.node))
        held = paired.gpus.get(run.id, ()) if paired is not None else ()
        parts.append(Placement(part.node, held))
    mine = [gpus.get(f"{p.node}\0{i}") for p in parts for i in p.gpus or ()]
    alone = [g.util_pct for g in mine if g and g.tenants and g.runs == (run.id,)]
    readings = [u for u in alone if u is not None]
    whole = bool(mine) and len(readings) == len(mine)
    util = round(sum(readings) / len(readings), 1) if whole else None
    return replace(run, placement=tuple(parts), gpu_util_pct=util)
