"""The live table of the journal: changes that were sent, and what came of them."""

from __future__ import annotations

import shlex
from datetime import datetime

from foundry_tui.estate.filter import Field
from foundry_tui.estate.text import SafeText
from foundry_tui.presenters.changes import JOURNAL_COLUMNS, journal_cells
from foundry_tui.presenters.records.acts import JournalEntry, journal_record
from foundry_tui.presenters.rows.model import GridColumn, Rows, Tone, folded, lazy

JOURNAL_FIELDS = {
    "id": Field("text"),
    "act": Field("text"),
    "status": Field("text", ("state",)),
    "source": Field("text"),
    "user": Field("text"),
    "items": Field("text", ("run",), fuzzy=True),
    "plan": Field("text"),
    "why": Field("text", fuzzy=True),
}
"""What the filter language sees of a change; `items` are what it is about, in one text."""

_TONES: dict[str, Tone] = {
    "done": "good",
    "part": "warn",
    "open": "warn",
    "found": "warn",
    "unknown": "warn",
    "unchanged": "dim",
    "not_sent": "bad",
    "refused": "bad",
}

_GLYPHS: dict[str, str] = {
    "part": "!",
    "open": "?",
    "found": "!",
    "unknown": "?",
    "not_sent": "x",
    "refused": "x",
}


def _status_tone(_entry: JournalEntry, text: SafeText) -> Tone:
    return _TONES.get(text, "")


def _at(entry: JournalEntry, _now: datetime) -> datetime | None:
    return entry.change.at


def _id(entry: JournalEntry) -> str:
    return entry.change.id


def _items(entry: JournalEntry) -> str:
    return " ".join(entry.items)


def _commands(entry: JournalEntry) -> str:
    return "; ".join(shlex.join(command) for command in entry.commands if command)


JOURNAL_ROWS: Rows[JournalEntry] = Rows(
    noun="change",
    plural="changes",
    columns=(
        GridColumn(id="change", column=JOURNAL_COLUMNS[0], order=lambda e, _: e.change.id),
        GridColumn(id="when", column=JOURNAL_COLUMNS[1], order=_at),
        GridColumn(id="act", column=JOURNAL_COLUMNS[2], order=lambda e, _: e.change.act),
        GridColumn(
            id="status",
            column=JOURNAL_COLUMNS[3],
            order=lambda e, _: e.change.status,
            tone=_status_tone,
        ),
        GridColumn(id="source", column=JOURNAL_COLUMNS[4], order=lambda e, _: folded(e.source)),
        GridColumn(id="by", column=JOURNAL_COLUMNS[5], order=lambda e, _: folded(e.who.user)),
        GridColumn(id="undoes", column=JOURNAL_COLUMNS[6], order=lambda e, _: e.change.undoes),
        GridColumn(id="items", column=JOURNAL_COLUMNS[7], order=lambda e, _: folded(_items(e))),
    ),
    key=_id,
    cells=lambda entry, _: journal_cells(entry),
    glyph=lambda entry: _GLYPHS.get(entry.change.status, ""),
    fields=JOURNAL_FIELDS,
    get=lazy(
        _id,
        JOURNAL_FIELDS,
        {
            "id": _id,
            "act": lambda e: e.change.act,
            "status": lambda e: e.change.status,
            "source": lambda e: e.source,
            "user": lambda e: e.who.user,
            "items": _items,
            "plan": lambda e: e.purpose.plan or "",
            "why": lambda e: e.purpose.why or "",
        },
        {},
    ),
    record=lambda entry, _: journal_record(entry),
    copied=(("id", _id), ("command", _commands)),
)
"""Changes in the order given; `?` was broken off or is unknown, `x` was refused or not sent."""
