"""The help: what works on the screen it was asked from, searchable."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult

from foundry_tui.tui.feed import Seen
from foundry_tui.tui.helping import help_lines
from foundry_tui.tui.place import Place
from foundry_tui.tui.widgets.lines import Lines


class Help(Place):
    """What works on another place, with its keys, and why something does not."""

    crumb = "Help"
    hints = ("filter", "back")
    about = "What works on the screen from which you asked."

    def __init__(self, of: Place) -> None:
        super().__init__()
        self._of = of
        self._searched = ""

    def body(self) -> ComposeResult:
        yield Lines(id="main")

    def show(self, seen: Seen) -> None:
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        super().on_resize(event)
        self._draw()

    def _draw(self) -> None:
        if self.size.width and self.is_mounted:
            for reader in self.query("#main").results(Lines):  # none when the place is going
                reader.put(help_lines(self._of, self.size.width, self._searched))

    def _search(self, text: str) -> None:
        self._searched = text
        self._draw()

    def do_filter(self) -> None:
        """Show only the entries with these words."""
        before = self._searched
        self.prompt.ask(
            "/", before, done=self._search, changed=self._search, left=lambda: self._search(before)
        )

    def do_help(self) -> None:
        """The same key closes it."""
        self.foundry.do_back()

    def do_back(self) -> None:
        if self._searched:
            self._search("")
        else:
            self.foundry.do_back()
