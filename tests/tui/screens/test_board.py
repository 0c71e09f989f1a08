"""The migration board by keys: the simulated site, only one scheduler, a failure and a new try."""

from __future__ import annotations

from textual.pilot import Pilot

from foundry_tui.actions.errors import SourceMissing
from foundry_tui.actions.migrate import boarding
from foundry_tui.actions.site import Site
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.screens.board import MigrationBoard
from tests.tui.estates import on, screen, still, until
from tests.tui.opened import typed


async def board(app: Foundry, pilot: Pilot[int], words: str) -> None:
    await pilot.press("Z")
    await until(pilot, lambda: isinstance(app.place, MigrationBoard) and words in screen(app))


def test_accounts_are_told_with_what_is_in_their_way() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await board(app, pilot, "3 accounts")
        text = screen(app)
        assert "genomics" in text and "vision" in text
        assert "Account" in text and "In the way" in text and "GPU-h there" in text
        await pilot.press("slash")
        await typed(pilot, "account=robotics")
        await until(pilot, lambda: "account robotics" in screen(app))
        await pilot.press("enter", "y", "a")
        assert app.clipboard == "robotics"
        await pilot.press("escape", "escape")
        await until(pilot, lambda: not isinstance(app.place, MigrationBoard))

    on(still(), test, size=(200, 50))


def test_one_scheduler_alone_says_what_is_missing() -> None:
    site = still()
    del site.schedulers["sim-slurm"]

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await board(app, pilot, "There is no board here")
        assert "there is no Slurm here" in " ".join(screen(app).split())

    on(site, test)


def test_a_failure_is_told_and_tried_again(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    made, asked = boarding.of_days, []

    def fails_once(site: Site, days: int, go: object) -> object:
        asked.append(days)
        if len(asked) == 1:
            raise SourceMissing("slurmdbd does not answer")
        return made(site, days)

    monkeypatch.setattr(boarding, "of_days", fails_once)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await board(app, pilot, "slurmdbd does not answer")
        await pilot.press("r")
        await until(pilot, lambda: "3 accounts" in screen(app))

    on(still(), test)
