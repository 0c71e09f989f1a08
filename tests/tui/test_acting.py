"""Acts on runs: refused before the key with the reason, and never asked for others than meant."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.actions import act
from foundry_tui.actions.act import Prepared
from foundry_tui.actions.onscreen import EVERY
from foundry_tui.actions.site import Site
from foundry_tui.estate.acts import Cancel, Preview, PreviewItem
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import ArrayPart, Run, RunState
from foundry_tui.estate.source import SourceState
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name
from foundry_tui.tui.acting import fitting
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.confirm import SILENCE_S, Confirm
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.table import GridTable
from tests.tui.estates import Stub, a_run, an_estate, live, on, screen, still, until, waiting
from tests.tui.opened import alone, said, typed

ME = user_name()
BY_ID = {action.id: action for action in EVERY}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


class Acting(Stub):
    """A stub whose acts can be spelled out; `gate` holds the preview back."""

    gate: threading.Event | None = None
    previewed: list[tuple[str, ...]]

    def supports(self, act: type[object]) -> str | None:
        return None

    def preview(self, act: Any, runs: tuple[Run, ...], token: str) -> Preview:
        self.previewed = [*getattr(self, "previewed", []), tuple(act.runs)]
        if self.gate is not None:
            self.gate.wait(30)
        items = tuple(
            PreviewItem(target=r.id, command=("scancel", r.native_id), owner=r.user) for r in runs
        )
        return Preview(act=act, items=items)


def a_place(*runs: Run, **given: Any) -> tuple[Site, Acting]:
    """A live site that shows these runs."""
    stub = Acting(an_estate(runs), **given)
    return live(stub), stub


def refused(app: Foundry, action_id: str) -> str | None:
    """Why the place would not do it for the run under the cursor."""
    assert app.place is not None
    return app.place.refusal(BY_ID[action_id])


def panel(app: Foundry) -> Confirm:
    return app.screen.query_one(Confirm)


async def agree(pilot: Pilot[int], app: Foundry, answer: str = "y") -> None:
    """Type the answer after a silence."""
    await until(pilot, lambda: panel(app).has_focus)
    await pilot.pause(SILENCE_S + 0.05)
    await pilot.press(*answer)


@pytest.mark.parametrize(
    ("run", "fits"),
    [
        (waiting(1), {"cancel", "hold"}),
        (waiting(1, held=True), {"cancel", "release"}),
        (a_run(1), {"cancel", "requeue", "suspend"}),
        (a_run(1, state=RunState.SUSPENDED), {"cancel", "requeue", "resume"}),
        (a_run(1, state=RunState.COMPLETED), set[str]()),
        (a_run(1, state=RunState.FAILED), set[str]()),
    ],
)
def test_an_act_is_for_runs_in_its_states_only(run: Run, fits: set[str]) -> None:
    every = ("cancel", "hold", "release", "requeue", "suspend", "resume")
    assert {verb for verb in every if fitting(verb, (run,))} == fits


def test_what_a_scheduler_cannot_do_is_told_in_its_words() -> None:
    class Without(Acting):
        def supports(self, act: type[object]) -> str | None:
            return "this scheduler cannot pause" if act.__name__ == "Suspend" else None

    site = live(Without(an_estate([a_run(1, user=ME)])))

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        assert refused(app, "suspend") == "this scheduler cannot pause"
        assert refused(app, "requeue") is None

    on(site, keys)


def test_a_wrong_state_is_told_before_the_key() -> None:
    site, _ = a_place(a_run(1, user=ME))

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        assert refused(app, "hold") == "1 does not wait, or is held already"
        assert refused(app, "release") == "1 is not held"
        assert refused(app, "cancel") is None
        await pilot.press("h")
        assert "does not wait" in said(app)
        assert not panel(app).asking

    on(site, keys)


def test_without_a_run_there_is_nothing_to_act_on() -> None:
    site, stub = a_place()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "c")
        assert "there is no run here" in said(app)
        assert not hasattr(stub, "previewed")

    on(site, keys)


def test_of_several_runs_one_that_fits_is_enough() -> None:
    site, _ = a_place(a_run(1, user=ME), waiting(2, user=ME))

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "asterisk")
        chosen = len(app.place.selected_runs())  # type: ignore[union-attr]
        assert chosen in (1, 2)
        await pilot.press("slash", *"state", "equals_sign", *"running", "enter")
        assert refused(app, "requeue") is None

    on(site, keys)


def test_somebody_elses_run_needs_a_role_once_the_rights_are_known() -> None:
    site, _ = a_place(a_run(1, user="zoe"))

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: "lab" in app.rights)
        assert refused(app, "cancel") == "needs the role operator: 1 belongs to zoe"
        app.rights["lab"] = Rights(user=ME, admin=True)
        assert refused(app, "cancel") is None
        del app.rights["lab"]
        assert refused(app, "cancel") is None, "what is not known is for the scheduler to say"

    on(site, keys)


def test_a_source_that_does_not_answer_is_told_before_the_key() -> None:
    site, _ = a_place(a_run(1, user=ME))

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        (source,) = app.seen.snapshot.sources[:1]  # type: ignore[union-attr]
        snapshot = app.seen.snapshot  # type: ignore[union-attr]
        down = replace(source, state=SourceState.DOWN, reason=safe("no answer"))
        app.seen = Seen(snapshot=replace(snapshot, sources=(down,)), runs=snapshot.runs)
        assert refused(app, "cancel") == "lab is down: nothing can be sent"
        await pilot.press("c")
        assert "lab is down" in said(app)

    on(site, keys)


# -- what comes late


def test_a_panel_does_not_open_on_another_place_nor_after_the_way_back() -> None:
    site, stub = a_place(a_run(1, user=ME))
    stub.gate = gate = threading.Event()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "c")
        await until(pilot, lambda: hasattr(stub, "previewed"))
        await pilot.press("3", "2")
        gate.set()
        await until(pilot, lambda: "not asked, because you went on" in said(app))
        assert not panel(app).asking

    try:
        on(site, keys)
    finally:
        gate.set()


def test_what_one_place_prepares_is_asked_there_though_another_prepares_too() -> None:
    site, stub = a_place(a_run(1, user=ME), a_run(2, user=ME))
    stub.gate = gate = threading.Event()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "c")
        await until(pilot, lambda: len(getattr(stub, "previewed", ())) == 1)
        first = stub.previewed[0][0]
        await pilot.press("down", "enter")
        await until(pilot, lambda: len(app.screen_stack) > 1)
        await pilot.press("c")
        await until(pilot, lambda: len(stub.previewed) == 2)
        gate.set()
        await until(pilot, lambda: panel(app).asking)
        (second,) = stub.previewed[1]
        assert second != first
        assert f"─ cancel {second.partition('/')[2]} " in screen(app)
        await pilot.press("escape", "escape")
        assert not panel(app).asking

    try:
        on(site, keys)
    finally:
        gate.set()


def test_a_panel_does_not_open_over_a_filter_that_is_being_typed() -> None:
    site, stub = a_place(a_run(1, user=ME))
    stub.gate = gate = threading.Event()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "c")
        await until(pilot, lambda: hasattr(stub, "previewed"))
        await pilot.press("slash", "m")
        gate.set()
        await pilot.pause(SILENCE_S + 0.1)
        await pilot.press("y")
        assert screen(app).splitlines()[-1].startswith("/my")
        assert not panel(app).asking
        await pilot.press("escape")
        assert "not asked, because you were typing" in said(app)

    try:
        on(site, keys)
    finally:
        gate.set()


def then_seen(app: Foundry, *runs: Run) -> None:
    """The next reading shows these."""
    app._show(Seen(snapshot=an_estate(runs), runs=runs))


def test_a_run_that_began_while_the_panel_stood_is_asked_about_anew() -> None:
    site, _ = a_place(waiting(1, user=ME))

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        app.feed.stop()
        await pilot.press("2", "c")
        await until(pilot, lambda: panel(app).asking)
        then_seen(app, a_run(1, user=ME))
        await agree(pilot, app)
        await until(pilot, lambda: "asked anew: changed meanwhile" in screen(app))
        assert app.sender.told == ""
        await agree(pilot, app)
        await until(pilot, lambda: "cancel 1" in app.sender.told)

    on(site, keys)


def test_a_run_that_ended_while_the_panel_stood_is_not_requeued() -> None:
    site, _ = a_place(a_run(1, user=ME))

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        app.feed.stop()
        await pilot.press("2", "b")
        await until(pilot, lambda: panel(app).asking)
        then_seen(app)
        await agree(pilot, app)
        await until(pilot, lambda: "gone meanwhile, and nothing was sent" in said(app))
        assert app.sender.told == ""

    on(site, keys)


def test_a_run_that_did_not_change_is_held_at_once() -> None:
    site, _ = a_place(a_run(1, user=ME))

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "c")
        await agree(pilot, app)
        await until(pilot, lambda: "held" in app.sender.told)

    on(site, keys)


# -- what is typed


def test_the_command_line_opens_the_panel_on_the_runs_that_match() -> None:
    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("colon")
        await typed(pilot, "cancel mine pending")
        await pilot.press("enter")
        await until(pilot, lambda: panel(app).asking)
        assert app.seen is not None
        mine = [
            run
            for run in app.seen.runs
            if run.user in app.site.me and run.state is RunState.PENDING
        ]
        table = app.screen.query_one("#main", GridTable)
        assert {run.id for run in table.shown} == {run.id for run in mine}
        count = sum(run.count for run in mine)
        assert f"type {count}y to do this to {count} runs" in screen(app)
        await pilot.press("escape")
        assert not panel(app).asking

    on(still(), keys, size=(120, 40))


@pytest.mark.parametrize("words", ["cancel user=nobody", "hold mine running"])
def test_where_nothing_fits_no_panel_opens(words: str) -> None:
    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("colon")
        await typed(pilot, words)
        await pilot.press("enter")
        await until(pilot, lambda: "there is no run here" in said(app))
        assert not panel(app).asking

    on(still(), keys)


def item(owner: str, *, refusal: str | None = None) -> PreviewItem:
    """One run of a cancel."""
    why = None if refusal is None else safe(refusal)
    return PreviewItem(target=f"lab/{owner}", command=("scancel",), owner=owner, refusal=why)


@pytest.mark.parametrize(
    ("items", "own"),
    [
        ((item("me"),), True),
        ((item("zoe"),), False),
        ((item("me", refusal="it has ended"), item("zoe")), False),
        ((item("zoe", refusal="denied"), item("me")), True),
    ],
)
def test_y_alone_is_for_one_run_of_ones_own_that_is_not_refused(
    items: tuple[PreviewItem, ...], own: bool
) -> None:
    preview = Preview(act=Cancel(source="lab", runs=tuple(i.target for i in items)), items=items)
    prepared = Prepared(source="lab", preview=preview, token="t", user="me", count=1)
    assert prepared.one_own is own


def test_an_array_is_as_many_runs_as_it_has_tasks() -> None:
    site, _ = a_place(waiting(1, user=ME, array=ArrayPart(job_id="1", tasks="0-11", count=12)))

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        assert app.seen is not None
        (prepared,) = act.prepare(app.site, "cancel", app.seen.snapshot, app.seen.runs)
        assert (prepared.count, prepared.one_own) == (12, False)
        await pilot.press("2", "c")
        await until(pilot, lambda: "type 12y to do this to 12 runs" in screen(app))

    on(site, keys)
