"""What the titles over the tables of tracked runs say, and the words in place of their rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from foundry_tui.presenters import units
from foundry_tui.tui.bars import Part
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.trackedreading import Reading

AGAIN = "r tries again; `foundry doctor` tells more."
OLD_S = 60.0
"""From this age on it is told."""


def title(table: GridTable[Any], reading: Reading) -> str:
    """What the title of a table begins with: how many there are, and of how many."""
    if table.id == "spent":
        return "What they cost"
    if table.id == "groups":
        return f"{table.total} group{'s' * (table.total != 1)} of seeds"
    if reading.read is None:
        return "Tracked runs"
    total = max(reading.read.listing.total, table.total)
    noun = "tracked run" if total == 1 else "tracked runs"
    part = f"{table.total:,} of " if table.total < total else ""
    return f"{part}{total:,} {noun}"


def state(table: GridTable[Any], reading: Reading, pinned: str | None, now: datetime) -> list[Part]:
    """How whole and how old it is, what is being done, and the name of the pinned run."""
    read, told = reading.read, list[Part]()
    if table.id == "spent":
        unspent = read.unspent if read else ""
        return [(f" · {unspent}", "warn")] if unspent else []
    if reading.failed:
        return [(f" · {reading.failed}", "bad")]
    if read is None:
        return [(" · asking the tracking server …", "warn")]
    listing = read.listing
    if listing.problem:
        told.append((f" · {listing.problem}", "bad"))
    elif not listing.complete:
        told.append((f" · {reading.progress or listing.words}", "warn"))
    if listing.read_at is not None:
        age_s = (now - listing.read_at).total_seconds()
        if age_s >= OLD_S:
            told.append((f" · {units.age(age_s)} old", "dim"))
    if pinned is not None:
        told.append((f" · against {pinned}", "accent"))
    return told


def nothing(table: GridTable[Any], reading: Reading) -> tuple[str, ...]:
    """Why a table has no rows, and what to do."""
    text, read = table.state.filter_text, reading.read
    if reading.failed and (read is None or not read.listing.rows):
        return (reading.failed, AGAIN)
    if read is None:
        return ("The tracking server is asked for its runs.",)
    if text and (table.total or reading.query.where):
        plural = table.view.model.plural if table.id != "main" else "tracked runs"
        return (f"No {plural} match `{text}`: esc clears the filter.",)
    if table.id == "groups":
        return ("There is no run to group.",)
    if table.id == "spent":
        return ("No run has told what it cost.",)
    if read.listing.problem:
        return (read.listing.problem, AGAIN)
    return (
        "The tracking server has no runs.",
        "`foundry submit` makes a record for each run that it submits.",
    )
