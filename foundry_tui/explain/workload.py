"""Why a workload of KAI or Run:ai waits, from what its PodGroup, queues and GPU groups tell.

In the order in which an obstacle hides those behind it: nobody looks at it, a quota or limit, a
pool that is too small for good, a bind that fails, a gang, a node, its turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.queue import Queue
from foundry_tui.explain import say
from foundry_tui.explain.asked import anew, ask_of, changes, number, preemptible, wait
from foundry_tui.explain.case import Case
from foundry_tui.explain.holds import diagnosis
from foundry_tui.explain.packing import Ask, emptied, placed, spaces, takes
from foundry_tui.explain.quota import quota
from foundry_tui.explain.verdict import ADMIN, Candidate, Deed, Diagnosis, Kind
from foundry_tui.explain.whatif import (
    above,
    most_free_gpus,
    most_free_milli,
    starts_now,
)

SCHEDULERS = frozenset({"runai", "kai"})

_GANG = re.compile(r"Resources were found for (\d+) pods? while (\d+) are required", re.IGNORECASE)


def diagnose_workload(case: Case) -> Diagnosis:
    """The one dominant reason for which a workload waits."""
    for check in _CHECKS:
        found = check(case)
        if found is not None:
            return found
    return _turn(case)


def _unseen(case: Case) -> Diagnosis | None:
    """Nobody schedules it: a label or a name is missing, or its request makes no sense."""
    run, queue = case.run, case.run.queue
    wrong, name = case.word("amount"), case.word("scheduler_name")
    if wrong:
        sentence = f"its request makes no sense: {wrong}"
        evidence = [f"pod annotation: {wrong}; a portion is more than 0 and at most 1"]
        again = anew(case, "submit it again with a portion in (0, 1], such as 0.5")
        return diagnosis(case, Kind.BAD_CONSTRAINTS, sentence, evidence, again)
    if run.scheduler == "kai" and name and not case.word("queue_label") and not queue:
        sentence = "its pods name no queue, so that the scheduler leaves them alone"
        again = anew(case, "submit it again with the label of its queue")
        return diagnosis(case, Kind.NO_QUEUE, sentence, ["pod: no queue label"], again)
    if run.scheduler == "kai" and name in ("", "default-scheduler") and case.word("kind"):
        sentence = f"nobody looks at it: its pods name the scheduler {name or 'of Kubernetes'}"
        again = anew(case, "submit it again with schedulerName of KAI")
        return diagnosis(case, Kind.NO_QUEUE, sentence, [f"pod: schedulerName {name}"], again)
    known = [q for q in case.snapshot.queues if q.source == run.source]
    if queue and known and queue not in {q.name for q in known}:
        sentence = f"there is no queue {queue}"
        leaves = [q.name for q in known if not _has_children(q, known)]
        evidence = [f"queue list: {say.listed(sorted(leaves)[:6]) or 'none'}"]
        again = anew(case, "submit it to a queue that there is")
        return diagnosis(case, Kind.NO_QUEUE, sentence, evidence, again)
    mine = next((q for q in known if q.name == queue), None)
    if mine is not None and run.scheduler == "kai" and _has_children(mine, known):
        sentence = f"queue {queue} has queues below it: only the lowest ones take work"
        below = sorted(q.name for q in known if q.parent == queue)
        evidence = [f"queue list: below {queue} are {say.listed(below[:6])}"]
        again = anew(case, f"submit it to {say.listed(below[:3], 'or')}")
        return diagnosis(case, Kind.NO_QUEUE, sentence, evidence, again)
    return None


def _held(case: Case) -> Diagnosis | None:
    if not case.run.held:
        return None
    owner = case.run.user or ADMIN
    release = Candidate(sentence="release it", act=Deed.RELEASE, owner=case.run.user)
    sentence = f"it is on hold until {owner} or an administrator releases it"
    evidence = ["the workload is suspended and marked as held"]
    return diagnosis(case, Kind.HELD_BY_USER, sentence, evidence, release)


def _never(case: Case) -> Diagnosis | None:
    """Even empty nodes would not take it."""
    ask = ask_of(case)
    if not ask.devices:
        return None
    every = spaces(case.snapshot, case.run.source, ask)
    empty = emptied(every)
    if placed(empty, ask) == ask.pods:
        return None
    pool = f"node pool {say.listed(ask.pools, 'or')}" if ask.pools else "the cluster"
    if not any(takes(s, ask) for s in empty):
        most = max((len(s.free) for s in every), default=0)
        each = f"each of its {ask.pods} pods asks" if ask.pods > 1 else "it asks"
        what = f"{say.counted(ask.devices, 'GPU')} on one node"
        sentence = f"it can never start: {each} for {what}; the largest node of {pool} has {most}"
    else:
        sentence = (
            f"it can never start: all {ask.pods} pods together do not fit into {pool}, "
            f"even when it is empty ({placed(empty, ask)} do)"
        )
    evidence = [
        f"node list: {len(every)} nodes that suit it, {sum(len(s.free) for s in every)} GPUs"
    ]
    if message := case.word("unscheduled_message"):
        evidence.append(f"the scheduler: {message}")
    return diagnosis(case, Kind.BAD_CONSTRAINTS, sentence, evidence, *changes(case, ask))


def _bind(case: Case) -> Diagnosis | None:
    """It was given a node and could not be bound to it."""
    failures = number(case, "bind_failures")
    waits = case.word("reservation") in ("waiting", "missing")
    if not failures and case.word("bind_phase") != "Failed" and not waits:
        return None
    why = case.word("bind_reason") or "no reason is given"
    sentence = f"a node was chosen for it, and binding it failed {say.counted(failures, 'time')}"
    if waits:
        sentence = "a shared GPU was chosen for it, and its reservation pod is not ready"
    evidence = [f"bind request: {case.word('bind_phase') or 'Pending'}: {why}"]
    ask = Candidate(
        sentence="an administrator looks at the binder and at the reservation pods of the node",
        act=Deed.ASK,
        owner=ADMIN,
        what_if=False,
    )
    return diagnosis(case, Kind.BIND, sentence, evidence, ask)


def _gang(case: Case) -> Diagnosis | None:
    """Some of its pods have room, and it starts only with all of them."""
    ask = ask_of(case)
    if ask.pods < 2 or not ask.devices:
        return None
    room = placed(spaces(case.snapshot, case.run.source, ask), ask)
    told = _GANG.search(case.word("unscheduled_message"))
    if room >= ask.pods:
        return None
    sentence = (
        f"it starts with all {ask.pods} pods at once, and now there is room for {room}; "
        f"each asks for {say.gpus(ask.devices * ask.milli)}"
    )
    evidence = [_free_words(case, ask)]
    if told:
        evidence.append(f"the scheduler found room for {told[1]} of {told[2]} pods")
    return diagnosis(case, Kind.GANG, sentence, evidence, *changes(case, ask), wait(case))


def _room(case: Case) -> Diagnosis | None:
    """No node has room for it now."""
    ask = ask_of(case)
    found = spaces(case.snapshot, case.run.source, ask)
    if placed(found, ask) == ask.pods:
        return None
    free = sum(f for s in found for f in s.free)
    if ask.milli < WHOLE_MILLI and ask.devices == 1:
        most = most_free_milli(case.snapshot, case.run.source, ask)
        sentence = f"no GPU has {say.gpus(ask.milli)} free: the most on one is {say.gpus(most)}"
    else:
        most = most_free_gpus(case.snapshot, case.run.source, ask)
        sentence = (
            f"no node has {say.counted(ask.devices, 'GPU')} free for it: the most on one is {most}"
        )
    evidence = [_free_words(case, ask)]
    if free >= ask.devices * ask.milli:
        evidence.append("there would be enough in all, but it lies in pieces (fragmentation)")
    if fit := case.word("node_fit"):
        evidence.append(f"the scheduler: {fit}")
    evidence += _entitled(case, ask)
    return diagnosis(case, Kind.RESOURCES, sentence, evidence, *changes(case, ask), wait(case))


def _turn(case: Case) -> Diagnosis:
    """There is room and no limit: it is a matter of its turn, or of the next cycle."""
    run, ask = case.run, ask_of(case)
    queue = next(iter(above(case.snapshot, run.source, run.queue)), None)
    evidence = [_free_words(case, ask)]
    if place := case.word("queue_position"):
        evidence.append(f"the scheduler tries it as number {place}")
    if message := case.word("unscheduled_message") or case.word("phase_message"):
        evidence.append(f"the scheduler: {message}")
    if queue is not None and _over(queue):
        sentence = (
            f"{queue.kind} {queue.name} holds {say.gpus(queue.allocated_gpu_milli or 0)}, which is "
            f"its fair share of {say.gpus(queue.fair_share_gpu_milli or 0)}: others go first"
        )
        return diagnosis(case, Kind.PRIORITY, sentence, evidence, wait(case))
    if starts_now(case.snapshot, run.source, run.queue, ask, preemptible=preemptible(case)):
        sentence = "there is room for it: the scheduler has not come to it yet"
        return diagnosis(case, Kind.NEXT_CYCLE, sentence, evidence, wait(case))
    sentence = f"the scheduler says {case.reason or 'nothing'}, and the lists show no obstacle"
    return diagnosis(case, Kind.UNKNOWN, sentence, evidence, wait(case))


_CHECKS: tuple[Callable[[Case], Diagnosis | None], ...] = (
    _unseen,
    _held,
    quota,
    _never,
    _bind,
    _gang,
    _room,
)


def _free_words(case: Case, ask: Ask) -> str:
    found = spaces(case.snapshot, case.run.source, ask)
    free = sum(f for s in found for f in s.free)
    return f"node list: {say.gpus(free)} free on {say.counted(len(found), 'node')} that suit it"


def _entitled(case: Case, ask: Ask) -> list[str]:
    """Whether its queue is owed GPUs that others have borrowed."""
    run = case.run
    queue = next(iter(above(case.snapshot, run.source, run.queue)), None)
    if queue is None or queue.fair_share_gpu_milli is None or queue.allocated_gpu_milli is None:
        return []
    owed = queue.fair_share_gpu_milli - queue.allocated_gpu_milli
    lenders = [
        q.name
        for q in case.snapshot.queues
        if q.source == run.source
        and q.parent == queue.parent
        and q.name != queue.name
        and _above(q)
    ]
    if owed < ask.total_milli or not lenders:
        return []
    return [
        f"queue {queue.name} is owed {say.gpus(owed)} of its fair share, borrowed by "
        f"{say.listed(sorted(lenders)[:3])}: the scheduler can take them back"
    ]


def _above(queue: Queue) -> bool:
    held, share = queue.allocated_gpu_milli, queue.fair_share_gpu_milli
    return held is not None and share is not None and held > share


def _over(queue: Queue) -> bool:
    held, share = queue.allocated_gpu_milli, queue.fair_share_gpu_milli
    return held is not None and share is not None and held > 0 and held >= share


def _has_children(queue: Queue, known: Sequence[Queue]) -> bool:
    return any(q.parent == queue.name for q in known)
