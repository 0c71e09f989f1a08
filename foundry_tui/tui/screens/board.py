"""Migration: per account what has moved to the other side, what is left, and what blocks it."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.migrate import boarding
from foundry_tui.actions.migrate.boarding import Boarded
from foundry_tui.migration.board import Line
from foundry_tui.presenters.board import account_lines, board_notes, summary
from foundry_tui.presenters.rows.board import BOARD_ROWS
from foundry_tui.presenters.toned import paragraph
from foundry_tui.reports.made import Progress
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines

WORK = "board"
TELL_S = 0.5
"""How often the screen says how far it is."""


class MigrationBoard(Listing):
    """Accounts of Slurm, the largest first, with the details of the one under the cursor.

    The board is made when it is opened, and anew by `r`: a month of accounting is no small thing to
    ask for with every reading.
    """

    DEFAULT_CSS = """
    MigrationBoard #upper { height: 1fr; }
    MigrationBoard #lower { height: 1fr; }
    MigrationBoard.wide #upper { height: 1fr; }
    MigrationBoard.wide #lower { height: 2fr; }
    MigrationBoard.small #lower { display: none; }
    """
    crumb = "Migration"
    about = "Per account: what has moved, what is left, and what blocks it."
    hints: ClassVar[tuple[str, ...]] = ("back", "refresh", "filter", "sort", "copy", "export")
    subject = "board"

    def __init__(self, days: int = boarding.DAYS) -> None:
        super().__init__()
        self._days = days
        self._made: Boarded | None = None
        self._failed = ""
        self._working: Progress | None = None
        self._asked = False
        self._stop = threading.Event()
        self._ticking: Timer | None = None

    def panels(self) -> ComposeResult:
        with Vertical():
            with Vertical(id="upper"):
                yield self.panel_of(BOARD_ROWS)
            with Vertical(id="lower"):
                yield Panel(Lines(id="details"), id="one")

    def fill(self, seen: Seen) -> None:
        if not self._asked:
            self._ask()
        self.table.show(() if self._made is None else self._made.board.lines, seen.now)

    def do_refresh(self) -> None:
        """Count once more."""
        self._ask()
        self.redraw()

    def on_unmount(self) -> None:
        self._stop.set()

    def _ask(self) -> None:
        self._end()
        self._asked, self._failed, site = True, "", self.foundry.site
        self._working = Progress(0.0, "reads the accounting")
        self._stop = stop = threading.Event()
        self._ticking = self.set_interval(TELL_S, self.retell)

        def told(progress: Progress) -> None:
            if stop.is_set():
                raise ActionError("given up")
            self._working = progress

        def then(made: Boarded) -> None:
            self._end()
            self._made = made
            self.foundry.pacer.paint(WORK, self.redraw)

        def failed(words: str) -> None:
            self._end()
            self._failed = words
            self.redraw()

        self.foundry.work_on(WORK, lambda: boarding.of_days(site, self._days, told), then, failed)

    def _end(self) -> None:
        """Nothing is being made any more, or it is given up."""
        self._stop.set()
        self._working = None
        if self._ticking is not None:
            self._ticking.stop()
            self._ticking = None

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        if self._working is not None:
            return (f"The board is made: {self._working.done:.0%}, {self._working.words} …",)
        if self._failed:
            missing = boarding.missing(self.foundry.site)
            if missing is not None:
                return ("There is no board here.", missing)
            return (f"The board was not made: {self._failed}", "r tries again.")
        return super().empty(table, seen)

    def draw_beside(self, seen: Seen) -> None:
        details = self.query_one("#details", Lines)
        width = max(20, details.size.width - 1)
        line, made = self.table.cursor, self._made
        head = self.query_one("#one", Panel)
        if made is None or not isinstance(line, Line):
            head.head("Account")
            details.put([])
            return
        state = " · counted anew …" if self._working else ""
        whole = f" · all accounts {summary(made.board)}{state}"
        head.head(f"Account {line.row.account or '—'}", (whole, "dim"))
        lines = account_lines(line, width)
        notes = (*board_notes(made.board), *made.notes)
        if self._failed:
            notes = (f"not counted anew: {self._failed}", *notes)
        for note in notes:
            lines += paragraph(f"note: {note}", width, tone="dim")
        details.put(lines)
