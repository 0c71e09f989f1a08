"""The screen Reports: the usage of a window of time, its sums, and the file for those who ask."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.timer import Timer

from foundry_tui.actions import report
from foundry_tui.presenters import units
from foundry_tui.presenters.rows.usage import USAGE_ROWS
from foundry_tui.presenters.usagepanel import usage_lines
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines

WINDOWS = (("the last day", 1), ("the last week", 7), ("the last 30 days", 30))
"""The windows that a key goes through: words and days."""


class Reports(Listing):
    """The report `jobs`: one row per try of each run that touched the window."""

    DEFAULT_CSS = """
    Reports #sums { width: 34; }
    Reports.full #sums { width: 50; }
    Reports.small #sums { display: none; }
    """
    crumb = "Reports"
    about = "The use of a window of time, run by run, and its sums; e writes the files."
    hints = ("window", "export", "filter", "sort", "columns", "copy", "refresh", "next_panel")

    def __init__(self) -> None:
        super().__init__()
        self._window = 0
        self._made: report.Made | None = None
        self._failed = ""
        self._asked_at: float | None = None
        self._ticking: Timer | None = None

    def panels(self) -> ComposeResult:
        with Horizontal():
            yield self.panel_of(USAGE_ROWS)
            yield Panel(Lines(id="usage"), id="sums")

    def fill(self, seen: Seen) -> None:
        if self._made is None and self._asked_at is None and not self._failed:
            self._make()
        self.table.show(self._made.rows if self._made is not None else (), seen.now)

    def do_refresh(self) -> None:
        """Ask accounting again."""
        if self._asked_at is None:
            self._make()

    def do_window(self) -> None:
        """The next window of time."""
        self._window = (self._window + 1) % len(WINDOWS)
        self._make()

    def _make(self) -> None:
        site, days = self.foundry.site, WINDOWS[self._window][1]
        end = site.clock()
        self._begin()

        def make() -> report.Made:
            return report.jobs(site, end - timedelta(days=days), end, folder=None, command=())

        def then(made: report.Made) -> None:
            self._end()
            self._made, self._failed = made, ""
            self.foundry.pacer.paint("report", self.redraw)

        def failed(words: str) -> None:
            self._end()
            self._made, self._failed = None, words
            self.redraw()

        self.foundry.work_on("report", make, then, failed)

    def _begin(self) -> None:
        self._end()
        self._asked_at = time.monotonic()
        self._ticking = self.set_interval(1.0, self.retell)
        self.retell()

    def _end(self) -> None:
        self._asked_at = None
        if self._ticking is not None:
            self._ticking.stop()
            self._ticking = None

    def _tell(self, seen: Seen) -> None:
        super()._tell(seen)
        head, words = self.query_one("#list_main", Panel), WINDOWS[self._window][0]
        if self._asked_at is not None:
            waited = units.duration(time.monotonic() - self._asked_at)
            head.head("jobs", (f" · asking accounting for {words} … {waited}", "warn"))
        elif self._failed:
            head.head("jobs", (f" · {words} · not made", "bad"))
        else:
            shown, total = len(self.table.shown), self.table.total
            part = f"{shown} of {total}" if shown != total else str(total)
            head.head("jobs", (f" · {words} · {part} rows", "dim"))

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        if self._asked_at is not None:
            return ("Accounting is asked; a long window takes a while.",)
        if self._failed:
            return (self._failed, "r asks again, W takes another window.")
        if table.total:
            return super().empty(table, seen)
        return (f"No run touched {WINDOWS[self._window][0]}.", "W takes another window.")

    def draw_beside(self, seen: Seen) -> None:
        usage = self.query_one("#usage", Lines)
        self.query_one("#sums", Panel).head("What adds up")
        if self._made is None:
            usage.put([])
            return
        width = max(20, usage.size.width - 1)
        usage.put(usage_lines(self.table.shown, self._made.notes, width))

    def do_export(self) -> None:
        """Write the report of the window with its record of sources into a folder."""
        if self._made is None:
            self.say("there is no report to write yet", "warn")
            return
        self.prompt.ask("folder for jobs.csv: ", "reports", done=self._write)

    def _write(self, folder: str) -> None:
        site, days = self.foundry.site, WINDOWS[self._window][1]
        end = site.clock()
        if not folder.strip():
            self.say("nothing was written", "warn")
            return
        place = Path(folder).expanduser()

        def make() -> report.Made:
            return report.jobs(
                site, end - timedelta(days=days), end, folder=place, command=("foundry", "report")
            )

        def then(made: report.Made) -> None:
            if made.path is not None:
                self.app.copy_to_clipboard(str(made.path))
                self.say(f"wrote {made.path}: {len(made.rows)} rows; its path is copied", "good")

        self.foundry.work_on("write", make, then)
