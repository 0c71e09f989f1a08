"""The lines that every screen has: where one is, how fresh it is, and what the keys do."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.tui.tones import tone_style

Part = tuple[str, str]
"""A text with its tone."""


def fitted(parts: Sequence[Part], width: int) -> list[Part]:
    """The parts, made safe, in at most `width` cells; the last one that fits in part is cut."""
    left, kept = width, list[Part]()
    for text, tone in parts:
        shown = safe(text, max_cells=left)
        if left <= 0:
            break
        kept.append((shown, tone))
        left -= cells(shown)
    return kept


def spread(left: Sequence[Part], right: Sequence[Part], width: int, fill: str = " ") -> list[Part]:
    """Two groups at the two ends of a line; where both have no room, the right one is cut.

    `fill` is drawn between them, and to the end of the line.
    """
    taken = sum(cells(safe(text)) for text, _ in left)
    end = sum(cells(safe(text)) for text, _ in right)
    if taken + end + 1 > width:
        return fitted([*left, *([(" ", "")] if right else []), *right], width)
    return [*left, (fill * (width - taken - end), "dim" if fill != " " else ""), *right]


class Bar(Widget, can_focus=False):
    """Lines of toned text; only lines that changed are painted again."""

    DEFAULT_CSS = "Bar { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None, fill: str = " ") -> None:
        super().__init__(id=id)
        self._fill = fill
        self._left: Sequence[Part] = ()
        self._right: Sequence[Part] = ()

    def put(self, left: Sequence[Part], right: Sequence[Part] = ()) -> None:
        """Show this; nothing is sent when it is what stands there."""
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    @property
    def text(self) -> SafeText:
        """What is shown, without tones."""
        parts = spread(self._left, self._right, self.size.width or 80, self._fill)
        return SafeText("".join(text for text, _ in parts).rstrip())

    def render_line(self, y: int) -> Strip:
        theme = self.app.theme
        width = self.size.width
        parts = spread(self._left, self._right, width, self._fill) if y == 0 else []
        if getattr(self.app, "ascii_only", False):
            parts = [(plain(text), tone) for text, tone in parts]
        segments = [
            Segment(safe(text, max_cells=width), tone_style(tone, theme)) for text, tone in parts
        ]
        return Strip(segments).adjust_cell_length(width).simplify()


_ASCII = {
    "—": "-",
    "…": "~",
    "·": "|",
    "›": ">",
    "→": "-",
    "─": "-",
    "↑": "^",
    "↓": "v",
    "█": "#",
    "░": ".",
}


def plain(text: str) -> str:
    """`text` with ASCII only, cell by cell."""
    if text.isascii():
        return text
    return "".join(c if c.isascii() else _ASCII.get(c, "?" * cells(SafeText(c))) for c in text)
