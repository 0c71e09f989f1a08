"""Quotas and limits of the queues above a workload: the first that has no room for it."""

from __future__ import annotations

from foundry_tui.explain import say
from foundry_tui.explain.asked import ask_of, changes, in_all, number, preemptible
from foundry_tui.explain.case import Case
from foundry_tui.explain.holds import diagnosis
from foundry_tui.explain.verdict import ADMIN, Candidate, Deed, Diagnosis, Kind
from foundry_tui.explain.whatif import Bound, above, bound


def quota(case: Case) -> Diagnosis | None:
    """A queue on the way up has no room under its quota or limit."""
    run, ask = case.run, ask_of(case)
    word = case.word("unscheduled_reason") or case.reason
    told = word in ("NonPreemptibleOverQuota", "OverLimit")
    found = bound(
        case.snapshot, run.source, run.queue, ask.total_milli, preemptible=preemptible(case)
    )
    if told:
        found = _told_bound(case, word) or found
    if found is None:
        return _unnamed(case, word) if told else None
    name, what = f"{found.queue.kind} {found.queue.name}", found.what
    over = "what cannot be preempted has to fit into the quota" if what == "quota" else ""
    sentence = (
        f"{name} has a {what} of {say.gpus(found.most)} and holds {say.gpus(found.held)}; "
        f"this run asks for {in_all(ask)}"
    )
    evidence = [f"queue list: {name}: {what} {say.gpus(found.most)}, {say.gpus(found.left)} left"]
    evidence += [over] if over else []
    if found.queue.name != run.queue:
        evidence.append(f"queue tree: {run.queue} lies below {found.queue.name}")
    holders = [r for r in case.holding if found.queue.name in _line(case, r.queue)]
    if holders:
        evidence.append(f"run list: {say.runs(holders)} of {name} hold GPUs now")
    more = ask.total_milli - found.left
    raise_it = Candidate(
        sentence=f"an administrator raises the {what} of {name}"
        + (f" by {say.gpus(more)}" if more > 0 else ""),
        act=Deed.ASK,
        owner=ADMIN,
        what_if=False,
    )
    wait = Candidate(sentence=f"wait for runs of {name} to end", act=Deed.WAIT, what_if=False)
    return diagnosis(
        case, Kind.QUEUE_LIMIT, sentence, evidence, *changes(case, ask), wait, raise_it
    )


def _told_bound(case: Case, word: str) -> Bound | None:
    """The queue that the scheduler itself names, with its numbers."""
    name = case.word("unscheduled_queue")
    queue = next(
        (q for q in case.snapshot.queues if q.source == case.run.source and q.name == name), None
    )
    if queue is None:
        return None
    what = "limit" if word == "OverLimit" else "quota"
    most = queue.limit_gpu_milli if what == "limit" else queue.quota_gpu_milli
    most = number(case, f"unscheduled_{'limit' if what == 'limit' else 'deserved'}") or most
    held = case.word("unscheduled_allocated")
    used = int(held) if held.isdecimal() else queue.allocated_gpu_milli
    return None if most is None or used is None else Bound(queue, what, most, used)


def _unnamed(case: Case, word: str) -> Diagnosis:
    """The scheduler says that a limit binds, and the lists do not show which."""
    message = case.word("unscheduled_message") or case.word("phase_message")
    sentence = f"a limit of queue {case.run.queue} keeps it waiting: {word}"
    evidence = [message] if message else ["queue list: no limit that is known binds it now"]
    return diagnosis(
        case,
        Kind.QUEUE_LIMIT,
        sentence,
        evidence,
        Candidate(sentence="wait for room under the limit", act=Deed.WAIT, what_if=False),
        Candidate(
            sentence=f"an administrator raises the limit of queue {case.run.queue}",
            act=Deed.ASK,
            owner=ADMIN,
            what_if=False,
        ),
    )


def _line(case: Case, name: str | None) -> set[str]:
    return {q.name for q in above(case.snapshot, case.run.source, name)}
