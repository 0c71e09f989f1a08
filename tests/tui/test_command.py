"""The `:` line: what a few letters find, what Enter does, and what is said of nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.site import Options
from foundry_tui.presenters.queries import quoted
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.command import VERBS
from foundry_tui.tui.overlay import OVERLAY_LINES, Overlay
from tests.tui.opened import alone, driven, place, said, told, typed, until


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)


def test_typing_shows_what_may_be_meant_and_escape_hides_it() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("colon")
        await until(pilot, lambda: bool(told(app)))
        assert len(told(app)) == OVERLAY_LINES
        await typed(pilot, "theme")
        assert told(app)[1].startswith(">theme  [T] Theme")
        before = place(app).size
        await pilot.press("escape")
        assert told(app) == ()
        assert not place(app).prompt.asking
        assert place(app).size == before

    driven(test)


def test_tab_and_the_arrows_choose_and_enter_does_it() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("colon")
        await typed(pilot, "theme ")
        assert [line.split()[0] for line in told(app)[1:]] == [
            ">terminal",
            "foundry-dark",
            "foundry-light",
            "mono",
        ]
        await pilot.press("tab", "down", "tab", "tab", "up", "shift+tab")
        assert [line[0] for line in told(app)[1:]] == [" ", " ", ">", " "]
        await pilot.press("enter")
        assert app.theme == "foundry-light"
        assert said(app) == "theme foundry-light"
        assert told(app) == ()

    driven(test)


def test_the_chosen_line_stays_in_sight() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("colon")
        await until(pilot, lambda: bool(told(app)))
        for _ in range(12):
            await pilot.press("down")
            assert sum(line.startswith(">") for line in told(app)) == 1
        await pilot.resize_terminal(20, 5)
        await pilot.press("r")
        overlay = place(app).query_one("#choices", Overlay)
        seen = [line for line in told(app) if line.startswith(">")]
        assert len(seen) == 1
        assert overlay.region.bottom <= 5

    driven(test)


def test_places_are_gone_to_by_name_and_q_leaves() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("colon")
        await typed(pilot, "nodes")
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "nodes")
        await pilot.press("colon", "q", "enter")
        await until(pilot, lambda: app.return_value == 0)

    driven(test)


def test_a_run_a_node_a_user_and_a_queue_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[str, ...]] = []

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        assert app.seen is not None
        run = app.seen.runs[0]
        node = app.seen.snapshot.nodes[0]
        monkeypatch.setattr(app, "open_run", lambda key: opened.append(("run", key)))
        monkeypatch.setattr(app, "open_node", lambda key: opened.append(("node", key)))
        monkeypatch.setattr(app, "open_runs", lambda *said: opened.append(said))
        lines = (run.native_id, f"run {run.native_id}", f"node {node.name}", f"user {run.user}")
        for line in (*lines, f"queue {app.seen.snapshot.queues[0].name}"):
            await pilot.press("colon")
            await typed(pilot, line)
            await pilot.press("enter")
        queue = app.seen.snapshot.queues[0].name
        assert opened == [
            ("run", run.id),
            ("run", run.id),
            ("node", f"{node.source}/{node.name}"),
            (f'user="{run.user}"', f"user {run.user}"),
            (f'queue="{queue}"', f"queue {queue}"),
        ]

    driven(test)


def test_nonsense_names_the_nearest_and_does_nothing() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        mode = app.current_mode
        for line, expected in (
            ("nodez", "nothing here is called 'nodez'; the nearest is nodes"),
            ("run 99999999", "no run is called '99999999'"),
            ("theme zebra", "no theme is called 'zebra'"),
            ("save nothing", "nothing here is called 'save nothing'"),
            ("submitt the lot", "nothing here is called"),
        ):
            await pilot.press("colon")
            await typed(pilot, line)
            await until(pilot, lambda: told(app)[:1] == ("─ no match ".ljust(80, "─"),))
            await pilot.press("enter")
            assert expected in said(app)
        assert (app.current_mode, len(app.screen_stack)) == (mode, 1)
        await pilot.press("colon", "space", "enter")
        assert said(app) == ""

    driven(test)


def test_an_act_that_is_refused_is_shown_with_the_reason_and_not_done() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("colon")
        await typed(pilot, "cancel mine pending")
        assert told(app)[1].startswith(">cancel mine pending  the runs of `user=me state=pending`")
        assert "not now: read-only" in told(app)[1]
        await pilot.press("enter")
        assert "read-only" in said(app)
        assert len(app.screen_stack) == 1

    driven(test, options=Options(demo=True, read_only=True))


def test_an_act_on_many_goes_to_the_runs_that_it_selects_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        asked: list[tuple[str, str]] = []
        monkeypatch.setattr(app, "open_runs", lambda *said: asked.append(said))
        await pilot.press("colon")
        await typed(pilot, "cancel mine pending")
        await pilot.press("enter")
        assert asked == [("user=me state=pending", "cancel user=me state=pending")]
        await pilot.press("colon")
        await typed(pilot, "cancel gpu=")
        assert "not now: " in told(app)[1]
        await pilot.press("enter")
        assert len(asked) == 1

    driven(test)


def test_a_name_in_a_filter_is_itself_whatever_it_holds() -> None:
    assert quoted('a "b" \\c|d') == '"a \\"b\\" \\\\c|d"'
    assert set(VERBS) == {"run", "node", "user", "queue", "view", "theme"}
