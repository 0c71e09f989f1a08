"""Saved views by keys: kept, listed, brought back, deleted, and what is said of a damaged file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.opening import open_site
from foundry_tui.actions.site import Options
from foundry_tui.actions.views import first_start, saved_views
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.grid.view import ViewState
from tests.tui.opened import alone, driven, place, said, told, typed, until


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)


async def line(pilot: Pilot[int], text: str) -> None:
    await pilot.press("colon")
    await typed(pilot, text)
    await pilot.press("enter")


def test_a_view_is_kept_and_brought_back_at_the_next_start(tmp_path: Path) -> None:
    state = ViewState(("id", "name"), "name", True, "state=pending")

    async def keep(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: app.current_mode == "runs" and place(app).is_mounted)
        place(app).restore_view(state)
        kept = place(app).view_state()
        await line(pilot, "save view idle-nb")
        await until(pilot, lambda: said(app).startswith("kept as idle-nb: runs · state=pending"))
        assert kept == place(app).view_state()

    async def back(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("V")
        await until(pilot, lambda: len(told(app)) == 2)
        assert told(app)[1].startswith(">idle-nb  runs · state=pending · by name down")
        await pilot.press("enter")
        await until(pilot, lambda: said(app).startswith("view idle-nb"))
        assert app.current_mode == "runs"
        shown = place(app).view_state()
        assert shown is not None
        assert (shown.filter_text, shown.sort, shown.descending) == ("state=pending", "name", True)
        await line(pilot, "delete view idle-nb")
        await until(pilot, lambda: said(app) == "view idle-nb is deleted")

    driven(keep)
    file = tmp_path / "XDG_STATE_HOME/foundry/views.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    driven(back)
    assert saved_views(open_site(Options(demo=True), lambda words: None)).views == ()


def test_a_new_name_offers_to_keep_and_a_bad_one_says_why() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "V")
        await typed(pilot, "mine")
        assert told(app)[1].startswith(">save view mine")
        await pilot.press("enter")
        await until(pilot, lambda: said(app).startswith("kept as mine"))
        await pilot.press("V")
        await typed(pilot, "mine")
        await until(pilot, lambda: len(told(app)) == 4)
        assert [row[1:].split("  ")[0] for row in told(app)[1:]] == [
            "mine",
            "save view mine",
            "delete view mine",
        ]
        await pilot.press("escape")
        await line(pilot, "save view ../x")
        await until(pilot, lambda: "cannot be called '../x'" in said(app))

    driven(test)


def test_a_place_without_a_table_has_no_view() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await line(pilot, "save view a")
        assert "no table here" in said(app)
        await line(pilot, "columns name")
        assert "no table with columns here" in said(app)

    driven(test)


def test_columns_are_chosen_by_name_and_unknown_ones_are_told() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: app.current_mode == "runs")
        await line(pilot, "columns name,user")
        state = place(app).view_state()
        assert state is not None
        assert {"name", "user"} <= set(state.columns)
        await line(pilot, "columns colour")
        assert said(app) == "there is no column colour here; nothing was changed"
        assert place(app).view_state() == state
        await line(pilot, "columns")
        shown = place(app).view_state()
        assert shown is not None
        assert shown.columns == ()

    driven(test)


def test_a_damaged_file_is_told_and_the_line_works_on(tmp_path: Path) -> None:
    folder = tmp_path / "XDG_STATE_HOME/foundry"
    folder.mkdir(mode=0o700)
    (folder / "views.json").write_text("{")
    (folder / "views.json").chmod(0o600)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("V")
        await until(pilot, lambda: (folder / "views.damaged-1.json").exists())
        await pilot.press("escape")
        await line(pilot, "save view a")
        await until(pilot, lambda: said(app) != "")

    driven(test)


def test_the_first_start_is_the_first_one_only(tmp_path: Path) -> None:
    site = open_site(Options(demo=True), lambda words: None)
    assert [first_start(site), first_start(site)] == [True, False]


def test_where_nothing_can_be_kept_nobody_is_welcomed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> Path:
        raise ActionError("nothing can be kept")

    monkeypatch.setattr("foundry_tui.actions.views._folder", refuse)
    assert first_start(open_site(Options(demo=True), lambda words: None)) is False
