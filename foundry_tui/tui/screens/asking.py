"""Places beside the screen Reports: the form in which one is asked for, and one row in full."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Input

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.reports import make as report
from foundry_tui.actions.reports.windows import PERIODS, TIMES
from foundry_tui.actions.reports.wish import CUTS, Wish, asked
from foundry_tui.presenters.reportask import asked_lines
from foundry_tui.presenters.reportpanel import row_lines
from foundry_tui.presenters.toned import Line, paragraph
from foundry_tui.tui.bars import Part
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.screens.estate import EstatePlace
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.form import Choice, Form, Send, Text
from foundry_tui.tui.widgets.lines import Lines

SHORT = {
    "by account": "usage-by-account",
    "by user": "usage-by-user",
    "jobs": "jobs",
    "GPUs": "gpu-health",
    "capacity": "capacity",
    "queues": "queue-balance",
}
"""What a report is called in the form, and its name."""

_AS_THEY_ARE, _PSEUDONYMS = "as they are", "pseudonyms"
_PLAIN, _EXCEL = "plain", "with a mark for old Excel"
_TEXTS = ("start", "end", "accounts", "users", "queues", "prices")


class AskReport(EstatePlace):
    """The form, and below it what would be made."""

    DEFAULT_CSS = """
    AskReport #form { height: auto; }
    AskReport.small #preview { display: none; }
    """
    crumb = "Ask for"
    about = "Which report, of which window, cut how, whose, with which prices and names."
    hints: ClassVar[tuple[str, ...]] = ("back", "next_panel")
    subject = "ask report"

    def __init__(self, wish: Wish, then: Callable[[Wish], None]) -> None:
        super().__init__()
        self._given = wish
        self._then = then

    def panels(self) -> ComposeResult:
        rows: list[tuple[str, Widget]] = [
            ("report", Choice(tuple(SHORT), id="name")),
            ("from", Text(id="start")),
            ("to", Text(id="end")),
            ("cut", Choice(CUTS, id="cut")),
            ("accounts", Text(id="accounts")),
            ("users", Text(id="users")),
            ("queues", Text(id="queues")),
            ("prices", Text(id="prices")),
            ("names", Choice((_AS_THEY_ARE, _PSEUDONYMS), id="names")),
            ("file", Choice((_PLAIN, _EXCEL), id="file")),
            ("", Send("make it", "enter shows it; O on that screen writes its files", id="send")),
        ]
        yield Panel(Form(rows), id="form")
        yield Panel(Lines(id="told"), id="preview")

    def on_mount(self) -> None:
        self.query_one("#form", Panel).head("A report")
        wish = self._given
        words = next(short for short, name in SHORT.items() if name == wish.name)
        self._choice("name").fill(words)
        self._choice("cut").fill(wish.cut)
        self._choice("names").fill(_PSEUDONYMS if wish.anonymise else _AS_THEY_ARE)
        self._choice("file").fill(_EXCEL if wish.excel_bom else _PLAIN)
        for name in _TEXTS:
            text = self._text(name)
            with text.prevent(Input.Changed):
                text.fill(getattr(wish, name))
        self.call_after_refresh(self._draw)

    def focus_body(self) -> None:
        for form in self.query(Form):
            form.again()

    def _choice(self, name: str) -> Choice:
        return self.query_one(f"#{name}", Choice)

    def _text(self, name: str) -> Text:
        return self.query_one(f"#{name}", Text)

    @property
    def wish(self) -> Wish:
        """The lines as they are."""
        return Wish(
            name=SHORT[self._choice("name").value],
            cut=self._choice("cut").value,
            anonymise=self._choice("names").value == _PSEUDONYMS,
            excel_bom=self._choice("file").value == _EXCEL,
            **{name: self._text(name).value for name in _TEXTS},
        )

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._draw()

    def on_choice_chosen(self, event: Choice.Chosen) -> None:
        event.stop()
        self._draw()

    def draw(self, seen: Seen) -> None:
        self._draw()

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        told, site = self.query_one("#told", Lines), self.foundry.site
        self.query_one("#preview", Panel).head("What it will be")
        wish, width = self.wish, max(20, told.size.width - 1)
        lines: list[Line] = paragraph(f"{wish.name}: {report.ABOUT[wish.name]}.", width)
        focused = self.focused
        if isinstance(focused, Text) and focused.id in ("start", "end"):
            words = f"A time is {TIMES}. A begin without an end: {PERIODS}."
            lines += paragraph(words, width, tone="dim")
        try:
            made = asked(wish, site.clock())
        except ActionError as error:
            lines += paragraph(str(error), width, tone="bad")
        else:
            lines += asked_lines(made, site.config.reports.prices, width)
        told.put(lines)

    def on_descendant_focus(self) -> None:
        self.refresh_lines()
        self._draw()

    def _hints(self) -> list[Part]:
        """While text is typed the letters are text: the keys that are none."""
        keys = (("enter", "next"), ("up down", "rows"), ("left right", "choose"), ("esc", "back"))
        parts: list[Part] = [(" ", "")]
        for key, words in keys:
            parts += [(key, "key"), (f" {words}  ", "dim")]
        return parts

    def on_send_pressed(self, event: Send.Pressed) -> None:
        """Make it, if it can be."""
        event.stop()
        wish = self.wish
        try:
            asked(wish, self.foundry.site.clock())
        except ActionError as error:
            self.say(str(error), "bad")
            return
        self.foundry.do_back()
        self._then(wish)


class RowPage(EstatePlace):
    """One row of a report in full."""

    crumb = "Row"
    about = "Every column of one row, as the file has it, and what it means."
    hints: ClassVar[tuple[str, ...]] = ("back",)

    def __init__(self, columns: Sequence[Any], row: dict[str, Any]) -> None:
        super().__init__()
        self._columns, self._row = columns, row

    def panels(self) -> ComposeResult:
        yield Panel(Lines(id="main"), id="page")

    def draw(self, seen: Seen) -> None:
        lines = self.query_one("#main", Lines)
        self.query_one("#page", Panel).head("One row")
        lines.put(row_lines(self._columns, self._row, max(40, lines.size.width - 1)))
