"""Candidate changes: each is offered only when the lists say that it would take the obstacle away.

In order of what it costs the run: another QOS, account or queue takes nothing from it; fewer GPUs,
fewer nodes or less time make it smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from foundry_tui.estate.queue import Queue
from foundry_tui.explain import fit, limits, position, say
from foundry_tui.explain.case import CLOSED, Case
from foundry_tui.explain.fit import Demand
from foundry_tui.explain.verdict import ADMIN, Candidate, Deed

MOST_QUEUES = 2
"""Other queues offered: each costs one question to the scheduler."""


def change(
    case: Case, sentence: str, *changes: tuple[str, str], wanted: Demand | None = None
) -> Candidate:
    """A change of the waiting run by its owner; `wanted` is its demand afterwards if that changes.

    It stays in its queues. Only Slurm changes a waiting run in place.
    """
    return Candidate(
        sentence=sentence,
        act=Deed.CHANGE if case.run.scheduler == "slurm" else Deed.RESUBMIT,
        changes=changes,
        owner=case.run.user,
        behind_s=behind_s(case, case.queues, wanted or fit.demand(case)),
    )


def ask(sentence: str) -> Candidate:
    """Something that only an administrator can do."""
    return Candidate(sentence=sentence, act=Deed.ASK, owner=ADMIN, what_if=False)


def behind_s(case: Case, queues: Sequence[Queue], wanted: Demand) -> float:
    """What a what-if adds for runs that do not compete: the run itself, and those that cannot
    start anyhow (held back by a dependency, a begin time, a limit).

    Taken off only where there is room now. Elsewhere the nodes decide, and as a copy may rank
    before those runs, taking it off could make the start too early.
    """
    if not fit.enough(fit.rooms(case, case.nodes_of(*queues), wanted), wanted, now=True):
        return 0.0
    return max((_idle_work_s(case, q) for q in queues), default=0.0)


def _idle_work_s(case: Case, queue: Queue) -> float:
    line = position.waiting_in(case, queue)
    return position.work_s(case, queue, (r for r in line if not position.competes(r, case.run)))


def other_queues(case: Case, wanted: Demand, *, now: bool = False) -> tuple[Candidate, ...]:
    """Queues that take the run as it is; with `now` only those with room for it.

    Room on nodes for which others wait is none; the what-if would not see them, so that it is not
    asked then.
    """
    found: list[tuple[bool, int, Candidate]] = []
    for queue in case.other_queues:
        if why_not(case, queue, wanted) is not None:
            continue
        rooms = fit.rooms(case, case.nodes_of(queue), wanted)
        opened = fit.open_rooms(rooms)
        fits = fit.roomy(case, rooms, wanted)
        behind = not fits and fit.enough(rooms, wanted, now=True)
        if not fit.enough(opened, wanted, now=False) or (now and not fits):
            continue
        free = sum(r.free_gpus for r in opened)
        room = "has room for it now" if fits else "can run it"
        room += ", behind the runs that wait for its nodes" if behind else ""
        found.append(
            (
                not fits,
                -free,
                Candidate(
                    sentence=f"move it to queue {queue.name}, which {room}",
                    changes=(("queue", queue.name),),
                    owner=case.run.user,
                    what_if=not behind,
                    behind_s=behind_s(case, (queue,), wanted),
                ),
            )
        )
    found.sort(key=lambda f: f[:2])
    return tuple(candidate for _, _, candidate in found[:MOST_QUEUES])


def why_not(case: Case, queue: Queue, wanted: Demand) -> str | None:
    """The rule of a queue that keeps the run out of it for good; None when there is none."""
    run = case.run
    if queue.state in CLOSED:
        return f"queue {queue.name} is {queue.state}"
    if not case.admits(queue, run.account, run.qos):
        return f"queue {queue.name} does not take account {run.account} with QOS {run.qos}"
    limit = run.request.time_limit_s
    if queue.time_limit_s is not None and (limit is None or limit > queue.time_limit_s):
        return f"queue {queue.name} allows {say.span(queue.time_limit_s)} per run"
    if queue.max_nodes is not None and wanted.nodes > queue.max_nodes:
        return f"queue {queue.name} allows {say.counted(queue.max_nodes, 'node')} per run"
    return None


def other_qos(case: Case) -> tuple[Candidate, ...]:
    """QOS that the owner may use with this account, the default first, without a limit in the way.

    A QOS is free to cost more or to be preempted sooner; the lists do not tell.
    """
    mine = [a for a in case.associations or () if a.account == case.run.account]
    names = [n for a in mine for n in ((a.default_qos,) if a.default_qos else ()) + a.qos]
    found = [
        qos
        for qos in dict.fromkeys(names)
        if qos != case.run.qos
        and (not case.queues or any(case.admits(q, case.run.account, qos) for q in case.queues))
        and limits.under(case, qos=qos)
    ]
    return tuple(
        change(case, f"change its QOS from {case.run.qos} to {qos}", ("qos", qos))
        for qos in found[:MOST_QUEUES]
    )


def other_accounts(case: Case) -> tuple[Candidate, ...]:
    """Accounts of the owner that the queue takes and whose limits leave room."""
    found = []
    for association in case.associations or ():
        account = association.account
        if account == case.run.account or not limits.under(case, account=account):
            continue
        qos = case.run.qos
        changes: tuple[tuple[str, str], ...] = (("account", account),)
        if association.qos and qos not in association.qos:
            qos = association.default_qos or association.qos[0]
            changes += (("qos", qos),)
        if not case.queues or any(case.admits(q, account, qos) for q in case.queues):
            found.append(change(case, f"charge it to account {account}", *changes))
    return tuple(found[:MOST_QUEUES])


def fewer_gpus(case: Case, wanted: Demand, per_node: int, why: str) -> tuple[Candidate, ...]:
    """The run with this many GPUs on each node (in all, when they are asked for per run)."""
    field = case.gpu_field()
    if field is None or not 0 < per_node < wanted.gpus:
        return ()
    name, prefix = field
    each = " per node" if name == "gpus_per_node" and wanted.nodes > 1 else ""
    sentence = f"ask for {say.counted(per_node, 'GPU')}{each} instead of {wanted.gpus}: {why}"
    after = replace(wanted, gpus=per_node)
    return (change(case, sentence, (name, f"{prefix}{per_node}"), wanted=after),)


def smaller(case: Case, rooms: Iterable[fit.Room], wanted: Demand) -> tuple[Candidate, ...]:
    """The run with as many GPUs or nodes as have room now."""
    opened = fit.open_rooms(
        fit.rooms(case, (r.node for r in rooms if not r.closed), replace(wanted, gpus=0))
    )
    idle = sorted((r.free_gpus for r in opened if not r.short), reverse=True)
    if not wanted.gpus:
        return _fewer_nodes(case, wanted, len(idle))
    if wanted.spread:
        return fewer_gpus(case, wanted, sum(idle), "so many are free now")
    if len(idle) < wanted.nodes or not idle[wanted.nodes - 1]:
        return _fewer_nodes(case, wanted, sum(1 for free in idle if free >= wanted.gpus))
    found = fewer_gpus(
        case, wanted, idle[wanted.nodes - 1], "so many are free now on each node it needs"
    )
    return found + _fewer_nodes(case, wanted, sum(1 for free in idle if free >= wanted.gpus))


def _fewer_nodes(case: Case, wanted: Demand, count: int) -> tuple[Candidate, ...]:
    if not 0 < count < wanted.nodes:
        return ()
    sentence = f"ask for {say.counted(count, 'node')} instead of {wanted.nodes}: they are free now"
    after = replace(wanted, nodes=count)
    return (change(case, sentence, ("nodes", str(count)), wanted=after),)


def other_model(case: Case, wanted: Demand) -> tuple[Candidate, ...]:
    """Another GPU model that is free: to be submitted anew, as not every Slurm changes it."""
    field = case.gpu_field()
    if field is None or not wanted.model:
        return ()
    untyped = replace(wanted, model=None)
    for queue in (*case.queues, *case.other_queues):
        if why_not(case, queue, untyped) is not None:
            continue
        rooms = fit.rooms(case, case.nodes_of(queue), untyped)
        models = sorted({r.node.gpu_model or "" for r in rooms if r.fits} - {wanted.model, ""})
        for model in models:
            same = [r for r in rooms if r.node.gpu_model == model]
            if not fit.roomy(case, same, untyped) or "+" in model:
                continue
            changes = (("queue", queue.name), (field[0], f"{model}:{wanted.gpus}"))
            return (
                Candidate(
                    sentence=f"submit it anew for {model} GPUs, which are free in {queue.name}",
                    act=Deed.RESUBMIT,
                    changes=changes,
                    owner=case.run.user,
                ),
            )
    return ()
