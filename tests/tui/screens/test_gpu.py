"""One GPU: its curves over several windows, gaps, and what is said where there are none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.store.history import HistoryError
from foundry_tui.tui.app import Foundry
from tests.tui.estates import NOW, a_run, an_estate, on, saved, screen, until
from tests.tui.pasts import Past, site_with

THE_GPU = ("3", "enter", "down", "enter")
"""The keys to the second GPU of the first node."""


def test_its_curves_are_shown_and_another_window_by_a_key() -> None:
    past = Past()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press(*THE_GPU)
        await until(pilot, lambda: " use 42%" in screen(app))
        shown = screen(app)
        assert "last 6 h" in shown and "3% of it measured" in shown
        assert "memory 7G" in shown and "of 80G" in shown and "power 321W" in shown
        assert " 08:03Z " in shown and "14:03Z" in shown
        assert any("\u2800" < c <= "\u28ff" for c in shown)
        await pilot.press("W")
        await until(pilot, lambda: "last 24 h" in screen(app) and " use 42%" in screen(app))
        await pilot.press("W", "W")
        await until(pilot, lambda: "last 1 h" in screen(app) and " use 42%" in screen(app))

    on(site_with(past), test)
    until_s = NOW.replace(second=0)
    lengths = [(end - start) for start, end, _ in past.windows]
    assert lengths[0] == timedelta(hours=6) and lengths[-1] == timedelta(hours=1)
    assert {end for _, end, _ in past.windows} == {until_s}
    assert past.windows[0][2] >= 120, "two values for each cell of the curve"


def test_in_ascii_the_curves_are_ascii() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press(*THE_GPU)
        await until(pilot, lambda: " use 42%" in screen(app))
        assert screen(app).isascii() and "***" in screen(app)

    on(site_with(Past()), test, ascii_only=True, size=(200, 50))


def test_in_the_past_the_curves_end_there() -> None:
    past = Past()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press(*THE_GPU)
        await until(pilot, lambda: " use 42%" in screen(app))
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "AS OF 14:00Z" in screen(app))
        await until(pilot, lambda: past.windows[-1][1] == NOW.replace(minute=0, second=0))
        await pilot.press("escape")
        await until(pilot, lambda: "AS OF" not in screen(app))
        assert app.crumbs()[-1] == "GPU 1", "esc leaves the past first, not the place"

    on(site_with(past), test)


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (None, "no history yet"),
        (Past(util_pct=None), "Nothing was recorded of this GPU in the last 6h00m"),
        (Past(error=HistoryError("others may write it: it is not believed")), "others may write"),
    ],
)
def test_without_curves_it_says_why(past: Any, words: str) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press(*THE_GPU)
        await until(pilot, lambda: words in screen(app))

    on(site_with(past), test)


def test_a_saved_estate_has_no_history() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("3", "enter", "enter")
        await until(pilot, lambda: "a saved estate is one moment" in screen(app))

    on(saved(an_estate([a_run(n) for n in range(6)])), test)
