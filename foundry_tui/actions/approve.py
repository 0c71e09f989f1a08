"""Agreeing to a plan that somebody else applies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foundry_tui.actions import permitted
from foundry_tui.actions.apply import read_plan
from foundry_tui.actions.errors import ActionError, NothingMatched
from foundry_tui.actions.site import Site, utc_now
from foundry_tui.changes import approval, planfile
from foundry_tui.changes.people import Person
from foundry_tui.config.policy import Policy
from foundry_tui.estate.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A plan that is to be agreed to: its digest, who agreed already, and how many are needed.

    `given` are the others whose approval counts now, where this user were to apply it.
    """

    plan: Plan
    digest: str
    given: tuple[str, ...]
    needed: int
    policy: Policy
    who: Person


def read(site: Site, path: Path) -> Asked:
    """The plan of a file, ready to be shown and agreed to.

    Raises:
        WrongUse: the file is no plan.
        NothingMatched: the plan has nothing that is carried out.
        ActionError: this user may not approve, or the policy cannot be relied on.
    """
    plan, _ = read_plan(path)
    if not any(move.steps for move in plan.moves):
        raise NothingMatched(f"approve: plan {plan.id} has no move that is carried out")
    rules, who = permitted.policy_of(site), Person.current()
    if (words := approval.may_approve(rules, who)) is not None:
        raise ActionError(f"approve: {words}")
    return Asked(
        plan=plan,
        digest=planfile.digest(plan),
        given=permitted.approved(site, plan),
        needed=int(rules.approval.approvals),
        policy=rules,
        who=who,
    )


def approve(site: Site, asked: Asked) -> Path:
    """Write the approval; returns its file.

    Raises:
        ActionError: read-only, or it cannot be written.
    """
    if (words := permitted.shut(site)) is not None:
        raise ActionError(f"approve: {words}")
    folder = asked.policy.approval.folder
    try:
        return approval.approve(folder, asked.digest, asked.plan.id, asked.who, utc_now())
    except approval.ApprovalError as error:
        raise ActionError(f"approve: {error}") from error
