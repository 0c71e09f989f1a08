"""The state of a simulated cluster as nouns of the estate: nodes, GPUs and parts of runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu, Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.reading import FaultKind
from foundry_tui.estate.run import Placement, Request, RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.simulated.layout import FAULTS
from scheduler_sim.engine import LiveCluster
from scheduler_sim.jobs import Job, JobSpec, State

MIB = 1 << 20
HOW = "simulated"

_GPU_MEMORY_BYTES = 80 << 30
_IDLE_W, _FULL_W = 70, 690


def gpu_request(spec: JobSpec) -> Request:
    """What a run asks for, as totals over its nodes."""
    need = spec.request
    return Request(
        gpu_count=spec.nodes * need.gpus,
        gpu_milli=spec.total_milli,
        gpu_model=need.models[0] if len(need.models) == 1 else None,
        nodes=spec.nodes,
        cpu_milli=spec.nodes * need.cpu_milli,
        memory_bytes=spec.nodes * need.memory_mib * MIB,
        time_limit_s=spec.limit_s,
    )


def placement(engine: LiveCluster, job: Job) -> tuple[Placement, ...]:
    """Where a running run is; empty for any other."""
    if job.state is not State.RUNNING:
        return ()
    return tuple(Placement(engine.spec.nodes[p.node].name, p.gpus) for p in job.parts)


def run_state(state: State) -> RunState:
    """The estate's word for a state of the simulator, which has the same ones."""
    return RunState(state.value)


def idle_from_s(job: Job, now_s: int) -> int | None:
    """The second from which a running run does no work on its GPUs; None while it works."""
    if job.started_s is None or job.spec.idle_from_s is None:
        return None
    since_s = job.started_s + job.spec.idle_from_s
    return since_s if since_s <= now_s else None


def run_util_pct(job: Job, now_s: int) -> float | None:
    """Mean utilisation of the run's GPUs by the run itself; None unless it runs on GPUs."""
    values = [
        _tenant_util_pct(job, part.node, gpu, now_s) for part in job.parts for gpu in part.gpus
    ]
    running = job.state is State.RUNNING and values
    return round(sum(values) / len(values), 1) if running else None


def _tenant_util_pct(job: Job, node: int, gpu: int, now_s: int) -> int:
    if idle_from_s(job, now_s) is not None:
        return 0
    # A reading changes once a minute and differs between GPUs; a hash needs no memory of it.
    mixed = job.number * 2654435761 + node * 40503 + gpu * 9176 + now_s // 60 * 69069
    return max(1, min(100, job.spec.util_pct + (mixed >> 9) % 15 - 7))


def nodes(
    engine: LiveCluster,
    source: str,
    at: Callable[[int], datetime],
    queues: Callable[[int], tuple[str, ...]],
) -> tuple[Node, ...]:
    """The nodes with what is allocated on them; `queues` names those that contain a row."""
    cluster, found = engine.books.cluster, []
    busy = cluster.gpu_count * WHOLE_MILLI - cluster.gpu_left.sum(axis=1)
    for row, spec in enumerate(engine.spec.nodes):
        note = engine.notes.get(row)
        used_cpu = spec.cpu_milli - int(cluster.cpu_left[row])
        used_memory = spec.memory_mib - int(cluster.memory_left[row])
        found.append(
            Node(
                name=spec.name,
                source=source,
                state=_node_state(engine, row, int(busy[row]), used_cpu),
                gpu_model=spec.model,
                gpu_count=spec.gpus,
                gpu_milli_allocated=int(busy[row]),
                cpu_milli=spec.cpu_milli,
                cpu_milli_allocated=used_cpu,
                memory_bytes=spec.memory_mib * MIB,
                memory_bytes_allocated=used_memory * MIB,
                features=(spec.model,),
                queues=queues(row),
                reason=safe(note.text) if note else None,
                reason_since=at(note.since_s) if note else None,
                read_at=at(engine.now_s),
            )
        )
    return tuple(found)


def _node_state(engine: LiveCluster, row: int, gpu_milli: int, cpu_milli: int) -> NodeState:
    note = engine.notes.get(row)
    if note is not None and note.kind == "down":
        return NodeState.DOWN
    if note is not None:
        return NodeState.DRAINING if cpu_milli else NodeState.DRAINED
    if not cpu_milli:
        return NodeState.IDLE
    full = gpu_milli == WHOLE_MILLI * engine.spec.nodes[row].gpus
    return NodeState.ALLOCATED if full else NodeState.MIXED


def gpus(
    engine: LiveCluster,
    source: str,
    at: Callable[[int], datetime],
    id_of: Callable[[Job], str],
    share: Share,
) -> tuple[Gpu, ...]:
    """Every GPU with its tenants and its readings; a node that is down gives no readings."""
    held: dict[tuple[int, int], list[Job]] = {}
    for job in engine.books.running.values():
        for part in job.parts:
            for gpu in part.gpus:
                held.setdefault((part.node, gpu), []).append(job)
    return tuple(
        _gpu(engine, source, at, row, index, held.get((row, index), []), id_of, share)
        for row, spec in enumerate(engine.spec.nodes)
        for index in range(spec.gpus)
    )


def _gpu(
    engine: LiveCluster,
    source: str,
    at: Callable[[int], datetime],
    row: int,
    index: int,
    jobs: list[Job],
    id_of: Callable[[Job], str],
    share: Share,
) -> Gpu:
    spec, now_s, note = engine.spec.nodes[row], engine.now_s, engine.notes.get(row)
    dead = note is not None and note.kind == "down"
    fault = FAULTS.get((spec.name, index)) if not dead else None
    silent = dead or (fault is not None and fault.kind is FaultKind.LOST)
    util = min(100, sum(_tenant_util_pct(job, row, index, now_s) for job in jobs))
    peak = min(100, util + (index * 5 + now_s // 60 * 7) % 13) if util else 0
    idle = [idle_from_s(job, now_s) for job in jobs]
    known_idle = [since for since in idle if since is not None]
    return Gpu(
        node=spec.name,
        index=index,
        source=source,
        model=spec.model,
        uuid=f"GPU-{stable_uuid(source, spec.name, index)}",
        minor=index,
        tenants=tuple(Tenant(id_of(j), j.spec.request.gpu_milli, _share(j, share)) for j in jobs),
        util_pct=None if silent else float(util),
        util_max_pct=None if silent else float(peak),
        mem_used_bytes=None if silent else _memory_used(jobs),
        mem_total_bytes=None if silent else _GPU_MEMORY_BYTES,
        power_w=None if silent else float(_IDLE_W + (_FULL_W - _IDLE_W) * util // 100),
        temp_c=None if silent else float(31 + util * 45 // 100),
        sm_active_pct=None if silent else float(util * 4 // 5),
        faults=() if fault is None else (fault,),
        measured_by=None if dead else source,
        idle_since=None
        if silent or not jobs or len(known_idle) < len(jobs)
        else at(max(known_idle)),
        how="the node does not answer" if dead else str(fault.words) if fault and silent else HOW,
        read_at=at(now_s),
    )


def _share(job: Job, share: Share) -> Share:
    return Share.WHOLE if job.spec.request.gpu_milli == WHOLE_MILLI else share


def _memory_used(jobs: Iterable[Job]) -> int:
    """Each run fills between a third and nearly all of its share of the memory."""
    fills = sum(j.spec.request.gpu_milli * (35 + j.number * 37 % 60) for j in jobs)
    return 500 * MIB + (_GPU_MEMORY_BYTES - 500 * MIB) * fills // (100 * WHOLE_MILLI)


@lru_cache(maxsize=4096)
def stable_uuid(*words: object) -> str:
    """A uuid that the same words always give."""
    raw = hashlib.blake2b(repr(words).encode(), digest_size=16).hexdigest()
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"
