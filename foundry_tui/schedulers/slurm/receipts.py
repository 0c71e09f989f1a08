"""Receipts of acts on Slurm: refused in words, or settled by what the job list shows afterwards.

Slurm's exit codes prove little: `scancel` of an unknown job and an update that changes nothing
both end with 0, an update of an array ends with 1 although it succeeded.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace

from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    MoveNode,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Release,
    Requeue,
    Resume,
    Submit,
    Suspend,
)
from foundry_tui.estate.acts import refused as plain
from foundry_tui.estate.run import LIVE, RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.slurm.commands import (
    NOT_ALLOWED,
    Commands,
)
from foundry_tui.schedulers.slurm.fields import FIELDS, observed, shown
from foundry_tui.schedulers.slurm.inspect import FORGOTTEN
from foundry_tui.schedulers.slurm.jobs import STATES, native_id, read_jobs
from foundry_tui.schedulers.slurm.rows import JobRow

SETTLE_S = 6.0
"""Seconds for which the job list is asked again until it shows what was sent."""

POLL_S = 0.3

CHUNK = 500
"""Ids in one call: a command line has an end."""

RANGE = re.compile(r"(\d{1,10})_\[[0-9,:%-]+\]")

WHO_MAY = "only its owner, a coordinator of its account or a Slurm operator may change it"


def refused(item: PreviewItem, text: str) -> Receipt:
    if any(mark in text for mark in NOT_ALLOWED):
        owner = f"the run belongs to {item.owner}; " if item.owner else ""
        text = f"{text}: {owner}{WHO_MAY}"
    return plain(item, text)


def read_back(
    commands: Commands, sent: Preview, receipts: tuple[Receipt, ...]
) -> tuple[Receipt, ...]:
    """Receipts settled by the job list, which is asked again until it shows what was sent."""
    if isinstance(sent.act, ChangeNode | MoveNode | ChangeQueue):
        return receipts
    unsure = (ReceiptStatus.ACCEPTED, ReceiptStatus.UNKNOWN)
    open_ = {r.target for r in receipts if r.status in unsure}
    if not open_:
        return receipts
    deadline = time.monotonic() + SETTLE_S
    while True:
        try:
            rows = _rows(commands, [target.partition("/")[2] or target for target in sorted(open_)])
        except SchedulerError as error:
            words = safe(f"sent, but not read back: {error}")
            return tuple(
                replace(r, message=words, status=ReceiptStatus.UNKNOWN) if r.target in open_ else r
                for r in receipts
            )
        settled = tuple(_settle(sent.act, r, rows) if r.target in open_ else r for r in receipts)
        moving = [r for r in settled if r.status is ReceiptStatus.ACCEPTED]
        if not moving or time.monotonic() > deadline:
            return tuple(_final(r) for r in settled)
        time.sleep(POLL_S)


def _rows(commands: Commands, natives: list[str]) -> dict[str, list[JobRow]]:
    """The job list's rows per asked id; an id that Slurm does not know has none."""
    asked = {n: (m[1] if (m := RANGE.fullmatch(n)) else n) for n in natives}
    ids = list(dict.fromkeys(asked.values()))
    by_id: dict[str, dict[str, JobRow]] = {}
    for start in range(0, len(ids), CHUNK):
        try:
            table = read_jobs(commands, "-j", ",".join(ids[start : start + CHUNK]))
        except SchedulerError as error:
            if FORGOTTEN in error.answer:
                continue
            raise
        for row in table.rows:
            for name in (native_id(row), row.job_id, row.array_job_id):
                by_id.setdefault(name, {})[row.job_id] = row
    return {native: list(by_id[job].values()) for native, job in asked.items() if job in by_id}


def _settle(act: Act, receipt: Receipt, rows: dict[str, list[JobRow]]) -> Receipt:
    native = receipt.target.partition("/")[2] or receipt.target
    mine = rows.get(native, [])
    if RANGE.fullmatch(native) and not isinstance(act, Cancel):
        mine = [r for r in mine if r.state == "PENDING"] or mine
    after = ", ".join(sorted({_shown(r) for r in mine})) or None
    if isinstance(act, Submit):
        # sbatch has printed the id: the run exists, even if the list does not show it yet.
        words = receipt.message if mine else safe("submitted; the job list does not show it yet")
        return replace(receipt, status=ReceiptStatus.DONE, after=after, message=words)
    if not mine:
        known = receipt.before is not None
        if isinstance(act, Cancel) and known:
            return replace(receipt, status=ReceiptStatus.DONE, after="gone")
        words = safe(f"Slurm knows no job {native}")
        return replace(receipt, status=ReceiptStatus.UNCHANGED, message=words)
    if isinstance(act, Cancel) and RANGE.fullmatch(native):
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


GOING = LIVE - {RunState.COMPLETING}
"""States of a run that nobody has ended."""

_REACHED: dict[type[Act], Callable[[Act, JobRow], bool]] = {
    Cancel: lambda _, row: STATES.get(row.state, RunState.PENDING) not in GOING,
    Hold: lambda _, row: row.priority == "0" and row.state == "PENDING",
    Release: lambda _, row: row.priority != "0",
    Requeue: lambda _, row: row.state in ("PENDING", "COMPLETING", "CONFIGURING"),
    Suspend: lambda _, row: row.state == "SUSPENDED",
    Resume: lambda _, row: row.state == "RUNNING",
    ChangeRun: _changed,
}
