"""Focus that repaints nothing: what looks different with it repaints itself.

Textual repaints the whole widget when it gains or loses the keys: 6 kB for a table at 200x50.
"""

from __future__ import annotations

from textual import events
from textual.widget import Widget


class QuietFocus(Widget):
    """A widget whose own `on_focus` and `on_blur`, if it has them, paint what changes."""

    def _on_focus(self, event: events.Focus) -> None:
        """Take the keys; the parents are told as Textual itself does."""
        event.prevent_default()
        self.has_focus = True
        if isinstance(self.parent, Widget):
            self.parent.post_message(events.DescendantFocus(self))

    def _on_blur(self, event: events.Blur) -> None:
        """Give the keys away."""
        event.prevent_default()
        self.has_focus = False
        if isinstance(self.parent, Widget):
            self.parent.post_message(events.DescendantBlur(self))
