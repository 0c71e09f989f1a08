"""Verdicts: none yet, promised and measured, a fault, taken back from there."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.actions import verdicts
from foundry_tui.actions.errors import ActionError
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.confirm import Confirm
from tests.tui.estates import on, screen, still, until
from tests.tui.opened import place
from tests.tui.plans import a_move, applied, of_bio, plan_of


def test_none_yet_and_a_fault_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    read = verdicts.all_verdicts

    def fails(*_: Any) -> None:
        raise ActionError("verdicts.jsonl: permission denied")

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("I")
        await until(pilot, lambda: "No plan was applied yet" in screen(app))
        monkeypatch.setattr(verdicts, "all_verdicts", fails)
        await pilot.press("r")
        await until(pilot, lambda: "not read: verdicts.jsonl" in screen(app))
        monkeypatch.setattr(verdicts, "all_verdicts", read)
        await pilot.press("r")
        await until(pilot, lambda: "No plan was applied yet" in screen(app))

    on(still(), test)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_an_applied_plan_shows_what_it_promised_and_is_taken_back(size: tuple[int, int]) -> None:
    site = still()
    applied(site, plan_of(site, a_move("m1", of_bio(site))))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("I")
        await until(pilot, lambda: "Plan abcdef123456" in screen(app))
        drawn = screen(app)
        assert "open: m1 starts within 1m30s / —" in drawn
        assert "1 of 1 carried out" in drawn
        assert ("Rules of advice" in drawn) == (size[0] == 200)
        await pilot.press("u")
        await until(pilot, lambda: place(app).query_one(Confirm).asking)
        assert "undo plan abcdef" in screen(app)
        await pilot.press("escape")

    on(site, test, size=size)
