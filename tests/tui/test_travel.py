"""Back in time by keys alone: every place shows one moment, and nothing can be changed there."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.store.history import HistoryError
from foundry_tui.tui.app import Foundry
from tests.tui.estates import NOW, on, screen, still, until
from tests.tui.opened import alone, said
from tests.tui.pasts import Past, site_with


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)


def test_a_step_back_shows_another_moment_on_every_screen_and_esc_returns() -> None:
    past = Past()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        assert "12 nodes" not in screen(app) and "3 Nodes 12" in screen(app)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "AS OF 14:00Z, 3m27s ago" in screen(app))
        assert past.asked == [NOW.replace(minute=0, second=0)]
        assert "3 Nodes 2" in screen(app) and "2 Runs 5" in screen(app)
        assert "stale" not in screen(app), "the bar says it for all sources"
        await pilot.press("3")
        await until(pilot, lambda: "2 nodes" in screen(app))
        assert "AS OF 14:00Z" in screen(app)
        await pilot.press("2")
        await until(pilot, lambda: "5 runs" in screen(app))
        await pilot.press("escape")
        await until(pilot, lambda: "AS OF" not in screen(app))
        assert "3 Nodes 12" in screen(app)
        assert said(app) == "this is now"

    on(site_with(past), test)


def test_nothing_is_changed_or_asked_of_now_while_the_past_is_shown() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "left_square_bracket")
        await until(pilot, lambda: "AS OF 14:00Z" in screen(app))
        for key, name in (("c", "Cancel"), ("n", "Submit"), ("w", "Why it waits"), ("4", "Advice")):
            await pilot.press(key)
            await pilot.pause()
            assert said(app).startswith(f"{name}: this is the estate as of 11-20 14:00Z")
        assert app.current_mode == "runs"

    on(site_with(Past()), test)


def test_the_live_reading_goes_on_behind_and_is_shown_on_return() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "AS OF 14:00Z" in screen(app))
        live = app.travel.latest
        assert live is not None
        less = replace(live, snapshot=replace(live.snapshot, nodes=live.snapshot.nodes[:7]))
        app.on_arrived(type("Event", (), {"seen": less})())
        await pilot.pause()
        assert "3 Nodes 2" in screen(app)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "3 Nodes 7" in screen(app))
        assert app.travel.moment is None

    on(site_with(Past()), test)


def test_steps_go_over_a_gap_and_end_where_the_history_begins() -> None:
    past = Past()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "AS OF 14:00Z" in screen(app))
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "nothing was recorded at 11-20 13:55 UTC" in said(app))
        assert "AS OF 14:00Z" in screen(app), "what is shown stays until there is something else"
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "the history begins at 11-20 13:52Z" in said(app))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "AS OF" not in screen(app))
        await pilot.press("left_curly_bracket")
        await until(pilot, lambda: "AS OF 14:00Z" in screen(app))
        await pilot.press("left_curly_bracket")
        await until(pilot, lambda: "the history begins" in said(app))
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: "AS OF" not in screen(app))

    on(site_with(past), test)


def test_esc_calls_off_a_moment_that_is_still_being_read() -> None:
    past, gate = Past(), threading.Event()

    class Slow:
        span = past.span

        def at(self, when: datetime) -> Snapshot | None:
            assert gate.wait(30)
            return past.at(when)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: said(app) == "reading the history …")
        await pilot.press("escape")
        await until(pilot, lambda: said(app) == "this is now")
        gate.set()
        await until(pilot, lambda: bool(past.asked))
        await pilot.pause()
        assert app.travel.moment is None and "AS OF" not in screen(app)

    on(site_with(Slow()), test)


def test_where_there_is_only_now_the_keys_say_so() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("J")
        await until(pilot, lambda: app.crumbs() == ["Overview", "Journal"])
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "this place shows only how things stand now" in said(app))
        assert app.travel.moment is None

    on(site_with(Past()), test)


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (None, "no history yet"),
        (Past(error=HistoryError("it is damaged; move it away")), "it is damaged"),
    ],
)
def test_without_a_history_it_says_why_and_shows_now(past: Any, words: str) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("right_square_bracket")
        assert said(app) == "this is now: [ goes back in time"
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: words in said(app))
        assert "AS OF" not in screen(app) and app.travel.moment is None

    on(site_with(past), test)


def test_the_simulated_estate_has_a_past_from_the_start() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        now = app.site.clock()
        await pilot.press("3", "left_curly_bracket")
        await until(pilot, lambda: "AS OF 14:00Z" in screen(app), patience_s=60.0)
        await pilot.press("left_curly_bracket")
        await until(pilot, lambda: "AS OF 13:00Z" in screen(app))
        shown = app.seen
        assert shown is not None and len(shown.snapshot.nodes) == 12
        assert now - shown.snapshot.generated_at > timedelta(hours=1)
        assert any(g.util_pct for g in shown.snapshot.gpus)
        assert shown.runs and shown.snapshot.queues

    on(still(), test)
