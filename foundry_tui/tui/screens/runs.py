"""The screen Runs: live and finished ones, and the detail of one where there is room."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal

from foundry_tui.presenters.rows import RUN_ROWS, live_first
from foundry_tui.presenters.runpanel import run_lines
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.screens.onrun import OnRun
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines

MOST_COMPARED = 50
"""Runs side by side that still tell something."""


class Runs(OnRun):
    """Every run that is known; `where` and `name` are those of a drill-down."""

    DEFAULT_CSS = """
    Runs #side { display: none; width: 56; margin-left: 1; }
    Runs.wide #side { display: block; }
    Runs.full #side { width: 80; }
    """
    crumb = "Runs"
    about = "Every run that is live, and those of yours that ended within a day."
    hints = ("open", "why", "logs", "filter", "sort", "mark", "cancel", "hold", "submit")

    def __init__(self, where: str = "", name: str = "") -> None:
        super().__init__(where)
        self._name = name
        self.subject = f"runs {where}" if where else ""

    def name_here(self) -> str:
        return self._name or self.crumb

    def panels(self) -> ComposeResult:
        with Horizontal():
            yield self.panel_of(RUN_ROWS)
            yield Panel(Lines(id="detail"), id="side")

    def do_diff(self) -> None:
        """The records of the marked runs side by side."""
        runs = self.table.marked
        if not 2 <= len(runs) <= MOST_COMPARED:
            self.say(f"mark 2 to {MOST_COMPARED} runs that have a record", "warn")
            return
        from foundry_tui.tui.screens.compare import Compare

        self.foundry.enter(Compare.of_references([run.id for run in runs]))

    def fill(self, seen: Seen) -> None:
        self.table.show(live_first(seen.runs), seen.now)

    def draw_beside(self, seen: Seen) -> None:
        if not self.has_class("wide"):
            return
        side, detail = self.query_one("#side", Panel), self.query_one("#detail", Lines)
        run = self.table.cursor
        if run is None:
            side.head("Run")
            detail.put([])
            return
        width = max(20, detail.size.width - 1)
        lines = run_lines(run, seen.snapshot.gpus, seen.runs, seen.now, width)
        side.head(lines[0][0][0].strip(), *lines[0][1:])
        detail.put(lines[1:])
