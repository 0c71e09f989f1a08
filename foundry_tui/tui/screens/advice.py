"""The screen Advice: where waiting runs should go, what it gains, and why."""

from __future__ import annotations

import time
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.timer import Timer

from foundry_tui.actions.advise import advice
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.presenters import units
from foundry_tui.presenters.plan import quality
from foundry_tui.presenters.planpanel import measure_lines, move_lines, rest_lines
from foundry_tui.presenters.rows.moves import MOVE_ROWS
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.messages import Entered
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines


class Advice(Listing):
    """The optimiser's plan. It is made for one reading of the estate, and `r` makes it anew."""

    DEFAULT_CSS = """
    Advice #upper { height: 1fr; }
    Advice #measured { width: 31; }
    Advice #lower { height: 1fr; }
    Advice #rest { display: none; }
    Advice.wide #rest { display: block; }
    Advice.small #lower, Advice.small #measured { display: none; }
    Advice.full #measured { width: 44; }
    """
    crumb = "Advice"
    about = "Where waiting runs should go and what is held unused, with the gain and the reason."
    hints = ("open", "refresh", "filter", "sort", "copy", "export", "next_panel", "zoom")

    def __init__(self) -> None:
        super().__init__()
        self._plan: Plan | None = None
        self._made_for: Seen | None = None
        self._asked_at: float | None = None
        self._said = ""
        self._failed = ""
        self._ticking: Timer | None = None

    def panels(self) -> ComposeResult:
        with Vertical():
            with Horizontal(id="upper"):
                yield self.panel_of(MOVE_ROWS)
                yield Panel(Lines(id="measures"), id="measured")
            with Horizontal(id="lower"):
                yield Panel(Lines(id="reason"), id="why")
                yield Panel(Lines(id="others"), id="rest")

    def fill(self, seen: Seen) -> None:
        if self._plan is None and self._asked_at is None and not self._failed:
            self._solve(seen)
        self.table.show(self._plan.moves if self._plan is not None else (), seen.now)

    def do_refresh(self) -> None:
        """A new plan for the estate as it is now."""
        if (seen := self.foundry.seen) is not None and self._asked_at is None:
            self._solve(seen)

    def _solve(self, seen: Seen) -> None:
        self._asked_at, self._said, self._failed = time.monotonic(), "solving", ""
        self._ticking = self.set_interval(1.0, self.retell)
        site = self.foundry.site

        def told(words: str) -> None:
            self._said = words

        def solve() -> Plan:
            return advice(site, seen.snapshot, policy="fgd", limit=None, check=True, progress=told)

        def then(plan: Plan) -> None:
            self._end()
            self._plan, self._made_for = plan, seen
            self.foundry.advice_count = len(plan.moves)
            self.foundry.pacer.paint("advice", self.redraw)

        def failed(words: str) -> None:
            self._end()
            self._failed = words
            self.retell()

        self.foundry.work_on("advice", solve, then, failed)

    def _end(self) -> None:
        self._asked_at = None
        if self._ticking is not None:
            self._ticking.stop()
            self._ticking = None

    def _working(self) -> str:
        if self._asked_at is None:
            return ""
        return f"{self._said} … {units.duration(time.monotonic() - self._asked_at)}"

    def _tell(self, seen: Seen) -> None:
        """How good the plan is and for when."""
        super()._tell(seen)
        head, working, plan = self.query_one("#list_main", Panel), self._working(), self._plan
        if plan is None:
            head.head("Plan", (f" · {working or 'none'}", "warn" if working else "bad"))
            return
        aged = units.age(units.since_s(plan.generated_at, seen.now))
        told = f" · {working}" if working else f" · {aged} old"
        head.head(
            f"Plan {plan.id[:6]}",
            (f" · {len(plan.moves)} moves{quality(plan)}", "dim"),
            (told, "warn" if working else "dim"),
        )

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        if (plan := self._plan) is None:
            return (self._working() or f"No plan: {self._failed}; r tries again.",)
        if plan.moves:
            return super().empty(table, seen)
        return (
            "Nothing to move: no change was found that gains anything.",
            f"{len(plan.not_proposed)} runs were looked at; the reasons stand below.",
        )

    def draw_beside(self, seen: Seen) -> None:
        if (plan := self._plan) is None:
            return
        measured = self.query_one("#measures", Lines)
        self.query_one("#measured", Panel).head("If you apply them")
        measured.put(measure_lines(plan, max(20, measured.size.width - 1)))
        why, reason = self.query_one("#why", Panel), self.query_one("#reason", Lines)
        move = self.table.cursor
        width = max(20, reason.size.width - 1)
        lines = move_lines(move, plan, width) if move is not None else []
        why.head(f"Why {move.id}" if move is not None else "Why not")
        rest = rest_lines(plan, width)
        if self.has_class("wide"):
            self.query_one("#rest", Panel).head("Why not the others")
            others = self.query_one("#others", Lines)
            others.put(rest_lines(plan, max(20, others.size.width - 1)))
        else:
            lines = [*lines, *([[]] if lines else []), *rest]
        reason.put(lines)

    def on_grid_table_entered(self, event: Entered) -> None:
        event.stop()
        move = event.row
        if not isinstance(move, Move):
            return
        if move.target.kind == "run":
            self.foundry.open_run(move.target.id)
        elif move.target.kind == "node":
            self.foundry.open_node(move.target.id)
        else:
            self.say(f"{move.target.kind} {move.target.id} has no page")
