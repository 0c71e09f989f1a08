"""The form in which a report is asked for: what is typed is checked, and spelled out."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.reports.wish import Wish
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.screens.asking import AskReport
from tests.tui.estates import Stub, a_run, an_estate, live, on, screen, until
from tests.tui.opened import said, typed


def form(test: object, wish: Wish, size: tuple[int, int] = (80, 24)) -> list[Wish]:
    """Run a test on the open form; what was asked for in it."""
    found: list[Wish] = []

    async def go(app: Foundry, pilot: Pilot[int]) -> None:
        app.enter(AskReport(wish, found.append))
        await until(pilot, lambda: "What it will be" in screen(app))
        await test(app, pilot)  # type: ignore[operator]

    on(live(Stub(an_estate([a_run(0)]))), go, size=size)
    return found


def test_it_shows_what_was_asked_for_and_what_that_is() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        drawn = screen(app)
        for line in ("from      2026-10", "users     zoe", "prices"):
            assert line in drawn
        assert "usage-by-user: the same by user" in drawn
        assert "2026-10-01T00:00:00Z up to 2026-11-01T00:00:00Z: 31d00h, cut by week" in drawn
        assert "foundry report usage-by-user --from" in drawn
        assert "--by week --user zoe --anonymise" in " ".join(drawn.split())

    wish = Wish(
        name="usage-by-user", start="2026-10", end="", cut="week", users="zoe", anonymise=True
    )
    form(test, wish, (80, 30))


def test_what_is_typed_is_checked_as_it_is_typed() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("backspace", "backspace")
        await typed(pilot, "soon")
        await until(pilot, lambda: "from 'soon': give a date" in screen(app))
        await pilot.press(*["down"] * 9, "enter")
        await until(pilot, lambda: "from 'soon'" in said(app))
        assert "A report" in screen(app), "it stays open"

    assert form(test, Wish()) == []


def test_enter_on_the_last_line_asks_for_it() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("up", "right", "down", "down", "down", "right", "right")
        await pilot.press(*["down"] * 5, "right", "down", "right", "down", "enter")
        await until(pilot, lambda: app.crumbs() == ["Overview"])

    assert form(test, Wish()) == [
        Wish(name="gpu-health", cut="day", anonymise=True, excel_bom=True)
    ]


def test_esc_leaves_it_as_it_was() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await typed(pilot, "123")
        await pilot.press("escape")
        await until(pilot, lambda: app.crumbs() == ["Overview"])

    assert form(test, Wish()) == []


def test_letters_are_text_and_no_keys() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("down", "down", "down")
        await typed(pilot, "qa5R")
        await until(pilot, lambda: "--account qa5R" in " ".join(screen(app).split()))

    form(test, Wish())


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10)])
def test_it_fits_every_screen(size: tuple[int, int]) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        assert all(len(line) <= size[0] for line in screen(app).splitlines())

    async def go(app: Foundry, pilot: Pilot[int]) -> None:
        app.enter(AskReport(Wish(), lambda wish: None))
        await until(pilot, lambda: "from" in screen(app))
        await test(app, pilot)

    on(live(Stub(an_estate([a_run(0)]))), go, size=size)
