"""The migration board: how far each account is, what is left, and what quota it would get."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.migrate.counting import (
    DAYS,
    SCRIPTS,
    count,
    sides,
    silent,
    tables_of,
)
from foundry_tui.actions.migrate.dividing import divide
from foundry_tui.actions.migrate.reading import Go
from foundry_tui.actions.site import Site
from foundry_tui.estate.usage import Window
from foundry_tui.migration.board import Board, board
from foundry_tui.migration.nouns import Tables
from foundry_tui.migration.quotas import Quota

__all__ = ["DAYS", "Boarded", "boarded", "missing", "of_days"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boarded:
    """The board of a window; `notes` say what is missing, `incomplete` that it is rows."""

    board: Board
    window: Window
    notes: tuple[str, ...]
    incomplete: bool


def of_days(site: Site, days: int, go: Go = silent) -> Boarded:
    """The board of the last days by the configured mapping tables.

    Raises:
        as `boarded`; WrongUse: the tables cannot be used.
    """
    now = site.clock()
    return boarded(site, now - timedelta(days=days), now, tables=tables_of(site, None), go=go)


def boarded(
    site: Site,
    start: datetime,
    end: datetime,
    *,
    tables: Tables,
    scripts: int = SCRIPTS,
    go: Go = silent,
) -> Boarded:
    """The board of a window.

    Raises:
        SourceMissing, NothingMatched, WrongUse: as `counting.count`.
    """
    _, others = sides(site)
    counted = count(site, start, end, tables=tables, scripts=scripts, both=True, go=go)
    notes = list(counted.notes)
    if not others:
        notes.append("there is no Run:ai or KAI here: nothing can have moved yet")
    quotas: tuple[Quota, ...] = ()
    try:
        quotas = divide(site, counted, None, None).quotas
    except ActionError as error:
        notes.append(f"no quota is proposed: {error}")
    return Boarded(
        board=board(counted.census, tables, counted.there, quotas, known=counted.there_known),
        window=counted.window,
        notes=tuple(notes),
        incomplete=counted.incomplete,
    )


def missing(site: Site) -> str | None:
    """Why there is no board here, in a sentence; None where there can be one."""
    try:
        _, others = sides(site)
    except ActionError as error:
        return str(error)
    if not others:
        return "there is no Run:ai or KAI here to move to: name one in the configuration"
    return None
