"""A panel: a title on a rule, and one widget below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from foundry_tui.tui.bars import Bar, Part


class Panel(Vertical):
    """A titled part of a screen. The title of the one that has the keys is in the accent tone."""

    DEFAULT_CSS = "Panel { height: 1fr; width: 1fr; }"

    @dataclass
    class Sized(Message):
        """The panel and its content have another size, so that what is fitted must be drawn."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Panel.Sized)

    def __init__(self, content: Widget, *, id: str) -> None:
        super().__init__(id=id)
        self.content = content
        self._title = ""
        self._told: Sequence[Part] = ()
        self._bar = Bar(fill="─")

    @property
    def target(self) -> Widget | None:
        """The widget in it that takes keys."""
        every = (self.content, *self.content.query("*"))
        return next((widget for widget in every if widget.can_focus), None)

    def compose(self) -> ComposeResult:
        yield self._bar
        yield self.content

    def head(self, title: str, *told: Part) -> None:
        """The title, and what it adds behind."""
        self._title, self._told = title, told
        self._draw()

    def _draw(self) -> None:
        target = self.target
        tone = "title" if target is not None and target.has_focus else "strong"
        self._bar.put([("─ ", "dim"), (self._title, tone), *self._told, (" ", "")])

    def on_resize(self) -> None:
        # The content's own resize stands in its queue already, before this call.
        self.content.call_after_refresh(self.post_message, self.Sized())

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self._draw()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        self._draw()
