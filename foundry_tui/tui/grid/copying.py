"""What can be copied of the chosen rows, as texts for the terminal's clipboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from foundry_tui.estate.text import safe
from foundry_tui.presenters import csvout
from foundry_tui.presenters.rows import Rows

N = TypeVar("N")

MOST_BYTES = 74_000
"""Terminals refuse a clipboard sequence of more than 100,000 bytes, which is 74,994 of text."""


@dataclass(frozen=True, slots=True)
class Copied:
    """One thing to copy. `message` says what `text` holds, and what did not fit."""

    title: str
    text: str
    message: str


def copies(model: Rows[N], rows: Sequence[N], now: datetime) -> tuple[Copied, ...]:
    """What can be copied of these rows: their names, one per line, and the rows as CSV.

    A terminal pastes what is copied, so the text is as safe as what is shown. What is longer than
    a terminal takes ends after the last whole line that fits.
    """
    if not rows:
        return ()
    found = []
    for title, of in model.copied:
        lines = [safe(text, max_cells=1024) for row in rows if (text := of(row))]
        if lines:
            found.append(_capped(title, [], lines, len(lines)))
    # a row has a comma behind every field but the last: more rows than this cannot fit
    most = MOST_BYTES // len(model.csv or csvout.COLUMNS[model.plural])
    csv = csvout.to_csv(model.plural, (model.record(row, now) for row in rows[:most]), model.csv)
    header, *records = csv.decode().splitlines()
    found.append(_capped("CSV", [header], records, len(rows)))
    return tuple(found)


def _capped(title: str, text: list[str], lines: Sequence[str], total: int) -> Copied:
    """`text` and as many of the lines as fit; no line end at the end, which a shell would obey."""
    room = MOST_BYTES - sum(len(line.encode()) + 1 for line in text)
    kept = 0
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            break
        kept += 1
    whole = "\n".join([*text, *lines[:kept]])
    if kept == total:
        return Copied(title, whole, f"{title}: {total:,} row{'s' if total > 1 else ''} copied")
    message = f"{title}: {kept:,} of {total:,} rows copied, because a terminal takes 74 kB at most"
    return Copied(title, whole, f"{message}; export writes all of them to a file")
