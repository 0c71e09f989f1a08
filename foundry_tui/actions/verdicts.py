"""What applied plans promised and what was measured; and how well each rule of advice has done."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError, NothingMatched
from foundry_tui.actions.site import Site
from foundry_tui.estate.plan import Plan
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.verdict import RuleRecord, Verdict
from foundry_tui.store.journal import JournalError
from foundry_tui.store.verdicts import VerdictError, Verdicts
from foundry_tui.store.verdicts import rule_records as counted

if TYPE_CHECKING:
    from foundry_tui.collector.judging import Judge

FOLDER = "verdicts"
"""The folder of looks and verdicts, below the state_dir."""


def begin(site: Site, plan: Plan) -> None:
    """Note who waits, right before a plan is applied; never raises.

    The reading that is there anyway is used. Without such a note, what the plan promised of waits
    cannot be compared with anything.
    """
    if site.mode == "saved":
        return
    from foundry_tui.collector.looking import waiters

    try:
        who = waiters(site.sharing.collect(measured=False), plan)
        kept(site).opened(plan.id, site.clock(), who)
    except (ActionError, VerdictError) as error:
        site.tell(f"the verdict on plan {plan.id} will tell nothing of waits: {error}")


def follow(site: Site, snapshot: Snapshot) -> None:
    """Let the open plans be looked at with this reading, in the background; never raises."""
    if site.mode == "saved":
        return
    with suppress(ActionError):  # without a state folder nothing was applied
        _judge(site).offer(snapshot)


def verdict(site: Site, plan_id: str, snapshot: Snapshot) -> Verdict:
    """The verdict on one applied plan as of this reading; a beginning of its id will do.

    Raises:
        NothingMatched: no such plan was applied here.
        ActionError: the journal or the verdicts cannot be read.
    """
    return chosen(all_verdicts(site, snapshot), plan_id)


def chosen(verdicts: tuple[Verdict, ...], plan_id: str) -> Verdict:
    """The verdict of a plan by its id, or a beginning of it.

    Raises:
        NothingMatched: none has it, or several begin so.
    """
    found = [v for v in verdicts if v.plan.startswith(plan_id)]
    exact = [v for v in found if v.plan == plan_id]
    if len(exact or found) != 1:
        many = f"{len(found)} applied plans begin with {plan_id!a}: {_some(found)}"
        none = f"no plan {plan_id!a} was applied here; there is {_some(verdicts)}"
        raise NothingMatched(many if found else none)
    return (exact or found)[0]


def all_verdicts(site: Site, snapshot: Snapshot | None = None) -> tuple[Verdict, ...]:
    """The newest verdict on every applied plan, in the order of their application.

    With a reading the open ones are looked at once more.

    Raises:
        ActionError: the journal or the verdicts cannot be read.
    """
    store = kept(site)
    try:
        known = {v.plan: v for v in store.all()}
        if snapshot is not None and site.mode != "saved":
            judge = _judge(site)
            with store.writer() as mine:
                for found in judge.applications():
                    before = known.get(found.plan.id)
                    if before is not None and before.closed and before.applied_at == found.at:
                        continue
                    known[found.plan.id] = judge.one(found, snapshot, keep=mine)
    except (VerdictError, JournalError) as error:
        raise ActionError(str(error)) from error
    return tuple(sorted(known.values(), key=lambda v: (v.applied_at, v.plan)))


def rule_records(site: Site) -> tuple[RuleRecord, ...]:
    """How well each rule of advice has kept its promises here, the worst first; never raises."""
    with suppress(ActionError, VerdictError):
        return kept(site).rule_records()
    return ()


def records_of(verdicts: tuple[Verdict, ...]) -> tuple[RuleRecord, ...]:
    """The same over these verdicts."""
    return counted(verdicts)


def kept(site: Site) -> Verdicts:
    """What is kept of applied plans.

    Raises:
        ActionError: there is no folder for it.
    """
    return Verdicts(site.state / FOLDER)


def _judge(site: Site) -> Judge:
    if site.judge is None:
        from foundry_tui.actions.obstacles import plans
        from foundry_tui.changes.planfile import read
        from foundry_tui.collector.judging import Judge

        site.judge = Judge(
            plans=plans(site),
            verdicts=kept(site),
            journal=site.journal,
            readers=site.schedulers,
            clock=site.clock,
            read=read,
        )
    return site.judge


def _some(found: Sequence[Verdict]) -> str:
    return ", ".join(v.plan for v in found[-5:]) or "none"
