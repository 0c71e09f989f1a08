"""When a script would start here and there, as text, records and rows of CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from foundry_tui.estate import csvtext
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.draft import room_words, start_words
from foundry_tui.presenters.page import Style, finish
from foundry_tui.presenters.records.nouns import Record
from foundry_tui.presenters.table import Column, draw

NAMES = {"slurm": "Slurm", "runai": "Run:ai", "kai": "KAI"}
COLUMNS = (
    Column("SOURCE"),
    Column("SCHEDULER"),
    Column("STARTS"),
    Column("WHERE", min_width=6, stretch=True),
    Column("IN WORDS", min_width=16, stretch=True),
    Column("AS TOLD BY", min_width=10, priority=1, stretch=True),
)
CSV = ("source", "kind", "starts_at", "wait_s", "nodes", "queue", "words", "how")


class Room(Protocol):
    """What it would wait for."""

    @property
    def obstacle(self) -> str | None: ...
    @property
    def changes(self) -> tuple[str, ...]: ...


class Start(Protocol):
    """What one source says of a start."""

    @property
    def source(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def starts_at(self) -> datetime | None: ...
    @property
    def nodes(self) -> tuple[str, ...]: ...
    @property
    def queue(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def how(self) -> str: ...
    @property
    def room(self) -> Room | None: ...


def estimates_text(found: Sequence[Start], now: datetime, style: Style) -> str:
    """One line for each source, with its words; `—` where nobody tells."""
    rows = [
        (
            safe(one.source),
            SafeText(NAMES[one.kind]),
            units.when(one.starts_at),
            safe(", ".join((*one.nodes, *((f"({one.queue})",) if one.queue else ())))),
            words(one, now),
            safe(one.how or "—"),
        )
        for one in found
    ]
    return finish(draw(COLUMNS, rows, style).lines, style)


def words(one: Start, now: datetime) -> SafeText:
    """What a source says, in a sentence."""
    if one.starts_at is not None:
        return safe(start_words(one.starts_at, (), None, now), max_cells=300)
    told = [] if one.reason is None else [one.reason]
    if one.room is not None:
        told.append(room_words(one.room.obstacle, one.room.changes))
    return safe("; ".join(told) or "it does not say", max_cells=600)


def estimate_record(one: Start, now: datetime) -> Record:
    """`wait_s` is from now on; null where nobody tells."""
    wait_s = None if one.starts_at is None else max(0.0, (one.starts_at - now).total_seconds())
    return {
        "source": one.source,
        "kind": one.kind,
        "starts_at": one.starts_at,
        "wait_s": wait_s,
        "nodes": one.nodes,
        "queue": one.queue,
        "words": words(one, now),
        "how": one.how or None,
    }


def estimates_csv(found: Iterable[Start], now: datetime) -> bytes:
    """One row per source."""
    rows = ({**estimate_record(one, now), "nodes": ";".join(one.nodes)} for one in found)
    return csvtext.write(rows, CSV)
