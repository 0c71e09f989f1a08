"""Compare: what differs, baseline, transposing, ranking, curves, export, and what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.ports import TrackerDown
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.screens.compare import Compare
from foundry_tui.tui.widgets.overlaid import Overlaid
from tests.tui.estates import NOW, a_run, an_estate, on, screen, until
from tests.tui.opened import said, typed
from tests.tui.screens.tracking import a_tracker, tracked_site


def runs_of(tracker: MemoryTracker, *jobs: int) -> list[TrackedRun]:
    return [tracker.find("foundry.slurm.job_id", str(n))[0] for n in jobs]


async def compared(
    app: Foundry, pilot: Pilot[int], runs: list[TrackedRun], word: str = "rows differ"
) -> None:
    app.enter(Compare.of_runs(runs))
    await until(pilot, lambda: word in screen(app))


def line_with(app: Foundry, *words: str) -> str:
    return next(line for line in screen(app).splitlines() if all(w in line for w in words))


def test_marked_runs_side_by_side_with_only_what_differs() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "t-5" in screen(app))
        await pilot.press("space", "space", "space", "equals_sign")
        await until(pilot, lambda: "3 runs · " in screen(app) and "rows differ" in screen(app))
        assert app.crumbs() == ["Experiments", "Compare"]
        assert line_with(app, "seed", "params").split()[-3:] == ["2", "1", "0"]
        assert "resnet" not in screen(app)
        await pilot.press("full_stop")
        await until(pilot, lambda: "resnet" in screen(app))

    on(tracked_site(a_tracker()), test, size=(120, 50))


def test_one_run_alone_is_not_compared() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "t-5" in screen(app))
        await pilot.press("equals_sign")
        await until(pilot, lambda: "one run is chosen: mark 2 to 50" in said(app))
        await pilot.press("P", "down", "equals_sign")  # against the pinned one
        await until(pilot, lambda: "2 runs · " in screen(app))

    on(tracked_site(a_tracker()), test)


def test_a_baseline_stands_first_with_the_distance_of_the_others() -> None:
    tracker = a_tracker()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await compared(app, pilot, runs_of(tracker, 0, 1))
        await pilot.press("P", "P")
        await until(pilot, lambda: "measured against t-1" in said(app))
        assert line_with(app, "WHAT").split()[-3:] == [">", "t-1", "t-0"]
        assert line_with(app, "accuracy", "result").split()[-3:] == ["0.55", "0.5", "(-0.05)"]
        await pilot.press("P")
        await until(pilot, lambda: "no baseline" in said(app))

    on(tracked_site(tracker), test, size=(100, 40))


def test_transposed_each_run_is_a_row_that_enter_opens() -> None:
    tracker = a_tracker()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await compared(app, pilot, runs_of(tracker, 0, 1, 5))
        await pilot.press("enter")
        await until(pilot, lambda: "X makes each run a row" in said(app))
        await pilot.press("X", "down", "down", "enter")
        await until(pilot, lambda: app.crumbs()[-1] == "t-5")
        await pilot.press("escape", "X")
        await until(pilot, lambda: "a run in each column" in said(app))

    on(tracked_site(tracker), test, size=(120, 40))


def test_runs_by_the_best_value_and_seeds_as_a_mean() -> None:
    tracker = a_tracker()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await compared(app, pilot, runs_of(tracker, 0, 5, 3, 4))
        assert line_with(app, "WHAT").split()[-4:] == ["t-0", "t-5", "t-3", "t-4"]
        await pilot.press("K")
        await until(pilot, lambda: "by the last value of accuracy" in screen(app))
        assert line_with(app, "WHAT").split()[-4:] == ["t-5", "t-4", "t-3", "t-0"]
        await pilot.press("K", "K", "K", "plus")
        await until(pilot, lambda: "t-5 x3" in screen(app))
        row = " ".join(line_with(app, "accuracy", "result").split())
        assert row.endswith("0.5 0.7 sd 0.05")

    on(tracked_site(tracker), test, size=(140, 40))


def test_rows_by_a_regular_expression() -> None:
    tracker = a_tracker()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await compared(app, pilot, runs_of(tracker, 0, 5))
        await pilot.press("slash")
        await typed(pilot, "^params.(lr|see)")
        await pilot.press("enter")
        await until(pilot, lambda: "2 match" in screen(app))
        await pilot.press("slash", *["backspace"] * 20)
        await typed(pilot, "(")
        await pilot.press("enter")
        await until(pilot, lambda: "no regular expression" in screen(app))
        await pilot.press("escape")
        await until(pilot, lambda: "match" not in screen(app))
        assert app.crumbs()[-1] == "Compare"

    on(tracked_site(tracker), test, size=(120, 40))


def test_curves_over_each_other_and_how_they_are_drawn() -> None:
    tracker = a_tracker()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await compared(app, pilot, runs_of(tracker, 0, 5))
        await pilot.press("m")
        await until(pilot, lambda: "─ loss" in screen(app) and " A t-0" in screen(app))
        drawn = screen(app)
        assert " B t-5 " in drawn and " step " in drawn
        await pilot.press("C")
        await until(pilot, lambda: "time since its start" in screen(app))
        await pilot.press("Y", "tilde")
        await until(pilot, lambda: "smoothed · log scale" in screen(app))
        chart = app.screen.query_one("#chart", Overlaid)
        assert chart.log_y and chart.smooth

    on(tracked_site(tracker), test, size=(120, 40))


def test_markdown_is_copied_and_csv_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = a_tracker()
    copied: list[str] = []
    monkeypatch.setattr(Foundry, "copy_to_clipboard", lambda self, text: copied.append(text))
    target = tmp_path / "out.csv"

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await compared(app, pilot, runs_of(tracker, 0, 5))
        await pilot.press("y")
        await until(pilot, lambda: "as Markdown" in said(app))
        await pilot.press("e")
        app.place.prompt.retype(str(target))  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: target.exists())

    on(tracked_site(tracker), test, size=(120, 40))
    assert copied[0].splitlines()[0] == "| what | t-0 | t-5 |"
    assert "| params: lr | 0.1 | 0.01 |" in copied[0]
    lines = target.read_text().splitlines()
    assert lines[0] == "group,key,t-0,t-5"
    assert "params,lr,0.1,0.01" in lines


def test_a_run_that_is_gone_is_shown_as_it_was_seen() -> None:
    tracker = a_tracker()
    runs = runs_of(tracker, 0, 5)
    tracker.delete(runs[1].run_id)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await compared(app, pilot, runs)
        await until(pilot, lambda: "has been deleted" in screen(app))
        assert "t-5" in screen(app)

    on(tracked_site(tracker), test, size=(120, 40))


def test_nothing_differs() -> None:
    tracker = MemoryTracker("lab-mlflow", "http://mlflow.invalid")
    runs = [tracker.create("nlp", name="same", tags={}, started_at=NOW) for _ in range(2)]

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await compared(app, pilot, runs)
        assert "Nothing that is recorded of all of them differs." in screen(app)
        assert ". shows the rows that are alike." in screen(app)
        assert "These runs have logged no metric." in screen(app)
        await pilot.press("m", "K", "P", "plus", "X", "Y", "C", "tilde", "y")
        assert app.is_running

    on(tracked_site(tracker), test)


def test_a_server_that_is_silent_is_told() -> None:
    tracker = a_tracker()
    runs = runs_of(tracker, 0, 5)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        tracker.fault = TrackerDown("the runs", "no answer", "is it up?")
        await compared(app, pilot, runs, "no answer")
        tracker.fault = None
        await pilot.press("r")
        await until(pilot, lambda: "no answer" not in screen(app))

    on(tracked_site(tracker), test, size=(120, 40))


def test_runs_of_the_scheduler_are_compared_by_their_records() -> None:
    tracker = a_tracker()
    estate = an_estate([a_run(4), a_run(5), a_run(70)])

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "space", "space", "equals_sign")
        await until(pilot, lambda: "2 runs · " in screen(app) and "rows differ" in screen(app))
        assert {"t-4", "t-5"} <= set(line_with(app, "WHAT").split())
        await pilot.press("escape", "space", "equals_sign")
        await until(pilot, lambda: "no tracked run 'lab/70'" in screen(app))

    on(tracked_site(tracker, estate), test, size=(120, 40))


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10)])
def test_it_fits_every_screen_in_ascii_too(size: tuple[int, int]) -> None:
    tracker = a_tracker()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await compared(app, pilot, runs_of(tracker, *range(6)), "t-0")
        await pilot.press("P", "X")
        await until(pilot, lambda: "> t-0" in screen(app))
        assert all(len(line) <= size[0] for line in screen(app).splitlines())
        assert screen(app).isascii()

    on(tracked_site(tracker), test, size=size, ascii_only=True)
