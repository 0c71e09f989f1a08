"""A curve over steps or time, with its name and last value above it."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate.text import safe
from foundry_tui.presenters.braille import Axis, Points, chart
from foundry_tui.tui.widgets.lines import Lines, Parts


class Curve(Lines, can_focus=False):
    """One series. It fills the widget; the first line says what it is."""

    DEFAULT_CSS = "Curve { width: 1fr; height: 8; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._title = ""
        self._points: Points = ()
        self._x: Axis = "step"

    def show(self, title: str, points: Points, x: Axis = "step") -> None:
        """Draw a series; `x` says what the points' first numbers are."""
        self._title, self._points, self._x = title, points, x
        self._draw()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self._draw()

    def _draw(self) -> None:
        width, height = self.size.width, self.size.height
        if width < 1 or height < 1:
            return
        drawn = chart(
            self._points,
            width=width,
            height=max(1, height - 1),
            x=self._x,
            ascii_only=bool(getattr(self.app, "ascii_only", False)),
        )
        title: Parts = [(f"{safe(self._title)}  ", "strong"), (drawn.told, "dim")]
        lines: Sequence[Parts] = [[(line, "accent")] for line in drawn.lines]
        self.put([title, *lines] if height > 1 else [title])
