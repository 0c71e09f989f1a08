"""A report being made behind a screen: how far it is, for how long, and giving it up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.timer import Timer

from foundry_tui.actions.reports import make as report
from foundry_tui.actions.reports.wish import Wish, asked
from foundry_tui.presenters import units
from foundry_tui.presenters.bars import bar
from foundry_tui.presenters.reportchart import Chart, charted
from foundry_tui.reports.made import Made, Progress

if TYPE_CHECKING:
    from foundry_tui.tui.screens.reports import Reports

MOST_ROWS = 10_000
"""Rows of a report that are shown; its file has all."""

TELL_S = 0.5
"""How often the screen says how far it is."""


class Making:
    """One report at a time; beginning another gives the one before up."""

    def __init__(self, place: Reports) -> None:
        self._place = place
        self._progress = Progress(0.0, "")
        self._begun_at: float | None = None
        self._stop = threading.Event()
        self._ticking: Timer | None = None

    @property
    def working(self) -> bool:
        """Whether a report is being made."""
        return self._begun_at is not None

    @property
    def words(self) -> str:
        """What is being done, how far it is, and for how long; empty when nothing is."""
        if self._begun_at is None:
            return ""
        done = f"{100 * self._progress.done:.0f} % " if self._progress.done else ""
        waited = units.duration(time.monotonic() - self._begun_at)
        return f"{done}{self._progress.words or 'asks accounting'} … {waited}"

    def bar(self, width: int) -> str:
        """How far it is, as a bar."""
        done = round(1000 * min(1.0, max(0.0, self._progress.done)))
        return bar(done, 1000, width, ascii_only=self._place.foundry.ascii_only)

    def begin(
        self, wish: Wish, came: Callable[[Made, Chart], None], failed: Callable[[str], None]
    ) -> None:
        """Make what is asked for in a thread; `came` or `failed` hears of it, unless given up.

        The chart is of all rows, also where `Made` has only the first of them.
        """
        self.give_up()
        site, stop = self._place.foundry.site, threading.Event()
        self._stop, self._progress, self._begun_at = stop, Progress(0.0, ""), time.monotonic()
        self._ticking = self._place.set_interval(TELL_S, self._place.retell)

        def told(progress: Progress) -> None:
            if not stop.is_set():
                self._progress = progress

        def make() -> tuple[Made, Chart]:
            made = report.make(
                site,
                asked(wish, site.clock()),
                most=MOST_ROWS,
                told=told,
                stop=stop.is_set,
            )
            return made, charted(made)

        def then(answer: tuple[Made, Chart]) -> None:
            self._end()
            came(*answer)

        def not_made(words: str) -> None:
            self._end()
            failed(words)

        self._place.foundry.work_on("report", make, then, not_made)

    def give_up(self) -> None:
        """Make it no further; nobody hears of it any more."""
        self._stop.set()
        if self.working:
            self._place.foundry.cancel_work("report")
        self._end()

    def _end(self) -> None:
        self._begun_at = None
        if self._ticking is not None:
            self._ticking.stop()
            self._ticking = None
