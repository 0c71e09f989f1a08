"""Changes that were made for a time: which are over, and since when.

The end stands in the journal, so it outlives the program, the login and the host. A clock may be
set back or jump: within one process time is therefore counted by a clock that only goes forward,
from the moment the end was first seen; what is taken back is in the journal and never due again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from foundry_tui.changes.steps import taken_back
from foundry_tui.changes.undo import changed
from foundry_tui.estate.acts import Receipt, ReceiptStatus
from foundry_tui.estate.text import safe
from foundry_tui.store.journal import Clock, Journal, Record, Who, new_change_id

LATE_S = 600.0
"""Seconds after its end at which something counts as overdue."""

WHY = "time is over"
"""The reason that the journal keeps of what is taken back by itself."""


CLOSES = "revert"
"""Word in the journal of an end that sent nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A plan, or a single change, that is to be taken back at `until`; `id` is what undo takes."""

    id: str
    until: datetime
    changes: tuple[str, ...]


def timed(records: Iterable[Record]) -> tuple[Timed, ...]:
    """Everything that still stands and was made for a time, what ends first at the beginning."""
    back = taken_back(records := tuple(records))
    back |= {r.change.undoes: r.change.id for r in records if r.change.undoes and closed(r)}
    ends: dict[str, list[Record]] = {}
    for record in records:
        told = record.purpose
        if told.until is None or record.change.undoes is not None or not changed(record):
            continue
        if record.change.id not in back:
            ends.setdefault(told.plan or record.change.id, []).append(record)
    found = [
        Timed(
            id=name,
            until=max(r.purpose.until for r in mine if r.purpose.until is not None),
            changes=tuple(r.change.id for r in mine),
        )
        for name, mine in ends.items()
    ]
    return tuple(sorted(found, key=lambda one: one.until))


def closed(record: Record) -> bool:
    """Whether an end found nothing that could be set back, and was put on record as such."""
    return record.change.status == "unchanged" and record.change.act == CLOSES


def close(journal: Journal, clock: Clock, record: Record, words: str) -> None:
    """Put on record that the end of a change found nothing to set back, so that it is not due.

    Raises:
        JournalError: it cannot be written.
    """
    change_id = new_change_id(clock)
    journal.begin(
        change_id,
        CLOSES,
        record.source,
        commands=(),
        items=record.items,
        token=None,
        who=Who.current(os.environ),
        undoes=record.change.id,
        purpose=replace(record.purpose, why=WHY, until=None, approved_by=()),
    )
    receipts = tuple(
        Receipt(
            target=safe(item),
            status=ReceiptStatus.UNCHANGED,
            message=safe(words, max_cells=400),
        )
        for item in record.items
    )
    journal.finish(change_id, "unchanged", receipts)


def overdue(records: Iterable[Record], now: datetime) -> tuple[Timed, ...]:
    """What should have been taken back and was not: nobody was there to do it, or it failed."""
    return tuple(o for o in timed(records) if (now - o.until).total_seconds() > LATE_S)


def boot_s() -> float:
    """Seconds since the host started; sleeping counts too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class Watch:
    """Tells when times are over, in one process.

    `clock` is the time of day; `forward` only goes forward, whatever is done to the other.
    """

    clock: Callable[[], datetime]
    forward: Callable[[], float] = boot_s
    _ends_s: dict[tuple[str, datetime], float] = field(default_factory=dict)

    def over(self, one: Timed) -> bool:
        """Whether its time is over."""
        return self.left_s(one) <= 0

    def left_s(self, one: Timed) -> float:
        """Seconds until it is; below 0 when it should have been so long ago."""
        key = (one.id, one.until)
        if key not in self._ends_s:
            left_s = (one.until - self.clock()).total_seconds()
            self._ends_s[key] = self.forward() + left_s
        return self._ends_s[key] - self.forward()
