"""The lines of a table: which row stands where, how wide the columns are, what looks different.

Line 0 holds the titles, the body is below. Nothing here knows the widget that shows the lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from textual.strip import Strip

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters.page import wrap
from foundry_tui.presenters.rows import Rows, sort_letters
from foundry_tui.tui.grid.layout import GUTTER, arrange, natural_widths, outgrown, sampled
from foundry_tui.tui.grid.painter import Line, Painter
from foundry_tui.tui.grid.view import View

N = TypeVar("N")

HEADER = 1
"""Lines above the first row."""


MOST_KNOWN = 2_000
"""Rows whose cells are kept until the next snapshot."""


class Sheet(Generic[N]):
    """A view laid out in `width` cells and `height` lines below the titles.

    `top` is the place of the first row in sight and `skipped` the number of columns scrolled out.
    `focused` and `asking` change how the cursor and the titles look. `empty` are the lines in
    place of rows. The rows of `silent` sources are drawn dimmed.
    """

    def __init__(self, model: Rows[N]) -> None:
        self.view = View(model)
        self.painter: Painter[N] = Painter()
        self.width = 0
        self.height = 0
        self.top = 0
        self.skipped = 0
        self.focused = False
        self.asking = False
        self.silent: frozenset[str] = frozenset()
        self.empty: tuple[str, ...] = (f"There are no {model.plural}.",)
        self._natural: dict[int, int] = {}
        self._drawn: dict[int, Line] = {}
        self._known: dict[int, tuple[N, Sequence[SafeText]]] = {}
        self._known_of: tuple[Rows[N], datetime] | None = None

    def draw(self, y: int) -> Strip:
        """Line `y`, remembered as the one that is on the screen."""
        line = self._drawn[y] = self._line(y)
        return line.strip

    def changed(self) -> Iterator[tuple[int, int]]:
        """Lines of the body that look different from what is on the screen.

        Each with the cells from its left edge to the end of the last column that differs.
        """
        for y in range(HEADER, HEADER + self.height):
            old, new = self._drawn.get(y), self._line(y)
            if old is not new and (width := self._differing(old, new)):
                yield y, width

    def row_at(self, y: int) -> int | None:
        """The place among the shown rows of the row on line `y`; None where there is none."""
        at = self.top + y - HEADER
        return at if y >= HEADER and at < len(self.view.shown) else None

    def line_of(self, at: int) -> int | None:
        """The line of the row at this place among those shown; None when it is out of sight."""
        y = at - self.top + HEADER
        return y if HEADER <= y < HEADER + self.height else None

    def scroll(self, rows: int = 0, *, reveal: bool) -> bool:
        """Scroll by rows, as far as there are any; whether other rows are in sight now.

        `reveal` brings the cursor into sight.
        """
        before = self.top
        self.top += rows
        if reveal and self.height:
            index = self.view.index
            self.top = max(index - self.height + 1, min(self.top, index))
        self.top = max(0, min(self.top, len(self.view.shown) - self.height))
        return self.top != before

    def scroll_columns(self, columns: int) -> bool:
        """Scroll by columns, where one is out of sight or cut; the first one stays."""
        layout = self.painter.layout
        if columns > 0 and not (layout.hidden or layout.cut):
            return False
        self.skipped = max(0, layout.skipped + columns)
        self._lay_out()
        return self.painter.layout.skipped != layout.skipped

    def measure(self) -> None:
        """Give every column the width that the rows in sight and a sample of the others need."""
        view = self.view
        rows = map(self._texts, sampled(view.shown, self.top, self.height))
        self._natural = natural_widths(view.model, view.column_places, rows, view.sort)
        self._lay_out()

    def grow(self) -> bool:
        """Widen columns that must be read whole, where a row in sight has outgrown them."""
        view = self.view
        natural = dict(self._natural)
        for row in view.shown[self.top : self.top + self.height]:
            natural |= outgrown(view.model, natural, self._texts(row))
        if natural == self._natural:
            return False
        self._natural = natural
        self._lay_out()
        return True

    def _lay_out(self) -> None:
        columns = self.view.model.columns
        self.painter.layout = arrange(columns, self._natural, self.width, self.skipped)
        self.skipped = self.painter.layout.skipped

    def _line(self, y: int) -> Line:
        view = self.view
        if y < HEADER:
            letters = sort_letters(view.model.columns) if self.asking else {}
            return self.painter.header(
                view.model, sort=view.sort, descending=view.descending, letters=letters
            )
        at = self.row_at(y)
        if at is None:
            return self._words(y - HEADER)
        row = view.shown[at]
        return self.painter.row(
            view.model,
            row,
            self._texts(row),
            selected=at == view.index,
            marked=view.is_marked(view.model.key(row)),
            focused=self.focused,
            faded=getattr(row, "source", None) in self.silent,
        )

    def _texts(self, row: N) -> Sequence[SafeText]:
        """The cells of a row, which measuring, comparing and drawing ask for in turn."""
        of = (self.view.model, self.view.now)
        if self._known_of != of or len(self._known) > MOST_KNOWN:
            self._known.clear()
            self._known_of = of
        known = self._known.get(id(row))
        if known is None or known[0] is not row:
            known = self._known[id(row)] = (row, self.view.model.cells(row, self.view.now))
        return known[1]

    def _words(self, y: int) -> Line:
        """Line `y` of the body where no row is: why there are none, or nothing."""
        lines: list[tuple[SafeText, bool]] = []
        if not self.view.shown:
            room = max(1, self.width - GUTTER)
            for i, text in enumerate(self.empty):
                lines += [(safe(line), i > 0) for line in wrap(text, room)]
        first = 1 if len(lines) < self.height else 0
        if first <= y < first + len(lines):
            text, second = lines[y - first]
            return self.painter.message(text, "dim" if second else "")
        return self.painter.message(SafeText(""), "")

    def _differing(self, old: Line | None, new: Line) -> int:
        if old is None:
            return self.width
        if old.parts == new.parts:
            return 0
        if len(old.parts) != len(new.parts) or old.parts[-1] != new.parts[-1]:
            return self.width
        ends = (GUTTER, *(place.end for place in self.painter.layout.places))
        for end, was, now in reversed(list(zip(ends, old.parts, new.parts, strict=True))):
            if was != now:
                return min(end, self.width)
        return 0
