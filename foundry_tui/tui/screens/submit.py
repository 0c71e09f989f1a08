"""The form of a new run: what is typed is checked, spelled out and estimated as it is typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from foundry_tui.actions import draft as drafts
from foundry_tui.actions.act import Prepared
from foundry_tui.actions.draft import Draft, Start
from foundry_tui.actions.errors import WrongUse
from foundry_tui.estate.acts import Submit as SubmitAct
from foundry_tui.presenters.draft import room_words, script_lines, sending_lines, start_words
from foundry_tui.presenters.paths import Completion, Listed, complete, parted
from foundry_tui.presenters.toned import Line, paragraph
from foundry_tui.tui.bars import Part
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.overlay import OVERLAY_LINES, Overlay
from foundry_tui.tui.screens.estate import EstatePlace
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.submitting import Submitting
from foundry_tui.tui.suspending import NotGiven, outside
from foundry_tui.tui.widgets.form import Choice, Form, Send, Text
from foundry_tui.tui.widgets.lines import Lines

_EMPTY = "A job spec (.yaml, .toml), or a batch script and options as sbatch takes them."

CHECK_S = 0.15
ESTIMATE_S = 0.5
"""After so many seconds without typing it is spelled out, and its scheduler is asked."""


class Submit(EstatePlace):
    """The form, and below it what would be sent."""

    DEFAULT_CSS = """
    Submit #form { height: auto; }
    Submit.small #preview { display: none; }
    """
    crumb = "Submit"
    about = "A new run from a job spec or a script: the exact command, and when it would start."
    hints: ClassVar[tuple[str, ...]] = ("back", "edit", "next_panel", "log", "journal")
    subject = "submit"

    def __init__(self) -> None:
        super().__init__()
        self._found: Prepared | None = None
        self._wrong = ""
        self._start: Start | None = None
        self._told = ""
        self._timer: Timer | None = None
        self._listed: tuple[str, tuple[Listed, ...]] | None = None
        self._submitting = Submitting(self)

    def panels(self) -> ComposeResult:
        names = drafts.sources(self.foundry.site)
        rows: list[tuple[str, Widget]] = [
            ("script", Text(id="script", completes=True)),
            ("options", Text(id="options")),
            ("arguments", Text(id="arguments")),
            ("", Send(id="send")),
        ]
        if len(names) > 1:
            rows.insert(0, ("source", Choice(names, id="source")))
        yield Panel(Form(rows), id="form")
        yield Panel(Lines(id="sending"), id="preview")

    def on_mount(self) -> None:
        self.query_one("#form", Panel).head("New run")
        site = self.foundry.site
        self.foundry.work_on("last", lambda: drafts.last(site), self._offer)
        self._draw()

    def focus_body(self) -> None:
        for form in self.query(Form):
            form.again()

    # -- what is typed

    @property
    def draft(self) -> Draft:
        """The lines as they are."""
        source = next((c.value for c in self.query(Choice)), "")
        return Draft(
            source=source,
            script=self._text("script").value,
            options=self._text("options").value,
            arguments=self._text("arguments").value,
        )

    def _text(self, name: str) -> Text:
        return self.query_one(f"#{name}", Text)

    def _offer(self, last: Draft) -> None:
        """Fill in what was last submitted, unless something was typed meanwhile."""
        now = self.draft
        if not self.is_mounted or now.script or now.options or now.arguments:
            return
        for choice in self.query(Choice):
            choice.fill(last.source)
        for name, text in (("script", last.script), ("options", last.options)):
            with self._text(name).prevent(Input.Changed):
                self._text(name).fill(text)
        self.changed()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if not isinstance(event.input, Text):
            return
        if event.input.id == "script":
            self._list(event.value, self._offer_paths)
        self.changed()

    def on_choice_chosen(self, event: Choice.Chosen) -> None:
        event.stop()
        self.changed()

    # -- what would be sent

    def changed(self) -> None:
        """Something else is typed, or the script itself was changed: look again, soon."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(CHECK_S, self._check)

    def _check(self) -> None:
        draft, site = self.draft, self.foundry.site
        if not draft.script.strip():
            self._found, self._wrong, self._told = None, "", ""
            self._draw()
            return
        self.foundry.work_on(
            "draft", lambda: drafts.prepare(site, draft), self._checked, self._not_checked
        )

    def _checked(self, prepared: Prepared) -> None:
        if not self.is_mounted:
            return
        self._found, self._wrong, self._start, self._told = prepared, "", None, ""
        if not prepared.preview.refused:
            self._told = "asking its scheduler …"
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(ESTIMATE_S - CHECK_S, lambda: self._estimate(prepared))
        self._later()

    def _not_checked(self, words: str) -> None:
        self._found, self._wrong, self._told = None, words, ""
        self._later()

    def _estimate(self, prepared: Prepared) -> None:
        site, seen = self.foundry.site, self.foundry.seen
        snapshot = None if seen is None else seen.snapshot

        def then(start: Start) -> None:
            if prepared is self._found:
                self._start, self._told = start, ""
                self._later()

        def failed(words: str) -> None:
            if prepared is self._found:
                self._told = f"not known: {words}"
                self._later()

        self.foundry.work_on(
            "estimate", lambda: drafts.estimate(site, prepared, snapshot), then, failed
        )

    def _later(self) -> None:
        self.foundry.pacer.paint("draft", self._draw)

    def draw(self, seen: Seen) -> None:
        self._draw()
        self._submitting.look(seen)

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        panel, lines = self.query_one("#preview", Panel), self.query_one("#sending", Lines)
        width = max(20, lines.size.width - 1)
        if self._found is None:
            panel.head("What would be sent")
            words = self._wrong or _EMPTY
            lines.put(paragraph(words, width, tone="bad" if self._wrong else "dim"))
            return
        where = self._found.source
        panel.head("What would be sent", (f" · to {where}", "dim"))
        act = self._found.preview.act
        shown = sending_lines(self._found.preview, self._found.notes, width)
        if isinstance(act, SubmitAct):
            shown += script_lines(act.script, act.script_name, drafts.own_lines())
        lines.put([*self._estimate_lines(width), *shown])

    def _estimate_lines(self, width: int) -> list[Line]:
        start = self._start
        if start is None:
            told = self._told
            return paragraph(f"estimate: {told}", width, tone="warn") if told else []
        if start.room is not None and (start.room.obstacle is not None or start.starts_at is None):
            told = room_words(start.room.obstacle, start.room.changes)
            words = f"estimate: {told} (free GPUs and quotas as listed)"
            return paragraph(words, width, tone="warn" if start.room.obstacle else "good")
        if start.reason is not None:
            words = f"estimate: it would not start: {start.reason} ({start.how})"
            return paragraph(words, width, tone="warn")
        now = self.foundry.site.clock()
        words = start_words(start.starts_at, start.nodes, start.queue, now)
        return paragraph(f"estimate: {words} ({start.how})", width, tone="good")

    # -- the path

    def _list(self, typed: str, then: Callable[[Completion], None]) -> None:
        """Complete what is typed; a folder is read once, off the keys' thread."""
        folder = parted(typed)[0]
        if self._listed is not None and self._listed[0] == folder:
            then(complete(typed, self._listed[1]))
            return

        def came(names: tuple[tuple[str, bool], ...]) -> None:
            listed = tuple(Listed(name, is_folder) for name, is_folder in names)
            self._listed = (folder, listed)
            if self.is_mounted and parted(self._text("script").value)[0] == folder:
                then(complete(self._text("script").value, listed))

        self.foundry.work_on("paths", lambda: drafts.listing(folder), came)

    def _offer_paths(self, found: Completion) -> None:
        """Show what the path may become."""
        overlay = self.query_one("#choices", Overlay)
        if not self._text("script").has_focus or found.whole or not found.choices:
            overlay.put([])
            return
        room = OVERLAY_LINES - 1
        shown = found.choices[:room]
        rule = f"─ {len(found.choices)} paths · tab completes "
        overlay.put(
            [[(rule.ljust(self.size.width, "─"), "dim")], *([(f"   {n}", "")] for n in shown)]
        )

    def on_text_complete(self, event: Text.Complete) -> None:
        """Tab in the path: what is certain; on a whole name it goes on."""
        event.stop()
        text = self._text("script")

        def then(found: Completion) -> None:
            if found.text != text.value:
                text.fill(found.text)
            elif not found.choices:
                self.say(f"nothing there is called {parted(text.value)[1]!r}…", "warn")
            elif found.whole and not found.text.endswith("/"):
                self._text("options").focus()
            else:
                self._offer_paths(found)

        self._list(text.value, then)

    def on_descendant_focus(self) -> None:
        self.refresh_lines()

    def on_descendant_blur(self) -> None:
        self.query_one("#choices", Overlay).put([])

    def _hints(self) -> list[Part]:
        """While text is typed the letters are text: the keys that are none."""
        if not isinstance(self.focused, Text):
            return super()._hints()
        keys = (("enter", "next"), ("tab", "complete"), ("f4", "edit the script"), ("esc", "back"))
        parts: list[Part] = [(" ", "")]
        for key, words in keys:
            parts += [(key, "key"), (f" {words}  ", "dim")]
        return parts

    def do_back(self) -> None:
        overlay = self.query_one("#choices", Overlay)
        if overlay.visible:
            overlay.put([])
        else:
            self.foundry.do_back()

    # -- the editor

    def on_text_edit(self, event: Text.Edit) -> None:
        event.stop()
        self.do_edit()

    def do_edit(self) -> None:
        """The script in the user's editor; what was changed is looked at after."""
        try:
            code = outside(self.foundry, drafts.editor(self.draft.script))
        except (NotGiven, WrongUse) as error:
            self.say(f"edit: {error}", "bad")
            return
        if code:
            self.say(f"the editor ended with {code}", "warn")
        self._listed = None
        self.changed()

    # -- sending

    def on_send_pressed(self, event: Send.Pressed) -> None:
        """Spell it out as it is now, and ask."""
        event.stop()
        self._submitting.begin(self.draft)
