"""The reading of the tracked runs behind their screen: what was asked, what came, who follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.experiments import find
from foundry_tui.actions.experiments.page import advance
from foundry_tui.actions.experiments.spent import spent
from foundry_tui.actions.site import Site
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText
from foundry_tui.experiments.waste import Spent
from foundry_tui.presenters.rows.trackedframe import Frame, aims_of, names_of, numeric_names

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry

MOST = 2_000
"""Runs that are held at a time; filter and order are asked of all that the server has."""

FIRST = 200
"""Runs that are asked for first, so that there is something to look at."""

AGAIN_S = 15.0
"""The copy of the server's runs is looked at again after so many seconds, and when it changed."""

AT_MOST_EACH_S = 1.0
"""However often the copy changes, it is read again no sooner than so many seconds after."""

LEAVE_S = 5.0
"""So long the end of a question that is under way is waited for before another is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which of the server's runs, in which order, and how many of them at most."""

    where: str = ""
    sort: str = ""
    descending: bool = True
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What one reading brought, and what was reckoned out of it off the keys' thread."""

    listing: find.Listing
    frame: Frame
    spent: tuple[Spent, ...]
    unspent: str = ""


class Reading:
    """Asks for the runs in a thread, and has the server followed in another.

    `changed` is called on the keys' thread after each answer, and after each failure.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.query = Query(most=FIRST)
        self.read: Read | None = None
        self.failed = ""
        self.progress: SafeText | None = None
        """What the thread that follows the server does."""
        self.asking = False
        self._asked_at = 0.0
        self._news = False
        self._stop = threading.Event()
        self._follower: threading.Thread | None = None

    def stop(self) -> None:
        """Follow the server no more; the next question begins that anew."""
        self._stop.set()

    def due(self, *, live: bool) -> bool:
        """Whether the copy has changed since it was read, or was read long ago."""
        waited_s = time.monotonic() - self._asked_at
        old = waited_s > AGAIN_S and live
        return (self._news or old) and waited_s > AT_MOST_EACH_S

    def wanted(self, where: str, sort: str, *, descending: bool) -> Query:
        """What has to be asked for what is shown: of all runs, where not all are held here."""
        read = self.read
        if read is None or (self.query.most == FIRST and read.listing.total <= FIRST):
            return self.query
        held = read.listing.total <= len(read.listing.rows)
        if held and not (self.query.where or self.query.sort):
            return self.query
        return Query(where=where, sort=sort, descending=descending if sort else True, most=MOST)

    def ask(self, foundry: Foundry, query: Query) -> None:
        """Read the runs again, in a thread."""
        site, seen = foundry.site, foundry.seen
        self.query, self.asking, self._news = query, True, False
        self._asked_at = time.monotonic()
        jobs = seen.runs if seen is not None else ()
        leaving = self._follower if self._stop.is_set() else None
        if leaving is not None:
            self._follower = None

        def read() -> Read:
            if leaving is not None:
                leaving.join(LEAVE_S)
            return read_now(site, jobs, query)

        def then(found: Read) -> None:
            self.asking, self.failed, self.read = False, "", found
            self._changed()
            self._follow(foundry.site)

        def failed(words: str) -> None:
            self.asking, self.failed = False, words.replace("\n", " ")
            self._changed()
            self._follow(foundry.site)

        foundry.work_on("experiments", read, then, failed)

    def _follow(self, site: Site) -> None:
        """Follow the server in a thread of its own, once there is something to look at."""
        if self._follower is not None or site.mode != "live" or site.tracker is None:
            return

        def told(words: SafeText) -> None:
            self.progress, self._news = words, True

        self._stop = threading.Event()
        self._follower = threading.Thread(
            target=find.refresh, args=(site, told, self._stop), name="tracked runs", daemon=True
        )
        self._follower.start()


def read_now(site: Site, jobs: tuple[Run, ...], query: Query) -> Read:
    """Ask the copy of the server's runs. Raises `ActionError`."""
    advance(site, jobs)
    found = find.listing(
        site, where=query.where, sort=query.sort, descending=query.descending, most=query.most
    )
    runs = found.rows
    frame = Frame(
        experiments=found.experiments,
        aims=aims_of(runs, found.experiments),
        numeric=numeric_names(runs),
        names=tuple(sorted({*names_of(runs), *find.names(site)})),
    )
    try:
        return Read(listing=found, frame=frame, spent=spent(site, runs, found.experiments))
    except ActionError as error:
        return Read(listing=found, frame=frame, spent=(), unspent=str(error))
