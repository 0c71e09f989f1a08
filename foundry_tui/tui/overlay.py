"""A few lines that lie over the lower end of the body: what completes, and the tour.

An overlay is on a layer of its own and shown by visibility: nothing moves, so little is sent. A
modal screen sends ten times as much.
"""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.tui.widgets.lines import Lines, Parts

OVERLAY_LINES = 6
"""Lines of an overlay; one of the class `low` has three."""


class Overlay(Lines, can_focus=False):
    """Lines above the hints, over the body; fewer lines than there is room for stand at its end."""

    DEFAULT_CSS = f"""
    Overlay {{
        layer: panel; dock: bottom; margin: 0 0 2 0; height: {OVERLAY_LINES}; width: 1fr;
        visibility: hidden;
    }}
    Overlay.low {{ height: 3; }}
    Place.small Overlay {{ margin: 0 0 1 0; }}
    """

    _put: Sequence[Parts] = ()

    def on_resize(self) -> None:
        """Put the lines at the end again."""
        self.put(self._put)

    def put(self, lines: Sequence[Parts], head: Sequence[Parts] = ()) -> None:
        """Show these lines; none hides it."""
        self._put = lines
        missing = self.size.height - len(lines)
        super().put([*([()] * missing), *lines] if lines else (), head)
        if self.visible != bool(lines):
            self.visible = bool(lines)

    @property
    def told(self) -> tuple[str, ...]:
        """What is shown, without tones; nothing while it is hidden."""
        shown = self.lines if self.visible else ()
        return tuple("".join(text for text, _ in parts) for parts in shown if parts)
