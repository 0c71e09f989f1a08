"""Our side of the terminal benchmarks: the same rows in a `GridTable`, painted at the pacer's pace.

    python -m benchmarks.grid_app [--rows 10000] [--empty] [--tick 1] [--theme NAME]

Keys: `f` fill, `t` change 100 cells in sight, `u` 100 out of sight, `n` narrow by one more letter,
`m` show a mark, `q` leave.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import itemgetter
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.events import CursorPosition

from benchmarks.rows import MARK, TITLES, WORD, Cells, Options, changes, options, table
from foundry_tui.estate.filter import Field
from foundry_tui.estate.text import SafeText
from foundry_tui.presenters.rows import GridColumn, Rows, Tone
from foundry_tui.presenters.rows.model import lazy, state_tone
from foundry_tui.presenters.table import Column
from foundry_tui.tui.bars import Bar
from foundry_tui.tui.grid import GridTable
from foundry_tui.tui.pace import Pacer
from foundry_tui.tui.tones import TERMINAL, THEMES

FIELDS = {title.lower(): Field("text", fuzzy=title == "NAME") for title in TITLES}
NOW = datetime.fromisoformat("2026-11-21T03:00:00Z")


def _column(at: int, title: str) -> GridColumn[Cells]:
    def order(row: Cells, _now: datetime) -> str:
        return row[at]

    def busy(row: Cells, text: SafeText) -> Tone:
        return "warn" if text in ("0%", "1%") else ""

    tones = {"STATE": state_tone, "UTIL": busy}
    column = Column(title, "right" if title in ("GPUS", "UTIL", "MEM") else "left")
    return GridColumn(id=title.lower(), column=column, order=order, tone=tones.get(title))


MODEL: Rows[Cells] = Rows(
    noun="run",
    plural="runs",
    columns=tuple(_column(at, title) for at, title in enumerate(TITLES)),
    key=itemgetter(0),
    cells=lambda row, _: [SafeText(cell) for cell in row],
    glyph=lambda row: "x" if row[4] == "failed" else "",
    fields=FIELDS,
    get=lazy(itemgetter(0), FIELDS, {name: itemgetter(i) for i, name in enumerate(FIELDS)}, {}),
    record=lambda row, _: dict(zip(TITLES, row, strict=True)),
    copied=(),
)


class GridApp(App[None]):
    """The table, and one line below it."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [
        ("f", "fill", "fill"),
        ("t", "tick(True)", "tick"),
        ("u", "tick(False)", "tick unseen"),
        ("n", "narrow", "narrow"),
        ("m", "mark", "mark"),
        ("q", "quit", "quit"),
    ]

    def __init__(self, given: Options) -> None:
        super().__init__()
        self.given = given
        self.rows = table(given.rows)
        self.ticks = 0
        self.letters = 0
        self.pacer = Pacer(self)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = given.theme or TERMINAL

    def compose(self) -> ComposeResult:
        yield GridTable(MODEL, id="main")
        yield Bar(id="line")

    @property
    def grid(self) -> GridTable[Cells]:
        """The table."""
        return self.query_one("#main", GridTable)

    def on_mount(self) -> None:
        self.grid.focus()
        if not self.given.empty:
            self.action_fill()
        if self.given.tick_s:
            self.set_interval(self.given.tick_s, lambda: self.action_tick(True))

    def action_fill(self) -> None:
        self.pacer.paint("rows", lambda: self.grid.show(list(self.rows), NOW))

    def action_tick(self, visible: bool) -> None:
        self.ticks += 1
        seen = self.grid.size.height - 1
        for row, column, text in changes(self.ticks, 0, seen, len(self.rows), visible):
            cells = self.rows[row]
            self.rows[row] = (*cells[:column], text, *cells[column + 1 :])
        self.action_fill()

    def action_narrow(self) -> None:
        self.letters += 1
        self.grid.filter(WORD[: self.letters])
        self.query_one("#line", Bar).put([(WORD[: self.letters], "")])

    def action_mark(self) -> None:
        self.query_one("#line", Bar).put([(MARK, "")])

    # -- the pacer's host, as in the app

    def after_paint(self, call: Callable[[], None]) -> None:
        self.screen.call_after_refresh(call)

    def send(self, text: str) -> bool:
        if self.is_headless or self._driver is None:
            return False
        self._driver.write(text)
        return True

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.set_timer(seconds, call)

    def on_cursor_position(self, event: CursorPosition) -> None:
        self.pacer.answered()


if __name__ == "__main__":
    GridApp(options(__doc__)).run()
