"""Places with a page of text: why a run waits, and the end of its output."""

from __future__ import annotations

import shlex
from typing import ClassVar

from textual.app import ComposeResult
from textual.timer import Timer

from foundry_tui.actions import look
from foundry_tui.estate.run import LIVE, Run
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.runpanel import Log, log_lines
from foundry_tui.presenters.toned import Line
from foundry_tui.presenters.why import why_page
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.screens.estate import EstatePlace
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines

FOLLOW_S = 3.0
"""A log that is shown is read again after so many seconds."""

TAIL_LINES = 500


class Page(EstatePlace):
    """A page about one run; it is asked for in a thread and drawn when it comes."""

    hints: ClassVar[tuple[str, ...]] = ("back", "copy", "command", "refresh")
    noun = ""
    follows = False

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run_shown = run
        self.subject = f"{self.noun} {run.id}"

    def panels(self) -> ComposeResult:
        yield Panel(Lines(id="main", follow=self.follows), id="page")

    @property
    def lines(self) -> Lines:
        """The text."""
        return self.query_one("#main", Lines)

    def name_here(self) -> str:
        return self.noun

    def head(self, *told: tuple[str, str]) -> None:
        """The title of the page: which run it is about."""
        run = self.run_shown
        self.query_one("#page", Panel).head(f"{run.native_id} {run.name}", *told)


class WhyPage(Page):
    """The whole reason why a run waits: evidence, next step, its exact command."""

    noun = "why"

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._why: look.Why | None = None
        self._asked = False

    def draw(self, seen: Seen) -> None:
        if not self._asked:
            self._asked = True
            self.do_refresh()
        elif self._why is not None:
            self._draw(self._why)

    def do_refresh(self) -> None:
        """Ask the scheduler again."""
        seen, run = self.foundry.seen, self.run_shown
        if seen is None:
            return
        run = next((r for r in seen.snapshot.runs if r.id == run.id), run)
        self.head((" · asking its scheduler …", "warn"))
        site = self.foundry.site

        def then(why: look.Why) -> None:
            self._why = why
            self.foundry.pacer.paint("why", lambda: self._draw(why))

        def failed(words: str) -> None:
            self.head((" · not explained", "bad"))
            self.lines.put([[(f" {words}", "bad")], [(" r asks again", "dim")]])

        self.foundry.work_on("why", lambda: look.why(site, seen.snapshot, run), then, failed)

    def _draw(self, why: look.Why) -> None:
        if not self.is_mounted:
            return
        at = why.explanation.diagnosis.at
        self.head((f" · as of {units.when(at)}", "dim"))
        style = Style(width=max(20, self.lines.size.width - 1))
        page = why_page(why.run, why.explanation, why.command, now=at, style=style)
        self.lines.put([_toned(line) for line in page.splitlines()])

    def do_copy(self) -> None:
        command = self._why.command if self._why is not None else None
        if not command:
            self.say("there is no command to copy here", "warn")
            return
        self.app.copy_to_clipboard(shlex.join(command))
        self.say("copied the command (if your terminal allows it)", "good")


def _toned(line: str) -> Line:
    if line.startswith("  $ "):
        return [(f" {line}", "accent")]
    return [(f" {line}", "strong" if line and not line.startswith(" ") else "")]


class LogPage(Page):
    """The end of a run's output, followed while it is shown."""

    noun = "log"
    follows = True
    hints = ("back", "errors", "copy", "command", "pause")

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._errors = False
        self._timer: Timer | None = None
        self._told: Log | None = None

    def on_mount(self) -> None:
        self._timer = self.set_interval(FOLLOW_S, self._follow)

    def draw(self, seen: Seen) -> None:
        before = self.run_shown
        self.run_shown = next((r for r in seen.runs if r.id == before.id), before)
        if self._told is None:
            self.head((" · reading …", "dim"))
            self.do_refresh()
        elif self.run_shown.state is not before.state:
            self.do_refresh()  # what a run wrote last comes after the last look at it

    def _follow(self) -> None:
        if self.is_current and not self.foundry.paused and self.run_shown.state in LIVE:
            self.do_refresh()

    def do_errors(self) -> None:
        """The error file instead of the output, and back."""
        self._errors = not self._errors
        self.do_refresh()

    def do_refresh(self) -> None:
        """Read the end of the file again."""
        seen, run, errors = self.foundry.seen, self.run_shown, self._errors
        if seen is None:
            return
        site = self.foundry.site

        def read() -> Log:
            return look.logs(site, seen.snapshot, run, tail_lines=TAIL_LINES, errors=errors)

        def then(log: Log) -> None:
            self.foundry.pacer.paint("log", lambda: self._draw(log))

        def failed(words: str) -> None:
            self._tell("not read", words)

        self.foundry.work_on("log", read, then, failed)

    def _draw(self, log: Log) -> None:
        if not self.is_mounted:
            return
        self._told = log
        which = "error file" if self._errors else "output"
        place = f" {log.path}" if log.path else ""
        if not log.lines:
            self._tell(which, log.reason or "nothing was written yet", place)
            return
        self.head((f" · {which}{place} · last {len(log.lines)} lines", "dim"))
        self.lines.put(log_lines(log))

    def _tell(self, which: str, words: str, place: str = "") -> None:
        self.head((f" · {which}{place}", "dim"))
        hint = "x shows the error file" if not self._errors else "x shows the output"
        self.lines.put([[(f" {words}", "warn")], [(f" {hint}", "dim")]])

    def do_copy(self) -> None:
        if self._told is None or not self._told.path:
            self.say("there is no path to copy", "warn")
            return
        self.app.copy_to_clipboard(self._told.path)
        self.say("copied the path (if your terminal allows it)", "good")
