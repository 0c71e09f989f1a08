"""The screen Fractions: what a share of a GPU costs here now, and what runs could ask for."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from foundry_tui.actions.fractions import fractions, measured
from foundry_tui.estate.fractions import Fractions, ShareAdvice, ShareCost
from foundry_tui.presenters import units
from foundry_tui.presenters.fractions import advice_lines, cost_lines
from foundry_tui.presenters.rows.fractions import COST_ROWS, FRACTION_ROWS
from foundry_tui.presenters.toned import Line
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.messages import Entered
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines


class FractionsPlace(Listing):
    """The shares and their runs. It is made for one reading of the estate; `r` makes it anew."""

    DEFAULT_CSS = """
    FractionsPlace #upper, FractionsPlace #lower { height: 1fr; }
    FractionsPlace .said { width: 30; }
    FractionsPlace.wide .said { width: 1fr; }
    FractionsPlace.small #lower, FractionsPlace.small .said { display: none; }
    """
    crumb = "Fractions"
    about = "What a share of a GPU costs here, as others ask for the rest of it or do not."
    hints = ("open", "back", "refresh", "filter", "sort", "copy", "export", "next_panel")
    subject = "fractions"

    def __init__(self) -> None:
        super().__init__()
        self._found: Fractions | None = None
        self._asked = False
        self._failed = ""

    def panels(self) -> ComposeResult:
        with Vertical():
            for name, model, table in (
                ("upper", COST_ROWS, "main"),
                ("lower", FRACTION_ROWS, "of"),
            ):
                with Horizontal(id=name):
                    yield self.panel_of(model, id=table)
                    said = Panel(Lines(id=f"{name}_lines"), id=f"{name}_said")
                    said.add_class("said")
                    yield said

    def fill(self, seen: Seen) -> None:
        if self._found is None and not self._asked and not self._failed:
            self._reckon(seen)
        found = self._found
        self.query_one("#main", GridTable).show(found.costs if found else (), seen.now)
        self.query_one("#of", GridTable).show(found.runs if found else (), seen.now)

    def do_refresh(self) -> None:
        """Reckon anew for the estate as it is now."""
        if (seen := self.foundry.seen) is not None and not self._asked:
            self._reckon(seen)
            self.retell()

    def _reckon(self, seen: Seen) -> None:
        self._asked, self._failed = True, ""

        def then(found: Fractions) -> None:
            self._asked, self._found = False, found
            self.foundry.pacer.paint("fractions", self.redraw)

        def failed(words: str) -> None:
            self._asked, self._failed = False, words
            self.retell()

        def reckon() -> Fractions:
            return fractions(seen.snapshot, known=measured(self.foundry.site, seen.snapshot))

        self.foundry.work_on("fractions", reckon, then, failed)

    def title_of(self, table: GridTable[Any]) -> str:
        if table.id == "main":
            return "What a share costs here"
        return f"{table.total} {'run' if table.total == 1 else 'runs'} with a share"

    def _tell(self, seen: Seen) -> None:
        super()._tell(seen)
        found, head = self._found, self.query_one("#list_main", Panel)
        if self._asked:
            told = (" · reckoning …", "warn")
        elif self._failed:
            told = (f" · {self._failed}", "bad")
        elif found is not None:
            aged = units.age(units.since_s(found.generated_at, seen.now))
            told = (f" · {aged} old", "dim")
        else:
            told = ("", "")
        head.head("What a share costs here", told)

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        if self._failed:
            return (f"Not reckoned: {self._failed}; r tries again.",)
        if (found := self._found) is None:
            return ("The shares in demand are reckoned.",)
        if table.total:
            return super().empty(table, seen)
        return ("No live run asks for a share of a GPU.",) if table.id == "of" else found.notes

    def draw_beside(self, seen: Seen) -> None:
        found = self._found
        cost = self.query_one("#main", GridTable).cursor
        advice = self.query_one("#of", GridTable).cursor
        upper, lower = self.query_one("#upper_lines", Lines), self.query_one("#lower_lines", Lines)
        lines: list[Line] = []
        self.query_one("#upper_said", Panel).head("What it costs")
        if found is not None and isinstance(cost, ShareCost):
            lines = cost_lines(cost, found.notes, max(20, upper.size.width - 1))
        upper.put(lines)
        lines, width = [], max(20, lower.size.width - 1)
        self.query_one("#lower_said", Panel).head("What to ask for")
        if found is not None and isinstance(advice, ShareAdvice):
            lines = advice_lines(advice, width)
        lower.put(lines)

    def on_grid_table_entered(self, event: Entered) -> None:
        event.stop()
        if isinstance(event.row, ShareAdvice):
            self.foundry.open_run(event.row.run)
        elif isinstance(event.row, ShareCost):
            self.query_one("#of", GridTable).focus()
