"""The live table through keys, data and sizes: what is on the screen, and what is sent again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from textual.events import MouseScrollDown
from textual.geometry import Region
from textual.pilot import Pilot

from foundry_tui.estate.filter import FilterError
from foundry_tui.estate.run import Request
from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters.rows import RUN_ROWS
from foundry_tui.tui.grid import GridTable, ViewState
from tests.estate.test_text import HOSTILE
from tests.presenters.estate import NOW, RUNS
from tests.tui.grid.shown import Table, TableApp, driven, waiting


def test_rows_stand_under_their_titles() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(RUNS, NOW)
        await pilot.pause()
        head, first = app.lines[:2]
        assert head.split()[:4] == ["RUN", "NAME", "USER", "QUEUE"]
        for title, word in (("RUN", "17"), ("NAME", "train-llama"), ("STATE", "running")):
            assert head.index(title) == first.index(word)
        assert app.ids[: len(RUNS)] == [run.native_id for run in RUNS]

    driven(test, size=(160, 12))


def test_no_rows_say_why_and_what_to_do() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.empty = ("no runs match `gpu>=8`", "52 hidden: Esc clears \x1b[2J")
        await pilot.pause()
        assert [line.strip() for line in app.lines[2:4]] == [
            "no runs match `gpu>=8`",
            "52 hidden: Esc clears ␛[2J",
        ]
        await pilot.press("down", "space", "enter", "v", "asterisk", "end", "pageup", "s", "n")
        assert app.table.cursor is None
        assert app.table.chosen == ()
        app.table.show(waiting(1), NOW)
        await pilot.pause()
        assert app.ids == ["1000"]
        app.table.show((), NOW)
        await pilot.pause()
        assert "no runs match" in app.lines[2]
        assert isinstance(app.told[-1], GridTable.Moved)
        assert app.told[-1].row is None

    driven(test)


def test_hostile_and_wide_names_are_shown_and_keep_the_columns() -> None:
    names = {**HOSTILE, "wide": "日本語の実験" * 9, "one wide": "한"}
    runs = [
        replace(one, name=safe(raw))
        for one, raw in zip(waiting(len(names)), names.values(), strict=True)
    ]

    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(runs, NOW)
        for _ in range(3):  # over every row with the cursor, all marked, columns scrolled
            for y, line in enumerate(app.lines):
                assert safe(line, max_cells=1000) == line
                assert cells(SafeText(line)) <= 100
                if y and y <= len(runs):
                    ends = line.index("pending")
                    assert cells(SafeText(line[:ends])) == app.lines[0].index("STATE")
            await pilot.press("end", "asterisk")
        await pilot.press("right")
        assert all(safe(line, max_cells=1000) == line for line in app.lines)

    driven(test, size=(100, 50))


def test_nothing_but_ascii_is_drawn_where_nothing_else_can_be() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show([replace(one, name=safe("日本語 — …" * 9)) for one in RUNS], NOW)
        app.table.sort_by("time")
        await pilot.pause()
        assert all(line.isascii() for line in app.lines)
        assert "TIME^" in app.lines[0]
        state = app.lines[0].index("STATE")
        assert all(line[state - 1] == " " and line[state] != " " for line in app.lines[1:7])

    driven(test, ascii_only=True)


def test_ten_thousand_rows_and_their_ends() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(waiting(10_000), NOW)
        await pilot.press("G")
        assert app.ids[-1] == "10999"
        await pilot.press("pageup", "k")
        assert app.table.cursor is not None
        assert app.table.cursor.native_id == "10988"
        await pilot.press("g", "pagedown", "j")
        assert app.table.cursor.native_id == "1011"
        assert app.ids[0] == "1010"
        app.table.filter("name=train-7*")
        await pilot.pause()
        assert len(app.table.shown) == 1111
        assert app.table.total == 10_000

    driven(test)


def test_twenty_by_five_and_back() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(RUNS, NOW)
        await pilot.press("down", "down", "down")
        before, cursor = app.lines, app.table.cursor
        for size in ((20, 5), (3, 2), (1, 1), (20, 5)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert all(cells(SafeText(line)) <= size[0] for line in app.lines)
        assert cursor is not None
        assert cursor.native_id in app.ids
        await pilot.press("down", "up")
        await pilot.resize_terminal(80, 12)
        await pilot.pause()
        assert app.table.cursor is cursor
        assert app.lines == before

    driven(test)


def test_one_changed_cell_refreshes_one_line_up_to_its_column() -> None:
    runs = waiting(50)

    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(runs, NOW)
        await pilot.pause()
        app.table.refreshed.clear()
        changed = list(runs)
        changed[3] = replace(runs[3], user="mallory"[:5])
        app.table.show(changed, NOW)
        (region,) = app.table.refreshed
        assert region is not None
        assert (region.x, region.y, region.height) == (0, 4, 1)
        assert app.lines[0].index("USER") < region.right <= app.lines[0].index("QUEUE")
        await pilot.pause()
        assert "mallo" in app.lines[4]

    driven(test)


def test_changes_out_of_sight_and_equal_data_refresh_nothing() -> None:
    runs = waiting(50)

    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(runs, NOW)
        await pilot.pause()
        app.table.refreshed.clear()
        app.table.show([*runs[:40], *(replace(one, user="eve") for one in runs[40:])], NOW)
        app.table.show([replace(one) for one in runs], NOW + timedelta(milliseconds=5))
        app.table.show(runs[:45], NOW)
        assert app.table.refreshed == []

    driven(test)


def test_the_cursor_refreshes_two_lines() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(waiting(50), NOW)
        await pilot.pause()
        app.table.refreshed.clear()
        await pilot.press("down")
        assert app.table.refreshed == [Region(0, 1, 80, 1), Region(0, 2, 80, 1)]

    driven(test)


def test_widths_stand_still_while_numbers_change_and_grow_when_they_must() -> None:
    runs = waiting(5)

    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(runs, NOW)
        await pilot.pause()
        head = app.lines[0]
        app.table.show(runs, NOW + timedelta(hours=30))
        await pilot.pause()
        assert app.lines[0] == head
        many = Request(gpu_count=1_234_567, gpu_milli=1_234_567_000)
        app.table.show([replace(runs[0], request=many), *runs[1:]], NOW)
        await pilot.pause()
        assert "1234567" in app.lines[1]

    driven(test)


def test_the_row_under_the_cursor_goes() -> None:
    runs = waiting(30)

    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(runs, NOW)
        await pilot.press("down", "down", "space", "down", "space")  # marks 1002 and 1004
        await pilot.pause()
        assert [one.native_id for one in app.table.chosen] == ["1002", "1004"]
        app.told.clear()
        app.table.show([one for one in runs if one.native_id not in ("1004", "1005")], NOW)
        await pilot.pause()
        assert app.table.cursor is not None
        assert app.table.cursor.native_id == "1006"
        marks, moved = app.told
        assert isinstance(marks, GridTable.MarksChanged)
        assert (marks.count, marks.lost) == (1, 1)
        assert isinstance(moved, GridTable.Moved)
        assert moved.row is app.table.cursor
        assert moved.control is app.table

    driven(test)


def test_the_cursor_stays_in_sight_when_rows_come_before_it() -> None:
    runs = waiting(100)

    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(runs[50:], NOW)
        await pilot.press("down")
        app.table.show(runs, NOW)
        await pilot.pause()
        assert app.table.cursor is runs[51]
        assert runs[51].native_id in app.ids

    driven(test)


def test_marks_by_key_and_by_range() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(waiting(30), NOW)
        await pilot.press("space", "down", "down", "v")
        assert [one.native_id for one in app.table.marked] == ["1000", "1001", "1002", "1003"]
        assert [line[:1] for line in app.lines[1:6]] == ["*", "*", "*", "*", " "]
        await pilot.press("asterisk")
        assert len(app.table.marked) == 30
        await pilot.press("asterisk")
        assert app.table.marked == ()
        app.table.clear_marks()
        await pilot.press("space")
        await pilot.pause()
        counts = [m.count for m in app.told if isinstance(m, GridTable.MarksChanged)]
        assert counts == [1, 4, 30, 0, 0, 1]

    driven(test)


def test_sorting_by_a_letter_and_again_the_other_way() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(waiting(30), NOW)
        await pilot.press("s")
        assert {"Run", "Name", "sUbmitted", "User"} & set(app.lines[0].split()) >= {"Run", "Name"}
        await pilot.press("t")
        assert "TIME▲" in app.lines[0]
        assert app.ids[-1] == "1000", "the cursor stays with its row, which is now the last"
        await pilot.press("s", "T")
        assert "TIME▼" in app.lines[0]
        assert app.ids[0] == "1000"
        await pilot.press("s", "escape", "s", "down")
        assert app.table.state == ViewState((), "time", True, "")
        assert app.table.cursor is not None
        assert app.table.cursor.native_id == "1000", "the key after s moves nothing"

    driven(test)


def test_enter_and_the_second_click_open() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(waiting(30), NOW)
        await pilot.press("down", "enter")
        await pilot.click(app.table, offset=(5, 4))
        await pilot.pause()
        assert app.table.cursor is not None
        assert app.table.cursor.native_id == "1003"
        opened = [m.row.native_id for m in app.told if isinstance(m, GridTable.Entered)]
        assert opened == ["1001"]
        await pilot.click(app.table, offset=(9, 4))
        await pilot.click(app.table, offset=(5, 0))
        await pilot.pause()
        opened = [m.row.native_id for m in app.told if isinstance(m, GridTable.Entered)]
        assert opened == ["1001", "1003"]

    driven(test)


def test_the_mouse_moving_over_it_refreshes_nothing() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(waiting(30), NOW)
        await pilot.hover(app.table, offset=(1, 1))
        await pilot.pause()
        app.table.refreshed.clear()
        for y in range(1, 9):
            await pilot.hover(app.table, offset=(5, y))
        assert app.table.refreshed == []

    driven(test)


def test_the_wheel_scrolls_and_leaves_the_cursor() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(waiting(30), NOW)
        await pilot.pause()
        await pilot._post_mouse_events([MouseScrollDown], app.table, offset=(5, 5))
        await pilot.pause()
        assert app.ids[0] == "1003"
        assert app.table.cursor is not None
        assert app.table.cursor.native_id == "1000"
        await pilot.press("down")
        assert app.ids[0] == "1001", "the cursor comes into sight again"

    driven(test)


def test_every_column_can_be_brought_to_a_narrow_screen() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        long = safe("prod-" * 50)
        app.table.show([replace(one, account=long) for one in waiting(9)], NOW)
        await pilot.pause()
        assert "SOURCE" in app.table.hidden_columns
        assert app.lines[0][0] == ">"
        seen = set(app.lines[0].split())
        for _ in RUN_ROWS.columns:
            await pilot.press("right")
            assert "RUN" in app.lines[0].split()[:2]
            assert app.ids[0] == "1000"
            assert all(cells(SafeText(line)) <= 50 for line in app.lines)
            seen |= set(app.lines[0].split())
        assert {"ACCOUNT", "QOS", "PRIORITY", "SOURCE", "SUBMITTED", "UTIL"} <= seen
        last = app.lines
        await pilot.press("right")
        assert app.lines == last
        assert last[0][0] == "<"
        for _ in RUN_ROWS.columns:
            await pilot.press("left")
        assert app.lines[0][0] == ">"

    driven(test, size=(50, 12))


def test_chosen_columns_and_a_saved_view() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(waiting(30), NOW)
        app.table.choose_columns(["priority", "name"])
        app.table.filter("name~1")
        app.table.sort_by("name", descending=True)
        await pilot.pause()
        assert app.lines[0].split() == ["RUN", "NAME▼", "PRIORITY"]
        state, lines = app.table.state, app.lines
        app.table.restore(ViewState())
        await pilot.pause()
        assert "USER" in app.lines[0]
        app.table.restore(state)
        await pilot.pause()
        assert [line[2:] for line in app.lines] == [line[2:] for line in lines]
        with pytest.raises(FilterError):
            app.table.filter("nme=1")
        await pilot.pause()
        assert app.table.state == state

    driven(test)


def test_a_paused_table_stands_still_and_shows_the_last_data_afterwards() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(waiting(3), NOW)
        app.table.paused = True
        app.table.show(waiting(5), NOW)
        app.table.show(waiting(4), NOW)
        await pilot.press("down")
        assert app.ids == ["1000", "1001", "1002"]
        app.table.paused = False
        await pilot.pause()
        assert app.ids == ["1000", "1001", "1002", "1003"]
        assert app.table.cursor is not None
        assert app.table.cursor.native_id == "1001"

    driven(test)


def test_the_cursor_looks_different_without_the_focus_and_colours_follow_the_theme() -> None:
    async def test(pilot: Pilot[None], app: TableApp) -> None:
        app.table.show(RUNS, NOW)
        await pilot.pause()

        def styles(y: int) -> list[str]:
            strip = app.screen._compositor.render_strips()[y]
            return [str(segment.style) for segment in strip if segment.text.strip()]

        assert styles(1) == ["reverse"]
        assert "green" in styles(2)
        assert not any(" on " in style for style in styles(2)), "the terminal's own background"
        app.screen.set_focus(None)
        await pilot.pause()
        assert set(styles(1)) == {"underline", "underline green"}
        app.theme = "textual-dark"
        await pilot.pause()
        assert all(" on " in style for style in styles(2))

    driven(test)


def test_the_rows_of_a_silent_source_are_dimmed_and_the_others_are_not() -> None:
    runs = [*waiting(2), *(replace(run, source="other") for run in RUNS[:2])]

    async def test(pilot: Pilot[None], app: TableApp) -> None:
        def dimmed() -> set[str]:
            lines = [app.table.render_line(y) for y in range(1, 1 + len(runs))]
            faint = [all(s.style and s.style.dim for s in line) for line in lines]
            return {run.source for run, dim in zip(app.table.shown, faint, strict=True) if dim}

        app.table.show(runs, NOW)
        assert dimmed() == set()
        app.silent = frozenset({"other"})  # type: ignore[attr-defined]
        app.table.show(runs, NOW)
        await pilot.pause()
        assert dimmed() == {"other"}

    driven(test, size=(120, 12))


def test_rows_before_the_first_layout_are_shown_by_it() -> None:
    table = Table()
    table.show(RUNS, NOW)
    assert table.move_to(RUNS[2].id)
    assert not table.move_to("lab/none")
    assert table.cursor is RUNS[2]
