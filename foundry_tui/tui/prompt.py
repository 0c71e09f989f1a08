"""The last line of every screen: a message, or the line in which the user types."""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.strip import Strip
from textual.widgets import Input

from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.tui.bars import Part, fitted, plain
from foundry_tui.tui.tones import tone_style


class Line(Input, can_focus=False):
    """The whole last line: what was said, or a mark and the text that is typed behind it.

    One widget for both and no frame, because whatever appears beside another widget lays the screen
    out again, which sends all of it. The cursor does not blink, as that sends bytes for ever.
    """

    DEFAULT_CSS = """
    Line, Line:focus { border: none; height: 1; padding: 0; background: transparent; width: 1fr; }
    Line:ansi > .input--cursor {
        background: ansi_default; color: ansi_default; text-style: reverse;
    }
    """

    def __init__(self) -> None:
        super().__init__(compact=True, select_on_focus=False)
        self.cursor_blink = False
        self.asking = False
        self._shown: list[Part] = []

    def put(self, parts: list[Part]) -> None:
        """Show these words, or these as the mark before what is typed."""
        if parts != self._shown:
            self._shown = parts
            self.refresh()

    @property
    def words(self) -> SafeText:
        """What is shown, without tones and without what is typed."""
        return SafeText("".join(safe(text) for text, _ in self._shown))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        words = self._strip(width)
        if not self.asking or y:
            return words.adjust_cell_length(width).simplify()
        room = width - words.cell_length
        if cells(SafeText(self.value)) >= room:
            # The mark goes where the text needs its room: the cursor is never out of sight.
            words, room = Strip([]), width
        typed = super().render_line(y).crop(0, room)
        return Strip.join([words, typed]).adjust_cell_length(width)

    def _strip(self, width: int) -> Strip:
        parts = fitted(self._shown, width)
        if getattr(self.app, "ascii_only", False):
            parts = [(plain(text), tone) for text, tone in parts]
        theme = self.app.theme
        return Strip(
            [Segment(safe(text, max_cells=width), tone_style(tone, theme)) for text, tone in parts]
        )


class Prompt(Horizontal):
    """Shows what was last said, and takes a line of text when asked to.

    `ask` shows a mark and an input; `changed` is called while the user types, `done` with the text
    on Enter, and `left` on Escape.
    """

    DEFAULT_CSS = "Prompt { height: 1; }"

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self._changed: Callable[[str], None] | None = None
        self._done: Callable[[str], None] | None = None
        self._left: Callable[[], None] | None = None
        self._keyed: Callable[[str], bool] | None = None
        self._later: list[Part] = []

    def compose(self) -> ComposeResult:
        yield Line()

    @property
    def line(self) -> Line:
        """The line itself."""
        return self.query_one(Line)

    @property
    def asking(self) -> bool:
        """Whether a line is being typed."""
        return self.line.asking

    @property
    def said(self) -> SafeText:
        """What was last said, or the mark before what is typed."""
        return self.line.words

    def say(self, text: str, tone: str = "") -> None:
        """Show one line; it stands until the next one. While a line is typed it waits for that."""
        parts: list[Part] = [(f" {text}", tone)] if text else []
        if self.asking:
            self._later = parts
        else:
            self.line.put(parts)

    def ask(
        self,
        mark: str,
        value: str = "",
        *,
        done: Callable[[str], None],
        changed: Callable[[str], None] | None = None,
        left: Callable[[], None] | None = None,
        keyed: Callable[[str], bool] | None = None,
    ) -> None:
        """Take a line of text; `keyed` is offered the keys that the line itself has no use for."""
        self._changed, self._done, self._left, self._keyed = changed, done, left, keyed
        line = self.line
        line.asking = line.can_focus = True
        line.put([(mark, "accent")])
        with line.prevent(Input.Changed):
            line.value = value
        line.cursor_position = len(value)
        line.focus()

    def retype(self, value: str) -> None:
        """Put another text into the line that is being typed."""
        line = self.line
        line.value = value
        line.cursor_position = len(value)

    def close(self) -> None:
        """Take no text any more; the focus goes back to the screen."""
        line = self.line
        line.asking = line.can_focus = False
        with line.prevent(Input.Changed):
            line.value = ""
        line.put(self._later)
        self._later = []
        self._changed = self._done = self._left = self._keyed = None
        focus_body = getattr(self.screen, "focus_body", None)
        if focus_body is not None:
            focus_body()

    def catch(self, event: events.Key) -> None:
        """Take a key that was pressed before the line had the focus: who types fast loses none."""
        line = self.line
        if line.has_focus:
            return
        event.stop()
        event.prevent_default()
        if event.key == "enter":
            self.call_later(line.action_submit)
        elif event.key == "backspace":
            line.action_delete_left()
        elif event.is_printable and event.character:
            line.insert_text_at_cursor(event.character)
        else:
            self.on_key(event)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self._changed is not None:
            self._changed(event.value)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        done = self._done
        self.close()
        if done is not None:
            done(event.value)

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape" and self.asking:
            event.stop()
            event.prevent_default()
            left = self._left
            self.close()
            if left is not None:
                left()
        elif self.asking and self._keyed is not None and self._keyed(event.key):
            event.stop()
            event.prevent_default()
