"""Why a run waits: the checks in the order in which an obstacle hides those behind it.

What the run carries itself (a hold, a dependency) comes first, then rules that no waiting mends,
then limits that others fill, then nodes, then its turn. The scheduler's reason starts the search;
nodes, queues and limits confirm it, name the numbers, or overrule it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.explain import entitled, holds, position, rules, shortage, turn
from foundry_tui.explain.case import Case
from foundry_tui.explain.verdict import Diagnosis, Kind
from foundry_tui.explain.workload import SCHEDULERS, diagnose_workload

__all__ = ["diagnose"]

_OWN: tuple[Callable[[Case], Diagnosis | None], ...] = (
    holds.held,
    holds.dependency,
    holds.begin_time,
)
_RULES: tuple[Callable[[Case], Diagnosis | None], ...] = (
    rules.queue_rule,
    entitled.not_permitted,
    rules.by_word,
    entitled.limit,
    holds.array_limit,
    shortage.licences,
    shortage.reservation,
    shortage.unavailable,
)
_LASTING = frozenset(
    {
        Kind.PARTITION_DOWN,
        Kind.PARTITION_TIME_LIMIT,
        Kind.PARTITION_NODE_LIMIT,
        Kind.ACCOUNT,
        Kind.BAD_CONSTRAINTS,
        Kind.CPU_MEMORY,
        Kind.QOS_LIMIT,
        Kind.ASSOCIATION_LIMIT,
        Kind.NODE_UNAVAILABLE,
    }
)
"""What would still keep a run that its owner has just set free."""


def diagnose(
    run: Run,
    snapshot: Snapshot,
    *,
    details: Mapping[str, str],
    rights: Rights | None,
    now: datetime,
) -> Diagnosis:
    """The one dominant reason for which `run` waits, with evidence and candidate changes.

    `details` are the scheduler's own words about the run (empty where it cannot be asked, as with
    a saved estate), `rights` those of the run's owner. Both make the answer sharper; neither is
    needed.
    """
    case = Case(run=run, snapshot=snapshot, details=details, rights=rights, now=now)
    if run.state is not RunState.PENDING:
        sentence = f"it does not wait: it is {run.state.value}"
        return holds.diagnosis(case, Kind.NOT_WAITING, sentence, [])
    if run.scheduler in SCHEDULERS:
        return diagnose_workload(case)
    case = replace(case, promised=position.promised(case))
    for check in _OWN:
        found = check(case)
        if found is not None:
            return _with_next(case, found)
    for check in _RULES:
        found = check(case)
        if found is not None:
            return found
    return turn.turn(case)


def _with_next(case: Case, found: Diagnosis) -> Diagnosis:
    """The diagnosis with what would keep the run even then, if the lists show it."""
    freed = replace(case, run=replace(case.run, reason=None, held=False), details=_set_free(case))
    for check in _RULES:
        behind = check(freed)
        if behind is not None and behind.kind in _LASTING:
            return replace(found, evidence=(*found.evidence, f"even then: {behind.sentence}"))
    return found


def _set_free(case: Case) -> dict[str, str]:
    return {k: v for k, v in case.details.items() if k not in ("reason", "dependency")}
