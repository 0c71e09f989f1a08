"""A plan from the screens: chosen, dry run, asked, held, withdrawn, carried out, taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.actions import apply
from foundry_tui.actions.errors import SourceMissing
from foundry_tui.actions.site import Site
from foundry_tui.config.model import Config, Screens
from foundry_tui.estate.plan import Plan
from foundry_tui.tui import confirm
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.confirm import Confirm
from foundry_tui.tui.screens import advice as shown
from foundry_tui.tui.screens.dryrun import DryRun
from tests.tui.estates import on, screen, still, until
from tests.tui.opened import place, said
from tests.tui.plans import LIMIT_S, SENT, a_move, now, of_bio, of_dara, plan_of

Act = Callable[[Foundry, Pilot[int]], Any]


@pytest.fixture(autouse=True)
def no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pilot types without a pause; that the panel waits for one is tested with the panel."""
    monkeypatch.setattr(confirm, "SILENCE_S", 0.0)


def a_site(hold_s: float) -> Site:
    site = still()
    site.config = replace(Config(), screens=Screens(hold_s=hold_s))
    return site


def advising(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    monkeypatch.setattr(shown, "advice", lambda *_, **__: plan)


async def asked(app: Foundry, pilot: Pilot[int], key: str) -> str:
    """Press a key that asks; what is asked."""
    await pilot.press(key)
    await until(pilot, lambda: place(app).query_one(Confirm).asking)
    return screen(app)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_a_plan_is_chosen_asked_held_withdrawn_carried_out_and_taken_back(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = a_site(60.0)
    run, theirs = of_bio(site), of_dara(site)
    before = now(site, run).request.time_limit_s
    advising(monkeypatch, plan_of(site, a_move("m1", run), a_move("m2", theirs)))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "A and d are for m1" in screen(app))
        await pilot.press("down")
        await until(pilot, lambda: "Why m2" in screen(app))
        assert f"not by you: {theirs.id} belongs to {theirs.user}" in " ".join(screen(app).split())
        await pilot.press("space", "A")
        await until(pilot, lambda: "belongs to" in said(app))
        await pilot.press("space", "up", "d")
        await until(pilot, lambda: isinstance(app.place, DryRun) and "nothing in" in screen(app))
        drawn = screen(app)
        assert f"scontrol update JobId={run.native_id} {SENT}" in drawn
        assert f"It touches runs of {run.user}." in drawn
        await pilot.press("y", "escape")
        assert app.clipboard == f"scontrol update JobId={run.native_id} {SENT}"
        drawn = await asked(app, pilot, "A")
        assert "Apply 1 move of plan abcdef" in drawn
        assert "type 1y to do this to 1 target (held 60 s" in said(app)
        await pilot.press("1", "y")
        await until(pilot, lambda: "held 60 s: apply plan abcdef" in screen(app))
        await pilot.press("u")
        await until(pilot, lambda: said(app) == "not sent: apply plan abcdef")
        assert site.journal.changes() == ()
        site.config = replace(site.config, screens=Screens(hold_s=0.0))
        await asked(app, pilot, "A")
        await pilot.press("1", "y")
        await until(pilot, lambda: "apply plan abcdef: done, 1 change" in said(app))
        assert now(site, run).request.time_limit_s == LIMIT_S
        assert "applied 14:03, r makes it anew" in screen(app)
        (entry,) = app.log_of_commands.entries
        assert (entry.command, entry.good) == (
            f"scontrol update JobId={run.native_id} {SENT}",
            True,
        )
        drawn = await asked(app, pilot, "u")
        assert "undo plan abcdef" in drawn
        await pilot.press("1", "y")
        await until(pilot, lambda: "undo plan abcdef: done, 1 change" in said(app))
        assert now(site, run).request.time_limit_s == before
        await pilot.press("u")
        await until(pilot, lambda: "taken back" in screen(app))

    on(site, test, size=size)


def test_what_stands_in_the_way_is_shown_and_nothing_can_be_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = a_site(0.0)
    move = a_move("m1", of_bio(site))
    advising(monkeypatch, plan_of(site, replace(move, precondition={"queue": "elsewhere"})))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "Why m1" in screen(app))
        assert "Changed since the plan was made" in await asked(app, pilot, "A")
        assert "nothing can be sent" in said(app)
        await pilot.press("1", "y", "escape", "d")
        await until(pilot, lambda: "1 in the way" in screen(app))
        await pilot.press("A")
        await until(pilot, lambda: "was elsewhere" in said(app))
        assert site.journal.changes() == ()

    on(site, test)


def test_a_source_that_went_down_and_a_journal_that_fails_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = a_site(0.0)
    advising(monkeypatch, plan_of(site, a_move("m1", of_bio(site))))
    prepare = apply.prepare

    def down(*_: Any, **__: Any) -> None:
        raise SourceMissing("nothing was sent: sim-slurm is down: squeue: no answer")

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "Why m1" in screen(app))
        monkeypatch.setattr(apply, "prepare", down)
        await pilot.press("A")
        await until(pilot, lambda: "sim-slurm is down" in screen(app))
        await pilot.press("escape")
        monkeypatch.setattr(apply, "prepare", prepare)
        await asked(app, pilot, "A")
        monkeypatch.setattr(apply, "carry_out", down)
        await pilot.press("1", "y")
        await until(pilot, lambda: "apply plan abcdef: nothing was sent" in said(app))
        assert not app.log_of_commands.entries[-1].good
        assert "applied" not in screen(app)

    on(site, test)
