"""What every report is made from: the window, the history, prices, pseudonyms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.history import NOBODY
from foundry_tui.actions.site import Site
from foundry_tui.estate.usage import Window
from foundry_tui.process import user_name
from foundry_tui.reports import periods, prices
from foundry_tui.reports.made import Asked
from foundry_tui.reports.writing import anonymise
from foundry_tui.reports.writing.sidecar import Telemetry

if TYPE_CHECKING:
    from foundry_tui.store.history import Past
    from foundry_tui.store.history.window.readings import Readings

SALT = "report-salt"

PRICED = frozenset({"usage-by-account", "usage-by-user", "jobs"})
"""Reports with columns of money."""


@dataclass(slots=True, kw_only=True)
class Input:
    """What a report is made from; `notes` gathers what is missing in it.

    `edges` are the borders of the periods that were asked for, in unix seconds. `readings` is None
    where there is no history, and `telemetry` then says why.
    """

    asked: Asked
    window: Window
    edges: tuple[int, ...]
    now: datetime
    prices: prices.Prices | None
    pseudonyms: anonymise.Pseudonyms | None
    past: Past | None
    readings: Readings | None
    telemetry: Telemetry
    notes: list[str] = field(default_factory=list)

    @property
    def filters(self) -> Mapping[str, tuple[str, ...]]:
        """What the rows are limited to."""
        given = self.asked
        return {"accounts": given.accounts, "users": given.users, "queues": given.queues}

    @property
    def filtered(self) -> bool:
        """Whether the rows are limited at all."""
        return any(self.filters.values())


def gather(site: Site, asked: Asked, window: Window) -> Input:
    """Open the history and read the prices.

    Raises:
        WrongUse: the prices cannot be used; names file, line and field.
        ActionError: the secret of the pseudonyms cannot be used.
    """
    notes: list[str] = []
    table = None
    path = asked.prices or site.config.reports.prices
    if path is not None and asked.name in PRICED:
        try:
            table = prices.read(path)
        except prices.PriceError as error:
            option = "--prices" if asked.prices else "reports.prices"
            raise WrongUse(f"{option}: {error}") from error
    elif asked.prices is not None:
        notes.append(f"the report {asked.name} is not about money: prices are left out")
    pseudonyms = None
    if asked.anonymise:
        try:
            secret = anonymise.salt(site.config.reports.salt or site.state / SALT)
        except anonymise.SaltError as error:
            raise ActionError(f"--anonymise: {error}") from error
        pseudonyms = anonymise.Pseudonyms(secret)
        pseudonyms.user(user_name())  # words of a scheduler may name whoever asks it
    now = site.clock()
    if window.start >= now:
        notes.append(
            f"the window begins at {window.start:%Y-%m-%d %H:%M} UTC, which is yet to come"
        )
    elif window.start == window.end:
        notes.append("the window is empty: it ends where it begins")
    elif window.end > now:
        notes.append(f"the window is not over: it is told up to {now:%Y-%m-%d %H:%M} UTC")
    past, readings, telemetry = _measured(
        site, window, notes, of_intervals=asked.name == "capacity"
    )
    return Input(
        asked=asked,
        window=window,
        edges=periods.edges(window, asked.by),
        now=now,
        prices=table,
        pseudonyms=pseudonyms,
        past=past,
        readings=readings,
        telemetry=telemetry,
        notes=notes,
    )


def _measured(
    site: Site, window: Window, notes: list[str], *, of_intervals: bool
) -> tuple[Past | None, Readings | None, Telemetry]:
    """The history with its readings of the window, and in words what they are.

    A report `of_intervals` needs no reading: it is made of who held what, and of states.
    """
    from foundry_tui.store.history import HistoryError

    def without(why: str) -> tuple[None, None, Telemetry]:
        notes.append(f"what the GPUs did is unknown: {why}")
        return None, None, Telemetry(resolution_s=None, idle_pct=None, reason=why)

    try:
        past = site.past
        span = None if past is None else past.span()
        if past is None or span is None:
            return without(NOBODY)
        if window.end <= window.start:
            return past, None, Telemetry(resolution_s=None, idle_pct=None, reason="empty window")
        if span.last < window.start or span.first >= window.end:
            why = (
                f"the history covers {span.first:%Y-%m-%d %H:%M} to {span.last:%Y-%m-%d %H:%M} UTC"
            )
            return without(why)
        if of_intervals:
            why = "the report is made of allocations and states, which are kept to the second"
            return (
                past,
                None,
                Telemetry(
                    resolution_s=None, idle_pct=None, start=span.first, end=span.last, reason=why
                ),
            )
        readings = past.readings(window.start, min(window.end, site.clock()))
    except HistoryError as error:
        return without(str(error))
    told = Telemetry(
        resolution_s=readings.resolution_s,
        idle_pct=readings.idle_pct,
        start=span.first,
        end=span.last,
    )
    return past, readings, told
