"""What a site lets this user do with a plan: pure, from the policy, the rights and a snapshot."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from foundry_tui.changes.extent import Extent, extent, node_id
from foundry_tui.changes.people import Person
from foundry_tui.config.policy import Approval, Limits, Policy, Role
from foundry_tui.estate.acts import Act, ChangeNode, ChangeQueue, MoveNode, Submit, kind
from foundry_tui.estate.permission import forbidden, manner
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot

EVERYBODY = "*"
"""The name in a role's `users` that stands for every user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What stands against a plan, before anything of it is sent.

    `refusals` are sentences; with one of them nothing is sent. `approvals` is how many others must
    have agreed to the plan, 0 for none, and `why` the rule that asks for them.
    """

    refusals: tuple[str, ...] = ()
    approvals: int = 0
    why: str | None = None


def judge(
    plan: Plan,
    moves: Sequence[Move],
    policy: Policy,
    who: Person,
    rights_by_source: Mapping[str, Rights | None],
    snapshot: Snapshot,
) -> Judged:
    """What stands against `who` carrying out these moves of a plan.

    Limits and approvals count what the chosen moves touch together, not the whole plan. Rights of
    None are not known, and forbid nothing.
    """
    runs = {run.id: run for run in snapshot.runs}
    kinds = {source: manner(snapshot, source) for source in rights_by_source}
    refusals: list[str] = []
    chosen = [move for move in moves if move.steps]
    for move in chosen:
        for act in move.steps:
            rights = rights_by_source.get(act.source)
            words = by_roles(policy, who, act, rights, runs)
            if words is None and rights is not None:
                words = forbidden(act, rights, kinds.get(act.source, ""), runs)
            if words is not None:
                refusals.append(f"{move.id}: {words}")
    size = extent([act for move in chosen for act in move.steps], snapshot)
    refusals += over_limits(policy.limits, size, snapshot)
    most = policy.limits.most_moves
    if most is not None and len(chosen) > most:
        refusals.append(
            f"{len(chosen)} moves, and {_limit('most_moves', most)}: choose fewer with --only"
        )
    if size.whole and not policy.limits.whole_source:
        touched = " and ".join(size.whole)
        refusals.append(f"it touches {touched}, which limits.whole_source does not let one plan do")
    reasons = _asks(policy.approval, len(chosen), size)
    return Judged(
        refusals=tuple(dict.fromkeys(refusals)),
        approvals=int(policy.approval.approvals) if reasons else 0,
        why="; ".join(reasons) or None,
    )


def roles_of(policy: Policy, who: Person) -> tuple[Role, ...]:
    """The roles that name a user, or one of the groups."""
    return tuple(
        role
        for role in policy.roles
        if {who.user, EVERYBODY} & set(role.users) or set(who.groups) & set(role.groups)
    )


def by_roles(
    policy: Policy, who: Person, act: Act, rights: Rights | None, runs: Mapping[str, Run]
) -> str | None:
    """Why no role of the policy lets `who` do an act; None when one does, or there are no roles."""
    if not policy.roles or isinstance(act, Submit):
        return None
    mine = [r for r in roles_of(policy, who) if not r.sources or act.source in r.sources]
    if not mine:
        return f"the site's policy gives {who.user} no role on {act.source}: see `foundry rights`"
    word = kind(act)
    able = [role for role in mine if "all" in role.may or word in role.may]
    names = ", ".join(role.name for role in mine)
    if not able:
        has = f"your role {names} does not" if len(mine) == 1 else f"none of yours ({names}) does"
        return f"needs a role of the site's policy that may {word}: {has}"
    if any(role.on == "all" for role in able):
        return None
    names = ", ".join(role.name for role in able)
    if isinstance(act, ChangeNode | MoveNode | ChangeQueue):
        return f'needs a role with on = "all" in the site\'s policy: {names} may {word} runs only'
    return _beyond(act.runs, able, who, rights, runs)


def _beyond(
    targets: Collection[str],
    able: Sequence[Role],
    who: Person,
    rights: Rights | None,
    runs: Mapping[str, Run],
) -> str | None:
    """The first run that lies beyond the scope of these roles, in a sentence."""
    me = {who.user} | ({rights.user} if rights is not None else set())
    accounts: set[str] = set()
    wide = any(role.on == "account" for role in able)
    if wide and rights is not None:
        accounts = {a.account for a in rights.associations or ()} | set(rights.coordinates)
    names = ", ".join(role.name for role in able)
    for target in targets:
        run = runs.get(target)
        if run is None or run.user in me or (wide and run.account in accounts):
            continue
        scope = "runs of your accounts" if wide else "your own runs"
        return f"{target} belongs to {run.user}: the site's policy lets {names} change {scope} only"
    return None


def told(policy: Policy, who: Person, source: str) -> str | None:
    """What the roles of a policy let `who` do on a source, in words; None without roles."""
    if not policy.roles:
        return None
    mine = [r for r in roles_of(policy, who) if not r.sources or source in r.sources]
    if not mine:
        return f"no role names {who.user}: nothing may be changed"
    return "; ".join(
        f"{role.name}: {', '.join(role.may) or 'nothing'}, on {_SCOPES[role.on]}" for role in mine
    )


_SCOPES = {"own": "own runs", "account": "runs of own accounts", "all": "everything"}


def over_limits(limits: Limits, size: Extent, snapshot: Snapshot) -> list[str]:
    """The limits that acts of this extent would break, as sentences."""
    found = []
    for key, count, what in (
        ("most_runs", size.runs, "runs"),
        ("most_nodes_drained", len(size.nodes), "nodes drained or moved"),
        ("most_gpus", size.gpus, "GPUs touched"),
    ):
        most = getattr(limits, key)
        if most is None:
            continue
        if count is None:
            found.append(f"how many GPUs it touches is not known, and {_limit(key, most)}")
        elif count > most:
            found.append(f"{count:g} {what}, and {_limit(key, most)}")
    if limits.most_nodes_drained_pct is not None:
        found += _crowded(limits.most_nodes_drained_pct, size.nodes, snapshot)
    for change in size.quotas:
        for key, value, unit in (
            ("most_quota_change_gpus", change.gpus, " GPUs"),
            ("most_quota_change_pct", change.pct, " %"),
        ):
            most = getattr(limits, key)
            if most is not None and (value is None or value > most):
                by = "without a measure" if value is None else f"by {value:g}{unit}"
                found.append(
                    f"the {change.what} of {change.queue} changes {by}, and {_limit(key, most)}"
                )
    return found


def _crowded(pct: float, taken: frozenset[str], snapshot: Snapshot) -> Iterable[str]:
    """The partitions and pools that would lose too large a part of their nodes."""
    members: dict[tuple[str, str], list[str]] = {}
    for node in snapshot.nodes:
        for queue in node.queues:
            members.setdefault((node.source, queue), []).append(node_id(node))
    for (source, queue), nodes in members.items():
        lost = sum(node in taken for node in nodes)
        most = max(1, math.floor(pct / 100 * len(nodes)))
        if lost > most:
            yield (
                f"{lost} of the {len(nodes)} nodes of {source}/{queue} drained or moved, and "
                f"{_limit('most_nodes_drained_pct', pct)} %: {most} at once"
            )


def _asks(approval: Approval, moves: int, size: Extent) -> list[str]:
    """Why others must agree to what has this extent."""
    found = []
    for key, count, what in (
        ("above_moves", moves, "moves"),
        ("above_gpus", size.gpus, "GPUs touched"),
        ("above_nodes", len(size.nodes), "nodes drained or moved"),
    ):
        most = getattr(approval, key)
        if most is not None and (count is None or count > most):
            told = "an unknown number of" if count is None else f"{count:g}"
            found.append(f"{told} {what}, and approval.{key} is {most:g}")
    named = sorted(size.acts & set(approval.acts) if "all" not in approval.acts else size.acts)
    if named:
        found.append(f"approval.acts names {', '.join(named)}")
    return found


def _limit(key: str, value: float) -> str:
    return f"limits.{key} is {value:g}"
