"""Small estates for the tests, and what a plan would do to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from foundry_tui.estate.gpu import Gpu, Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import ArrayPart, Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.estate.verdict import RuleRecord
from foundry_tui.optimiser.advise import advise
from foundry_tui.optimiser.result import Refused

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
GIB = 1 << 30
ADMIN = Rights(user="root", admin=True)


def later(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def waiting(
    name: str,
    gpus: int = 1,
    milli: int = 1000,
    *,
    nodes: int = 1,
    queue: str = "gpu",
    hours: float | None = 1.0,
    priority: int = 100,
    user: str = "ada",
    model: str | None = None,
    cores: int = 1,
    gib: int = 1,
    reason: str | None = "Resources",
    held: bool = False,
    array: ArrayPart | None = None,
    native: dict[str, str] | None = None,
    eligible_at: datetime | None = None,
    account: str | None = "ml",
    qos: str | None = "normal",
    scheduler: str = "slurm",
) -> Run:
    """A waiting run that asks for `gpus` devices of `milli` thousandths on each of its nodes."""
    return Run(
        id=f"lab/{name}",
        native_id=name,
        source="lab",
        scheduler=scheduler,
        name=safe(name),
        state=RunState.PENDING,
        user=user,
        account=account,
        qos=qos,
        queue=queue,
        reason=None if reason is None else safe(reason),
        priority=priority,
        held=held,
        array=array,
        native=None if native is None else {k: safe(v) for k, v in native.items()},
        eligible_at=eligible_at,
        submitted_at=later(-2),
        request=Request(
            gpu_count=gpus * nodes,
            gpu_milli=gpus * nodes * milli,
            gpu_model=model,
            nodes=nodes,
            cpu_milli=1000 * cores * nodes,
            memory_bytes=gib * GIB * nodes,
            time_limit_s=None if hours is None else int(3600 * hours),
        ),
    )


def running(
    name: str,
    node: str,
    gpus: Sequence[int],
    milli: int = 1000,
    *,
    ends: float | None = 1.0,
    cores: int = 1,
    gib: int = 1,
    user: str = "bob",
) -> Run:
    """A run that holds `milli` thousandths of each of these GPUs for `ends` more hours."""
    return Run(
        id=f"lab/{name}",
        native_id=name,
        source="lab",
        scheduler="slurm",
        name=safe(name),
        state=RunState.RUNNING,
        user=user,
        account="ml",
        qos="normal",
        queue="gpu",
        started_at=later(-3),
        ends_by=None if ends is None else later(ends),
        placement=(Placement(node, tuple(gpus)),),
        request=Request(
            gpu_count=len(gpus),
            gpu_milli=milli * len(gpus),
            cpu_milli=1000 * cores,
            memory_bytes=gib * GIB,
        ),
    )


def told(run: Run, **words: str) -> Run:
    """The run with these words of its scheduler beside those that it has."""
    native = {**(run.native or {}), **{k: safe(v) for k, v in words.items()}}
    return replace(run, native=native)


def node(
    name: str,
    gpus: int = 4,
    *,
    queues: tuple[str, ...] = ("gpu",),
    cores: int | None = 64,
    gib: int | None = 256,
    model: str = "h100",
    features: tuple[str, ...] = (),
    state: NodeState = NodeState.IDLE,
) -> Node:
    """An empty node; `estate` fills in what the runs take."""
    return Node(
        name=name,
        source="lab",
        state=state,
        gpu_model=model if gpus else None,
        gpu_count=gpus,
        cpu_milli=None if cores is None else 1000 * cores,
        memory_bytes=None if gib is None else gib * GIB,
        queues=queues,
        features=features,
    )


def queue(name: str = "gpu", *, state: str = "up", hours: float | None = 48) -> Queue:
    limit_s = None if hours is None else int(3600 * hours)
    return Queue(name=name, source="lab", kind="partition", state=state, time_limit_s=limit_s)


def estate(
    nodes: Iterable[Node], runs: Iterable[Run], queues: Iterable[Queue] = (queue(hours=None),)
) -> Snapshot:
    """The estate in which each running run holds its GPUs, its CPU and its memory."""
    nodes, runs = tuple(nodes), tuple(runs)
    held: dict[tuple[str, int], list[Tenant]] = {}
    cpu: dict[str, int] = {}
    memory: dict[str, int] = {}
    for run in runs:
        for place in run.placement:
            each = run.request.milli_per_gpu or 0
            share = Share.WHOLE if each == 1000 else Share.SHARD
            for index in place.gpus or ():
                held.setdefault((place.node, index), []).append(Tenant(run.id, each, share))
            cpu[place.node] = cpu.get(place.node, 0) + (run.request.cpu_milli or 0)
            memory[place.node] = memory.get(place.node, 0) + (run.request.memory_bytes or 0)
    gpus = tuple(
        Gpu(
            node=n.name,
            index=i,
            source="lab",
            model=n.gpu_model,
            tenants=tuple(held.get((n.name, i), ())),
        )
        for n in nodes
        for i in range(n.gpu_count)
    )
    taken: dict[str, int] = {}
    for gpu in gpus:
        taken[gpu.node] = taken.get(gpu.node, 0) + (gpu.milli_allocated or 0)
    return Snapshot(
        generated_at=NOW,
        nodes=tuple(
            replace(
                n,
                gpu_milli_allocated=taken.get(n.name, 0),
                cpu_milli_allocated=cpu.get(n.name, 0),
                memory_bytes_allocated=memory.get(n.name, 0),
            )
            for n in nodes
        ),
        gpus=gpus,
        queues=tuple(queues),
        runs=runs,
    )


def plan_for(
    snapshot: Snapshot,
    *,
    policy: str = "fgd",
    rights: Rights = ADMIN,
    limit: int | None = None,
    refused: Refused | None = None,
    idle_util_pct: float = 5.0,
    idle_after_s: float = 1800.0,
    objective: str = "start",
    time_limit_s: float = 0.0,
    room: bool = True,
    trust: Sequence[RuleRecord] = (),
) -> Plan:
    """Advice with the clock stopped."""
    return advise(
        snapshot,
        rights_by_source={"lab": rights},
        now=NOW,
        policy=policy,
        limit=limit,
        refused=refused or {},
        idle_util_pct=idle_util_pct,
        idle_after_s=idle_after_s,
        objective=objective,
        time_limit_s=time_limit_s,
        room=room,
        trust=trust,
        clock=lambda: 0.0,
    )


def starts(plan: Plan) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
    """Run name -> nodes and GPUs, for the moves that start something."""
    found: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for move in plan.moves:
        if move.action in ("start", "move_queue"):
            places = [(p.node, p.gpus or ()) for p in move.placement]
            found.setdefault(move.target.id.removeprefix("lab/"), []).extend(places)
    return found


def why_not(plan: Plan, name: str) -> str:
    """Why a run is not proposed; an empty text when it is."""
    return "; ".join(n.why for n in plan.not_proposed if n.target.id == f"lab/{name}")


def applied(snapshot: Snapshot, moves: Iterable[Move]) -> Snapshot:
    """The estate after the moves, from the nouns alone."""
    runs = {r.id: r for r in snapshot.runs}
    gpus = {(g.node, g.index): g for g in snapshot.gpus}
    nodes = {n.name: n for n in snapshot.nodes}
    started: dict[str, Run] = {}
    for move in moves:
        run = runs[move.target.id]
        per_node = max(1, run.request.nodes)
        share = Share.WHOLE if run.request.milli_per_gpu == 1000 else Share.FRACTION
        for part in run.placement:  # one that makes room leaves first
            for index in part.gpus or ():
                gpu = gpus[part.node, index]
                kept = tuple(t for t in gpu.tenants or () if t.run != run.id)
                gpus[part.node, index] = replace(gpu, tenants=kept)
            was = nodes[part.node]
            nodes[part.node] = replace(
                was,
                cpu_milli_allocated=(was.cpu_milli_allocated or 0) - (run.request.cpu_milli or 0),
                memory_bytes_allocated=(was.memory_bytes_allocated or 0)
                - (run.request.memory_bytes or 0),
            )
        for place in move.placement:
            for index in place.gpus or ():
                gpu = gpus[place.node, index]
                tenant = Tenant(run.id, run.request.milli_per_gpu or 0, share)
                gpus[place.node, index] = replace(gpu, tenants=(*(gpu.tenants or ()), tenant))
            old = nodes[place.node]
            nodes[place.node] = replace(
                old,
                cpu_milli_allocated=(old.cpu_milli_allocated or 0)
                + -(-(run.request.cpu_milli or 0) // per_node),
                memory_bytes_allocated=(old.memory_bytes_allocated or 0)
                + -(-(run.request.memory_bytes or 0) // per_node),
            )
        limit_s = run.request.time_limit_s
        started[run.id] = replace(
            run,
            state=RunState.RUNNING,
            placement=move.placement,
            ends_by=None if limit_s is None else NOW + timedelta(seconds=limit_s),
        )
    return replace(
        snapshot,
        gpus=tuple(gpus.values()),
        nodes=tuple(nodes.values()),
        runs=tuple(started.get(r.id, r) for r in snapshot.runs),
    )
