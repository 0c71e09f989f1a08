"""Commands that should run once, in a script that every process runs."""

from __future__ import annotations

from foundry_tui.migration.body.edits import Body
from foundry_tui.migration.body.lexer import Command
from foundry_tui.migration.nouns import Class

_REPEATABLE = frozenset(
    """
    export cd source . set echo printf ulimit module ml conda mamba micromamba unset true : test [
    date hostname nvidia-smi pwd which sleep trap wait exit shopt umask hash ls eval local declare
    readonly free df uname lscpu id whoami nproc type command scontrol squeue sinfo if for while
    case until nvcc break continue return shift env printenv
    """.split()  # noqa: SIM905  (a table to be read)
)
"""Programs that may run in each process as well as once."""

_MAX_TOLD = 20


def others_of(body: Body, started: Command) -> list[Command]:
    """Commands beside the step `started` that do something which should be done once."""
    asked = {c.start for piped in body.hostfiles for c in piped}
    return [
        c
        for c in body.commands
        if c is not started
        and not c.inside
        and c.start not in asked
        and (c.words or c.redirects)
        and (
            (
                c.name not in _REPEATABLE
                and not (c.name == "mkdir" and any(w.text == "-p" for w in c.words))
            )
            or (
                any(w.raw.lstrip("0123456789").startswith(">") for w in c.redirects)
                and not all(w.text in ("/dev/null", "&1", "1", "2") for w in c.redirects)
            )
        )
    ]


def repeated(body: Body, others: list[Command], where: str) -> None:
    """Say of each that it runs in every process."""
    for command in others[:_MAX_TOLD]:
        why = f"runs in {where}, not once: move it into the image, or guard it by the rank"
        body.tell(command, command.name or "command", "kept", why, Class.MANUAL)
    if len(others) > _MAX_TOLD:
        why = f"and {len(others) - _MAX_TOLD} more that run in {where}"
        body.draft.tell(None, "commands", "", "kept", why, Class.MANUAL)
