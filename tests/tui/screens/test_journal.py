"""The journal by keys: empty, one change in full, taken back from there, filtered, copied."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from textual.pilot import Pilot

from foundry_tui.actions import act
from foundry_tui.actions.site import Site
from foundry_tui.config.model import Config, Screens
from foundry_tui.estate.run import Run, RunState
from foundry_tui.tui import confirm
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.confirm import Confirm
from foundry_tui.tui.screens.journal import ChangePage, Journal
from tests.tui.estates import on, screen, still, until
from tests.tui.opened import place, said, typed
from tests.tui.plans import a_move, applied, of_bio, plan_of


@pytest.fixture(autouse=True)
def no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pilot types without a pause; that the panel waits for one is tested with the panel."""
    monkeypatch.setattr(confirm, "SILENCE_S", 0.0)


def at_once() -> Site:
    site = still()
    site.config = replace(Config(), screens=Screens(hold_s=0.0))
    return site


def waits(site: Site) -> Run:
    """A waiting run of the simulated user."""
    every = site.schedulers["sim-slurm"].snapshot().runs
    return next(
        r for r in every if r.user in site.me and r.state is RunState.PENDING and not r.held
    )


def held(site: Site, run: Run) -> bool:
    return next(r.held for r in site.schedulers["sim-slurm"].snapshot().runs if r.id == run.id)


def change(site: Site, verb: str, run: Run) -> str:
    """Carry an act out; the id of the change."""
    (prepared,) = act.prepare(site, verb, site.snapshot(), (run,))
    return act.perform(site, prepared).id


async def journal(app: Foundry, pilot: Pilot[int], words: str) -> None:
    await pilot.press("J")
    await until(pilot, lambda: isinstance(app.place, Journal) and words in screen(app))


def test_an_empty_journal_says_so() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await journal(app, pilot, "the journal is empty")
        await pilot.press("L")
        await until(pilot, lambda: "No command was sent" in screen(app))

    on(still(), test)


def test_the_newest_change_is_first_and_a_filter_finds_one() -> None:
    site = at_once()
    run = waits(site)
    first, second = change(site, "hold", run), change(site, "release", run)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await journal(app, pilot, first)
        assert screen(app).index(second) < screen(app).index(first)
        await pilot.press("slash")
        await typed(pilot, "act=hold")
        await until(pilot, lambda: second not in screen(app) and first in screen(app))
        await pilot.press("enter", "y")
        await typed(pilot, "i")
        assert app.clipboard == first
        await pilot.press("y", "r")
        assert app.clipboard.startswith("id,status,receipts")

    on(site, test)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_a_change_is_shown_in_full_and_taken_back(size: tuple[int, int]) -> None:
    site = at_once()
    run = waits(site)
    done = change(site, "hold", run)
    assert held(site, run)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await journal(app, pilot, done)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.place, ChangePage))
        text = screen(app)
        assert f"scontrol hold {run.native_id}" in text
        assert f"{run.id} done" in text
        await pilot.press("y")
        assert app.clipboard == f"scontrol hold {run.native_id}"
        await pilot.press("u")
        await until(pilot, lambda: place(app).query_one(Confirm).asking)
        assert f"scontrol release {run.native_id}" in screen(app)
        assert held(site, run)
        await pilot.press("y")
        await until(pilot, lambda: not held(site, run))
        await until(pilot, lambda: "done" in said(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.place, Journal) and "release" in screen(app))
        await pilot.press("end", "enter")
        await until(pilot, lambda: isinstance(app.place, ChangePage))
        await until(pilot, lambda: "taken back by c-" in screen(app))
        await pilot.press("u")
        await until(pilot, lambda: "it was taken back by c-" in said(app))

    on(site, test, size=size)


def test_a_change_of_a_plan_tells_the_plan_why_and_until_when() -> None:
    site = still()
    run = of_bio(site)
    plan = plan_of(site, a_move("m1", run))
    until_when = site.clock() + timedelta(hours=4)
    applied(site, plan, why="short is full", until=until_when)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await journal(app, pilot, "change_run")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.place, ChangePage))
        drawn = screen(app)
        assert f"{plan.id}, move m1, step 1" in drawn
        assert "short is full" in drawn
        assert "then it is taken back" in drawn
        assert f"scontrol update JobId={run.native_id} TimeLimit=59" in drawn

    on(site, test)


def test_what_cannot_be_taken_back_says_so() -> None:
    site = at_once()
    done = change(site, "cancel", waits(site))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await journal(app, pilot, done)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.place, ChangePage))
        await pilot.press("u")
        assert "a cancel cannot be taken back" in said(app)
        assert not place(app).query_one(Confirm).asking

    on(site, test)
