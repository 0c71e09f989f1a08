"""The peer of the terminal benchmarks: a plain Textual app with a DataTable, as one would write it.

    python -m benchmarks.datatable_app [--rows 10000] [--empty] [--tick 1] [--theme NAME]

Keys: `f` fill, `t` change 100 cells in sight, `u` 100 out of sight, `n` narrow by one more letter,
`m` show a mark, `c` ask for a confirmation in a modal screen, Escape close it, `q` leave.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.coordinate import Coordinate
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from benchmarks.rows import MARK, PANEL, TITLES, WORD, Cells, Options, changes, options, table


class Confirm(ModalScreen[None]):
    """The confirmation of an act, in six rows."""

    CSS = """
    Confirm { align: center middle; }
    Confirm Static { width: 72; height: 8; border: solid; }
    """
    BINDINGS: ClassVar = [("escape", "dismiss", "close")]

    def compose(self) -> ComposeResult:
        yield Static(PANEL, markup=False)


class DataTableApp(App[None]):
    """The table, and one line below it."""

    CSS = "DataTable { height: 1fr; } #line { height: 1; }"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [
        ("f", "fill", "fill"),
        ("t", "tick(True)", "tick"),
        ("u", "tick(False)", "tick unseen"),
        ("n", "narrow", "narrow"),
        ("m", "mark", "mark"),
        ("c", "confirm", "confirm"),
        ("q", "quit", "quit"),
    ]

    def __init__(self, given: Options) -> None:
        super().__init__()
        self.given = given
        self.rows = table(given.rows)
        self.ticks = 0
        self.letters = 0
        if given.theme:
            self.theme = given.theme

    def compose(self) -> ComposeResult:
        yield DataTable[str](cursor_type="row")
        yield Static("", id="line")

    def on_mount(self) -> None:
        self.query_one(DataTable).add_columns(*TITLES)
        if not self.given.empty:
            self.action_fill()
        if self.given.tick_s:
            self.set_interval(self.given.tick_s, lambda: self.action_tick(True))

    def show(self, rows: list[Cells]) -> None:
        """Show these rows and no others."""
        table = self.query_one(DataTable)
        table.clear()
        table.add_rows(rows)

    def action_fill(self) -> None:
        self.show(self.rows)

    def action_tick(self, visible: bool) -> None:
        self.ticks += 1
        table = self.query_one(DataTable)
        top, seen = int(table.scroll_y), table.size.height - 1
        for row, column, text in changes(self.ticks, top, seen, len(self.rows), visible):
            table.update_cell_at(Coordinate(row, column), text)

    def action_narrow(self) -> None:
        self.letters += 1
        word = WORD[: self.letters]
        self.show([row for row in self.rows if any(word in cell for cell in row)])
        self.query_one("#line", Static).update(word)

    def action_mark(self) -> None:
        self.query_one("#line", Static).update(MARK)

    def action_confirm(self) -> None:
        self.push_screen(Confirm())


if __name__ == "__main__":
    DataTableApp(options(__doc__)).run()
