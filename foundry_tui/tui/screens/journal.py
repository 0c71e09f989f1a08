"""The journal: every change that was sent, each in full on a page of its own."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult

from foundry_tui.actions import act
from foundry_tui.actions.table import Action
from foundry_tui.actions.undoing import taken_back
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.journalpanel import change_lines, fixed
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.records.acts import JournalEntry
from foundry_tui.presenters.rows.journal import JOURNAL_ROWS
from foundry_tui.tui.applying import ask_undo
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.messages import Entered
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.estate import EstatePlace
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines

MOST_CHANGES = 1000
"""The newest so many are shown; `foundry journal` has the others."""


class Journal(Listing):
    """The changes, the newest first."""

    crumb = "Journal"
    about = "Every change that was sent, by whom, and what came of it."
    hints: ClassVar[tuple[str, ...]] = ("open", "back", "filter", "sort", "copy", "export", "log")
    subject = "journal"

    def __init__(self) -> None:
        super().__init__()
        self._entries: tuple[JournalEntry, ...] | None = None
        self._failed = ""
        self._sent = -1

    def panels(self) -> ComposeResult:
        yield self.panel_of(JOURNAL_ROWS)

    def fill(self, seen: Seen) -> None:
        sent = len(self.foundry.log_of_commands.entries)
        if sent != self._sent:
            self._sent = sent
            self.do_refresh()
        self.table.show(self._entries or (), seen.now)

    def do_refresh(self) -> None:
        """Read the journal again; what was broken off is settled first where that can be."""
        site = self.foundry.site

        def read() -> tuple[JournalEntry, ...]:
            act.settle(site)
            return tuple(reversed(site.journal.changes()[-MOST_CHANGES:]))

        def then(entries: tuple[JournalEntry, ...]) -> None:
            self._entries, self._failed = entries, ""
            self.foundry.pacer.paint("journal", self.redraw)

        def failed(words: str) -> None:
            self._failed = words
            self.redraw()

        self.foundry.work_on("journal", read, then, failed)

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        if self._failed:
            return (f"The journal was not read: {self._failed}", "r tries again.")
        if self._entries is None:
            return ("The journal is read …",)
        if self._entries:
            return super().empty(table, seen)
        return ("No change was sent yet: the journal is empty.",)

    def on_grid_table_entered(self, event: Entered) -> None:
        event.stop()
        self.foundry.enter(ChangePage(event.row))


class ChangePage(EstatePlace):
    """One change in full; what can be taken back is taken back from here."""

    about = "One change: who asked for it, the exact commands, what came of each."
    hints: ClassVar[tuple[str, ...]] = ("back", "undo", "copy", "log")

    def __init__(self, entry: JournalEntry) -> None:
        super().__init__()
        self._entry = entry
        self._back: str | None = None
        self._sent = -1
        self.subject = f"change {entry.change.id}"

    def name_here(self) -> str:
        return self._entry.change.id

    def panels(self) -> ComposeResult:
        yield Panel(Lines(id="main"), id="change")

    def draw(self, seen: Seen) -> None:
        if self._sent != (sent := len(self.foundry.log_of_commands.entries)):
            self._sent = sent
            self._look()
        lines = self.query_one("#main", Lines)
        self.query_one("#change", Panel).head(f"Change {self._entry.change.id}")
        lines.put(change_lines(self._entry, max(20, lines.size.width - 1), back=self._back))

    def _look(self) -> None:
        """Whether it was taken back by now."""
        site, change = self.foundry.site, self._entry.change.id

        def then(back: str | None) -> None:
            self._back = back
            self.redraw()

        self.foundry.work_on(
            "taken back", lambda: taken_back(site.journal.changes()).get(change), then
        )

    def refusal(self, action: Action) -> str | None:
        why = super().refusal(action)
        if why is None and action.id == "undo" and not self.foundry.sender.told:
            if self._back is not None:
                return f"it was taken back by {self._back}"
            return fixed(self._entry.change, self._entry.inverse)
        return why

    def do_undo(self) -> None:
        """Take this change back; what is held comes first, as everywhere."""
        foundry, change = self.foundry, self._entry.change
        if foundry.sender.told:
            foundry.do_undo()
            return

        ask_undo(self, change.id, f"{change.act} {change.id}")

    def do_copy(self) -> None:
        """The commands as they were sent."""
        commands = "\n".join(command_text(c, Style()) for c in self._entry.commands if c)
        if not commands:
            self.say("no command was sent", "warn")
            return
        self.app.copy_to_clipboard(commands)
        self.say("copied the commands (if your terminal allows it)", "good")
