"""Acts on Slurm: spelled out as exact commands, sent one by one, and read back.

Slurm's exit codes prove little: `scancel` of an unknown job and an update that changes nothing
both end with 0, an update of an array ends with 1 although it succeeded. So every receipt is
settled by what the job list shows afterwards.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Release,
    Requeue,
    Resume,
    RunAct,
    Submit,
    Suspend,
)
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.process import Completed
from foundry_tui.schedulers.ports import SchedulerError, Unavailable
from foundry_tui.schedulers.slurm.arguments import split_arguments
from foundry_tui.schedulers.slurm.commands import (
    NOT_ALLOWED,
    UNREACHABLE,
    Commands,
    failure,
    message,
)
from foundry_tui.schedulers.slurm.directives import DirectiveError, parse
from foundry_tui.schedulers.slurm.fields import FIELDS, observed, shown, update_words
from foundry_tui.schedulers.slurm.inspect import FORGOTTEN
from foundry_tui.schedulers.slurm.jobs import TOKEN_PREFIX, native_id, read_jobs
from foundry_tui.schedulers.slurm.rights import me
from foundry_tui.schedulers.slurm.rows import JobRow

MAX_SCRIPT_BYTES = 4 << 20
"""Slurm's default `max_script_size`: a larger script is refused before anything is sent."""

SETTLE_S = 6.0
"""Seconds for which the job list is asked again until it shows what was sent."""

POLL_S = 0.3

_JOB = re.compile(r"\d{1,10}(?:_\d{1,7})?(?:\+\d{1,4})?")
_RANGE = re.compile(r"(\d{1,10})_\[[0-9,:%-]+\]")
_ID_LINE = re.compile(r"^(\d+)(?:;\S+)?$")

_VERBS = {
    Hold: ("scontrol", "hold"),
    Release: ("scontrol", "release"),
    Requeue: ("scontrol", "requeue"),
    Suspend: ("scontrol", "suspend"),
    Resume: ("scontrol", "resume"),
}
_INVERSES: dict[type[RunAct], type[Hold] | type[Release] | type[Suspend] | type[Resume]] = {
    Hold: Release,
    Release: Hold,
    Suspend: Resume,
    Resume: Suspend,
}


def supports(act: type[Act]) -> str | None:
    """None when this kind of act can be done on Slurm, else why not."""
    if act in (ChangeNode, ChangeQueue):
        return "nodes and partitions are not changed from here yet"
    return None


def preview(commands: Commands, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
    """The exact command of each item. Nothing is sent.

    Raises:
        ValueError: an act that `supports` refuses, or a field that cannot be changed.
    """
    if isinstance(act, Submit):
        return Preview(act=act, items=(_submit_item(act, token),))
    if isinstance(act, ChangeNode | ChangeQueue):
        raise ValueError(supports(type(act)))
    known = {run.id: run for run in runs}
    items = tuple(_run_item(act, target, known.get(target)) for target in act.runs)
    inverse = _INVERSES.get(type(act))
    return Preview(
        act=act, items=items, inverse=inverse(source=act.source, runs=act.runs) if inverse else None
    )


def _submit_item(act: Submit, token: str) -> PreviewItem:
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


def _run_item(act: RunAct, target: str, run: Run | None) -> PreviewItem:
    native = target.partition("/")[2] or target
    if not (_JOB.fullmatch(native) or _RANGE.fullmatch(native)):
        return PreviewItem(
            target=target, command=(), refusal=safe(f"{native!r} is no Slurm job id")
        )
    warning, refusal = None, None
    if run is not None:
        refusal = _pointless(act, run)
    if run is None:
        warning = safe(f"no run {native} was seen in the last reading")
    elif run.user != me() and os.geteuid() != 0:
        warning = safe(f"belongs to {run.user}: {_WHO_MAY}")
    loss = _loss_gpu_s(run) if run and isinstance(act, Cancel | Requeue) else None
    return PreviewItem(
        target=target,
        command=_run_command(act, native),
        owner=run.user if run else None,
        before=_state(run) if run else None,
        loss_gpu_s=loss,
        refusal=refusal,
        warning=warning,
    )


def _pointless(act: RunAct, run: Run) -> SafeText | None:
    """Why an act cannot do anything to a run in this state; Slurm itself often says nothing.

    `scontrol hold` of a running job ends with 0 and holds nothing (22.05.8).
    """
    if run.state not in LIVE:
        return safe(f"it has ended already ({run.state.value})")
    if isinstance(act, Hold | Release) and run.state is not RunState.PENDING:
        return safe(f"it is {run.state.value}: only a waiting run can be held or released")
    if isinstance(act, Requeue) and run.state is RunState.PENDING:
        return safe("it waits already")
    return None


def _loss_gpu_s(run: Run) -> float | None:
    """GPU-seconds of work that ending this run would throw away; 0 for one that has not begun."""
    if run.started_at is None or run.ended_at is not None:
        return 0.0
    if run.read_at is None or run.request.gpu_milli is None:
        return None
    held_s = max(0.0, (run.read_at - run.started_at).total_seconds())
    return held_s * run.request.gpu_milli / 1000


_WHO_MAY = "only its owner, a coordinator of its account or a Slurm operator may change it"


def _state(run: Run) -> str:
    return f"{run.state.value} (held)" if run.held else run.state.value


def _run_command(act: RunAct, native: str) -> tuple[str, ...]:
    waiting = _RANGE.fullmatch(native)
    job = waiting[1] if waiting else native
    if isinstance(act, Cancel):
        # Of an array only the waiting tasks: the started ones are runs of their own.
        return ("scancel", "--state=PENDING", job) if waiting else ("scancel", native)
    if isinstance(act, ChangeRun):
        return ("scontrol", "update", f"JobId={job}", *update_words(act.fields))
    return (*_VERBS[type(act)], job)


def perform(commands: Commands, sent: Preview) -> tuple[Receipt, ...]:
    """Send the previewed commands. The first goes alone: if Slurm does not answer, nothing went.

    Raises:
        Unavailable: Slurm could not be reached, and nothing was sent.
    """
    if isinstance(sent.act, Submit):
        return (_perform_submit(commands, sent.act, sent.items[0]),)
    receipts: list[Receipt] = []
    todo = list(sent.items)
    while todo and not receipts:
        item = todo.pop(0)
        receipt = _perform_item(commands, item, first=True)
        receipts.append(receipt)
    with ThreadPoolExecutor(max_workers=4) as pool:
        receipts.extend(pool.map(lambda item: _perform_item(commands, item, first=False), todo))
    return tuple(receipts)


def _perform_item(commands: Commands, item: PreviewItem, *, first: bool) -> Receipt:
    if item.refusal is not None or not item.command:
        return _refused(item, item.refusal or "nothing to send")
    try:
        done = commands.run(item.command[0], *item.command[1:])
    except Unavailable as error:
        return Receipt(target=item.target, status=ReceiptStatus.UNKNOWN, message=safe(str(error)))
    text = message(done)
    if done.code and any(mark in text for mark in UNREACHABLE):
        if first and "timed out" not in text:
            raise failure(" ".join(item.command), done)
        return Receipt(target=item.target, status=ReceiptStatus.UNKNOWN, message=text)
    if done.code and "No error" not in text:
        return _refused(item, text)
    return Receipt(target=item.target, status=ReceiptStatus.ACCEPTED, before=item.before)


def _refused(item: PreviewItem, text: str) -> Receipt:
    if any(mark in text for mark in NOT_ALLOWED):
        owner = f"the run belongs to {item.owner}; " if item.owner else ""
        text = f"{text}: {owner}{_WHO_MAY}"
    return Receipt(
        target=item.target,
        status=ReceiptStatus.REFUSED,
        message=safe(text, max_cells=400),
        before=item.before,
        after=item.before,
    )


def _perform_submit(commands: Commands, act: Submit, item: PreviewItem) -> Receipt:
    if item.refusal is not None:
        return _refused(item, item.refusal)
    stdin = act.script if act.script_name == "-" else None
    if stdin is None:
        try:
            unchanged = Path(act.script_name).read_bytes() == act.script
        except OSError as error:
            return _refused(item, f"{act.script_name} cannot be read any more: {error.strerror}")
        if not unchanged:
            return _refused(item, f"{act.script_name} was changed since the preview; look again")
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
    return _refused(item, short or f"sbatch ended with code {done.code}")


def _warning(done: Completed) -> SafeText | None:
    """What sbatch warned of beside its success."""
    return message(replace(done, out=b"")) or None


def read_back(
    commands: Commands, sent: Preview, receipts: tuple[Receipt, ...]
) -> tuple[Receipt, ...]:
    """Receipts settled by the job list, which is asked again until it shows what was sent."""
    if isinstance(sent.act, ChangeNode | ChangeQueue):
        return receipts
    open_ = [r for r in receipts if r.status in (ReceiptStatus.ACCEPTED, ReceiptStatus.UNKNOWN)]
    if not open_:
        return receipts
    deadline = time.monotonic() + SETTLE_S
    while True:
        try:
            rows = _rows(commands, [r.target.partition("/")[2] or r.target for r in open_])
        except SchedulerError as error:
            words = safe(f"sent, but not read back: {error}")
            return tuple(
                replace(r, message=words, status=ReceiptStatus.UNKNOWN) if r in open_ else r
                for r in receipts
            )
        settled = tuple(_settle(sent.act, r, rows) if r in open_ else r for r in receipts)
        moving = [r for r in settled if r.status is ReceiptStatus.ACCEPTED]
        if not moving or time.monotonic() > deadline:
            return tuple(_final(r) for r in settled)
        time.sleep(POLL_S)


def _rows(commands: Commands, natives: list[str]) -> dict[str, list[JobRow]]:
    """The job list's rows per asked id; an id that Slurm does not know has none."""
    asked = {n: (m[1] if (m := _RANGE.fullmatch(n)) else n) for n in natives}
    try:
        table = read_jobs(commands, "-j", ",".join(dict.fromkeys(asked.values())))
    except SchedulerError as error:
        if FORGOTTEN in error.answer:
            return {}
        raise
    found: dict[str, list[JobRow]] = {}
    for native, job in asked.items():
        for row in table.rows:
            if native_id(row) == job or row.job_id == job or row.array_job_id == job:
                found.setdefault(native, []).append(row)
    return found


def _settle(act: Act, receipt: Receipt, rows: dict[str, list[JobRow]]) -> Receipt:
    native = receipt.target.partition("/")[2] or receipt.target
    mine = rows.get(native, [])
    if _RANGE.fullmatch(native) and not isinstance(act, Cancel):
        mine = [r for r in mine if r.state == "PENDING"] or mine
    after = ", ".join(sorted({_shown(r) for r in mine})) or None
    if isinstance(act, Submit):
        status = ReceiptStatus.DONE if mine else receipt.status
        return replace(receipt, status=status, after=after)
    if not mine:
        known = receipt.before is not None
        if isinstance(act, Cancel) and known:
            return replace(receipt, status=ReceiptStatus.DONE, after="gone")
        words = safe(f"Slurm knows no job {native}")
        return replace(receipt, status=ReceiptStatus.UNCHANGED, message=words)
    if isinstance(act, Cancel) and _RANGE.fullmatch(native):
        left = any(r.state == "PENDING" for r in mine)
        return receipt if left else replace(receipt, status=ReceiptStatus.DONE, after=after)
    if all(_REACHED[type(act)](act, row) for row in mine):
        return replace(receipt, status=ReceiptStatus.DONE, after=after)
    return replace(receipt, after=after)


def _shown(row: JobRow) -> str:
    return "held" if row.state == "PENDING" and row.priority == "0" else row.state.lower()


def _final(receipt: Receipt) -> Receipt:
    if receipt.status is not ReceiptStatus.ACCEPTED:
        return receipt
    words = safe(f"Slurm said yes, but still shows: {receipt.after or 'nothing'}")
    return replace(receipt, status=ReceiptStatus.UNCHANGED, message=receipt.message or words)


_ENDED = ("PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "RESIZING")


def _changed(act: Act, row: JobRow) -> bool:
    assert isinstance(act, ChangeRun)
    for name, value in act.fields:
        column = FIELDS[name].column
        if column is None or (name in ("nodelist", "features", "dependency") and not value):
            continue
        seen = getattr(row, column)
        if name.startswith("gpus"):
            per = value.rpartition(":")[2]
            nodes = int(row.num_nodes.partition("-")[0] or 1) if name == "gpus_per_node" else 1
            if f"gres/gpu={int(per) * nodes}" not in seen.split(","):
                return False
        elif observed(name, seen) != shown(name, value):
            return False
    return True


_REACHED: dict[type[Act], Callable[[Act, JobRow], bool]] = {
    Cancel: lambda _, row: row.state not in _ENDED,
    Hold: lambda _, row: row.priority == "0",
    Release: lambda _, row: row.priority != "0",
    Requeue: lambda _, row: row.state in ("PENDING", "COMPLETING", "CONFIGURING"),
    Suspend: lambda _, row: row.state == "SUSPENDED",
    Resume: lambda _, row: row.state == "RUNNING",
    ChangeRun: _changed,
}


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
