"""Work that goes out step by step: told as it goes, ended between steps, and never lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import Site
from foundry_tui.config.model import Config, Screens
from foundry_tui.tui import confirm
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.confirm import Confirm
from foundry_tui.tui.sender import Outcome, Progress, Work
from tests.tui.estates import on, screen, still, until
from tests.tui.opened import place, said


@pytest.fixture(autouse=True)
def no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pilot types without a pause; that the panel waits for one is tested with the panel."""
    monkeypatch.setattr(confirm, "SILENCE_S", 0.0)


def a_site() -> Site:
    site = still()
    site.config = replace(Config(), screens=Screens(hold_s=0.0))
    return site


def work_until(stop: Callable[[], bool], then: list[Outcome | None]) -> Work:
    """Work of many steps that ends when it is to."""

    def send(told: Progress) -> Outcome:
        told("m1 (1 of 2)")
        pause = threading.Event()
        while not stop():
            pause.wait(0.01)
        return Outcome(words="apply plan p1: stopped after 1 change", tone="bad", undo="p1")

    return Work(send, then.append)


def test_it_is_told_in_the_first_line_and_ends_after_its_step() -> None:
    then: list[Outcome | None] = []

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        app.sender.hold_work(work_until(lambda: app.sender.stopper()(), then), "apply plan p1")
        await until(pilot, lambda: "apply plan p1: m1 (1 of 2) · u ends it" in screen(app))
        await pilot.press("u")
        await until(pilot, lambda: "stopped after 1 change" in said(app))
        assert [one and one.undo for one in then] == ["p1"]
        assert "m1 (1 of 2)" not in screen(app)
        await pilot.press("u")
        await until(pilot, lambda: "undo plan p1" in screen(app) and "no change" in screen(app))

    on(a_site(), keys)


def test_an_error_is_told_and_kept_in_the_log() -> None:
    then: list[Outcome | None] = []

    def fails(_: Progress) -> Outcome:
        raise ActionError("nothing was sent, because the journal failed: disk full")

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        app.sender.hold_work(Work(fails, then.append), "apply plan p1")
        await until(pilot, lambda: "apply plan p1: nothing was sent" in said(app))
        (entry,) = app.log_of_commands.entries
        assert (entry.command, entry.took_s, entry.good) == ("apply plan p1", None, False)
        assert (then, app.sender.told) == ([None], "")

    on(a_site(), keys)


def test_leaving_meanwhile_may_end_it_after_its_step() -> None:
    then: list[Outcome | None] = []

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        app.sender.hold_work(work_until(lambda: app.sender.stopper()(), then), "apply plan p1")
        await until(pilot, lambda: "m1 (1 of 2)" in screen(app))
        await pilot.press("q")
        await until(pilot, lambda: place(app).query_one(Confirm).asking)
        assert "s ends it after its step" in said(app)
        await pilot.press("s")
        await until(pilot, lambda: "stopped after 1 change" in said(app))
        assert app.is_running and not app._exit, "what went wrong is read first"
        await pilot.press("q")
        await until(pilot, lambda: app._exit)

    on(a_site(), keys)
