"""One run: its facts and GPUs, why it waits, its output, and its tracked record with a curve."""

from __future__ import annotations

import math
import threading

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.site import Site
from foundry_tui.estate.run import Placement
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import Point
from foundry_tui.schedulers.ports import Log, Unavailable
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.ports import TrackerDown
from foundry_tui.tui.app import Foundry
from tests.tui.estates import (
    NOW,
    Stub,
    a_run,
    an_estate,
    live,
    on,
    saved,
    screen,
    until,
    waiting,
)
from tests.tui.opened import said

TRACKER = "http://mlflow.invalid"


def linked(*values: float, metric: str = "loss") -> tuple[Site, MemoryTracker]:
    """A site with one running run that has a record with these values of a metric."""
    tracker = MemoryTracker("mlflow", TRACKER)
    record = tracker.create("demo", name="train-1", tags={}, started_at=NOW)
    points = [Point(step, NOW, value) for step, value in enumerate(values)]
    logged = {metric: points, "acc": points[:1]}
    tracker.trained(record.run_id, params={"lr": "0.1"}, metrics=logged)
    stub = Stub(an_estate([a_run(1, mlflow_run_id=record.run_id)]))
    site = live(stub)
    site._tracker = tracker
    return site, tracker


def test_facts_gpus_and_output_of_a_running_run_at_80x24() -> None:
    stub = Stub(an_estate([a_run(1)]), words={"work_dir": safe("/home/zoe")})

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "enter")
        await until(pilot, lambda: "1 GPU held" in screen(app))
        assert "train-1  running 1h00m" in screen(app)
        assert "placement" in screen(app)
        await pilot.press("tab")
        await until(pilot, lambda: "No tracking server is configured" in screen(app))
        await pilot.press("tab")
        await until(pilot, lambda: "Output · /home/zoe/out" in screen(app))
        await pilot.press("tab", "end")
        await until(pilot, lambda: "/home/zoe" in screen(app) and "work_dir" in screen(app))

    on(live(stub), test)


def test_two_columns_show_all_at_once() -> None:
    site, _ = linked(3.0, 2.0, 1.0)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "enter")
        await until(pilot, lambda: "loss" in screen(app))
        shown = screen(app)
        assert "RUNNING" in shown or "SCHEDULED" in shown
        assert "lr 0.1" in shown
        assert "1 GPU held" in shown
        assert "Output" in shown

    on(site, test, size=(160, 45))


def test_m_shows_the_next_metrics_curve() -> None:
    site, _ = linked(3.0, 2.0, 1.0)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "enter")
        await until(pilot, lambda: "acc  last 3" in screen(app))
        await pilot.press("m")
        assert said(app) == "loss, 2 of 2"
        await until(pilot, lambda: "loss  last 1" in screen(app))

    on(site, test, size=(160, 45))


def test_what_is_no_number_is_told_and_not_drawn_as_zero() -> None:
    site, _ = linked(1.0, math.nan, math.inf, 2.0)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "enter")
        await until(pilot, lambda: "acc  last" in screen(app))
        await pilot.press("m")
        await until(pilot, lambda: "1 NaN, 1 inf not drawn" in screen(app))

    on(site, test, size=(160, 45))


def test_a_tracking_server_that_is_down_is_told_with_its_words() -> None:
    site, tracker = linked(1.0)
    tracker.fault = TrackerDown("the record", "connection refused", "is it up?")

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "enter")
        await until(pilot, lambda: "connection refused" in screen(app))
        await pilot.press("m")
        assert said(app) == "no metric is known of this run"

    on(site, test, size=(160, 45))


def test_the_address_is_shown_and_copied_and_no_browser_opens_without_a_display(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site, _ = linked(1.0)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        given: list[str] = []
        monkeypatch.setattr(app, "copy_to_clipboard", given.append)
        await pilot.press("2", "enter")
        await until(pilot, lambda: "acc" in screen(app))
        await pilot.press("o")
        assert given and given[0].startswith(TRACKER)
        assert said(app).startswith(TRACKER)
        assert opened == []
        monkeypatch.setenv("DISPLAY", ":0")
        await pilot.press("o")
        await until(pilot, lambda: opened == given[:1])

    on(site, test, size=(160, 45))


def test_without_a_server_o_says_what_is_missing() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "enter", "o")
        assert said(app).startswith("No tracking server is configured")

    on(live(Stub(an_estate([a_run(1)]))), test, size=(120, 30))


def test_a_waiting_run_tells_why_in_its_place() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "enter")
        await until(pilot, lambda: "Why it waits" in screen(app))
        await until(pilot, lambda: "Evidence" in screen(app))

    on(live(Stub(an_estate([waiting(1), waiting(2)]))), test, size=(80, 40))


def test_a_scheduler_that_hangs_leaves_every_key_alive() -> None:
    stub = Stub(an_estate([a_run(1), waiting(2)]))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        stub.hang = threading.Event()
        try:
            await pilot.press("2", "enter", "tab", "tab", "tab", "w", "escape", "l", "escape")
            assert app.crumbs() == ["Runs", "1"]
            await pilot.press("escape")
            assert app.crumbs() == ["Runs"]
        finally:
            stub.hang.set()

    on(live(stub), test)


def test_a_log_that_cannot_be_read_says_why() -> None:
    stub = Stub(an_estate([a_run(1)]), log=Log(path=safe("/x/out"), reason="permission denied"))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "l")
        await until(pilot, lambda: "permission denied" in screen(app))

    on(live(stub), test)


def test_a_source_that_fails_is_told_in_the_pages() -> None:
    stub = Stub(an_estate([waiting(1)]))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        stub.error = Unavailable("the log", "scontrol: no answer within 5 s")
        await pilot.press("2", "l")
        await until(pilot, lambda: "scontrol: no answer within 5 s" in screen(app))

    on(live(stub), test)


def test_unknown_gpu_indices_are_said_and_enter_still_opens_the_node() -> None:
    run = a_run(1, placement=(Placement("h02", None),))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "enter")
        await until(pilot, lambda: "is not told by lab" in screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.crumbs() == ["Runs", "1", "h02"])

    on(saved(an_estate([run])), test)


def test_a_run_that_is_not_known_says_so() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        app.open_run("lab/404")
        await until(pilot, lambda: "lab/404 is not known" in screen(app))

    on(saved(an_estate([a_run(1)])), test)
