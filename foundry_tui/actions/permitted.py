"""Whether this user may do an act or carry out a plan, told before a key or a command is offered.

It is asked in this order: read-only, the site's policy, the scheduler's own rights. Rights are kept
for `RIGHTS_S`, because asking costs the scheduler calls.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.site import Site, utc_now
from foundry_tui.changes import approval, policy
from foundry_tui.changes.extent import extent
from foundry_tui.changes.people import Person
from foundry_tui.changes.policy import Judged
from foundry_tui.estate.permission import Standing, forbidden, manner
from foundry_tui.estate.text import safe

if TYPE_CHECKING:
    from pathlib import Path

    from foundry_tui.config.policy import Policy
    from foundry_tui.estate.acts import Act
    from foundry_tui.estate.plan import Move, Plan
    from foundry_tui.estate.rights import Rights
    from foundry_tui.estate.run import Run
    from foundry_tui.estate.snapshot import Snapshot

RIGHTS_S = 300.0
"""Seconds for which what a user may do is not asked anew."""

UNTOLD_S = 30.0
"""Seconds after which a source that did not tell is asked again."""

READ_ONLY = "read-only, nothing is changed (--read-only or the configuration)"


def judged(site: Site, plan: Plan, moves: Sequence[Move], snapshot: Snapshot) -> Judged:
    """What stands against carrying out these moves of a plan. Asks schedulers: not for the face."""
    if (words := shut(site)) is not None:
        return Judged(refusals=(words,))
    try:
        rules = policy_of(site)
    except ActionError as error:
        return Judged(refusals=(str(error),))
    sources = dict.fromkeys(act.source for move in moves for act in move.steps)
    with ThreadPoolExecutor(max_workers=max(1, len(sources))) as pool:
        rights = dict(zip(sources, pool.map(partial(rights_of, site), sources), strict=True))
    return policy.judge(plan, moves, rules, Person.current(), rights, snapshot)


def approved(site: Site, plan: Plan) -> tuple[str, ...]:
    """The others who have agreed to exactly this plan, and may.

    Raises:
        ActionError: the policy or the folder of approvals cannot be relied on.
    """
    from foundry_tui.changes.planfile import digest

    rules = policy_of(site)
    me = Person.current()
    try:
        return approval.approvals(
            rules.approval.folder,
            digest(plan),
            me.uid,
            now=utc_now(),
            days=rules.approval.days,
            counts=lambda who: approval.may_approve(rules, who) is None,
        )
    except approval.ApprovalError as error:
        raise ActionError(str(error)) from error


def refusal(site: Site, act: Act, snapshot: Snapshot, *, ask: bool = True) -> str | None:
    """Why this user may not do this act, naming the missing right; None when allowed or unknown.

    It may ask a scheduler, which takes seconds: with `ask` False only what is known already counts,
    so that a screen may call it.
    """
    runs = {run.id: run for run in snapshot.runs}
    if (words := by_policy(site, act, runs, snapshot, ask=ask)) is not None:
        return words
    rights = rights_of(site, act.source, ask=ask)
    if rights is None:
        return None
    return forbidden(act, rights, manner(snapshot, act.source), runs)


def by_policy(
    site: Site,
    act: Act,
    runs: Mapping[str, Run],
    snapshot: Snapshot | None = None,
    *,
    ask: bool = True,
) -> str | None:
    """Why this host or the site's policy does not let this user do an act; None when they do.

    Whoever may charge which account is asked of the scheduler, where a role needs it and `ask`.
    Limits count where a `snapshot` is given.
    """
    if (words := shut(site)) is not None:
        return words
    try:
        rules = policy_of(site)
    except ActionError as error:
        return str(error)
    me = Person.current()
    asks = ask and any(role.on == "account" for role in rules.roles)
    rights = rights_of(site, act.source, ask=asks)
    if (words := policy.by_roles(rules, me, act, rights, runs)) is not None:
        return words
    if snapshot is not None:
        broken = policy.over_limits(rules.limits, extent((act,), snapshot), snapshot)
        return broken[0] if broken else None
    return None


def rights_of(site: Site, source: str, *, ask: bool = True) -> Rights | None:
    """What this user may do with a source; None when nobody asked yet, or there is no such source.

    Where the source does not answer, the rights say so and forbid nothing.
    """
    from foundry_tui.estate.rights import Rights
    from foundry_tui.schedulers.ports import SchedulerError

    found = site.rights_found.get(source)
    if found is not None and time.monotonic() < found[0]:
        return found[1]
    if not ask or source not in site.schedulers:
        return None
    keep_s = RIGHTS_S
    try:
        rights = site.schedulers[source].rights()
    except SchedulerError as error:
        keep_s = UNTOLD_S
        rights = Rights(user=site.user(source), admin=False, reason=safe(str(error), max_cells=400))
    site.rights_found[source] = time.monotonic() + keep_s, rights
    return rights


def standings(site: Site, snapshot: Snapshot) -> tuple[Standing, ...]:
    """What this user may do with each source of this host.

    Raises:
        WrongUse: a saved estate, which nobody can be asked about.
        SourceMissing: there is no scheduler here.
        ActionError: the policy cannot be relied on.
    """
    if site.saved is not None:
        raise WrongUse("rights: a saved estate (--estate) has no scheduler to ask")
    if not site.schedulers:
        raise SourceMissing("rights: there is no scheduler here; `foundry doctor` says why")
    rules, me = policy_of(site), Person.current()
    names = list(site.schedulers)
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        found = list(pool.map(partial(rights_of, site), names))
    return tuple(
        Standing(
            source=name,
            manner=manner(snapshot, name),
            rights=rights,
            policy=policy.told(rules, me, name),
        )
        for name, rights in zip(names, found, strict=True)
        if rights is not None
    )


def policy_of(site: Site) -> Policy:
    """The policy of this host, read again when its file has changed.

    Raises:
        ActionError: there is one that cannot be relied on: until that is mended nothing is changed.
    """
    from foundry_tui.config.errors import ConfigError
    from foundry_tui.config.policy import Policy, load

    path = policy_file(site)
    if path is None:
        return Policy()
    try:
        info = path.stat()
        stamp: tuple[float, ...] = (info.st_mtime_ns, info.st_size, info.st_ino, info.st_mode)
        stamp = (*stamp, info.st_uid)
    except OSError:
        stamp = ()
    if site.policy_found is not None and stamp and site.policy_found[0] == stamp:
        return site.policy_found[1]
    try:
        found = load(path)
    except ConfigError as error:
        raise ActionError(f"nothing may be changed until the policy is mended: {error}") from error
    site.policy_found = stamp, found
    return found


def policy_file(site: Site) -> Path | None:
    """The policy file that holds here; that of the host does not bind a play on the demo."""
    from foundry_tui.config.policy import place

    configured = site.config.changes.policy
    return configured if site.mode == "demo" else place(configured)


def policy_words(site: Site) -> str:
    """Which policy holds here, in one sentence."""
    if (words := shut(site)) is not None:
        return f"{words[0].upper()}{words[1:]}."
    path = policy_file(site)
    if path is None:
        return "No policy file: what the schedulers allow, within the built-in limits per plan."
    return f"The policy is {path}; `foundry config policy` explains its settings."


def shut(site: Site) -> str | None:
    """Why nothing at all may be changed here."""
    if site.options.read_only or site.config.read_only:
        return READ_ONLY
    return None
