"""Fractions: what a share costs, what runs could ask for, and what it says of what it lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.fractions import fractions
from foundry_tui.estate.run import Request
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.screens import fractions as shown
from tests.tui.estates import a_run, an_estate, on, saved, screen, until

SHARES = [
    replace(a_run(n), request=Request(gpu_count=1, gpu_milli=810 if n < 4 else 230))
    for n in range(8)
]
ESTATE = an_estate(SHARES)


def test_what_a_share_costs_and_what_it_could_be() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("F")
        await until(pilot, lambda: "0.81 GPU costs 1.00 here: it" in screen(app))
        assert app.crumbs() == ["Overview", "Fractions"]
        drawn = screen(app)
        row = next(line for line in drawn.splitlines() if " 0.81  lab" in line)
        assert row.startswith("!")
        assert row.split()[1:8] == ["0.81", "lab", "4", "1.00", "0.19", "nothing", "0.77"]
        assert "8 runs with a share" in drawn
        assert "not advised: no history" in drawn

    on(saved(ESTATE), test, size=(100, 30))


def test_enter_goes_to_the_runs_and_then_to_one() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("F")
        await until(pilot, lambda: "8 runs with a share" in screen(app))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: len(app.crumbs()) == 3)
        assert app.crumbs()[:2] == ["Overview", "Fractions"]
        await pilot.press("escape")
        await until(pilot, lambda: app.crumbs() == ["Overview", "Fractions"])

    on(saved(ESTATE), test)


def test_without_shares_it_says_why_there_is_nothing() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("F")
        await until(pilot, lambda: "No live run asks for a share of a GPU." in screen(app))
        assert "what the rest of one is worth" in " ".join(screen(app).split())

    on(saved(an_estate([a_run(0)])), test, size=(120, 30))


def test_a_fault_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def first_fails(*args: Any, **given: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise ActionError("the solver gave no answer")
        return fractions(*args, **given)

    monkeypatch.setattr(shown, "fractions", first_fails)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("F")
        await until(pilot, lambda: "Not reckoned: the solver gave no answer" in screen(app))
        await pilot.press("r")
        await until(pilot, lambda: "8 runs with a share" in screen(app))

    on(saved(ESTATE), test, size=(120, 30))


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10)])
def test_it_fits_every_screen(size: tuple[int, int]) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("F")
        await until(pilot, lambda: " 0.81 " in screen(app))
        assert all(len(line) <= size[0] for line in screen(app).splitlines())

    on(saved(ESTATE), test, size=size)
