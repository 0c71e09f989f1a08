"""The screen Trade-offs: gain against number of moves, for who wants little disturbance."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from foundry_tui.actions.tradeoffs import tradeoffs
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.presenters import units
from foundry_tui.presenters.planpanel import move_lines
from foundry_tui.presenters.rows.tradeoffs import TRADEOFF_ROWS
from foundry_tui.presenters.toned import Line, heading, paragraph
from foundry_tui.presenters.tradeoffs import curve, told
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.messages import Entered
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.curve import Curve
from foundry_tui.tui.widgets.lines import Lines


class TradeOffs(Listing):
    """One plan's trade-offs; it stays that plan's, whatever is read meanwhile."""

    DEFAULT_CSS = """
    TradeOffs #upper { height: 1fr; }
    TradeOffs #lower { height: 1fr; }
    TradeOffs #drawn Curve { height: 1fr; margin-left: 1; }
    TradeOffs #drawn { width: 33; }
    TradeOffs.wide #drawn { width: 1fr; }
    TradeOffs.small #lower, TradeOffs.small #drawn { display: none; }
    """
    crumb = "Trade-offs"
    about = "What the plan brings when only the best of its moves are made, from one to all."
    hints = ("open", "back", "filter", "sort", "copy", "export", "next_panel", "zoom")
    subject = "tradeoffs"

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan
        self._points = tradeoffs(plan)
        self._moves = {move.id: move for move in plan.moves}

    def panels(self) -> ComposeResult:
        with Vertical():
            with Horizontal(id="upper"):
                yield self.panel_of(TRADEOFF_ROWS)
                yield Panel(Curve(id="curve"), id="drawn")
            with Horizontal(id="lower"):
                yield Panel(Lines(id="reason"), id="why")

    def fill(self, seen: Seen) -> None:
        self.table.show(self._points[1:], seen.now)

    def _tell(self, seen: Seen) -> None:
        super()._tell(seen)
        aged = units.age(units.since_s(self._plan.generated_at, seen.now))
        self.query_one("#list_main", Panel).head(
            f"The best moves of plan {self._plan.id[:6]}", (f" · {aged} old", "dim")
        )

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        if self._plan.moves:
            return super().empty(table, seen)
        return tuple(told(self._points))

    def draw_beside(self, seen: Seen) -> None:
        self.query_one("#drawn", Panel).head("Gain less cost, GPU-hours")
        self.query_one("#curve", Curve).show("", curve(self._points), "moves")
        reason = self.query_one("#reason", Lines)
        width = max(20, reason.size.width - 1)
        point = self.table.cursor
        first = "What it comes to"
        if point is not None:
            first = "The first move" if point.moves == 1 else f"The first {point.moves} moves"
        self.query_one("#why", Panel).head(first)
        lines: list[Line] = []
        for sentence in told(self._points):
            lines += paragraph(sentence, width)
        for move in self._added():
            lines.append(heading(f"Adds {move.id}: {move.action} {move.target.id}"))
            lines += move_lines(move, self._plan, width)
        reason.put(lines)

    def _added(self) -> list[Move]:
        """The moves that the point under the cursor adds to the one before it."""
        point = self.table.cursor
        return [] if point is None else [self._moves[i] for i in point.added]

    def on_grid_table_entered(self, event: Entered) -> None:
        event.stop()
        for move in reversed(self._added()):
            if move.target.kind == "run":
                self.foundry.open_run(move.target.id)
            elif move.target.kind == "node":
                self.foundry.open_node(move.target.id)
            return
