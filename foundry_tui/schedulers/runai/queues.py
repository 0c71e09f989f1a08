"""Projects and departments as a tree of queues, with quota, limit, fair share and use.

Quotas are set per node pool. A queue shows their sums; the fair share is computed pool by pool,
because GPUs of one pool cannot stand in for those of another, and then added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from foundry_tui.estate.fairshare import with_fair_shares
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.queue import Queue, with_use
from foundry_tui.estate.run import HOLDING, Request, Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.runai.gpus import Host
from foundry_tui.schedulers.runai.tables import Tables, Unit
from foundry_tui.schedulers.runai.wire import PoolQuota, milli, number, text, when

NO_POOL = ""
"""Name of the one pool where nodes and quotas name none."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a unit gets in one pool, in thousandths of a GPU; `limit` None is no limit."""

    deserved: int | None
    limit: int | None
    weight: float | None


def pool_totals(hosts: Sequence[Host]) -> dict[str, int]:
    """Node pool -> thousandths of GPU in it."""
    totals: dict[str, int] = {}
    for host in hosts:
        pool = text(host.told.node_pool) or NO_POOL
        totals[pool] = totals.get(pool, 0) + WHOLE_MILLI * host.gpu_count
    return totals


def quotas_of(unit: Unit, totals: Mapping[str, int]) -> dict[str, Quota]:
    """Node pool -> quota. An unlimited quota is all that the pool has."""
    found: dict[str, Quota] = {}
    for told in unit.told.resources or ():
        pool = (text(told.node_pool.name) if told.node_pool else None) or NO_POOL
        found[pool] = _quota(told, totals.get(pool, 0))
    return found


def _quota(told: PoolQuota, total: int) -> Quota:
    if told.gpu is None:
        return Quota(None, None, None)
    deserved = number(told.gpu.deserved)
    unlimited = deserved is not None and deserved < 0
    weight = number(told.gpu.over_quota_weight)
    return Quota(
        total if unlimited else milli(told.gpu.deserved),
        milli(told.gpu.limit),
        weight if weight is not None and weight >= 0 else None,
    )


def queues(
    tables: Tables,
    hosts: Sequence[Host],
    runs: Sequence[Run],
    held: Mapping[tuple[str, str], int | None],
    source: str,
    now: datetime,
) -> tuple[Queue, ...]:
    """The tree: departments first, then projects.

    `held` are the thousandths that each run (by id) holds in each node pool; None: not known.
    """
    totals = pool_totals(hosts)
    units = [(u, _queue(u, "project", totals, tables, source, now))
             for u in tables.projects.values()]  # fmt: skip
    roofs = [(u, _queue(u, "department", totals, tables, source, now))
             for u in tables.departments.values()]  # fmt: skip
    known = {queue.name for _, queue in units} | {queue.name for _, queue in roofs}
    lost = _unlisted(runs, known, tables, source, sum(totals.values()), now)
    projects = _with_use([*(q for _, q in units), *lost], runs, now)
    departments = tuple(_summed(queue, projects) for _, queue in roofs)
    shares = _fair_shares([*roofs, *units], (*departments, *projects), totals, runs, held)
    return tuple(
        replace(queue, fair_share_gpu_milli=shares.get(queue.name))
        for queue in (*departments, *projects)
    )


def _queue(
    unit: Unit, kind: str, totals: Mapping[str, int], tables: Tables, source: str, now: datetime
) -> Queue:
    quotas = list(quotas_of(unit, totals).values())
    deserved = [q.deserved for q in quotas if q.deserved is not None]
    limits = [q.limit for q in quotas]
    weights = {q.weight for q in quotas}
    roof = tables.departments.get(unit.parent or "")
    phase = text(unit.told.status.phase) if unit.told.status else None
    return Queue(
        name=unit.name,
        source=source,
        kind=kind,
        parent=roof.name if roof is not None and kind == "project" else None,
        state="up" if phase in (None, "Ready") else safe(phase or "").lower(),
        quota_gpu_milli=sum(deserved) if quotas and len(deserved) == len(quotas) else None,
        limit_gpu_milli=sum(n or 0 for n in limits) if limits and None not in limits else None,
        total_gpu_milli=sum(totals.values()),
        over_quota_weight=weights.pop() if len(weights) == 1 else None,
        created_at=when(unit.told.created_at),
        read_at=now,
    )


def _unlisted(
    runs: Iterable[Run], known: set[str], tables: Tables, source: str, total: int, now: datetime
) -> list[Queue]:
    """Queues for projects of runs that may not be listed, or are gone: nothing but their names."""
    roofs = {unit.raw_name: unit.name for unit in tables.departments.values()}
    found: dict[str, Queue] = {}
    for run in runs:
        if run.queue is None or run.queue in known or run.queue in found:
            continue
        department = (run.native or {}).get("department", "")
        found[run.queue] = Queue(
            name=run.queue,
            source=source,
            kind="project",
            parent=roofs.get(department),
            state="not listed",
            total_gpu_milli=total,
            read_at=now,
        )
    return list(found.values())


def _with_use(projects: Sequence[Queue], runs: Sequence[Run], now: datetime) -> tuple[Queue, ...]:
    """Use counted from runs. A stopped or ending run without a node has given its GPUs away."""
    nothing = Request()
    counted = [
        replace(r, request=nothing) if r.state in HOLDING and not r.placement else r for r in runs
    ]
    firm: dict[str, int | None] = {}
    for run in counted:
        if run.state in HOLDING and (run.native or {}).get("preemptible") == "false":
            amount, before = run.request.gpu_milli, firm.get(run.queue or "", 0)
            whole = amount is not None and before is not None
            firm[run.queue or ""] = (before or 0) + (amount or 0) if whole else None
    return tuple(
        replace(queue, allocated_non_preemptible_gpu_milli=firm.get(queue.name, 0))
        for queue in with_use(projects, counted, now)
    )


def _summed(department: Queue, projects: Sequence[Queue]) -> Queue:
    """A department with the sums over its projects."""
    below = [q for q in projects if q.parent == department.name]
    waits = [q.oldest_wait_s for q in below if q.oldest_wait_s is not None]
    return replace(
        department,
        allocated_gpu_milli=_sum(q.allocated_gpu_milli for q in below),
        requested_gpu_milli=_sum(q.requested_gpu_milli for q in below),
        allocated_non_preemptible_gpu_milli=_sum(
            q.allocated_non_preemptible_gpu_milli for q in below
        ),
        running=sum(q.running or 0 for q in below),
        waiting=sum(q.waiting or 0 for q in below),
        oldest_wait_s=max(waits, default=None),
    )


def _sum(amounts: Iterable[int | None]) -> int | None:
    found = list(amounts)
    return None if None in found else sum(a or 0 for a in found)


def _fair_shares(
    units: Sequence[tuple[Unit, Queue]],
    shown: Sequence[Queue],
    totals: Mapping[str, int],
    runs: Sequence[Run],
    held: Mapping[tuple[str, str], int | None],
) -> dict[str, int | None]:
    """Queue -> the sum of its fair shares over the node pools."""
    by_name = {queue.name: queue for queue in shown}
    shares: dict[str, int | None] = {}
    for pool, total in totals.items():
        use = _pool_use(pool, next(iter(totals)), runs, held)
        part = [
            _in_pool(by_name[queue.name], quotas_of(unit, totals).get(pool), total, use)
            for unit, queue in units
        ]
        for name in {q.parent for q in part if q.parent}:
            below = [q for q in part if q.parent == name]
            part = [
                replace(
                    q,
                    allocated_gpu_milli=_sum(b.allocated_gpu_milli for b in below),
                    requested_gpu_milli=_sum(b.requested_gpu_milli for b in below),
                )
                if q.name == name
                else q
                for q in part
            ]
        for queue in with_fair_shares(part, total):
            share, before = queue.fair_share_gpu_milli, shares.get(queue.name, 0)
            shares[queue.name] = None if share is None or before is None else before + share
    return shares


def _pool_use(
    pool: str, first: str, runs: Sequence[Run], held: Mapping[tuple[str, str], int | None]
) -> tuple[dict[str, int | None], dict[str, int | None]]:
    """Project -> thousandths held, and asked for, in one pool. A run waits in its first pool."""
    given: dict[str, int | None] = {}
    asked: dict[str, int | None] = {}
    for run in runs:
        name = run.queue or ""
        if (run.id, pool) in held:
            given[name] = _sum((given.get(name, 0), held[run.id, pool]))
        if run.state is RunState.PENDING:
            wanted = (run.native or {}).get("node_pools", "").split(",")[0] or first
            if pool in (wanted, NO_POOL):
                asked[name] = _sum((asked.get(name, 0), run.request.gpu_milli))
    return given, asked


def _in_pool(
    queue: Queue,
    quota: Quota | None,
    total: int,
    use: tuple[dict[str, int | None], dict[str, int | None]],
) -> Queue:
    given, asked = use
    return replace(
        queue,
        quota_gpu_milli=quota.deserved if quota else 0,
        limit_gpu_milli=quota.limit if quota else None,
        over_quota_weight=quota.weight if quota else 0.0,
        total_gpu_milli=total,
        allocated_gpu_milli=given.get(queue.name, 0),
        requested_gpu_milli=asked.get(queue.name, 0),
    )
