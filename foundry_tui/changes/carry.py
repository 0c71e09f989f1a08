"""Carrying one act out: journal first, then send, then read back.

The journal line is on disk before anything is sent. So whatever happens in between, kill -9 too,
the next start finds the open line and settles it by looking, never by sending again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from foundry_tui.estate.actrecords import act_record
from foundry_tui.estate.acts import (
    Act,
    Change,
    ChangeNode,
    ChangeQueue,
    MoveNode,
    Preview,
    Receipt,
    ReceiptStatus,
    Submit,
    kind,
    outcome,
)
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerActor, SchedulerError, Unavailable
from foundry_tui.store.journal import (
    NO_PURPOSE,
    OPEN,
    Journal,
    JournalError,
    Purpose,
    Record,
    Who,
    new_change_id,
)
from foundry_tui.tracking.link import VARIABLES


class Unsettled(Unavailable):
    """A creating act went out and no answer came; the journal keeps it open."""


class NotRecorded(Exception):
    """A change was carried out, and the journal could not take its result."""

    def __init__(self, change: Change, error: JournalError) -> None:
        told = ", ".join(f"{r.target} {r.status}" for r in change.receipts[:5])
        super().__init__(
            f"{change.act} was sent ({told}), but its result is not on record: {error}"
        )
        self.change = change


class ChangeError(Exception):
    """A change that cannot be done: what was asked, why not, what to do next."""


def new_token() -> str:
    """A submit token: unguessable, and unique for every try."""
    return secrets.token_hex(8)


def preview(actor: SchedulerActor, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
    """The act spelled out by its adapter.

    Raises:
        ChangeError: the adapter does not do this kind of act, or nothing was selected.
    """
    refusal = actor.supports(type(act))
    if refusal is not None:
        raise ChangeError(f"{kind(act)} on {actor.name}: {refusal}")
    if not isinstance(act, Submit | ChangeNode | MoveNode | ChangeQueue) and not act.runs:
        raise ChangeError(f"{kind(act)}: no run was named")
    return actor.preview(act, runs, token)


def carry_out(
    actor: SchedulerActor,
    journal: Journal,
    sent: Preview,
    token: str,
    *,
    clock: Callable[[], datetime],
    undoes: str | None = None,
    purpose: Purpose = NO_PURPOSE,
) -> Change:
    """Do what the preview spelled out; what takes it back is on record before it is sent.

    Raises:
        JournalError: the journal could not be written; nothing was sent.
        Unsettled: a submit got no answer; it stays open in the journal.
        Unavailable: the source does not answer; nothing was sent, and the journal says so.
        NotRecorded: it was sent, and the journal could not take the result.
    """
    change_id = new_change_id(clock)
    journal.begin(
        change_id,
        kind(sent.act),
        actor.name,
        items=tuple(i.target for i in sent.items),
        commands=tuple(i.command for i in sent.items),
        token=token,
        who=Who.current(os.environ),
        undoes=undoes,
        digest=digest(sent.act),
        purpose=purpose,
        asked=_recorded(sent.act),
        inverse=_recorded(sent.inverse),
    )
    try:
        receipts = actor.perform(sent, token)
    except Unavailable as error:
        receipts = tuple(
            Receipt(
                target=i.target, status=ReceiptStatus.REFUSED, message=safe(f"not sent: {error}")
            )
            for i in sent.items
        )
        journal.finish(change_id, "not_sent", receipts)
        raise
    unanswered = all(r.status is ReceiptStatus.UNKNOWN for r in receipts)
    if unanswered and isinstance(sent.act, Submit):
        # The journal's line stays open: the next try looks for the token before it sends.
        raise Unsettled(
            f"submit {change_id}",
            f"no answer came, so it may have arrived ({receipts[0].message})",
            "run the same command again when the source answers: it finds this try by its token",
        )
    if not unanswered:
        receipts = actor.read_back(sent, receipts)
    status = outcome(receipts)
    change = Change(
        id=change_id,
        act=kind(sent.act),
        status=status,
        receipts=receipts,
        at=clock(),
        undoes=undoes,
    )
    try:
        journal.finish(change_id, status, receipts)
    except JournalError as error:
        raise NotRecorded(change, error) from error
    return change


def _recorded(act: Act | None) -> dict[str, Any] | None:
    """An act as the journal keeps it; None for a submit, whose script is not kept there."""
    return None if act is None or isinstance(act, Submit) else act_record(act)


def digest(act: Act) -> str | None:
    """What makes two submits the same: script, options, arguments, folder and environment.

    Not the part of the environment that links it: each try gets a tracking record of its own, and
    the first try has to be found all the same.
    """
    if not isinstance(act, Submit):
        return None
    asked = tuple(pair for pair in act.environment if pair[0] not in VARIABLES)
    text = repr(
        (
            *(act.source, act.script, act.script_name, act.options, act.script_args, act.work_dir),
            *asked,
        )
    )
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def settle_open(
    actors: Mapping[str, SchedulerActor], journal: Journal, now: datetime
) -> tuple[tuple[Record, Receipt], ...]:
    """Settle changes whose program was killed: submits by their token, others as unknown.

    A source that does not answer leaves its changes open for the next time, and a change that
    another program is carrying out right now is left to it.

    Raises:
        JournalError: the journal cannot be read or written.
    """
    settled = []
    silent: set[str] = set()
    for record in journal.changes():
        actor = actors.get(record.source)
        if record.change.status != OPEN or actor is None or at_work(record):
            continue
        if record.change.act in CREATING and record.token:
            if record.source in silent:
                continue
            try:
                native = actor.find_submitted(record.token)
            except SchedulerError:
                silent.add(record.source)
                continue
            if native is None and young(record, now):
                # What was sent may still be on its way: that it is not there proves nothing yet.
                continue
            status, receipt = _found(record, native)
        elif young(record, now):
            continue
        else:
            status = "unknown"
            receipt = Receipt(
                target=", ".join(record.items[:3]),
                status=ReceiptStatus.UNKNOWN,
                message=safe("the program ended in the middle; look at the runs themselves"),
            )
        journal.finish(record.change.id, status, (receipt,))
        settled.append((record, receipt))
    return tuple(settled)


def _found(record: Record, native: str | None) -> tuple[str, Receipt]:
    if native is None:
        words = safe("the program ended before anything was sent")
        target = record.items[0] if record.items else ""
        return "not_sent", Receipt(target=target, status=ReceiptStatus.REFUSED, message=words)
    words = safe("the program ended before the answer came; found by its submit token")
    return FOUND, Receipt(target=native, status=ReceiptStatus.DONE, message=words)


CREATING = ("submit", "resubmit")
"""Acts that make a run, which its submit token finds again."""

FOUND = "found"
"""Status of a broken-off submit that had arrived, until the next try of it was told so."""

ON_ITS_WAY_S = 120.0
"""A request can reach its scheduler this long after it was sent; then it is lost."""


def young(record: Record, now: datetime) -> bool:
    """Whether what was sent for this change may still be on its way."""
    return record.change.at is None or (now - record.change.at).total_seconds() < ON_ITS_WAY_S


def at_work(record: Record) -> bool:
    """Whether another program that began this change still runs, on this host."""
    return record.who.pid != os.getpid() and alive(record.who.host, record.who.pid)


def alive(host: str, pid: int) -> bool:
    """Whether a process of this host still runs; False for one of another host."""
    if host != socket.gethostname():
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    # proc_pid_stat(5): the state stands behind the name; a zombie is dead.
    return stat.rpartition(")")[2].split()[0] != "Z"
