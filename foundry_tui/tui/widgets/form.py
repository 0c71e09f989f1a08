"""A form of one-line rows: text to type, a choice, and the line at the end that sends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from foundry_tui.tui.bars import Bar

_MOVES = {"down": 1, "tab": 1, "enter": 1, "up": -1, "shift+tab": -1}
"""Key -> rows to go. Enter on the last row sends, and `tab` may complete first."""


@dataclass
class Left(Message):
    """A row has done with a key: go so many rows on."""

    rows: int


class Text(Input):
    """One line of text without a frame; the cursor does not blink, as that sends bytes for ever."""

    DEFAULT_CSS = """
    Text, Text:focus { border: none; height: 1; padding: 0; background: transparent; width: 1fr; }
    Text:ansi > .input--cursor {
        background: ansi_default; color: ansi_default; text-style: reverse;
    }
    """

    def __init__(self, *, id: str, completes: bool = False) -> None:
        super().__init__(id=id, compact=True, select_on_focus=False)
        self.cursor_blink = False
        self._completes = completes

    @dataclass
    class Complete(Message):
        """The path that is typed is to be completed."""

    @dataclass
    class Edit(Message):
        """The script is to be opened in an editor."""

    def on_key(self, event: events.Key) -> None:
        """Moving, completing; everything else is text."""
        if event.key == "tab" and self._completes:
            self.post_message(self.Complete())
        elif event.key == "f4":
            self.post_message(self.Edit())
        elif event.key in _MOVES:
            self.post_message(Left(_MOVES[event.key]))
        else:
            return
        event.stop()
        event.prevent_default()

    def fill(self, text: str) -> None:
        """Put another text in, with the cursor at its end."""
        self.value = text
        self.cursor_position = len(text)


class Choice(Bar, can_focus=True):
    """One of several words, chosen with the arrow keys."""

    @dataclass
    class Chosen(Message):
        """Another word is chosen."""

    def __init__(self, words: Sequence[str], *, id: str) -> None:
        super().__init__(id=id)
        self._words = tuple(words)
        self._at = 0
        self._draw()

    @property
    def value(self) -> str:
        """The word."""
        return self._words[self._at] if self._words else ""

    def fill(self, word: str) -> None:
        """Choose a word, if it is one of them."""
        if word in self._words:
            self._at = self._words.index(word)
            self._draw()

    def _draw(self) -> None:
        self.put(
            [(f"{word}  ", self._tone(n)) for n, word in enumerate(self._words)],
            [("left and right choose ", "dim")],
        )

    def _tone(self, n: int) -> str:
        return "cursor" if n == self._at else "dim"

    def on_key(self, event: events.Key) -> None:
        """Left and right choose."""
        if event.key in ("left", "right") and self._words:
            self._at = (self._at + (1 if event.key == "right" else -1)) % len(self._words)
            self._draw()
            self.post_message(self.Chosen())
        elif event.key in _MOVES:
            self.post_message(Left(_MOVES[event.key]))
        else:
            return
        event.stop()
        event.prevent_default()


class Send(Bar, can_focus=True):
    """The line at the end; Enter on it goes on to what has to be agreed to."""

    @dataclass
    class Pressed(Message):
        """Enter on it."""

    def __init__(
        self, words: str = "send …", told: str = "enter shows the command and asks", *, id: str
    ) -> None:
        super().__init__(id=id)
        self._told = (words, told)

    def on_mount(self) -> None:
        """Say what it does."""
        words, told = self._told
        self.put([(words, "strong"), (f"  {told}", "dim")])

    def on_key(self, event: events.Key) -> None:
        """Enter; the other keys are those of the place."""
        if event.key == "enter":
            self.post_message(self.Pressed())
        elif event.key in ("up", "shift+tab"):
            self.post_message(Left(-1))
        else:
            return
        event.stop()
        event.prevent_default()


class Form(Vertical):
    """Rows of names and widgets; a mark stands before the row that has the keys."""

    DEFAULT_CSS = """
    Form, Form Horizontal { height: auto; }
    Form .name { width: 13; }
    """

    def __init__(self, rows: Sequence[tuple[str, Widget]]) -> None:
        super().__init__()
        self._rows = tuple(rows)
        self._names = [Bar() for _ in self._rows]
        self._last = next((n for n, (_, w) in enumerate(rows) if isinstance(w, Text)), 0)

    def compose(self) -> ComposeResult:
        """A name beside each widget."""
        for bar, (name, widget) in zip(self._names, self._rows, strict=True):
            bar.add_class("name")
            bar.put([(f"   {name}", "dim")])
            with Horizontal():
                yield bar
                yield widget

    def on_left(self, event: Left) -> None:
        """Another row."""
        event.stop()
        self._rows[max(0, min(self._last + event.rows, len(self._rows) - 1))][1].focus()

    def again(self) -> None:
        """Give the keys to the row that had them last."""
        self._rows[self._last][1].focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Mark the row."""
        for n, (_, widget) in enumerate(self._rows):
            if widget is event.widget:
                self._last = n
                self._mark(n, here=True)

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Take the mark away."""
        for n, (_, widget) in enumerate(self._rows):
            if widget is event.widget:
                self._mark(n, here=False)

    def _mark(self, n: int, *, here: bool) -> None:
        name = self._rows[n][0]
        self._names[n].put([(f" {'>' if here else ' '} {name}", "accent" if here else "dim")])
