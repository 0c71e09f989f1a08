"""Verdicts: what applied plans promised, and what was measured."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from foundry_tui.actions import verdicts
from foundry_tui.estate.verdict import RuleRecord, Verdict
from foundry_tui.presenters.rows.verdicts import VERDICT_ROWS
from foundry_tui.presenters.verdicts import rule_lines, verdict_lines
from foundry_tui.tui.applying import ask_undo
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines


class Verdicts(Listing):
    """Applied plans, the newest first, with the promises of the one under the cursor."""

    DEFAULT_CSS = """
    Verdicts #upper { height: 1fr; }
    Verdicts #lower { height: 2fr; }
    Verdicts #rules { display: none; width: 40; }
    Verdicts.wide #rules { display: block; }
    Verdicts.small #lower { display: none; }
    """
    crumb = "Verdicts"
    about = "What applied plans promised and what was measured afterwards, promise by promise."
    hints: ClassVar[tuple[str, ...]] = ("back", "undo", "journal", "filter", "copy", "export")
    subject = "verdicts"

    def __init__(self) -> None:
        super().__init__()
        self._verdicts: tuple[Verdict, ...] | None = None
        self._records: tuple[RuleRecord, ...] = ()
        self._failed = ""
        self._asked: object = None

    def panels(self) -> ComposeResult:
        with Vertical():
            with Horizontal(id="upper"):
                yield self.panel_of(VERDICT_ROWS)
            with Horizontal(id="lower"):
                yield Panel(Lines(id="promises"), id="one")
                yield Panel(Lines(id="records"), id="rules")

    def fill(self, seen: Seen) -> None:
        if self._asked is not seen:
            self._ask(seen)
        self.table.show(self._verdicts or (), seen.now)

    def do_refresh(self) -> None:
        """Look once more at the plans that are still open."""
        if (seen := self.foundry.seen) is not None:
            self._ask(seen)

    def _ask(self, seen: Seen) -> None:
        self._asked, site = seen, self.foundry.site

        def read() -> tuple[tuple[Verdict, ...], tuple[RuleRecord, ...]]:
            found = verdicts.all_verdicts(site, seen.snapshot)
            return tuple(reversed(found)), verdicts.records_of(found)

        def then(answer: tuple[tuple[Verdict, ...], tuple[RuleRecord, ...]]) -> None:
            (self._verdicts, self._records), self._failed = answer, ""
            self.foundry.pacer.paint("verdicts", self.redraw)

        def failed(words: str) -> None:
            self._failed = words
            self.redraw()

        self.foundry.work_on("verdicts", read, then, failed)

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        if self._failed:
            return (f"The verdicts were not read: {self._failed}", "r tries again.")
        if self._verdicts is None:
            return ("The verdicts are read …",)
        if self._verdicts:
            return super().empty(table, seen)
        return (
            "No plan was applied yet.",
            "4 is the advice: what it promises is measured here after it was applied.",
        )

    def draw_beside(self, seen: Seen) -> None:
        promises, records = self.query_one("#promises", Lines), self.query_one("#records", Lines)
        one = self.table.cursor
        head = f"Plan {one.plan}" if isinstance(one, Verdict) else "Promises"
        self.query_one("#one", Panel).head(head)
        width = max(20, promises.size.width - 1)
        promises.put(verdict_lines(one, width) if isinstance(one, Verdict) else [])
        self.query_one("#rules", Panel).head("Rules of advice")
        none = [[(" no promise was decided yet", "dim")]]
        records.put(rule_lines(self._records, max(20, records.size.width - 1)) or none)

    def do_undo(self) -> None:
        """Take the plan under the cursor back; what is held or under way comes first."""
        one = self.table.cursor
        if self.foundry.sender.told or not isinstance(one, Verdict):
            self.foundry.do_undo()
        else:
            ask_undo(self, one.plan, f"plan {one.plan[:6]}")
