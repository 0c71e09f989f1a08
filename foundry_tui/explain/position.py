"""Where a run stands: who is ahead of it, how long their work lasts, and fair share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.explain import fit, say
from foundry_tui.explain.case import Case

COMPETING = frozenset({"", "None", "Priority", "Resources"})
"""Reasons of runs that stand in line; what waits for anything else lets others pass."""


def ahead(run: Run, snapshot: Snapshot) -> tuple[Run, ...]:
    """The runs that wait in a queue of `run` and come before it, the first of them first.

    Slurm takes higher priority first and at equal priority the older id. Runs that cannot start
    for a reason of their own (held, dependency, limits) let others pass and are left out.
    """
    queues = set(run.queues)
    return _ordered(
        r
        for r in snapshot.runs
        if r.source == run.source
        and r.state is RunState.PENDING
        and competes(r, run)
        and queues & set(r.queues)
        and _before(r, run)
    )


def competes(other: Run, run: Run) -> bool:
    """Whether another waiting run stands in line with this one."""
    return other.id != run.id and not other.held and (other.reason or "") in COMPETING


def waiting_in(case: Case, queue: Queue) -> tuple[Run, ...]:
    """The waiting runs of a queue that may rank before this one or a copy of it.

    In its own queue those that do not rank below it, itself included; in another one all, because
    its priority there is not known.
    """
    least = (case.run.priority or 0) if queue.name in case.run.queues else 0
    return tuple(
        r
        for r in (case.run, *case.waiting)
        if queue.name in r.queues and (r.priority or 0) >= least
    )


def rivals(case: Case) -> tuple[Run, ...]:
    """Runs ahead that wait in other queues, but for nodes that are also those of the run."""
    mine = {n.name for n in case.nodes_of(*case.queues)}
    shared = {q for n in case.snapshot.nodes if n.name in mine for q in n.queues}
    return _ordered(
        r
        for r in case.waiting
        if competes(r, case.run) and shared & set(r.queues) and _before(r, case.run)
    )


def promised(case: Case) -> frozenset[str]:
    """The nodes that suit runs before this one, in whatever queue they wait.

    Slurm keeps them free for those runs; its what-if looks at one queue and does not see them.
    """
    queues = {q.name: q for q in case.snapshot.queues if q.source == case.run.source}
    asked = {
        (r.queues, fit.demand(replace(case, run=r, details={})))
        for r in case.waiting
        if competes(r, case.run) and _before(r, case.run)
    }
    return frozenset(
        room.node.name
        for names, wanted in asked
        for room in fit.rooms(
            case, case.nodes_of(*(queues[n] for n in names if n in queues)), wanted
        )
        if room.lacks is None
    )


def _before(other: Run, run: Run) -> bool:
    theirs, mine = other.priority or 0, run.priority or 0
    return theirs > mine or (theirs == mine and _age(other) < _age(run))


def _age(run: Run) -> tuple[int, str]:
    number = run.native_id.partition("_")[0]
    return (int(number), "") if number.isdigit() else (0, run.native_id)


def _ordered(runs: Iterable[Run]) -> tuple[Run, ...]:
    return tuple(sorted(runs, key=lambda r: (-(r.priority or 0), _age(r))))


def work_s(case: Case, queue: Queue, runs: Iterable[Run]) -> float:
    """Seconds for which these waiting runs would keep the whole queue busy, one after the other.

    By this sum Slurm's what-if delays a run that waits behind others (`_delayed_job_start_time`
    of slurmctld/job_mgr.c, seen on 22.05): CPUs, but at least whole nodes, times time limit over
    the CPUs of the partition. Held runs have priority 0 and do not count. 0 when a limit or the
    queue's size is unknown.
    """
    nodes = case.nodes_of(queue)
    total = sum(n.cpu_milli or 0 for n in nodes)
    if not total:
        return 0.0
    per_node = total / len(nodes)
    seconds = 0.0
    for run in runs:
        limit = run.request.time_limit_s or queue.time_limit_s
        if run.priority and limit:
            cpu = max(run.request.cpu_milli or 0, per_node * run.request.nodes)
            seconds += cpu * limit / total
    return seconds


def without(case: Case, ended: Iterable[Run]) -> Case:
    """The case as it would be if these runs had ended and nothing else had started."""
    gone = {r.id for r in ended}
    cpu: dict[str, int] = {}
    memory: dict[str, int] = {}
    for run in case.holding:
        if run.id in gone and run.placement:
            for part in run.placement:
                share = len(run.placement)
                cpu[part.node] = cpu.get(part.node, 0) + (run.request.cpu_milli or 0) // share
                memory[part.node] = (
                    memory.get(part.node, 0) + (run.request.memory_bytes or 0) // share
                )
    nodes = tuple(
        n
        if n.name not in cpu
        else replace(
            n,
            cpu_milli_allocated=max(0, (n.cpu_milli_allocated or 0) - cpu[n.name]),
            memory_bytes_allocated=max(0, (n.memory_bytes_allocated or 0) - memory[n.name]),
        )
        for n in case.snapshot.nodes
    )
    gpus = tuple(
        replace(g, tenants=tuple(t for t in g.tenants if t.run not in gone))
        if g.node in cpu and g.tenants
        else g
        for g in case.snapshot.gpus
    )
    return replace(case, snapshot=replace(case.snapshot, nodes=nodes, gpus=gpus))


def fair_share(run: Run, snapshot: Snapshot) -> str | None:
    """What the run's queue holds against what it deserves, where the scheduler keeps quotas."""
    for queue in snapshot.queues:
        if queue.source != run.source or queue.name not in run.queues:
            continue
        deserved = queue.quota_gpu_milli
        if deserved is None or queue.allocated_gpu_milli is None:
            continue
        words = (
            f"{queue.kind} {queue.name} holds {say.gpus(queue.allocated_gpu_milli)}; "
            f"its quota is {say.gpus(deserved)}"
        )
        share = queue.fair_share_gpu_milli
        return words if share is None else f"{words}, its fair share now {say.gpus(share)}"
    return None


def first_end(runs: Iterable[Run]) -> datetime | None:
    """The earliest time limit among these runs; None when none is known."""
    return min((r.ends_by for r in runs if r.ends_by), default=None)
