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
from foundry_tui.process import user_name
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.slurm.commands import (
    NOT_ALLOWED,
    Commands,
)
from foundry_tui.schedulers.slurm.inspect import FORGOTTEN
from foundry_tui.schedulers.slurm.jobchange import final_change, settle_change
from foundry_tui.schedulers.slurm.jobs import STATES, native_id, read_jobs
from foundry_tui.schedulers.slurm.nodechange import SILENT, read_seen, settle_node
from foundry_tui.schedulers.slurm.partitionchange import read_partitions, settle_queue
from foundry_tui.schedulers.slurm.present import CHUNK, read_present
from foundry_tui.schedulers.slurm.rows import JobRow

SETTLE_S = 6.0
"""Seconds for which the job list is asked again until it shows what was sent."""

POLL_S = 0.3

RANGE = re.compile(r"(\d{1,10})_\[[0-9,:%-]+\]")

WHO_MAY = "only its owner, a coordinator of its account or a Slurm operator may change it"
WHO_RULES = "only root, SlurmUser or a Slurm administrator may change nodes and partitions"
WHO_RAISES = "an owner may not raise its priority or set its nice below 0: a Slurm operator may"


def refused(item: PreviewItem, text: str) -> Receipt:
    return plain(item, in_words(item, text))


def in_words(item: PreviewItem, text: str) -> str:
    """Slurm's refusal with who may do it, where it is one of missing rights."""
    if not any(mark in text for mark in NOT_ALLOWED):
        return text
    words = " ".join(item.command)
    if "NodeName=" in words or "PartitionName=" in words:
        return f"{text}: {WHO_RULES}"
    if item.owner == user_name() and ("Priority=" in words or "Nice=" in words):
        return f"{text}: {WHO_RAISES}"
    owner = f"the run belongs to {item.owner}; " if item.owner else ""
    return f"{text}: {owner}{WHO_MAY}"


def read_back(
    commands: Commands, sent: Preview, receipts: tuple[Receipt, ...]
) -> tuple[Receipt, ...]:
    """Receipts settled by what Slurm shows, which is asked again until it shows what was sent."""
    unsure = (ReceiptStatus.ACCEPTED, ReceiptStatus.UNKNOWN)
    open_ = {r.target for r in receipts if r.status in unsure}
    if not open_:
        return receipts
    deadline = time.monotonic() + SETTLE_S
    while True:
        try:
            settle = _look(commands, sent.act, sorted(open_))
        except SchedulerError as error:
            words = safe(f"sent, but not read back: {error}")
            return tuple(
                replace(r, message=words, status=ReceiptStatus.UNKNOWN) if r.target in open_ else r
                for r in receipts
            )
        settled = tuple(settle(r) if r.target in open_ else r for r in receipts)
        # What Slurm objected to is looked at once: nothing more comes of it.
        moving = [r for r in settled if r.status is ReceiptStatus.ACCEPTED and not r.message]
        if not moving or time.monotonic() > deadline:
            return tuple(_final(sent.act, r) for r in settled)
        time.sleep(POLL_S)


def _look(commands: Commands, act: Act, targets: list[str]) -> Callable[[Receipt], Receipt]:
    """Ask Slurm once, and return what settles a receipt by its answer.

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    if isinstance(act, ChangeNode):
        nodes = read_seen(commands)
        return lambda receipt: settle_node(act, receipt, nodes)
    if isinstance(act, ChangeQueue):
        partitions = read_partitions(commands)
        return lambda receipt: settle_queue(act, receipt, partitions)
    natives = [_native(target) for target in targets]
    if isinstance(act, ChangeRun):
        present = read_present(commands, natives, [name for name, _ in act.fields])
        return lambda r: (
            settle_change(act, r, present[_native(r.target)])
            if present[_native(r.target)]
            else _gone(r)
        )
    rows = _rows(commands, natives)
    return lambda receipt: _settle(act, receipt, rows)


def _native(target: str) -> str:
    return target.partition("/")[2] or target


def _gone(receipt: Receipt) -> Receipt:
    words = safe(f"Slurm knows no job {_native(receipt.target)}")
    return replace(receipt, status=ReceiptStatus.UNCHANGED, message=words)


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
    native = _native(receipt.target)
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
        return _gone(receipt)
    if isinstance(act, Cancel) and RANGE.fullmatch(native):
        left = any(r.state == "PENDING" for r in mine)
        return receipt if left else replace(receipt, status=ReceiptStatus.DONE, after=after)
    if all(_REACHED[type(act)](act, row) for row in mine):
        return replace(receipt, status=ReceiptStatus.DONE, after=after)
    return replace(receipt, after=after)


def _shown(row: JobRow) -> str:
    return "held" if row.state == "PENDING" and row.priority == "0" else row.state.lower()


def _final(act: Act, receipt: Receipt) -> Receipt:
    """A receipt that is still open when the waiting is over."""
    if receipt.status is not ReceiptStatus.ACCEPTED:
        return receipt
    if isinstance(act, ChangeRun | ChangeQueue):
        return final_change(act, receipt)
    if receipt.after == SILENT:
        words = safe("resumed; the node has not answered Slurm since")
        return replace(receipt, status=ReceiptStatus.DONE, message=words)
    words = safe(f"Slurm said yes, but still shows: {receipt.after or 'nothing'}")
    return replace(receipt, status=ReceiptStatus.UNCHANGED, message=receipt.message or words)


GOING = LIVE - {RunState.COMPLETING}
"""States of a run that nobody has ended."""


def _requeued(act: Act, row: JobRow) -> bool:
    """A job that comes back held is waited for: while it is completing nothing can be changed."""
    if isinstance(act, Requeue) and act.hold:
        return row.state == "PENDING" and row.priority == "0"
    return row.state in ("PENDING", "COMPLETING", "CONFIGURING")


_REACHED: dict[type[Act], Callable[[Act, JobRow], bool]] = {
    Cancel: lambda _, row: STATES.get(row.state, RunState.PENDING) not in GOING,
    Hold: lambda _, row: row.priority == "0" and row.state == "PENDING",
    Release: lambda _, row: row.priority != "0",
    Requeue: lambda act, row: _requeued(act, row),
    Suspend: lambda _, row: row.state == "SUSPENDED",
    Resume: lambda _, row: row.state == "RUNNING",
}
