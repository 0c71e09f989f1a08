"""Several curves of one metric over each other, as large as the widget is."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.presenters.curves import Series, XAxis, overlay
from foundry_tui.tui.widgets.lines import Lines


class Overlaid(Lines):
    """Curves with a legend, drawn anew for every size."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._series: Sequence[Series] = ()
        self._words = ""
        self.x: XAxis = "step"
        self.log_y = False
        self.smooth = False
        self.left_out = 0

    def show(self, series: Sequence[Series], words: str = "") -> None:
        """Draw these curves; without any, the words that say why."""
        self._series, self._words = series, words
        self.redraw()

    def redraw(self) -> None:
        """Draw again, after another size or choice."""
        width, height = self.size.width, self.size.height
        if width < 1 or height < 1:
            return
        if not self._series:
            self.left_out = 0
            self.put([[(f" {self._words}", "dim")]])
            return
        drawn = overlay(
            self._series,
            width=width,
            height=height,
            x=self.x,
            log_y=self.log_y,
            smooth=self.smooth,
            ascii_only=bool(getattr(self.app, "ascii_only", False)),
        )
        self.left_out = drawn.left_out
        self.put(drawn.lines)

    def on_resize(self) -> None:
        """Draw for the new size."""
        super().on_resize()
        self.redraw()
