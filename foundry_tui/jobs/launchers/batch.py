"""The batch script that Slurm is given: what comes before the program, and the program.

A program for which nothing has to be done stays the script that it is. The order before it: count
the attempt, modules, secrets, rendezvous, the record of the environment, traps.
"""

from __future__ import annotations

import shlex

from foundry_tui.jobs.launchers import prologue
from foundry_tui.jobs.launchers.step import step, waited
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.record.prologue import lines as record_lines
from foundry_tui.jobs.spec import JobSpec, Launcher
from foundry_tui.jobs.target import Notes

_BASH = "#!/bin/bash"
"""Of our own scripts: `module` is a function that bash alone inherits."""


def script(spec: JobSpec, program: Program, notes: Notes, *, recorded: bool) -> bytes:
    """The batch script of a spec; `recorded` with the lines that tell a record its environment.

    Raises:
        ValueError: the program has to be started by the script, and cannot travel in it.
    """
    record = record_lines() if recorded else ()
    counted = prologue.attempt(spec)
    asked = (prologue.modules(spec), prologue.secrets(spec))
    if steps(spec, program):
        command = step(spec, program)
        tail = waited(spec, command) if spec.checkpoint is not None else (f"exec {command}",)
        return _ours(program, counted, *asked, prologue.rendezvous(spec), record, tail)
    if (spec.nodes_most or spec.nodes or 1) > 1:
        notes.add(
            "file: Slurm starts it on the first node alone, with srun inside for the others; "
            "elsewhere it starts on each"
        )
    if not any(asked) and program.is_shell:
        return _inserted(program, counted, record)
    # A file that no shell runs is left alone for the record's sake.
    if not any((*asked, counted, record if program.inline else ())):
        return program.as_batch()
    words = (f"exec {shlex.join(program.words())}",)
    return _ours(program, counted, *asked, record, words)


def steps(spec: JobSpec, program: Program) -> bool:
    """Whether srun starts the program. A file for several nodes calls srun itself."""
    if spec.launcher is not Launcher.NONE:
        return True
    if (spec.nodes_most or spec.nodes or 1) > 1:
        return program.inline
    return spec.checkpoint is not None


def _ours(program: Program, *blocks: tuple[str, ...]) -> bytes:
    """A script of our own, with the directives of the program at its head."""
    head = f"{_BASH}\n".encode() + program.directive_lines()
    body = "\n\n".join("\n".join(block) for block in blocks if block)
    return head + b"\n" + body.encode() + b"\n"


def _inserted(program: Program, *blocks: tuple[str, ...]) -> bytes:
    """The program itself, with lines for any shell between its head and its first command."""
    if not any(blocks):
        return program.as_batch()
    head, rest = program.split_head()
    if head and not head.endswith(b"\n"):
        head += b"\n"
    body = "\n\n".join("\n".join(block) for block in blocks if block)
    return head + b"\n" + body.encode() + b"\n\n" + rest
