"""Telling owners what triage found: by a program of the site, once per finding and period."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.permitted import shut
from foundry_tui.actions.site import Site, utc_now
from foundry_tui.actions.triage import Triage
from foundry_tui.changes.turn import Busy, turn
from foundry_tui.process import ProcessError, run
from foundry_tui.store.notices import NoticesError, Told
from foundry_tui.triage.nouns import Finding

TIMEOUT_S = 60.0
"""Seconds that the program may take for one owner."""

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}")
"""A name that is safe as an argument: no program takes it for an option."""


@dataclass(frozen=True, slots=True)
class Due:
    """What one owner has not been told yet."""

    user: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of telling one owner; `error` is None when the program took it."""

    user: str
    findings: int
    error: str | None = None


def due(site: Site, found: Triage) -> tuple[tuple[Due, ...], int]:
    """What is to be told, by owner; and how many findings were told within the period already.

    Raises:
        ActionError: what was told before cannot be read.
    """
    period = timedelta(days=site.config.notices.every_days)
    now = utc_now()
    try:
        told = Told(site.state).load()
    except NoticesError as error:
        raise ActionError(f"triage: nobody was told: {error}") from error
    silent = {one.rule.name for one in found.judged if not one.rule.notify}
    by_user: dict[str, list[Finding]] = {}
    already = 0
    for finding in found.findings:
        if finding.user is None or finding.rule in silent:
            continue
        before = told.get(_key(finding))
        if before is not None and now - before < period:
            already += 1
        else:
            by_user.setdefault(finding.user, []).append(finding)
    return tuple(Due(user, tuple(by_user[user])) for user in sorted(by_user)), already


def ready(site: Site) -> tuple[str, ...]:
    """The program that tells owners.

    Raises:
        WrongUse: none is configured, or the estate is not a live one.
        ActionError: read-only.
    """
    if site.mode != "live":
        raise WrongUse("triage: nobody is told of a simulated or a saved estate")
    command = site.config.notices.command
    if not command:
        raise WrongUse(
            "triage: --notify --yes needs [notices] command in the configuration, a program that "
            "takes the text on its standard input"
        )
    if (words := shut(site)) is not None:
        raise ActionError(f"triage: nobody was told: {words}")
    return command


def tell(site: Site, found: Triage, text: Callable[[Due, datetime], str]) -> tuple[Outcome, ...]:
    """Run the site's program once per owner, with the text on its standard input.

    An owner counts as told when the program ended with 0; then that is remembered at once.

    Raises:
        WrongUse, ActionError: as `ready`.
        ActionError: somebody else notifies just now, or what was told cannot be kept.
    """
    command = ready(site)
    keep = timedelta(days=site.config.notices.every_days)
    outcomes = []
    with _alone(site):
        store = Told(site.state)
        for one in due(site, found)[0]:
            error = _run(command, one.user, text(one, utc_now()))
            outcomes.append(Outcome(one.user, len(one.findings), error))
            if error is None:
                try:
                    store.remember(map(_key, one.findings), utc_now(), keep)
                except NoticesError as problem:
                    raise ActionError(
                        f"triage: {one.user} was told, and that cannot be kept: {problem}"
                    ) from problem
    return tuple(outcomes)


def _run(command: Sequence[str], user: str, text: str) -> str | None:
    """Why the program did not tell; None when it did."""
    if not _USER.fullmatch(user):
        return f"{user!a} is no name that a program could be given"
    argv = [word.replace("{user}", user) for word in command]
    try:
        done = run(argv, timeout_s=TIMEOUT_S, stdin=text.encode("utf-8", "replace"))
    except ProcessError as error:
        return str(error)
    if done.code:
        said = done.err.decode("utf-8", "replace").strip().splitlines()
        return f"{argv[0]} ended with {done.code}" + (f": {said[-1]}" if said else "")
    return None


def _key(finding: Finding) -> str:
    return f"{finding.rule}|{finding.run}|{finding.user}"


@contextmanager
def _alone(site: Site) -> Iterator[None]:
    """Nobody is told twice because two processes notify at once."""
    try:
        with turn(site.state / "notices.lock", "foundry triage --notify", utc_now):
            yield
    except (Busy, OSError) as error:
        raise ActionError(f"triage: nobody was told: {error}") from error
