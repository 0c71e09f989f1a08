"""Obstacles that the run carries itself: a hold, a dependency, a begin time, a task limit."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from foundry_tui.estate.run import Run, RunState
from foundry_tui.explain import position, say
from foundry_tui.explain.case import Case
from foundry_tui.explain.moves import change
from foundry_tui.explain.verdict import ADMIN, Candidate, Deed, Diagnosis, Kind
from foundry_tui.explain.words import kind_of

SLACK_S = 5.0
"""A begin time this near is not worth naming: the scheduler looks again within seconds."""

ENDED_WELL = frozenset({RunState.COMPLETED})
ENDED = ENDED_WELL | {
    RunState.FAILED,
    RunState.CANCELLED,
    RunState.TIMEOUT,
    RunState.OUT_OF_MEMORY,
    RunState.NODE_FAIL,
}

_DEPENDENCY = re.compile(
    r"(?P<type>after[a-z]*|singleton|expand)(?::(?P<job>\d+(?:_(?:\d+|\*))?)(?:\+\d+)?)?"
    r"(?:\((?P<state>\w+)\))?"
)


def diagnosis(
    case: Case, kind: Kind, sentence: str, evidence: list[str], *candidates: Candidate
) -> Diagnosis:
    """A diagnosis of this case, with the scheduler's own word first among the evidence."""
    reason = case.reason or "None"
    return Diagnosis(
        kind=kind,
        reason=reason,
        sentence=sentence,
        evidence=tuple(evidence),
        candidates=candidates,
        at=case.now,
    )


def held(case: Case) -> Diagnosis | None:
    """The run is on hold. A bad constraint also shows priority 0, but is no hold."""
    kind = kind_of(case.reason)
    if kind not in (Kind.HELD_BY_USER, Kind.HELD_BY_ADMIN):
        return None
    user = case.run.user or "its owner"
    if kind is Kind.HELD_BY_ADMIN:
        owner, sentence = ADMIN, "an administrator put it on hold; its owner cannot release it"
    else:
        owner = case.run.user or ADMIN
        sentence = f"it is on hold until {user} or an administrator releases it"
    if "requeue" in case.reason.casefold():
        sentence = f"it was put back into the queue on hold, as after a failed start; {sentence}"
    release = replace(change(case, "release it"), act=Deed.RELEASE, owner=owner)
    return diagnosis(case, kind, sentence, ["job list: priority 0 (held)"], release)


def dependency(case: Case) -> Diagnosis | None:
    """The run waits for other runs to end, or for what can never come."""
    text = case.word("dependency")
    kind = kind_of(case.reason)
    if not text and kind not in (Kind.DEPENDENCY, Kind.DEPENDENCY_NEVER):
        return None
    known = {r.native_id: r for r in case.others}
    known.update({r.array.job_id: r for r in case.others if r.array})
    evidence, dead, ends, waits = [], [], [], []
    for found in _DEPENDENCY.finditer(text):
        other = known.get(found["job"] or "")
        words, failed, until = _state(case, found["type"], found["job"], found["state"], other)
        evidence.append(words)
        if failed:
            dead.append(found["job"])
        elif found["job"] and found["state"] != "fulfilled":
            waits.append(found["job"])
            ends.append(until)
    drop = change(case, "drop the dependency and start without it", ("dependency", ""))
    if dead or kind is Kind.DEPENDENCY_NEVER:
        ended = f"run {say.listed(dead)}" if dead else "the run it depends on"
        sentence = f"it can never start: it needs {ended} to end well, which has not happened"
        return diagnosis(case, Kind.DEPENDENCY_NEVER, sentence, evidence, drop)
    if "singleton" in text:
        sentence = "it starts only when no other run of its owner with the same name runs"
    else:
        sentence = f"it waits for {'run' if len(waits) == 1 else 'runs'} {say.listed(waits)} to end"
    all_end = max((e for e in ends if e), default=None) if all(ends) else None
    wait = Candidate(
        sentence="wait for them to end", act=Deed.WAIT, what_if=False, not_before=all_end
    )
    return diagnosis(case, Kind.DEPENDENCY, sentence, evidence, drop, wait)


def _state(
    case: Case, rule: str, job: str | None, shown: str | None, other: Run | None
) -> tuple[str, bool, datetime | None]:
    """One dependency in words, whether it can never be met, and when the other run ends."""
    if job is None:
        return f"dependency: {rule}", False, None
    words = f"dependency {rule}:{job}"
    failed = shown == "failed"
    if other is None:
        return f"{words}: {shown or 'the job list does not show that run'}", failed, None
    words += f": run {job} of {other.user} is {other.state.value}"
    if other.state is RunState.PENDING and other.reason:
        words += f" ({other.reason})"
    if other.ends_by is not None:
        words += f", at the latest until {say.clock(other.ends_by, case.now)}"
    if rule == "afterok" and other.state in ENDED - ENDED_WELL:
        failed = True
    if rule == "afternotok" and other.state in ENDED_WELL:
        failed = True
    return words, failed, other.ends_by


def begin_time(case: Case) -> Diagnosis | None:
    """The run was asked not to start before a time that has not come."""
    begin = case.run.eligible_at
    left_s = (begin - case.now).total_seconds() if begin else None
    if left_s is None or left_s <= SLACK_S:
        if kind_of(case.reason) is not Kind.BEGIN_TIME:
            return None
        words = "it was put back into the queue or asked to begin later; the time is not told"
        until = None
    else:
        assert begin is not None
        words = f"it may not start before {say.clock(begin, case.now)}, in {say.span(left_s)}"
        until = begin
    now = change(case, "let it begin now", ("begin", "now"))
    wait = Candidate(sentence="wait until then", act=Deed.WAIT, what_if=False, not_before=until)
    evidence = [f"job list: eligible at {say.clock(begin, case.now)}"] if begin else []
    return diagnosis(case, Kind.BEGIN_TIME, words, evidence, now, wait)


def array_limit(case: Case) -> Diagnosis | None:
    """The array's own limit of tasks that run at once (`%2`) is reached."""
    array = case.run.array
    most = array.tasks.partition("%")[2] if array else ""
    if array is None or not most.isdecimal():
        return None
    limit = int(most)
    mine = [r for r in case.holding if r.array and r.array.job_id == array.job_id]
    if kind_of(case.reason) is not Kind.ARRAY_LIMIT and len(mine) < limit:
        return None
    sentence = (
        f"array {array.job_id} may run {say.counted(limit, 'task')} at once, and "
        f"{len(mine)} run; {say.counted(array.count, 'task')} wait for one of them to end"
    )
    evidence = [f"job list: tasks {array.tasks} wait; {say.runs(mine)} hold the places"]
    more = change(case, f"let {limit + 1} tasks run at once", ("array_limit", str(limit + 1)))
    wait = Candidate(
        sentence="wait for a task to end",
        act=Deed.WAIT,
        what_if=False,
        not_before=position.first_end(mine),
    )
    return diagnosis(case, Kind.ARRAY_LIMIT, sentence, evidence, more, wait)
