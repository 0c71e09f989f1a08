"""The view of a table against a naive one: filter, order, cursor and marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.filter import FilterError
from foundry_tui.estate.run import Run, RunState
from foundry_tui.presenters.rows import RUN_ROWS
from foundry_tui.tui.grid.view import View, ViewState
from tests.presenters.estate import NOW, run


def made(native_id: int, name: str = "a", priority: int | None = None) -> Run:
    """A waiting run."""
    return run(str(native_id), name, RunState.PENDING, priority=priority, account=None)


def view_of(*rows: Run) -> View[Run]:
    """A view of these runs."""
    view = View(RUN_ROWS)
    view.replace(rows, NOW)
    return view


def shown(view: View[Run]) -> list[str]:
    """The ids that are shown."""
    return [row.native_id for row in view.shown]


ROWS = st.lists(
    st.builds(
        made,
        st.integers(min_value=0, max_value=12),
        st.sampled_from(["xa", "xb", "xc"]),
        st.none() | st.integers(min_value=0, max_value=3),
    ),
    max_size=8,
    unique_by=lambda row: row.id,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), ROWS),
        st.tuples(st.just("narrow"), st.sampled_from(["", "name=xa", "-name=xb", "priority>1"])),
        st.tuples(
            st.just("sort"),
            st.tuples(st.sampled_from(["", "name", "priority"]), st.none() | st.booleans()),
        ),
        st.tuples(st.just("move"), st.integers(min_value=-1, max_value=9)),
        st.tuples(st.just("mark"), st.none()),
        st.tuples(st.just("range"), st.none()),
        st.tuples(st.just("all"), st.none()),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=12,
)
KEPT: dict[str, Callable[[Run], bool]] = {
    "": lambda _: True,
    "name=xa": lambda row: row.name == "xa",
    "-name=xb": lambda row: row.name != "xb",
    "priority>1": lambda row: row.priority is not None and row.priority > 1,
}


@dataclass
class Naive:
    """The same in the plainest words: everything is worked out anew at every step."""

    rows: list[Run] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    text: str = ""
    sort: str = ""
    descending: bool = False
    cursor: str | None = None
    marks: set[str] = field(default_factory=set)
    anchor: str | None = None

    def arrange(self) -> None:
        before = self.shown
        rows = [row for row in self.rows if KEPT[self.text](row)]
        if self.sort:
            known = [row for row in rows if getattr(row, self.sort) is not None]
            unknown = [row for row in rows if getattr(row, self.sort) is None]
            values = sorted({getattr(row, self.sort) for row in known}, reverse=self.descending)
            rows = [r for v in values for r in known if getattr(r, self.sort) == v] + unknown
        self.shown = [row.id for row in rows]
        if not self.shown:
            return
        if self.cursor is None:
            self.cursor = self.shown[0]
        if self.cursor not in self.shown:
            at = before.index(self.cursor) if self.cursor in before else 0
            near = [*before[at + 1 :], *reversed(before[:at])]
            alive = [key for key in near if key in self.shown]
            self.cursor = alive[0] if alive else self.shown[min(at, len(self.shown) - 1)]

    def step(self, what: str, value: object) -> None:
        at = self.shown.index(self.cursor) if self.cursor in self.shown else None
        if what == "replace":
            assert isinstance(value, list)
            self.rows = value
            self.marks &= {row.id for row in value}
            self.arrange()
        elif what == "narrow":
            self.text = str(value)
            self.arrange()
        elif what == "sort":
            assert isinstance(value, tuple)
            column, descending = value
            turned = column == self.sort and not self.descending
            self.descending = bool(column) and (turned if descending is None else descending)
            self.sort = column
            self.arrange()
        elif what == "move" and self.shown:
            assert isinstance(value, int)
            self.cursor = self.shown[max(0, min(value, len(self.shown) - 1))]
        elif what == "mark" and at is not None and self.cursor is not None:
            self.marks ^= {self.cursor}
            self.anchor = self.cursor
        elif what == "range" and at is not None:
            start = self.shown.index(self.anchor) if self.anchor in self.shown else at
            self.marks |= set(self.shown[min(start, at) : max(start, at) + 1])
            self.anchor = self.cursor
        elif what == "all":
            self.marks |= set(self.shown)
        elif what == "clear":
            self.marks, self.anchor = set(), None


def act(view: View[Run], what: str, value: object) -> None:
    """The same step on the real view."""
    if what == "replace":
        assert isinstance(value, list)
        view.replace(value, NOW)
    elif what == "narrow":
        view.narrow(str(value))
    elif what == "sort":
        assert isinstance(value, tuple)
        view.sort_by(*value)
    elif what == "move":
        assert isinstance(value, int)
        view.move(value)
    else:
        {
            "mark": view.mark,
            "range": view.mark_range,
            "all": view.mark_all_shown,
            "clear": view.clear_marks,
        }[what]()


@settings(max_examples=300)
@given(ROWS, STEPS)
def test_it_does_what_a_naive_view_does(first: list[Run], steps: list[tuple[str, object]]) -> None:
    view, naive = View(RUN_ROWS), Naive()
    for what, value in [("replace", first), *steps]:
        act(view, what, value)
        naive.step(what, value)
        assert [row.id for row in view.shown] == naive.shown
        assert view.cursor_key == (naive.cursor if naive.shown else None)
        assert {row.id for row in view.marked} == naive.marks
        assert view.mark_count == len(naive.marks)
        if view.shown:
            assert view.shown[view.index] is view.cursor


def test_unknown_values_stand_last_in_both_directions() -> None:
    view = view_of(made(1), made(2, priority=5), made(3, priority=7), made(4))
    view.sort_by("priority")
    assert shown(view) == ["2", "3", "1", "4"]
    view.sort_by("priority")
    assert shown(view) == ["3", "2", "1", "4"]
    assert view.descending


def test_the_cursor_takes_the_next_row_when_its_own_goes() -> None:
    view = view_of(*map(made, range(5)))
    view.move(2)
    change = view.replace([made(0), made(3), made(4)], NOW)
    assert change.cursor_lost
    assert view.cursor is not None
    assert view.cursor.native_id == "3"
    assert not view.replace([made(9), made(0), made(3)], NOW).cursor_lost
    assert view.index == 2


def test_marks_of_rows_that_are_gone_are_counted() -> None:
    view = view_of(*map(made, range(4)))
    view.mark_all_shown()
    assert view.replace([made(1), made(7)], NOW).marks_lost == 3
    assert [row.native_id for row in view.marked] == ["1"]


def test_marks_outlive_a_filter_and_come_in_the_order_shown() -> None:
    view = view_of(made(1, "xa"), made(2, "xb"), made(3, "xa"))
    view.mark_all_shown()
    view.narrow("name=xb")
    assert [row.native_id for row in view.marked] == ["2", "1", "3"]
    view.clear_marks()
    assert [row.native_id for row in view.chosen] == ["2"]


def test_nothing_is_chosen_of_nothing() -> None:
    view = view_of()
    view.mark()
    view.mark_range()
    assert (view.cursor, view.cursor_key, view.chosen) == (None, None, ())
    assert not view.all_shown_marked()
    assert not view.move_to("lab/1")


def test_a_bad_filter_changes_nothing() -> None:
    view = view_of(made(1, "xa"), made(2, "xb"))
    view.narrow("name=xa")
    with pytest.raises(FilterError):
        view.narrow("nme=xb")
    assert shown(view) == ["1"]
    assert view.state.filter_text == "name=xa"


def test_me_is_the_user_who_asks() -> None:
    view = view_of(made(1))
    view.narrow("user=me", frozenset({"alice"}))
    assert shown(view) == ["1"]
    view.narrow("user=me", frozenset({"bob"}))
    assert shown(view) == []


def test_a_saved_view_comes_back() -> None:
    rows = [made(1, "xa", 1), made(2, "xb", 2), made(3, "xa", 3)]
    view = view_of(*rows)
    view.narrow("name=xa")
    view.sort_by("priority", descending=True)
    view.choose_columns(["priority", "name"])
    state = view.state
    assert state == ViewState(("name", "priority"), "priority", True, "name=xa")
    other = view_of(*rows)
    other.restore(state)
    assert shown(other) == ["3", "1"]
    assert other.state == state
    assert [RUN_ROWS.columns[at].id for at in other.column_places] == ["run", "name", "priority"]


def test_a_view_of_an_older_version_leaves_out_what_is_gone() -> None:
    view = view_of(made(1))
    view.restore(ViewState(("gone",), "gone", True, ""))
    assert view.state == ViewState()
    assert len(view.column_places) == len(RUN_ROWS.columns)


def test_sorting_by_no_known_column_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="runs have no column 'x'; there are run, name"):
        view_of().sort_by("x")
