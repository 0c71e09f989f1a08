"""The part of the app that follows the size of the terminal, however fast it changes."""

from __future__ import annotations

import shutil

from textual import events
from textual.app import App
from textual.geometry import Size


class Resizing(App[int]):
    """The last size is the one that is drawn, and it is drawn whole; `Foundry` is the whole app."""

    def on_resize(self, event: events.Resize) -> None:
        """Set right what Textual's own handler, which comes after this one, would miss."""
        if (now := self._told_by_kernel()) not in (None, event.size):
            # Two sizes may come in the wrong order: the driver reads and posts the size in the
            # handler of a signal, which the next signal interrupts (LinuxDriver in 8.2).
            event.prevent_default()
            self.post_message(events.Resize(now, now))
        elif self.screen_stack and event.size in (self.size, self.screen.size):
            # A terminal that was smaller for a moment has lost what it showed, and nothing is
            # drawn for a size that the screen has already (App._on_resize in 8.2).
            self.refresh()

    def _told_by_kernel(self) -> Size | None:
        """The size now; None where it is not the kernel that tells of it."""
        if self.is_headless or getattr(self._driver, "_in_band_window_resize", False):
            return None
        return Size(*shutil.get_terminal_size())
