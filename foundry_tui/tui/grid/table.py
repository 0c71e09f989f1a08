"""The live table: a cursor over thousands of rows, of which the visible ones alone are drawn.

It draws by lines and scrolls by itself. Textual's own scrolling would lay the screen out again,
and so repaint all of it, whenever the number of rows changes. New data refreshes the lines that
look different, up to the last column that does: a terminal is sent a line from its left edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar, Generic, TypeAlias, TypeVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.strip import Strip

from foundry_tui.presenters.rows import Rows, sort_letters
from foundry_tui.tui.grid import messages
from foundry_tui.tui.grid.sheet import HEADER, Sheet
from foundry_tui.tui.grid.view import View, ViewState
from foundry_tui.tui.widgets.quiet import QuietFocus

N = TypeVar("N")

WHEEL_ROWS = 3
"""Rows that one step of the mouse wheel scrolls."""


class GridTable(QuietFocus, Generic[N], can_focus=True):
    """A table of one noun. Give it rows with `show`; it tells of its cursor by messages."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "GridTable { width: 1fr; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "step(1)", show=False),
        Binding("up,k", "step(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home,g", "first", show=False),
        Binding("end,G", "last", show=False),
        Binding("right", "columns(1)", show=False),
        Binding("left", "columns(-1)", show=False),
        Binding("enter", "open", show=False, id="open"),
        Binding("space", "mark", show=False, id="mark"),
        Binding("v", "mark_range", show=False, id="range"),
        Binding("asterisk", "mark_all", show=False, id="mark_all"),
        Binding("s", "sort", show=False, id="sort"),
    ]

    Moved: TypeAlias = messages.Moved
    Entered: TypeAlias = messages.Entered
    MarksChanged: TypeAlias = messages.MarksChanged

    def __init__(
        self,
        rows: Rows[N],
        *,
        id: str | None = None,
        classes: str | None = None,
        ascii_only: bool = False,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._sheet: Sheet[N] = Sheet(rows)
        self._sheet.painter.ascii_only = ascii_only
        self._paused = False
        self._waiting: tuple[Sequence[N], datetime, Rows[N] | None] | None = None
        self._told: str | None = None
        self._clicked: str | None = None

    # what is shown

    @property
    def view(self) -> View[N]:
        """The rows in order, the cursor and the marks; change them through the table."""
        return self._sheet.view

    def show(self, rows: Sequence[N], now: datetime, model: Rows[N] | None = None) -> None:
        """Take the rows of a new snapshot; while the table is paused they wait for its end."""
        if self._paused:
            self._waiting = (rows, now, model)
            return
        sheet = self._sheet
        if self.is_attached:
            sheet.silent = getattr(self.app, "silent", frozenset())
        first = not self.view.shown
        in_sight = sheet.line_of(self.view.index) is not None
        titles = [one.column for one in self.view.model.columns]
        change = self.view.replace(rows, now, model)
        sheet.scroll(reveal=in_sight)
        if titles != [one.column for one in self.view.model.columns]:
            sheet.measure()
            self.refresh()
        elif first:
            self._measure()
        elif sheet.grow():
            self.refresh()
        else:
            self._refresh_changed()
        if change.marks_lost:
            self._tell_marks(change.marks_lost)
        self._tell_moved()

    @property
    def paused(self) -> bool:
        """Whether the rows stand still; what came meanwhile is shown at the end."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._paused = paused
        if not paused and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self.show(*waiting)

    @property
    def shown(self) -> Sequence[N]:
        """The rows that match the filter, in order."""
        return self.view.shown

    @property
    def total(self) -> int:
        """How many rows there are before the filter."""
        return len(self.view.rows)

    @property
    def empty(self) -> tuple[str, ...]:
        """The lines in place of rows: why there are none, and what to do."""
        return self._sheet.empty

    @empty.setter
    def empty(self, lines: tuple[str, ...]) -> None:
        self._sheet.empty = lines
        self._refresh_changed()

    @property
    def ascii_only(self) -> bool:
        """Whether nothing beyond ASCII is drawn."""
        return self._sheet.painter.ascii_only

    @ascii_only.setter
    def ascii_only(self, ascii_only: bool) -> None:
        self._sheet.painter.ascii_only = ascii_only
        self.refresh()

    def filter(self, text: str, me: frozenset[str] | None = None) -> None:
        """Show the rows that match; blank text shows all. `me`: whom `user=me` means.

        Raises:
            FilterError: the text is no filter; nothing has changed.
        """
        self.view.narrow(text, me)
        self._settle()

    def sort_by(self, column_id: str, descending: bool | None = None) -> None:
        """Order by a column; None turns the order round if it is the sorted one already.

        Raises:
            ValueError: there is no such column.
        """
        self.view.sort_by(column_id, descending)
        self._settle()

    def choose_columns(self, ids: Iterable[str]) -> None:
        """Show these columns and the first one; none means all."""
        self.view.choose_columns(ids)
        self._sheet.skipped = 0
        self._settle()

    @property
    def hidden_columns(self) -> tuple[str, ...]:
        """Titles of the chosen columns that are out of sight on the right."""
        columns = self.view.model.columns
        return tuple(columns[at].column.title for at in self._sheet.painter.layout.hidden)

    @property
    def state(self) -> ViewState:
        """What a saved view keeps."""
        return self.view.state

    def restore(self, state: ViewState, me: frozenset[str] | None = None) -> None:
        """Back to a saved view.

        Raises:
            FilterError: its filter is no filter here; nothing has changed.
        """
        self.view.restore(state, me)
        self._sheet.skipped = 0
        self._settle()

    @property
    def sort_letters(self) -> bool:
        """Whether the next key names the column to sort by; the titles then show their letters."""
        return self._sheet.asking

    @sort_letters.setter
    def sort_letters(self, asking: bool) -> None:
        if asking != self._sheet.asking:
            self._sheet.asking = asking
            self.refresh(Region(0, 0, self.size.width, HEADER))

    # cursor and marks

    @property
    def cursor(self) -> N | None:
        """The row under the cursor."""
        return self.view.cursor

    def move_to(self, key: str) -> bool:
        """Put the cursor on the row of this key; False when it is not shown."""
        before = self.view.index
        found = self.view.move_to(key)
        self._moved_from(before)
        return found

    @property
    def chosen(self) -> tuple[N, ...]:
        """The rows that an act is for: the marked ones, else the one under the cursor."""
        return self.view.chosen

    @property
    def marked(self) -> tuple[N, ...]:
        """The marked rows, also those that the filter hides."""
        return self.view.marked

    def clear_marks(self) -> None:
        """Take every mark away."""
        self.view.clear_marks()
        self._marks_changed()

    # actions

    def action_step(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._move(self.view.index + rows)

    def action_page(self, pages: int) -> None:
        """Move the rows and the cursor by a page, less the row that was last in sight."""
        rows = pages * max(1, self._sheet.height - 1)
        before = self.view.index
        self.view.move(before + rows)
        self._moved_from(before, scrolled=rows)

    def action_first(self) -> None:
        """To the first row."""
        self._move(0)

    def action_last(self) -> None:
        """To the last row."""
        self._move(len(self.view.shown) - 1)

    def action_columns(self, columns: int) -> None:
        """Scroll by columns; the first one stays."""
        if self._sheet.scroll_columns(columns):
            self.refresh()

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.cursor is not None:
            self.post_message(self.Entered(self, self.cursor))

    def action_mark(self) -> None:
        """Mark the row under the cursor, or take the mark away, and go on to the next."""
        self.view.mark()
        self._marks_changed()
        self.action_step(1)

    def action_mark_range(self) -> None:
        """Mark the rows from the last mark to the cursor."""
        self.view.mark_range()
        self._marks_changed()

    def action_mark_all(self) -> None:
        """Mark every row that is shown; where all are, take every mark away."""
        if self.view.all_shown_marked():
            self.view.clear_marks()
        else:
            self.view.mark_all_shown()
        self._marks_changed()

    def action_sort(self) -> None:
        """Ask for the letter of the column to sort by."""
        self.sort_letters = True

    def on_key(self, event: events.Key) -> None:
        """While a column is asked for, the next key answers, whatever it means otherwise."""
        if not self.sort_letters:
            return
        event.stop()
        event.prevent_default()
        self.sort_letters = False
        letter = (event.character or "").lower()
        column_id = sort_letters(self.view.model.columns).get(letter)
        if column_id:
            self.sort_by(column_id)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the row; a second click opens it."""
        offset = event.get_content_offset(self)
        at = None if offset is None else self._sheet.row_at(offset.y)
        if at is None:
            return
        key = self.view.model.key(self.view.shown[at])
        again = key == self._clicked == self.view.cursor_key
        self._move(at)
        self._clicked = key
        if again:
            self.action_open()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll the rows; the cursor stays on its own."""
        event.stop()
        self._scroll(WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll the rows; the cursor stays on its own."""
        event.stop()
        self._scroll(-WHEEL_ROWS)

    # drawing

    def render_line(self, y: int) -> Strip:
        """The line at `y` of the widget."""
        return self._sheet.draw(y)

    def on_mount(self) -> None:
        """Take on the theme."""
        self._sheet.painter.base = self._base()
        self._sheet.painter.theme = self.app.theme

    def notify_style_update(self) -> None:
        """Take on a new theme."""
        super().notify_style_update()
        if self.is_mounted:
            self._sheet.painter.base = self._base()
            self._sheet.painter.theme = self.app.theme

    def on_resize(self) -> None:
        """Lay out for the new size."""
        self._sheet.width = self.size.width
        self._sheet.height = max(0, self.size.height - HEADER)
        self._settle()

    def on_focus(self) -> None:
        """Draw the cursor as the one that keys move."""
        self._sheet.focused = True
        self._refresh_rows(self.view.index)

    def on_blur(self) -> None:
        """Draw the cursor as a resting one."""
        self._sheet.focused = False
        self.sort_letters = False
        self._refresh_rows(self.view.index)

    def _base(self) -> Style:
        """Nothing on the terminal's own colours: each colour set costs bytes on every segment."""
        old = Style(dim=True) if getattr(self.app, "faded", False) else Style.null()
        if self.app.native_ansi_color:
            return old
        return Style(color=self.rich_style.color, bgcolor=self.rich_style.bgcolor) + old

    def _move(self, index: int) -> None:
        before = self.view.index
        self.view.move(index)
        self._moved_from(before)

    def _moved_from(self, before: int, *, scrolled: int = 0) -> None:
        """Draw the cursor where it is now and no longer where it was."""
        self._clicked = None
        if self._sheet.scroll(scrolled, reveal=True):
            self._refresh_changed()
        elif before != self.view.index:
            self._refresh_rows(before, self.view.index)
        self._tell_moved()

    def _scroll(self, rows: int) -> None:
        if self._sheet.scroll(rows, reveal=False):
            self._refresh_changed()

    def _settle(self) -> None:
        """Measure and draw everything: after another size, filter, order or choice of columns."""
        self._sheet.scroll(reveal=True)
        self._measure()
        self._tell_moved()

    def _measure(self) -> None:
        before = self._sheet.painter.layout
        self._sheet.measure()
        if self._sheet.painter.layout == before:
            self._refresh_changed()
        else:
            self.refresh()

    def _refresh_rows(self, *places: int) -> None:
        for at in places:
            if (y := self._sheet.line_of(at)) is not None:
                self.refresh(Region(0, y, self.size.width, 1))

    def _refresh_changed(self) -> None:
        if regions := [Region(0, y, width, 1) for y, width in self._sheet.changed()]:
            self.refresh(*regions)

    def _marks_changed(self) -> None:
        self._refresh_changed()
        self._tell_marks()

    def _tell_marks(self, lost: int = 0) -> None:
        self.post_message(self.MarksChanged(self, self.view.mark_count, lost))

    def _tell_moved(self) -> None:
        key = self.view.cursor_key
        if key != self._told:
            self._told = key
            self.post_message(self.Moved(self, self.cursor))
