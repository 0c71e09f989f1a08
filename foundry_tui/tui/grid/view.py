"""The view of a table: which rows are shown, in which order, where the cursor is, what is marked.

Nothing here draws. The rows of a snapshot come in with `replace`; cursor and marks stay with
their rows by key, whatever the new snapshot, the filter or the order is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from foundry_tui.estate.filter import Filter, parse
from foundry_tui.presenters.rows import GridColumn, Rows

N = TypeVar("N")


@dataclass(frozen=True, slots=True)
class ViewState:
    """What a saved view keeps. No `columns` are all columns; no `sort` is the order as given."""

    columns: tuple[str, ...] = ()
    sort: str = ""
    descending: bool = False
    filter_text: str = ""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What new rows changed: marks that went with their rows, and whether the cursor's row did."""

    marks_lost: int
    cursor_lost: bool


class View(Generic[N]):
    """Rows, filtered and in order, with a cursor and marks.

    `index` is the cursor's place in `shown`, 0 when nothing is shown. Marks stay on rows that the
    filter hides: several filters may gather one selection.
    """

    def __init__(self, model: Rows[N]) -> None:
        self.model = model
        self.rows: Sequence[N] = ()
        self.shown: Sequence[N] = ()
        self.now = datetime.now(UTC)
        self.index = 0
        self.columns: tuple[str, ...] = ()
        self.sort = model.sorted_by
        self.descending = False
        self.filter: Filter | None = None
        self._key: str | None = None
        self._marks: dict[str, None] = {}
        self._anchor: str | None = None

    # the rows

    def replace(self, rows: Sequence[N], now: datetime, model: Rows[N] | None = None) -> Replaced:
        """Take the rows of a new snapshot."""
        self.model = model or self.model
        self.rows = rows
        self.now = now
        before = self.cursor_key
        self._arrange()
        return Replaced(self._drop_marks(), before is not None and before != self.cursor_key)

    @property
    def cursor(self) -> N | None:
        """The row under the cursor."""
        return self.shown[self.index] if self.shown else None

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor."""
        return self._key if self.shown else None

    def move(self, index: int) -> bool:
        """Put the cursor on a place in `shown`, or the nearest there is; whether it moved."""
        before = self.index
        self.index = max(0, min(index, len(self.shown) - 1))
        self._key = self.model.key(self.shown[self.index]) if self.shown else self._key
        return self.index != before

    def move_to(self, key: str) -> bool:
        """Put the cursor on the row of this key; False when it is not shown."""
        place = self._find(key)
        if place is None:
            return False
        self.move(place)
        return True

    # what is shown

    def narrow(self, text: str, me: frozenset[str] | None = None) -> None:
        """Show the rows that match a filter; blank text shows all.

        Raises:
            FilterError: the text is no filter; nothing has changed.
        """
        self.filter = parse(text, self.model.fields, me=me) if text.strip() else None
        self._arrange()

    def sort_by(self, column_id: str, descending: bool | None = None) -> None:
        """Order the rows by a column, ascending at first; None turns the order round if it is the
        column they are sorted by. An empty id is the order as given.

        Raises:
            ValueError: there is no such column.
        """
        if column_id and self.model.place(column_id) is None:
            known = ", ".join(c.id for c in self.model.columns)
            raise ValueError(f"{self.model.plural} have no column {column_id!r}; there are {known}")
        again = column_id == self.sort and not self.descending
        self.descending = bool(column_id) and (again if descending is None else descending)
        self.sort = column_id
        self._arrange()

    def choose_columns(self, ids: Iterable[str]) -> None:
        """Show only these columns, in the table's own order; none or only unknown ids show all.

        The first column is always shown, because it names the row.
        """
        wanted = set(ids)
        every = [c.id for c in self.model.columns]
        chosen = tuple(one for one in every if one in wanted)
        self.columns = chosen if 0 < len(chosen) < len(every) else ()

    @property
    def column_places(self) -> tuple[int, ...]:
        """The places of the chosen columns in the model's columns."""
        every = enumerate(self.model.columns)
        return tuple(i for i, c in every if i == 0 or not self.columns or c.id in self.columns)

    @property
    def state(self) -> ViewState:
        """What a saved view keeps of this one."""
        text = self.filter.text if self.filter else ""
        return ViewState(self.columns, self.sort, self.descending, text)

    def restore(self, state: ViewState, me: frozenset[str] | None = None) -> None:
        """Back to a saved view; columns that no longer exist are left out.

        Raises:
            FilterError: its filter is no filter here; nothing has changed.
        """
        self.narrow(state.filter_text, me)
        self.choose_columns(state.columns)
        known = self.model.place(state.sort) is not None
        self.sort_by(state.sort if known else "", state.descending)

    # marks

    @property
    def marked(self) -> tuple[N, ...]:
        """The marked rows: those that are shown, in their order, then those that are not."""
        if not self._marks:
            return ()
        key = self.model.key
        shown = {k: row for row in self.shown if (k := key(row)) in self._marks}
        hidden = {k: row for row in self.rows if (k := key(row)) in self._marks and k not in shown}
        return (*shown.values(), *hidden.values())

    @property
    def mark_count(self) -> int:
        """How many rows are marked, shown or not."""
        return len(self._marks)

    @property
    def chosen(self) -> tuple[N, ...]:
        """The rows that an act is for: the marked ones, or else the one under the cursor."""
        cursor = self.cursor
        return self.marked or (() if cursor is None else (cursor,))

    def is_marked(self, key: str) -> bool:
        """Whether the row of this key is marked."""
        return key in self._marks

    def mark(self) -> None:
        """Mark the row under the cursor, or take its mark away."""
        key = self.cursor_key
        if key is None:
            return
        if key in self._marks:
            del self._marks[key]
        else:
            self._marks[key] = None
        self._anchor = key

    def mark_range(self) -> None:
        """Mark the rows from the one marked last, or the cursor, to the cursor."""
        if not self.shown:
            return
        start = None if self._anchor is None else self._find(self._anchor)
        low, high = sorted((self.index if start is None else start, self.index))
        self._marks |= dict.fromkeys(map(self.model.key, self.shown[low : high + 1]))
        self._anchor = self._key

    def mark_all_shown(self) -> None:
        """Mark every row that is shown."""
        self._marks |= dict.fromkeys(map(self.model.key, self.shown))

    def all_shown_marked(self) -> bool:
        """Whether something is shown and all of it is marked."""
        return bool(self.shown) and all(self.model.key(row) in self._marks for row in self.shown)

    def clear_marks(self) -> None:
        """Take every mark away, also of rows that are not shown."""
        self._marks.clear()
        self._anchor = None

    # how it is done

    def _arrange(self) -> None:
        """Filter and order the rows again; the cursor stays with its row or a neighbour."""
        before, at = self.shown, self.index
        rows: Sequence[N] = self.rows
        if self.filter is not None:
            match, get, now = self.filter.match, self.model.get, self.now
            rows = [row for row in rows if match(get(row, now))]
        place = self.model.place(self.sort)
        if place is not None:
            rows = self._ordered(rows, self.model.columns[place])
        self.shown = rows
        if rows:
            self.move(self._place_of_cursor(before, at))
        else:
            self.index = 0

    def _ordered(self, rows: Sequence[N], column: GridColumn[N]) -> list[N]:
        order, now = column.order, self.now
        keys = [order(row, now) for row in rows]
        known = [i for i, key in enumerate(keys) if key is not None]
        known.sort(key=keys.__getitem__, reverse=self.descending)  # stable either way
        last = [row for row, key in zip(rows, keys, strict=True) if key is None]
        return [*[rows[i] for i in known], *last]

    def _place_of_cursor(self, before: Sequence[N], at: int) -> int:
        """Where the cursor's row is now; if it is gone, the row that followed it or came before."""
        if self._key is None:
            return 0
        key = self.model.key
        if at < len(self.shown) and key(self.shown[at]) == self._key:
            return at
        if (found := self._find(self._key)) is not None:
            return found
        places = {key(row): i for i, row in enumerate(self.shown)}
        for row in (*before[at + 1 :], *reversed(before[:at])):
            if (place := places.get(key(row))) is not None:
                return place
        return at

    def _find(self, key: str) -> int | None:
        of = self.model.key
        return next((i for i, row in enumerate(self.shown) if of(row) == key), None)

    def _drop_marks(self) -> int:
        """Forget marks of rows that are gone; how many there were."""
        if not self._marks:
            return 0
        alive = set(map(self.model.key, self.rows))
        gone = [key for key in self._marks if key not in alive]
        for key in gone:
            del self._marks[key]
        return len(gone)
