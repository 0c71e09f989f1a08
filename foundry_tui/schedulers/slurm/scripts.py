"""Batch scripts of jobs: from the controller while it knows them, from slurmdbd when it keeps them.

Asked for as the user of this process: Slurm gives a user his own scripts, and those of all to its
operators. What it refuses stays unseen.
"""

from __future__ import annotations

import re

from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import BatchScript
from foundry_tui.schedulers.slurm.commands import (
    NOT_ALLOWED,
    UNREACHABLE,
    Commands,
    failure,
    message,
)

MAX_BYTES = 8 << 20
"""Twice Slurm's own default cap on a script (`max_script_size`)."""

NOT_KEPT = safe(
    "slurmdbd keeps no scripts of jobs that are over: AccountingStoreFlags has no job_script"
)
NO_SCRIPT = "Job script not specified"
"""What the controller says of a job of srun or salloc, and ends with 0."""

INTERACTIVE = BatchScript(interactive=True, reason=safe("it never had a batch script"))

_FLAGS = re.compile(r"^AccountingStoreFlags\s*=(.*)$", re.MULTILINE)
_HEAD = re.compile(rb"Batch Script for [^\n]*\n-+\n")
_NONE = b"NONE"


def read_script(commands: Commands, job: str, *, ended: bool) -> BatchScript:
    """The script of one job by its number.

    Raises:
        Unavailable: Slurm did not answer.
        ValueError: `job` is no number.
    """
    if not job.isascii() or not job.isdigit():
        raise ValueError(f"job: expected a number, not {job!r}")
    return _stored(commands, job) if ended else _live(commands, job)


def _live(commands: Commands, job: str) -> BatchScript:
    done = commands.run("scontrol", "write", "batch_script", job, "-", max_bytes=MAX_BYTES)
    if done.code == 0 and done.out:  # refused, it ends with 0 all the same (22.05)
        return BatchScript(data=done.out)
    words = message(done)
    if any(mark in words for mark in UNREACHABLE):
        raise failure("scontrol write batch_script", done)
    if any(mark in words for mark in NOT_ALLOWED):
        return BatchScript(reason=safe("Slurm gives it to its owner and to operators alone"))
    if NO_SCRIPT in words:
        return INTERACTIVE
    return BatchScript(reason=safe(f"scontrol: {words or 'no answer'}", max_cells=200))


def _stored(commands: Commands, job: str) -> BatchScript:
    """What slurmdbd has; it says NONE of a job without one, and of one whose script it lost."""
    done = commands.run("sacct", "-B", "-j", job, max_bytes=MAX_BYTES)
    words = message(done)
    if done.code and any(mark in words for mark in UNREACHABLE):
        raise failure("sacct -B", done)
    head = _HEAD.match(done.out)
    if done.code or head is None:
        refused = any(mark in words for mark in NOT_ALLOWED) or "denied" in words.lower()
        why = "Slurm gives it to its owner and to operators alone" if refused else words
        return BatchScript(reason=safe(why or "slurmdbd has no such job", max_cells=200))
    body = done.out[head.end() :].removesuffix(b"\n")
    if body.strip() == _NONE:
        if not _keeps(commands):
            return BatchScript(reason=NOT_KEPT, kept=False)
        why = "slurmdbd has none: it was interactive, or is from before scripts were kept"
        return BatchScript(reason=safe(why))
    return BatchScript(data=body)


def _keeps(commands: Commands) -> bool:
    """Whether slurmdbd is given the scripts of new jobs; so too where that is not told."""
    flags = _FLAGS.search(commands.read("scontrol", "show", "config").decode("utf-8", "replace"))
    return flags is None or "job_script" in flags[1]
