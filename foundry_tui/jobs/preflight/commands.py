"""The user's own checks: commands whose exit code stops the submit. No shell is involved."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from foundry_tui import process
from foundry_tui.estate.text import safe
from foundry_tui.jobs.preflight.verdict import Check, fail, ok, skipped

NAME = "command"
TIMEOUT_S = 600.0
MAX_BYTES = 16 << 20
"""Cap on what one command prints."""

LAST_LINES = 5
LINE_CELLS = 100


def planned(commands: Sequence[Sequence[str]]) -> tuple[Check, ...]:
    """What would be run; nothing is."""
    return tuple(skipped(NAME, f"would run: {shlex.join(words)}") for words in commands)


def run(
    commands: Sequence[Sequence[str]],
    folder: Path,
    told: Callable[[str], None],
    *,
    timeout_s: float = TIMEOUT_S,
) -> tuple[Check, ...]:
    """Run the commands one after the other in a folder, up to the first that fails.

    They have the user's environment, nothing to read, and so many seconds each. Whoever interrupts
    ends the one that runs, with its children.
    """
    checks: list[Check] = []
    for number, words in enumerate(commands):
        shown = shlex.join(words)
        told(f"preflight: {shown}")
        problem = _problem(words, folder, timeout_s)
        if problem is None:
            checks.append(ok(NAME, shown))
            continue
        checks.append(fail(NAME, f"{shown}: {problem}"))
        left = commands[number + 1 :]
        checks += [skipped(NAME, f"not run any more: {shlex.join(one)}") for one in left]
        break
    return tuple(checks)


def _problem(words: Sequence[str], folder: Path, timeout_s: float) -> str | None:
    """Why a command does not let the run pass, in words; None when it does."""
    program = words[0]
    if "/" in program:
        program = str((folder / program).absolute())
    try:
        done = process.run(
            (program, *words[1:]),
            timeout_s=timeout_s,
            max_bytes=MAX_BYTES,
            cwd=str(folder),
            whole_env=True,
        )
    except process.TimedOut:
        return f"not done within {timeout_s:g} s, and ended"
    except process.ProcessError as error:
        return str(error)
    if done.code == 0:
        return None
    how = f"exit code {done.code}" if done.code > 0 else f"ended by signal {-done.code}"
    last = last_lines(done.err) or last_lines(done.out)
    return f"{how}; its last lines: {' | '.join(last)}" if last else f"{how}; it printed nothing"


def last_lines(printed: bytes) -> list[str]:
    """The last lines that are not blank, safe to show."""
    lines = [line for line in printed.splitlines()[-100:] if line.strip()]
    return [str(safe(line.strip(), max_cells=LINE_CELLS)) for line in lines[-LAST_LINES:]]
