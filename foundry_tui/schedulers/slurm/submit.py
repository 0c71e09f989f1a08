"""Submitting a batch script: spelled out, sent once, and found again by its token."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from foundry_tui.estate.acts import (
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Submit,
)
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.process import Completed
from foundry_tui.schedulers.slurm.arguments import split_arguments
from foundry_tui.schedulers.slurm.commands import (
    UNREACHABLE,
    Commands,
    failure,
    message,
)
from foundry_tui.schedulers.slurm.directives import DirectiveError, parse
from foundry_tui.schedulers.slurm.jobs import TOKEN_PREFIX
from foundry_tui.schedulers.slurm.receipts import refused
from foundry_tui.schedulers.slurm.rights import me

MAX_SCRIPT_BYTES = 4 << 20
"""Slurm's default `max_script_size`: a larger script is refused before anything is sent."""

_ID_LINE = re.compile(r"^(\d+)(?:;\S+)?$")


def submit_item(act: Submit, token: str) -> PreviewItem:
    try:
        wanted = parse(act.script, act.options)
    except DirectiveError as error:
        return PreviewItem(target=act.script_name, command=(), refusal=safe(str(error)))
    comment = " ".join(filter(None, (f"{TOKEN_PREFIX}{token}", wanted.get("comment"))))
    script = () if act.script_name == "-" else (act.script_name, *act.script_args)
    command = ("sbatch", "--parsable", *act.options, f"--comment={comment}", *script)
    return PreviewItem(
        target=act.script_name, command=command, owner=me(), refusal=_script_refusal(act)
    )


def _script_refusal(act: Submit) -> SafeText | None:
    """Why sbatch would not take this script, said before it is asked."""
    _, stray, _ = split_arguments(act.options)
    if stray is not None:
        return safe(f"{stray!r} among the options is no option of sbatch")
    for option in act.options:
        if option.startswith(("--test-only", "--wrap", "--wait", "-W")):
            return safe(f"option {option.split('=')[0]} cannot be used here")
    if not act.script:
        return safe(f"{act.script_name} is empty")
    if len(act.script) > MAX_SCRIPT_BYTES:
        size = len(act.script) / (1 << 20)
        return safe(f"{act.script_name} has {size:.0f} MiB; Slurm takes scripts up to 4 MiB")
    if not act.script.startswith(b"#!"):
        return safe(f"{act.script_name} has no `#!` in its first line: no batch script")
    if b"\0" in act.script:
        return safe(f"{act.script_name} holds NUL bytes: no batch script")
    if b"\r\n" in act.script:
        return safe(f"{act.script_name} has DOS line breaks: run `dos2unix` on it first")
    return None


def perform_submit(commands: Commands, act: Submit, item: PreviewItem) -> Receipt:
    if item.refusal is not None:
        return refused(item, item.refusal)
    stdin = act.script if act.script_name == "-" else None
    if stdin is None:
        try:
            unchanged = Path(act.script_name).read_bytes() == act.script
        except OSError as error:
            return refused(item, f"{act.script_name} cannot be read any more: {error.strerror}")
        if not unchanged:
            return refused(item, f"{act.script_name} was changed since the preview; look again")
    # The job inherits the caller's whole environment, as with sbatch itself.
    done = commands.run(
        "sbatch", *item.command[1:], stdin=stdin, env=dict(os.environ), cwd=act.work_dir
    )
    return _submitted(item, done)


def _submitted(item: PreviewItem, done: Completed) -> Receipt:
    for line in done.out.decode("utf-8", "replace").splitlines():
        found = _ID_LINE.match(line.strip())
        if done.code == 0 and found:
            return Receipt(target=found[1], status=ReceiptStatus.ACCEPTED, message=_warning(done))
    text = message(done)
    if "timed out" in text or "Zero Bytes" in text:
        return Receipt(target=item.target, status=ReceiptStatus.UNKNOWN, message=text)
    if any(mark in text for mark in UNREACHABLE):
        raise failure("sbatch", done)
    short = text.replace("Batch job submission failed: ", "")
    return refused(item, short or f"sbatch ended with code {done.code}")


def _warning(done: Completed) -> SafeText | None:
    """What sbatch warned of beside its success."""
    return message(replace(done, out=b"")) or None


def find_submitted(commands: Commands, token: str) -> str | None:
    """The id of the job whose comment carries the token: among live jobs, then in accounting.

    Raises:
        Unavailable, Denied: neither place answered, so nothing is known.
    """
    wanted = f"{TOKEN_PREFIX}{token}"
    columns = (("arrayjobid", 12), ("comment", 160))
    rows, _ = commands.table("squeue", columns, "-a", "-t", "all", "-u", me())
    for job, comment in rows:
        if comment.split(" ")[0] == wanted:
            return job
    done = commands.run(
        "sacct", "-u", me(), "-X", "-n", "-P", "-S", "now-7days", "-o", "JobIDRaw,Comment"
    )
    if done.code:
        if b"accounting storage is disabled" in done.err:
            return None
        raise failure("sacct", done)
    for line in done.out.decode("utf-8", "surrogateescape").splitlines():
        job, _, comment = line.partition("|")
        if comment.split(" ")[0] == wanted and job.isdigit():
            return job
    return None
