"""Acts on runs by keys alone: refused before the panel, held, withdrawn, sent, told, undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.site import Options, Site
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import SourceState
from foundry_tui.tui.acting import RunActs, fitting
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.confirm import Confirm
from tests.tui.estates import NOW, a_run, on, saved, still, until, waiting
from tests.tui.opened import alone, place, said, typed


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)


def site_holding(seconds: float) -> Site:
    """The simulated estate, on which what is agreed to is held for so long."""
    site = still()
    site.config = replace(site.config, screens=replace(site.config.screens, hold_s=seconds))
    return site


async def find(app: Foundry, pilot: Pilot[int], where: str) -> RunActs:
    """The screen Runs with what matches."""
    await pilot.press("2", "slash")
    await typed(pilot, where)
    await pilot.press("enter")
    shown = place(app)
    assert isinstance(shown, RunActs)
    await until(pilot, lambda: bool(shown.selected_runs()))
    return shown


async def agree(app: Foundry, pilot: Pilot[int], key: str) -> None:
    """Press the key of an act, wait as the panel wants it, and type what it asks for."""
    await pilot.press(key)
    panel = place(app).query_one(Confirm)
    await until(pilot, lambda: panel.has_focus)
    wanted = said(app).removeprefix("type ").split()[0]
    await pilot.pause(0.4)
    await pilot.press(*wanted)
    await until(pilot, lambda: not panel.asking)


def statuses(app: Foundry) -> list[str]:
    """What the journal says of the changes, the oldest first."""
    return [record.change.status for record in app.site.journal.changes()]


# -- before the key


@pytest.mark.parametrize(
    ("act", "fits"),
    [
        ("cancel", [True, True, True, False]),
        ("hold", [True, False, False, False]),
        ("release", [False, True, False, False]),
        ("requeue", [False, False, True, False]),
    ],
)
def test_each_act_is_for_runs_in_some_states_only(act: str, fits: Sequence[bool]) -> None:
    runs = (
        waiting(1),
        waiting(2, held=True),
        a_run(3),
        a_run(4, state=RunState.COMPLETED, ended_at=NOW),
    )
    assert [bool(fitting(act, (run,))) for run in runs] == fits


def refused(
    site: Site, key: str, where: str, *, rights: Rights | None = None
) -> tuple[str, list[str]]:
    """What is said to a key, and the journal after it."""
    told: list[str] = []
    journal: list[str] = []

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await find(app, pilot, where)
        if rights is not None:
            await until(pilot, lambda: bool(app.rights))
            app.rights = dict.fromkeys(app.rights, rights)
        await pilot.press(key)
        await until(pilot, lambda: bool(said(app)))
        assert not place(app).query_one(Confirm).asking
        told.append(said(app))
        if site.mode != "saved":
            journal.extend(statuses(app))

    on(site, keys)
    return told[0], journal


def test_an_ended_run_is_not_cancelled() -> None:
    told, journal = refused(still(), "c", "state=completed")
    assert "has ended already" in told
    assert journal == []


def test_a_role_that_is_missing_is_told_before_the_panel() -> None:
    nobody = Rights(user="nobody", admin=False)
    told, journal = refused(still(), "c", "user=me state=running", rights=nobody)
    assert "needs the role operator" in told
    assert "belongs to ada" in told
    assert journal == []


def test_read_only_refuses() -> None:
    site = still()
    site.options = Options(demo=True, read_only=True)
    assert "read-only" in refused(site, "c", "user=me state=running")[0]


def test_a_saved_estate_refuses() -> None:
    estate = still().snapshot()
    assert "saved estate" in refused(saved(estate), "c", "state=running")[0]


def test_nothing_is_sent_to_a_source_that_is_down() -> None:
    site = still()
    read = site.snapshot

    def with_one_down() -> Snapshot:
        seen = read()
        first, *others = seen.sources
        return replace(seen, sources=(replace(first, state=SourceState.DOWN, reason="x"), *others))

    site.snapshot = with_one_down  # type: ignore[method-assign]
    told, journal = refused(site, "c", "user=me state=running source=sim-slurm")
    assert "sim-slurm is down: nothing can be sent" in told
    assert journal == []


# -- after it


def test_a_cancel_is_sent_told_and_logged() -> None:
    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        shown = await find(app, pilot, "user=me state=pending source=sim-slurm")
        (run,) = shown.selected_runs()
        await agree(app, pilot, "c")
        await until(pilot, lambda: said(app).startswith(f"cancel {run.native_id}: done"))
        assert statuses(app) == ["done"]
        (entry,) = app.log_of_commands.entries
        assert (entry.command, entry.answer) == (f"scancel {run.native_id}", "done")

    on(site_holding(0), keys)


def test_what_is_held_is_shown_and_withdrawn_and_never_sent() -> None:
    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await find(app, pilot, "user=me state=pending source=sim-slurm")
        await agree(app, pilot, "c")
        assert app.sender.told.startswith("held ")
        await pilot.press("u")
        assert said(app).startswith("not sent: cancel")
        assert app.sender.told == ""
        assert statuses(app) == []
        assert app.log_of_commands.entries == ()

    on(site_holding(60), keys)


def test_a_hold_is_taken_back_by_its_inverse() -> None:
    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        shown = await find(app, pilot, "user=me state=pending source=sim-slurm")
        (run,) = shown.selected_runs()
        await agree(app, pilot, "h")
        await until(pilot, lambda: "done" in said(app))
        await until(pilot, lambda: found(app, run.id).held)
        await agree(app, pilot, "u")
        await until(pilot, lambda: said(app).startswith("undo hold: done"))
        await until(pilot, lambda: not found(app, run.id).held)
        commands = [entry.command for entry in app.log_of_commands.entries]
        assert commands == [f"scontrol hold {run.native_id}", f"scontrol release {run.native_id}"]

    on(site_holding(0), keys)


def found(app: Foundry, run_id: str) -> Run:
    """A run as last read."""
    assert app.seen is not None
    return next(run for run in app.seen.snapshot.runs if run.id == run_id)


def test_many_runs_of_two_sources_are_agreed_to_by_their_count() -> None:
    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        shown = await find(app, pilot, "user=me state=pending")
        await pilot.press("asterisk")
        count = sum(run.count for run in shown.selected_runs())
        assert len({run.source for run in shown.selected_runs()}) == 2
        await pilot.press("c")
        await until(pilot, lambda: place(app).query_one(Confirm).has_focus)
        assert said(app).startswith(f"type {count}y ")
        await pilot.pause(0.4)
        await pilot.press("y", "enter")
        assert app.sender.told == ""
        await pilot.press("escape")
        await agree(app, pilot, "c")
        await until(pilot, lambda: f"{count} of {count} done" in said(app))
        assert statuses(app) == ["done", "done"]

    on(site_holding(0), keys)


def test_leaving_asks_while_something_is_held_and_sends_nothing_when_it_is_left() -> None:
    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await find(app, pilot, "user=me state=pending source=sim-slurm")
        await agree(app, pilot, "c")
        await pilot.press("q")
        panel = place(app).query_one(Confirm)
        await until(pilot, lambda: panel.asking)
        await pilot.press("escape")
        await until(pilot, lambda: not panel.asking)
        assert app.sender.told.startswith("held ")
        app.exit()

    site = site_holding(60)
    on(site, keys)
    assert [r.change.status for r in site.journal.changes()] == []
