"""Runs: filter, export, copy, columns, emptiness and bursts, by keys alone."""

from __future__ import annotations

import csv
import io
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.estate.run import Run
from foundry_tui.estate.text import safe
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.runs import Runs
from tests.tui.estates import (
    Stub,
    a_run,
    an_estate,
    live,
    on,
    saved,
    screen,
    until,
    waiting,
)
from tests.tui.opened import said, typed

ESTATE = an_estate([*(a_run(n) for n in range(6)), *(waiting(n) for n in range(10, 22))])


def table(app: Foundry) -> GridTable[Any]:
    """The table of the place that is shown."""
    assert app.place is not None
    return app.place.query_one("#main", GridTable)


def cursor(app: Foundry) -> Run:
    """The run under the cursor."""
    found = table(app).cursor
    assert isinstance(found, Run)
    return found


def test_a_filter_follows_the_typing_and_escape_takes_the_draft_back() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "slash")
        await typed(pilot, "state=running")
        assert len(table(app).shown) == 6
        await pilot.press("escape")
        assert len(table(app).shown) == 18
        await pilot.press("slash")
        await typed(pilot, "state=running")
        await pilot.press("enter")
        assert "6 match state=running" in screen(app)
        await pilot.press("escape")
        assert len(table(app).shown) == 18

    on(saved(ESTATE), test)


def test_a_wrong_filter_is_pointed_at_and_the_last_good_one_stays() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "slash")
        await typed(pilot, "state=running sta=x")
        lines = screen(app).splitlines()
        assert lines[-1].startswith("/state=running sta=x")
        at = lines[-2].index("^^^")
        assert lines[-1][at : at + 3] == "sta"
        assert 'there is no field "sta"' in lines[-2] or "there is no field" in lines[-2]
        await pilot.press("enter")
        assert app.place is not None and app.place.prompt.asking
        await pilot.press("escape")
        await pilot.press("escape")
        assert "^^^" not in screen(app)

    on(saved(ESTATE), test, size=(120, 30))


def test_nothing_that_matches_says_so_and_what_to_do() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "slash")
        await typed(pilot, "zzz")
        await pilot.press("enter")
        await pilot.pause()
        assert "No runs match `zzz`; 18 hidden: esc clears the filter." in screen(app)

    on(saved(ESTATE), test)


def test_an_estate_without_runs_names_who_told_of_none() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await pilot.pause()
        assert "No run: lab told of none." in screen(app)

    on(saved(an_estate([])), test)


def test_what_is_shown_is_written_to_a_new_file_of_mode_0600(home: Path) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "slash")
        await typed(pilot, "state=pending")
        await pilot.press("enter", "e", "enter")
        path = home / "foundry-runs-20261120-140327.csv"
        await until(pilot, lambda: "wrote 12 runs" in said(app))
        assert str(path) in said(app) or str(path)[:40] in said(app)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
        assert [row["state"] for row in rows] == ["pending"] * 12
        before = path.read_bytes()
        await pilot.press("e", "enter")
        await until(pilot, lambda: "exists and is left as it is" in screen(app))
        assert app.place is not None and app.place.prompt.asking
        assert path.read_bytes() == before

    on(saved(ESTATE), test, size=(160, 30))


def test_a_folder_that_cannot_be_written_is_told_with_its_name() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "e", "ctrl+u")
        await typed(pilot, "/no/such/place.csv".replace(".", "x"))
        await pilot.press("enter")
        await until(pilot, lambda: "cannot be written: No such file" in screen(app))

    on(saved(ESTATE), test, size=(160, 30))


@pytest.mark.parametrize(
    ("key", "copied"),
    [("i", "0"), ("n", "train-0"), ("c", "foundry inspect lab/0")],
)
def test_a_copy_is_the_id_the_name_or_the_command(
    key: str, copied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        given: list[str] = []
        monkeypatch.setattr(app, "copy_to_clipboard", given.append)
        await pilot.press("2", "y", key)
        await pilot.pause()
        assert given == [copied]
        assert "if your terminal allows it" in said(app)

    on(saved(ESTATE), test)


def test_marked_rows_are_counted_and_copied_as_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        given: list[str] = []
        monkeypatch.setattr(app, "copy_to_clipboard", given.append)
        await pilot.press("2", "space", "space")
        await pilot.pause()
        assert said(app) == "2 runs marked"
        assert "2 marked" in screen(app)
        await pilot.press("y", "r")
        await pilot.pause()
        assert [row["native_id"] for row in csv.DictReader(io.StringIO(given[0]))] == ["0", "1"]

    on(saved(ESTATE), test)


def test_columns_are_chosen_by_their_names() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "f", "ctrl+u")
        await typed(pilot, "user bla")
        assert "there is no column bla; there are run name" in screen(app)
        await pilot.press("backspace", "backspace", "backspace", "enter")
        await pilot.pause()
        assert table(app).state.columns == ("user",)
        header = screen(app).splitlines()[3]
        assert header.split()[-2:] == ["RUN", "USER"]

    on(saved(ESTATE), test, size=(119, 30))


def test_going_back_keeps_cursor_and_filter() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "slash")
        await typed(pilot, "state=pending")
        await pilot.press("enter", "down", "down", "enter")
        await until(pilot, lambda: app.crumbs() == ["Runs", "12"])
        await pilot.press("escape")
        await pilot.pause()
        assert app.crumbs() == ["Runs"]
        assert cursor(app).native_id == "12"
        assert table(app).state.filter_text == "state=pending"

    on(saved(ESTATE), test)


def test_the_detail_opens_beside_the_list_from_120_columns_on() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "down")
        await pilot.pause()
        assert "Where it runs" not in screen(app)
        await pilot.resize_terminal(140, 40)
        await until(pilot, lambda: "Where it runs" in screen(app))
        assert "train-1  running" in screen(app)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "Where it runs" not in screen(app))

    on(saved(ESTATE), test)


def test_the_smallest_window_shows_the_notice_and_rows() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await pilot.pause()
        lines = screen(app).splitlines()
        assert lines[0].startswith(" 20x5: 80x24")
        assert any("train-0" in line for line in lines)

    on(saved(ESTATE), test, size=(20, 5))


def test_hostile_names_reach_no_cell_of_any_screen() -> None:
    hostile = safe("\x1b]52;c;aGk=\x07\x9b31m\u202e日本\nrm" + "x" * 400)
    estate = an_estate(
        [a_run(1, name=hostile, user=hostile, queue=hostile), waiting(2, name=hostile)]
    )

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        for keys in (
            ("2",),
            ("enter",),
            ("tab", "escape"),
            ("w",),
            ("escape", "l"),
            ("3", "enter"),
        ):
            await pilot.press(*keys)
            await pilot.pause()
            shown = screen(app)
            assert all(c.isprintable() or c == "\n" for c in shown), keys
            assert max(map(len, shown.splitlines())) <= 80

    on(saved(estate), test)


def test_a_burst_of_ten_thousand_runs_leaves_the_keys_alive() -> None:
    burst = tuple(waiting(n) for n in range(10_000))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await pilot.pause()
        place = app.place
        assert isinstance(place, Runs)
        snapshot = replace(ESTATE, runs=burst)
        seen = Seen(snapshot=snapshot, runs=burst)
        app._show(seen)
        await pilot.pause()
        assert len(table(app).shown) == 10_000
        await pilot.press("end")
        assert cursor(app).native_id == "9999"

    on(saved(ESTATE), test)


def test_the_log_is_read_and_the_error_file_on_demand() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "l")
        await until(pilot, lambda: "output /home/zoe/out" in screen(app))
        await pilot.press("x")
        await until(pilot, lambda: "error file /home/zoe/err" in screen(app))

    on(live(Stub(ESTATE)), test)


def test_why_a_run_waits_is_a_page_of_its_own() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "slash")
        await typed(pilot, "id=12")
        await pilot.press("enter", "w")
        await until(pilot, lambda: "Next step" in screen(app))
        assert "Evidence" in screen(app)
        assert app.crumbs() == ["Runs", "why"]

    on(live(Stub(ESTATE)), test)
