"""Lines of toned text that scroll: details, logs, explanations. Never markup, never wrapped.

Lines are drawn by `render_line` and scrolled by the widget itself: Textual's own scrolling lays the
screen out again when the number of lines changes, and so repaints all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.strip import Strip

from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.tui.bars import plain
from foundry_tui.tui.tones import tone_style
from foundry_tui.tui.widgets.quiet import QuietFocus

Parts = Sequence[tuple[str, str]]
"""One line: texts with their tones. Texts are made safe when they are drawn."""

WHEEL_LINES = 3
PAN_CELLS = 8
"""Cells by which the arrow keys move long lines."""


class Lines(QuietFocus, can_focus=True):
    """A list of lines. With `follow` the last line stays in sight until the user scrolls up."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Lines { width: 1fr; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_lines(1)", show=False),
        Binding("up,k", "scroll_lines(-1)", show=False),
        Binding("pagedown", "scroll_pages(1)", show=False),
        Binding("pageup", "scroll_pages(-1)", show=False),
        Binding("home,g", "first", show=False),
        Binding("end,G", "last", show=False),
        Binding("right", "pan(1)", show=False),
        Binding("left", "pan(-1)", show=False),
    ]

    def __init__(
        self, *, id: str | None = None, classes: str | None = None, follow: bool = False
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.follow = follow
        self._lines: Sequence[Parts] = ()
        self._head: Sequence[Parts] = ()
        self._top = 0
        self._left = 0
        self._at_end = True

    # -- what is shown

    def put(self, lines: Sequence[Parts], head: Sequence[Parts] = ()) -> None:
        """Show these lines; those of `head` stay above them when they scroll."""
        before = self._in_sight()
        self._lines, self._head = lines, head
        self._settle(before, to_end=self.follow and self._at_end)

    @property
    def lines(self) -> Sequence[Parts]:
        """The lines that scroll."""
        return self._lines

    @property
    def top(self) -> int:
        """The first line in sight below the head."""
        return self._top

    # -- keys

    def action_scroll_lines(self, lines: int) -> None:
        """Move by lines."""
        self._scroll(self._top + lines)

    def action_scroll_pages(self, pages: int) -> None:
        """Move by pages, of which one line stays in sight."""
        self._scroll(self._top + pages * max(1, self._room() - 1))

    def action_first(self) -> None:
        """To the first line."""
        self._scroll(0)

    def action_last(self) -> None:
        """To the last line."""
        self._scroll(len(self._lines))

    def action_pan(self, steps: int) -> None:
        """Move long lines sideways."""
        before = self._in_sight()
        longest = max((_width(parts) for parts in self._shown()), default=0)
        most = max(0, longest - self.size.width)
        self._left = max(0, min(self._left + steps * PAN_CELLS, most))
        self._settle(before)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        event.stop()
        self._scroll(self._top + WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        event.stop()
        self._scroll(self._top - WHEEL_LINES)

    def on_resize(self) -> None:
        """Keep to the end of what is followed."""
        self._settle(self._in_sight(), to_end=self.follow and self._at_end)

    # -- scrolling

    def _scroll(self, top: int) -> None:
        before = self._in_sight()
        self._top = top
        self._settle(before)

    def _settle(self, before: Sequence[object], *, to_end: bool = False) -> None:
        """Keep within the lines and paint what looks different from `before`."""
        last = self._last_top()
        self._top = last if to_end else max(0, min(self._top, last))
        self._at_end = self._top == last
        after = self._in_sight()
        for y in range(max(len(before), len(after))):
            if y >= len(before) or y >= len(after) or before[y] != after[y]:
                self.refresh(Region(0, y, self.size.width, 1))

    def _room(self) -> int:
        return max(0, self.size.height - len(self._head))

    def _last_top(self) -> int:
        return max(0, len(self._lines) - self._room())

    def _shown(self) -> Sequence[Parts]:
        return self._lines[self._top : self._top + self._room()]

    def _in_sight(self) -> list[object]:
        """What each line in sight looks like."""
        body = [(parts, self._left, self._arrow(n)) for n, parts in enumerate(self._shown())]
        return [*self._head, *body]

    def _arrow(self, n: int) -> str:
        """The sign at the end of the line `n` in sight that there are more above or below."""
        if n == 0 and self._top > 0:
            return "↑"
        if n == self._room() - 1 and self._top < self._last_top():
            return "↓"
        return ""

    # -- drawing

    def render_line(self, y: int) -> Strip:
        """The line at `y` of the widget."""
        width = self.size.width
        if y < len(self._head):
            return self.strip(self._head[y], width)
        n = y - len(self._head)
        if n >= len(shown := self._shown()):
            return self.strip((), width)
        if arrow := self._arrow(n):
            body = self.draw_line(self._top + n, shown[n], width - 1)
            return Strip.join([body, self.strip([(arrow, "dim")], 1)]).simplify()
        return self.draw_line(self._top + n, shown[n], width)

    def draw_line(self, index: int, parts: Parts, width: int) -> Strip:
        """The line `index` in exactly `width` cells."""
        return self.strip(parts, width, self._left)

    def strip(self, parts: Parts, width: int, left: int = 0) -> Strip:
        """Parts in exactly `width` cells from the cell `left` on; `…` where more follows."""
        base = self.base_style
        segments, used = [], 0
        for text, tone in parts:
            if used > left + width:
                break
            # Two more cells than are shown: what is cut here is never in sight.
            shown = self.drawable(safe(text, max_cells=left + width + 2))
            segments.append(Segment(shown, base + tone_style(tone, self.app.theme)))
            used += cells(SafeText(shown))
        whole = Strip(segments)
        if used > left + width and width > 1:
            end = Segment(self.drawable("…"), base + tone_style("dim", self.app.theme))
            whole = Strip.join([whole.crop(left, left + width - 1), Strip([end])])
        else:
            whole = whole.crop(left, left + width)
        return Strip(whole.adjust_cell_length(width, base).simplify(), width)

    def drawable(self, text: str) -> str:
        """The text as this terminal can draw it."""
        return plain(text) if getattr(self.app, "ascii_only", False) else text

    @property
    def base_style(self) -> Style:
        """Nothing on the terminal's own colours: each colour costs bytes on every segment."""
        old = Style(dim=True) if getattr(self.app, "faded", False) else Style.null()
        if self.app.native_ansi_color:
            return old
        return Style(color=self.rich_style.color, bgcolor=self.rich_style.bgcolor) + old


def _width(parts: Parts) -> int:
    return sum(cells(safe(text, max_cells=8 * len(text) + 1)) for text, _ in parts)
