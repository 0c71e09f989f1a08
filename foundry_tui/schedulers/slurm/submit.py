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
from foundry_tui.process import Completed, user_name
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.slurm.arguments import split_arguments
from foundry_tui.schedulers.slurm.commands import (
    NOT_SENT,
    UNREACHABLE,
    Commands,
    NoAnswer,
    failure,
    message,
)
from foundry_tui.schedulers.slurm.directives import DirectiveError, parse
from foundry_tui.schedulers.slurm.jobs import TOKEN_PREFIX
from foundry_tui.schedulers.slurm.receipts import refused

MAX_SCRIPT_BYTES = 4 << 20
"""Slurm's default `max_script_size`: a larger script is refused before anything is sent."""

NOT_HERE = {
    "wait": "foundry would wait with it; follow the run with `foundry runs --watch 30`",
    "test-only": "nothing would be submitted; `--dry-run` shows what would be sent",
    "wrap": "give a script",
    "quiet": "the job id would not be told",
    "uid": "submit as the user",
    "gid": "submit as the user",
    "clusters": "the run goes to the cluster of its source; choose one with --source",
}
"""Options of sbatch, in the script or beside it, that would make the answer mean something else."""

_KEPT = re.compile(r"^AccountingStoreFlags\s*=.*job_comment", re.MULTILINE)
_SEPARATOR = re.compile(r"[,'\"\\\\]")
_ID_LINE = re.compile(r"^(\d+)(?:;\S+)?$")


def submit_item(act: Submit, token: str) -> PreviewItem:
    try:
        wanted = parse(act.script, act.options)
    except DirectiveError as error:
        return PreviewItem(target=act.script_name, command=(), refusal=safe(str(error)))
    return PreviewItem(
        target=act.script_name,
        command=sbatch_command(act, token, wanted),
        owner=user_name(),
        refusal=_script_refusal(act, wanted),
    )


def sbatch_command(act: Submit, token: str, wanted: dict[str, str]) -> tuple[str, ...]:
    """The exact command, with the variables of ours before it as `env` takes them.

    `wanted` are the options of script and command line together.
    """
    comment = " ".join(filter(None, (f"{TOKEN_PREFIX}{token}", wanted.get("comment"))))
    script = () if on_stdin(act) else (act.script_name, *act.script_args)
    ours = tuple(f"{name}={value}" for name, value in act.environment)
    return (
        *(("env", *ours) if ours else ()),
        *("sbatch", "--parsable", *act.options, *_export(act, wanted)),
        *(f"--comment={comment}", *script),
    )


def on_stdin(act: Submit) -> bool:
    """Whether sbatch gets the script on its standard input, and takes no arguments for it then."""
    return act.piped or act.script_name == "-"


def _export(act: Submit, wanted: dict[str, str]) -> tuple[str, ...]:
    """The option that lets our variables through where the submit keeps the environment back.

    A list of names takes their values from sbatch's own environment, so that a value may hold
    anything. `NONE` and `NIL` are no names: a list without others does what they do. An export file
    empties sbatch's environment, so the values themselves have to stand there; a comma or a quote
    cannot (22.05.8).
    """
    if not act.environment:
        return ()
    told = parse(b"", act.options).get("export") or os.environ.get("SBATCH_EXPORT")
    names = (told or wanted.get("export", "")).split(",")
    if "export-file" in wanted:
        ours = [f"{n}={v}" for n, v in act.environment if not _SEPARATOR.search(v)]
    elif names == [""] or "all" in map(str.casefold, names):
        return ()
    else:
        ours = [name for name, _ in act.environment]
    kept = [name for name in names if name and name.casefold() not in ("none", "nil")]
    return (f"--export={','.join([*kept, *ours])}",)


def _script_refusal(act: Submit, wanted: dict[str, str]) -> SafeText | None:
    """Why sbatch would not take this script, said before it is asked."""
    _, stray, _ = split_arguments(act.options)
    if stray is not None:
        return safe(f"{stray!r} among the options is no option of sbatch")
    for name in ("SBATCH_WAIT", "SBATCH_TEST_ONLY", "SBATCH_CLUSTERS"):
        if name in os.environ:
            return safe(f"{name} is set in the environment: unset it first")
    for option, why in NOT_HERE.items():
        if option in wanted:
            return safe(f"--{option} cannot be used here: {why}")
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
    stdin = act.script if on_stdin(act) else None
    if stdin is None:
        try:
            unchanged = Path(act.script_name).read_bytes() == act.script
        except OSError as error:
            return refused(item, f"{act.script_name} cannot be read any more: {error.strerror}")
        if not unchanged:
            return refused(item, f"{act.script_name} was changed since the preview; look again")
    # The job inherits the caller's whole environment, as with sbatch itself.
    try:
        done = commands.run(
            *item.command[item.command.index("sbatch") :],
            stdin=stdin,
            cwd=act.work_dir,
            whole_env=True,
            env=dict(act.environment),
        )
    except NoAnswer as error:
        words = safe(str(error), max_cells=400)
        return Receipt(target=item.target, status=ReceiptStatus.UNKNOWN, message=words)
    return _submitted(item, done)


def _submitted(item: PreviewItem, done: Completed) -> Receipt:
    for line in done.out.decode("utf-8", "replace").splitlines():
        found = _ID_LINE.match(line.strip())
        if done.code == 0 and found:
            return Receipt(target=found[1], status=ReceiptStatus.ACCEPTED, message=_warning(done))
    text = message(done)
    if any(mark in text for mark in UNREACHABLE):
        if any(mark in text for mark in NOT_SENT):
            raise failure("sbatch", done)
        return Receipt(target=item.target, status=ReceiptStatus.UNKNOWN, message=text)
    if done.code == 0:
        # With --quiet it prints no id: the token finds it.
        words = safe("sbatch said yes and told no job id")
        return Receipt(target=item.target, status=ReceiptStatus.UNKNOWN, message=words)
    short = text.replace("Batch job submission failed: ", "")
    return refused(item, short or f"sbatch ended with code {done.code}")


def _warning(done: Completed) -> SafeText | None:
    """What sbatch warned of beside its success."""
    return message(replace(done, out=b"")) or None


def find_submitted(commands: Commands, token: str) -> str | None:
    """The id of the job whose comment carries the token: among live jobs, then in accounting.

    Raises:
        Unavailable, Denied: a place did not answer or keeps no comments: nothing is known.
    """
    wanted = f"{TOKEN_PREFIX}{token}"
    columns = (("arrayjobid", 12), ("comment", 160))
    rows, _ = commands.table("squeue", columns, "-a", "-t", "all", "-u", user_name())
    for job, comment in rows:
        if comment.split(" ")[0] == wanted:
            return job
    config = commands.read("scontrol", "show", "config").decode("utf-8", "replace")
    if not _KEPT.search(config):
        raise Unavailable(
            f"looking for token {token}",
            "the job list does not have it, and accounting keeps no comments here",
            "look at `squeue --me` and `sacct` yourself; `foundry submit --new` submits again",
        )
    out = commands.read(
        "sacct", "-u", user_name(), "-X", "-n", "-P", "-S", "now-7days", "-o", "JobIDRaw,Comment"
    )
    for line in out.decode("utf-8", "surrogateescape").splitlines():
        job, _, comment = line.partition("|")
        if comment.split(" ")[0] == wanted and job.isdecimal():
            return job
    return None
