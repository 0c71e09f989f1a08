"""Why a workload of KAI or Run:ai waits, from what its PodGroup, queues and GPU groups tell.

In the order in which an obstacle hides those behind it: nobody looks at it, a quota or limit, a
pool that is too small for good, a bind that fails, a gang, a node, its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from foundry_tui.estate.queue import Queue
from foundry_tui.explain import say
from foundry_tui.explain.asked import anew, ask_of, number, wait
from foundry_tui.explain.case import Case
from foundry_tui.explain.holds import diagnosis
from foundry_tui.explain.quota import quota
from foundry_tui.explain.room import blind, free_words, gang, never, room
from foundry_tui.explain.verdict import ADMIN, Candidate, Deed, Diagnosis, Kind
from foundry_tui.explain.whatif import above

SCHEDULERS = frozenset({"runai", "kai"})


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


def _bind(case: Case) -> Diagnosis | None:
    """It was given a node and could not be bound to it."""
    failures = number(case, "bind_failures")
    waits = case.word("reservation") in ("waiting", "missing")
    if not failures and case.word("bind_phase") != "Failed" and not waits:
        return None
    why = case.word("bind_reason") or "no reason is given"
    times = f" {say.counted(failures, 'time')}" if failures else ""
    sentence = f"a node was chosen for it, and binding it failed{times}"
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


def _turn(case: Case) -> Diagnosis:
    """There is room and no limit: it is a matter of its turn, or of the next cycle."""
    run, ask = case.run, ask_of(case)
    queue = next(iter(above(case.snapshot, run.source, run.queue)), None)
    evidence = [] if blind(case) else [free_words(case, ask)]
    if place := case.word("queue_position"):
        evidence.append(f"the scheduler tries it as number {place}")
    told = case.word("unscheduled_message") or case.word("phase_message")
    if told:
        evidence.append(f"the scheduler: {told}")
    if queue is not None and _over(queue) and any(r.queue != run.queue for r in case.waiting):
        sentence = (
            f"{queue.kind} {queue.name} holds {say.gpus(queue.allocated_gpu_milli or 0)}, which is "
            f"its fair share of {say.gpus(queue.fair_share_gpu_milli or 0)}: others go first"
        )
        return diagnosis(case, Kind.PRIORITY, sentence, evidence, wait(case))
    if blind(case):
        sentence = f"the scheduler says {case.reason or 'nothing'}, and its nodes are not known"
        return diagnosis(case, Kind.UNKNOWN, sentence, evidence, wait(case))
    if told:
        sentence = (
            "the lists show room for it, and the scheduler found none when it last looked: "
            "it may have come since, or a rule of its pods (affinity, taint, volume) is in the way"
        )
        return diagnosis(case, Kind.UNKNOWN, sentence, evidence, wait(case))
    sentence = "there is room for it: the scheduler has not come to it yet"
    if run.scheduler == "kai" and ask.pools:
        pool = say.listed(ask.pools, "or")
        evidence.append(f"a scheduler of its own has to serve node pool {pool}")
    return diagnosis(case, Kind.NEXT_CYCLE, sentence, evidence, wait(case))


_CHECKS: tuple[Callable[[Case], Diagnosis | None], ...] = (
    _unseen,
    _held,
    quota,
    never,
    _bind,
    gang,
    room,
)


def _over(queue: Queue) -> bool:
    """Whether it holds its fair share and asks for more; a share is no more than is asked for."""
    held, share = queue.allocated_gpu_milli, queue.fair_share_gpu_milli
    if not held or share is None or not queue.requested_gpu_milli:
        return False
    return held >= share


def _has_children(queue: Queue, known: Sequence[Queue]) -> bool:
    return any(q.parent == queue.name for q in known)
