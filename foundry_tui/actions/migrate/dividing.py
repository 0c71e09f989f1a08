"""Quotas of projects from what accounts held on Slurm, and the plan that sets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from foundry_tui.actions.errors import NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.migrate.counting import Counted, sides
from foundry_tui.actions.site import Site
from foundry_tui.estate.acts import ChangeQueue
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.plan import Move, NotProposed, Plan, Target
from foundry_tui.estate.precondition import observed
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.migration.nouns import Tables
from foundry_tui.migration.quotas import Quota, propose, use_of
from foundry_tui.migration.tally import Hours

RULE = "quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """The proposal for a pool of `pool` GPUs, and where it could be set.

    `source` is where the projects are, None where there is none; `how` says what the pool is.
    """

    quotas: tuple[Quota, ...]
    projects: Mapping[str, str | None]
    pool: int
    how: str
    source: str | None
    notes: tuple[str, ...]


def divide(site: Site, counted: Counted, pool: int | None, source: str | None) -> Divided:
    """Propose quotas from what was counted. `source` is needed where runs can go to several.

    Raises:
        WrongUse: no such source, or it has to be named.
        SourceMissing: it does not tell how many GPUs it has, and `pool` does not say it.
    """
    _, others = sides(site)
    target = _target(others, source)
    names = sorted({account for _, account in counted.tally.hours if account is not None})
    projects = {name: counted.tables.project_of(name) for name in names}
    notes: list[str] = []
    if pool is None:
        pool, how = _pool(counted.snapshot, target, {p for p in projects.values() if p}, notes)
    else:
        how = "as --pool-gpus says"
    lengths = counted.tally.lengths_s
    hours: dict[str, Hours] = {}
    for (_, account), held in counted.tally.hours.items():
        if account is not None:
            hours[account] = _added(hours.get(account), held)
    begins_at = counted.tally.begins_at
    use = {name: use_of(hours[name], lengths, begins_at) for name in names}
    if begins_at and counted.tally.first is not None:
        notes.append(
            f"the books begin at {counted.tally.first:%Y-%m-%d %H:%M} UTC: no hour before counts"
        )
    slurm = {source for source, _ in counted.tally.hours}
    tree = [account for (at, _), account in counted.accounts.items() if at in slurm]
    return Divided(
        quotas=propose(tree, use, pool),
        projects=projects,
        pool=pool,
        how=how,
        source=target,
        notes=tuple(notes),
    )


def _added(first: Hours | None, other: Hours) -> Hours:
    if first is None:
        return other
    sums = [a + b for a, b in zip(first.gpu_s, other.gpu_s, strict=True)]
    return Hours(sums, first.unknown | other.unknown)


def _target(others: tuple[str, ...], source: str | None) -> str | None:
    if source is not None and source not in others:
        have = ", ".join(others) or "none"
        raise WrongUse(f"--source {source!r}: no Run:ai or KAI of that name here; there is {have}")
    if source is None and len(others) > 1:
        raise WrongUse(f"--source: say which one gets the quotas: {', '.join(others)}")
    return source or next(iter(others), None)


def _pool(
    snapshot: Snapshot, target: str | None, mapped: set[str], notes: list[str]
) -> tuple[int, str]:
    """The GPUs to give: those of the target less the quotas of projects that stay as they are."""
    name = target
    if name is None:
        sources = {q.source for q in snapshot.queues if q.kind == "partition"}
        gpus = sum(n.gpu_count or 0 for n in snapshot.nodes if n.source in sources)
        notes.append("there is no Run:ai or KAI here yet: the pool is what Slurm has")
        how = "the GPUs of Slurm's nodes"
    else:
        gpus = sum(n.gpu_count or 0 for n in snapshot.nodes if n.source == name)
        how = f"the GPUs of {name}"
    if not gpus:
        raise SourceMissing(f"migrate quotas: {how} are not known; give --pool-gpus N")
    kept = 0
    for queue in _leaves(snapshot, name):
        if queue.name in mapped:
            continue
        if queue.quota_gpu_milli is None:
            notes.append(f"{queue.name} has no limit to its quota: nothing is kept for it")
        else:
            kept += -(-queue.quota_gpu_milli // WHOLE_MILLI)
    if kept:
        how += f" ({gpus}) less {kept} of projects that no account moves to"
    return max(0, gpus - kept), how


def _leaves(snapshot: Snapshot, source: str | None) -> tuple[Queue, ...]:
    """The projects of a source: queues that no other has for its parent."""
    found = [q for q in snapshot.queues if q.source == source]
    parents = {q.parent for q in found}
    return tuple(q for q in found if q.kind != "department" and q.name not in parents)


def planned(counted: Counted, divided: Divided) -> Plan:
    """The plan that sets the quotas of projects that are there; nothing is sent from here.

    A limit that stands is left as it is: somebody set it.

    Raises:
        NothingMatched: there is no project to change.
    """
    from foundry_tui.optimiser.result import plan_id

    moves: list[Move] = []
    left: list[NotProposed] = []
    snapshot = counted.snapshot
    queues = {q.name: q for q in _leaves(snapshot, divided.source)}
    for project, parts in _by_project(divided, counted.tables, left).items():
        queue = queues.get(project)
        target = Target("queue", f"{divided.source}/{project}")
        quotas = [one.quota for one in parts if one.quota is not None]
        weight = sum(one.weight or 0.0 for one in parts)
        if queue is None:
            left.append(NotProposed(target, f"there is no project {project} yet: make it first"))
            continue
        if len(quotas) < len(parts) or not weight:
            left.append(NotProposed(target, "what its accounts held is not known, or nothing"))
            continue
        move = _move(queue, sum(quotas), weight, parts, len(moves) + 1)
        if move is None:
            left.append(NotProposed(target, "it is so already"))
        else:
            moves.append(replace(move, precondition=observed(snapshot, move)))
    if not moves:
        told = "; ".join(f"{n.target.id}: {n.why}" for n in left) or "no account held GPUs"
        raise NothingMatched(f"migrate quotas: no project is to be changed ({told})")
    now = snapshot.generated_at
    return Plan(
        id=plan_id(snapshot.estate_id, now, tuple(moves)),
        generated_at=now,
        estate_id=snapshot.estate_id,
        objective_name="GPUs given as quota",
        objective=float(sum(one.quota or 0 for one in divided.quotas)),
        bound=float(divided.pool),
        gap=None,
        status="proposed by formula",
        solve_s=0.0,
        moves=tuple(moves),
        before={},
        after={},
        bound_kind=f"the pool: {divided.how}",
        assumptions=(
            f"the use of {counted.window.start:%Y-%m-%d} to {counted.window.end:%Y-%m-%d} goes on",
            "limits that stand are left as they are",
        ),
        not_proposed=tuple(left),
        seen={divided.source: snapshot.source_id(divided.source)} if divided.source else None,
    )


def _by_project(
    divided: Divided, tables: Tables, left: list[NotProposed]
) -> dict[str, list[Quota]]:
    found: dict[str, list[Quota]] = {}
    for one in divided.quotas:
        project = tables.project_of(one.account)
        if project is not None:
            found.setdefault(project, []).append(one)
        elif one.quota:
            target = Target("queue", f"{divided.source}/{one.account}")
            left.append(NotProposed(target, "no project stands for this account in [accounts]"))
    return found


def _move(queue: Queue, gpus: int, weight: float, parts: list[Quota], number: int) -> Move | None:
    """The change of one project; None where it is so already."""
    same = queue.quota_gpu_milli == gpus * WHOLE_MILLI
    if same and queue.over_quota_weight == weight:
        return None
    fields = (("quota_gpus", str(gpus)), ("over_quota_weight", f"{weight:g}"))
    accounts = ", ".join(one.account for one in parts)
    lower = queue.quota_gpu_milli is None or queue.quota_gpu_milli > gpus * WHOLE_MILLI
    return Move(
        id=f"m{number}",
        target=Target("queue", f"{queue.source}/{queue.name}"),
        action="change_queue",
        queue=queue.name,
        gpu_milli=gpus * WHOLE_MILLI,
        inverse="the quota and weight as they were",
        risk="medium" if lower else "low",
        why=f"what {accounts} held on Slurm: " + "; ".join(one.why for one in parts),
        steps=(ChangeQueue(source=queue.source, queue=queue.name, fields=fields),),
        rule=RULE,
    )
