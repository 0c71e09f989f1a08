"""The journal's lines as records: strictly by their types, so that nothing else counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from foundry_tui.estate.acts import Change, Receipt, ReceiptStatus
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.store.chain import Line
from foundry_tui.store.journal import OPEN, Purpose, Record, Who


def records(lines: Iterable[Line], wanted: str | None = None) -> dict[str, Record]:
    """The changes by id, each with its latest result; only the wanted one where one is named.

    Lines that another version wrote do not count.
    """
    found: dict[str, Record] = {}
    for line in lines:
        if wanted is not None and line.data.get("change") != wanted:
            continue
        try:
            if line.data.get("event") == "begin":
                begin = msgspec.convert(line.data, Begin)
                found[begin.change] = begin.record()
            elif line.data.get("event") == "finish":
                finish = msgspec.convert(line.data, Finish)
                if finish.change in found:
                    found[finish.change] = finish.merged(found[finish.change])
        except msgspec.ValidationError:
            continue
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The fields of a `begin` line."""

    change: str
    at: datetime
    act: str
    source: str
    commands: tuple[tuple[str, ...], ...]
    items: tuple[str, ...]
    token: str | None
    who: Who
    undoes: str | None
    digest: str | None = None
    asked: dict[str, Any] | None = None
    inverse: dict[str, Any] | None = None
    plan: str | None = None
    move: str | None = None
    step: int | None = None
    why: str | None = None
    until: datetime | None = None
    approved_by: tuple[str, ...] = ()

    def record(self) -> Record:
        """The change as it was begun."""
        return Record(
            change=Change(
                id=safe(self.change),
                act=safe(self.act),
                status=OPEN,
                receipts=(),
                at=self.at,
                undoes=_shown(self.undoes),
            ),
            source=safe(self.source),
            commands=self.commands,
            items=self.items,
            token=self.token,
            who=replace(
                self.who,
                user=safe(self.who.user),
                host=safe(self.who.host),
                sudo_user=_shown(self.who.sudo_user),
                ssh_connection=_shown(self.who.ssh_connection),
            ),
            digest=self.digest,
            purpose=Purpose(
                plan=_shown(self.plan),
                move=_shown(self.move),
                step=self.step,
                why=_shown(self.why),
                until=self.until,
                approved_by=tuple(safe(name) for name in self.approved_by),
            ),
            asked=self.asked,
            inverse=self.inverse,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One receipt of a `finish` line."""

    target: str
    status: ReceiptStatus
    message: str | None
    before: str | None
    after: str | None

    def receipt(self) -> Receipt:
        """The receipt, its text made safe."""
        return Receipt(
            target=safe(self.target),
            status=self.status,
            message=_shown(self.message),
            before=_shown(self.before),
            after=_shown(self.after),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The fields of a `finish` line."""

    change: str
    at: datetime
    status: str
    receipts: tuple[Outcome, ...]

    def merged(self, record: Record) -> Record:
        """The change with this result."""
        receipts = tuple(outcome.receipt() for outcome in self.receipts)
        change = replace(record.change, status=safe(self.status), receipts=receipts)
        return replace(record, change=change, finished_at=self.at)


def _shown(text: str | None) -> SafeText | None:
    return None if text is None else safe(text)
