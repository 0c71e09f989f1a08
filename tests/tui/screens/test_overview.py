"""The overview in every state of its sources, and the way from it to queues, runs and nodes."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

from textual.pilot import Pilot

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.schedulers.ports import Denied, Unavailable
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.screens.overview import Overview
from foundry_tui.tui.screens.runs import Runs
from tests.tui.estates import (
    NOW,
    Stub,
    a_run,
    an_estate,
    live,
    on,
    saved,
    screen,
    still,
    until,
    waiting,
)
from tests.tui.opened import said

ESTATE = an_estate(
    [*(a_run(n) for n in range(6)), *(waiting(n, user="ada") for n in range(10, 14))]
)
OTHER = an_estate([a_run(7, id="two/7", source="two", placement=())], nodes=1, source="two")


def test_the_simulated_estate_fits_80x24() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.pause()
        lines = screen(app).splitlines()
        assert lines[2].startswith("─ GPUs 96 · allocated")
        assert "dgx-a01" in lines[4]
        assert any(line.startswith(" Yours: ") for line in lines)
        assert any("QUEUE" in line and "GPUS/OF" in line for line in lines)
        assert any("enter open" in line for line in lines)
        assert max(map(len, lines)) <= 80

    on(still(), test)


def test_three_columns_at_200x50() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.pause()
        lines = screen(app).splitlines()
        assert lines[2].count("─ ") >= 3
        assert "9 queues" in lines[2]
        assert "dgx-a01" in lines[2]
        assert any("Longest waits" in line for line in lines)
        assert any("Runs on it:" in line for line in lines)

    on(still(), test, size=(200, 50))


def test_from_a_queue_to_its_runs_to_a_run_to_its_node_to_a_gpu_and_back() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("tab", "enter")
        await until(pilot, lambda: isinstance(app.place, Runs))
        assert app.crumbs() == ["Overview", "gpu"]
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.crumbs() == ["Overview", "gpu", "1"])
        await pilot.press("enter")
        await until(pilot, lambda: app.crumbs()[-1] == "h01")
        await pilot.press("enter")
        await until(pilot, lambda: app.crumbs()[-1] == "GPU 1")
        assert "Overview › gpu › 1 › h01 › GPU 1" in screen(app)
        await pilot.press("escape", "escape", "escape")
        await until(pilot, lambda: app.crumbs() == ["Overview", "gpu"])
        place = app.place
        assert isinstance(place, Runs)
        assert place.table.cursor is not None
        assert place.table.cursor.native_id == "1"
        assert len(place.table.shown) == 10
        await pilot.press("escape")
        await until(pilot, lambda: app.crumbs() == ["Overview"])

    on(saved(ESTATE), test)


def test_enter_on_the_map_opens_the_node() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.crumbs() == ["Overview", "h02"])

    on(saved(ESTATE), test)


def test_the_map_has_no_rows_to_filter_and_says_so() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("slash")
        assert "tab goes to the queues" in said(app)
        await pilot.press("tab", "slash")
        assert app.place is not None and app.place.prompt.asking

    on(saved(ESTATE), test)


def test_before_any_answer_it_says_who_is_asked_and_every_key_works() -> None:
    hang = threading.Event()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "Asking lab, two …" in screen(app))
        await pilot.press("2")
        await until(pilot, lambda: "Asking lab, two …" in screen(app))
        await pilot.press("3", "1")
        assert isinstance(app.place, Overview)
        hang.set()
        await until(pilot, lambda: app.seen is not None)

    stubs = (Stub(ESTATE, hang=hang), Stub(OTHER, name="two", hang=hang))
    on(live(*stubs), test, read=False)


def test_what_was_kept_is_shown_dimmed_while_the_source_hangs() -> None:
    hang = threading.Event()
    on(live(Stub(ESTATE)), _read_once)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: app.seen is not None)
        assert app.faded
        kept = "!lab is stale: from the last time; it is being read now"
        await until(pilot, lambda: kept in screen(app))
        shown = screen(app)
        assert "from 11-20 14:03Z" in shown
        assert "h01" in shown
        hang.set()
        await until(pilot, lambda: not app.faded and "is stale" not in screen(app))

    on(live(Stub(ESTATE, hang=hang)), test, read=False)


async def _read_once(app: Foundry, pilot: Pilot[int]) -> None:
    await until(pilot, lambda: app.seen is not None and app.seen.fresh)


def test_a_source_that_is_down_is_told_with_cause_next_try_and_remedy() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "!lab is down: squeue: no answer" in screen(app))
        shown = screen(app)
        assert "next try in" in shown and "r: now" in shown
        assert "h01" in shown, "the other source is shown"

    down = Stub(ESTATE, error=Unavailable("reading lab", "squeue: no answer", "is it up?"))
    on(live(down, Stub(OTHER, name="two")), test, size=(120, 30))


def test_a_source_that_refuses_is_told_as_such() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "!lab is denied: squeue: access denied" in screen(app))

    denied = Stub(ESTATE, error=Denied("reading lab", "squeue: access denied"))
    on(live(denied, Stub(OTHER, name="two")), test, size=(120, 30))


def test_stale_data_is_shown_with_its_age() -> None:
    old = Source(
        name="lab",
        kind="slurm",
        state=SourceState.STALE,
        read_at=NOW - timedelta(minutes=7),
        reason="no answer before the deadline",
    )

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.pause()
        assert "!lab is stale: no answer before the deadline · 7m old" in screen(app)

    on(saved(replace(ESTATE, sources=(old,))), test, size=(100, 30))


def test_an_estate_with_nothing_in_it_is_no_crash() -> None:
    nothing = replace(an_estate([]), nodes=(), gpus=(), queues=(), sources=())

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.pause()
        assert "no node with a GPU is known" in screen(app)
        assert "there is no source" in screen(app)
        await pilot.press("tab", "enter", "w", "2", "3", "enter")

    on(saved(nothing), test)


def test_a_resize_at_any_moment_keeps_every_line_within_the_window() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        for size in ((200, 50), (80, 24), (130, 20), (20, 5), (1, 1), (300, 90), (79, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert all(len(line) <= size[0] for line in screen(app).splitlines())

    on(still(), test)


def test_w_explains_ones_own_longest_wait_from_the_map() -> None:
    site = live(Stub(an_estate([waiting(n, user="me") for n in range(3)])))
    site.user = lambda source: "me"  # type: ignore[method-assign]

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("w")
        await until(pilot, lambda: "Next step" in screen(app))
        assert "lab/0" in screen(app)

    on(site, test)


def test_what_is_new_since_the_last_look_is_one_line() -> None:
    on(live(Stub(ESTATE)), _read_once)
    ended = replace(ESTATE, runs=ESTATE.runs[1:])

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: app.seen is not None and app.seen.fresh)
        await until(pilot, lambda: "1 gone" in screen(app))

    on(live(Stub(ended)), test)


def test_zoom_gives_a_panel_all_the_room_and_takes_it_back() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("tab", "z")
        await until(pilot, lambda: "GPUs 16" not in screen(app))
        await pilot.press("z")
        await until(pilot, lambda: "GPUs 16" in screen(app))

    on(saved(ESTATE), test, size=(200, 50))


def test_a_queue_that_shares_by_quota_says_in_a_sentence_what_it_holds() -> None:
    team = Queue(
        name="team",
        source="lab",
        kind="queue",
        total_gpu_milli=16_000,
        quota_gpu_milli=6000,
        requested_gpu_milli=0,
    )
    queues = (
        replace(team, name="team-a", allocated_gpu_milli=9000),
        replace(team, name="team-b", allocated_gpu_milli=1000),
    )
    words = "team-a holds 9 of 16 GPUs: 6 deserved + 3 over its quota; 3 can be reclaimed."

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("tab")
        if app.size.width == 80:
            await until(pilot, lambda: f" {words}"[:79] in screen(app))
            assert "██████▓▓▓ " in screen(app)
            return
        await until(pilot, lambda: "6 deserved + 3 over its quota" in screen(app))
        lines = screen(app).splitlines()
        assert any("> team-a" in line and line.rstrip().endswith("9/6") for line in lines)
        assert any("  team-b" in line and line.rstrip().endswith("1/6") for line in lines)
        assert any("over the quota  " in line for line in lines)

    shared = replace(ESTATE, queues=queues)
    on(saved(shared), test)
    on(saved(shared), test, size=(200, 50))


def test_a_run_that_lets_gpus_lie_idle_is_opened_and_acted_on_like_any() -> None:
    runs = [a_run(n) for n in range(3)]
    busy = an_estate(runs)
    lazy = next(gpu for gpu in busy.gpus if gpu.runs)
    since = NOW - timedelta(hours=5)
    idle = replace(lazy, util_pct=0.0, idle_since=since)
    estate = replace(busy, gpus=tuple(idle if g is lazy else g for g in busy.gpus))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "Idle but allocated" in screen(app))
        app.screen.query_one("#idle").focus()
        await pilot.pause()
        place = app.place
        assert isinstance(place, Overview) and app.seen is not None
        assert [run.id for run in place.selected_runs()] == list(lazy.runs)
        assert "Nothing is under the cursor" not in screen(app)
        await pilot.press("enter")
        native = lazy.runs[0].partition("/")[2]
        await until(pilot, lambda: app.crumbs() == ["Overview", native])

    on(saved(estate), test, size=(200, 50))
