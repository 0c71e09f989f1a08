"""Steps that are not commands of their own: in substitutions, behind other programs, in words."""

from __future__ import annotations

import re

from foundry_tui.migration.body.edits import Body
from foundry_tui.migration.body.launchers import Launch, launch_of
from foundry_tui.migration.body.lexer import Command
from foundry_tui.migration.nouns import Class

_SRUN = re.compile(r"(?:^|[\s;&|(\"'])srun(?:\s|$|\")")
_SPEAKS = frozenset(("echo", "printf", "which", "type", "command", "grep", "man", "export"))
"""Programs that only name srun."""

_LAUNCHED = re.compile(
    r"(?:^|[\s;&|(])(?:torchrun|deepspeed|mpirun|accelerate\s+launch)\s"
    r"|\s-m\s+torch\.distributed\.(?:run|launch)\s"
)
"""Launchers in the words of a shell."""

_SHELLS = frozenset(("bash", "sh", "dash", "zsh", "ksh"))
_MAX_TOLD = 20


def hidden(body: Body) -> None:
    """Say of every srun that no rule has found that it is still there."""
    told = 0
    for command in body.lexed.commands:
        found = launch_of(command.words)
        if told < _MAX_TOLD and _launches(body, command):
            why = "a launcher in the words of a shell, where it was not looked at: start it plainly"
            body.tell(command, "launcher", "kept", why, Class.MANUAL, blocks=True)
            told += 1
        if command.inside and found is not None and found.layer("srun") is not None:
            told += _substituted(body, command, found)
        elif found is None and told < _MAX_TOLD and _names_it(command):
            why = "srun behind another program, where it was not looked at: start it plainly"
            body.tell(command, "srun", "kept", why, Class.MANUAL, blocks=True)
            told += 1


def _launches(body: Body, command: Command) -> bool:
    """Whether `bash -c 'torchrun …'` would have to tell the pods of several nodes of each other."""
    names = [(word.text or "").rpartition("/")[2] for word in command.words]
    if body.draft.amounts.nodes == 1 or not _SHELLS.intersection(names):
        return False
    behind = command.words[min(names.index(n) for n in _SHELLS.intersection(names)) :]
    return any(_LAUNCHED.search(word.raw.strip("\"'")) for word in behind)


def _names_it(command: Command) -> bool:
    words = () if command.name in _SPEAKS else command.words
    return any(_SRUN.search(f"{word.raw} ") for word in words)


def _substituted(body: Body, command: Command, found: Launch) -> int:
    """A step whose output the script takes."""
    srun = found.layer("srun")
    first = found.program[0].text if found.program else None
    if first is None or first == "hostname":
        return 0
    alone = body.draft.amounts.ntasks == 1 or (srun is not None and srun.value("ntasks") == "1")
    if alone and body.draft.amounts.nodes == 1 and found.inner == "srun":
        body.put(found.start, found.program[0].start, "")
        body.tell(command, "srun", "the program itself", "the pod is the task", Class.OK)
        return 0
    why = "the output of a step with several tasks: only one of them is here"
    body.tell(command, "srun", "kept", why, Class.MANUAL, blocks=True)
    return 1
