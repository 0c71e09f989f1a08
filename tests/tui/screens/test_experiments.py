"""Experiments: filter, sort, pin, seeds, note, the page of a record, and its troubles."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from foundry_tui.estate.filter import parse
from foundry_tui.presenters.rows.tracked import tracked_rows
from foundry_tui.presenters.rows.trackedframe import Frame, names_of, numeric_names
from foundry_tui.tracking.ports import TrackerDenied, TrackerDown
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.grid.table import GridTable
from tests.tui.estates import NOW, on, screen, still, until
from tests.tui.opened import said, typed
from tests.tui.screens.tracking import HOSTILE, a_tracker, tracked_site


def names(app: Foundry, table: str = "#main") -> list[str]:
    """The names in the table, from top to bottom."""
    return [row.name for row in app.screen.query_one(table, GridTable).shown]


async def opened(app: Foundry, pilot: Pilot[int], word: str = "t-5") -> None:
    await pilot.press("6")
    await until(pilot, lambda: word in screen(app))


def test_runs_with_their_metric_newest_first() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        assert app.crumbs() == ["Experiments"]
        assert names(app) == ["t-5", "t-4", "t-3", "t-2", "t-1", "t-0"]
        drawn = screen(app)
        assert "6 tracked runs" in drawn
        assert "6 Exp" in drawn
        failed = next(line for line in drawn.splitlines() if " t-1 " in line)
        assert failed.startswith("x") and "failed" in failed
        titles = next(line for line in drawn.splitlines() if "STATUS" in line)
        assert "LR" in titles and "MODEL" not in titles  # only params that differ

    on(tracked_site(a_tracker()), test, size=(100, 24))


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("metric.loss<1.25", ["t-5", "t-4"]),
        ("param.lr=0.01", ["t-5", "t-4", "t-3"]),
        ("param.lr>0.05 user=zoe", ["t-1"]),
        ("tag.team=vision state=failed", ["t-1"]),
        ("t-0|t-3", ["t-3", "t-0"]),
        ("user=ada -param.seed=0", ["t-4", "t-2"]),
    ],
)
def test_the_filter_knows_metrics_params_and_tags(where: str, found: list[str]) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        app.screen.query_one("#main", GridTable).filter(where)
        assert names(app) == found

    on(tracked_site(a_tracker()), test)


def test_a_filter_is_typed_and_a_wrong_one_is_pointed_at() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await pilot.press("slash")
        await typed(pilot, "metric.lss=1")
        await until(pilot, lambda: "metric.loss" in screen(app))
        await pilot.press("escape", "slash")
        await typed(pilot, "param.lr=0.1")
        await pilot.press("enter")
        await until(pilot, lambda: names(app) == ["t-2", "t-1", "t-0"])
        await pilot.press("escape")
        await until(pilot, lambda: len(names(app)) == 6)

    on(tracked_site(a_tracker()), test)


def test_sort_by_the_metric_and_another_metric() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await pilot.press("m")
        await until(pilot, lambda: said(app) == "accuracy")
        assert "ACCURACY" in screen(app)
        app.screen.query_one("#main", GridTable).sort_by("headline")
        assert names(app)[0] == "t-0"
        await pilot.press("m")
        await until(pilot, lambda: "LOSS" in screen(app))
        assert names(app)[0] == "t-5"

    on(tracked_site(a_tracker()), test)


def test_a_pinned_run_and_the_distance_of_the_others() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await pilot.press("m", "P")
        await until(pilot, lambda: "VS PIN" in screen(app))
        drawn = screen(app)
        assert "measured against t-5" in drawn
        other = next(line for line in drawn.splitlines() if " t-4 " in line)
        assert "-0.05" in other
        await pilot.press("P")
        await until(pilot, lambda: "VS PIN" not in screen(app))

    on(tracked_site(a_tracker()), test, size=(100, 24))


def test_seeds_together_and_back_to_their_runs() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await pilot.press("m", "plus")
        await until(pilot, lambda: "2 groups of seeds" in screen(app))
        row = next(line for line in screen(app).splitlines() if "lr=0.01" in line)
        assert row.split()[-6:] == ["3", "0.7", "0.05", "0.75", "t-5", "6"]
        await pilot.press("enter")
        await until(pilot, lambda: names(app) == ["t-5", "t-4", "t-3"])
        assert "6 tracked runs" in screen(app)

    on(tracked_site(a_tracker()), test, size=(118, 24))


def test_a_column_of_its_own_and_a_saved_view() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await pilot.press("f")
        app.place.prompt.retype("status metric.loss tag.team")  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: "TEAM" in screen(app))
        titles = next(line for line in screen(app).splitlines() if "STATUS" in line)
        assert "LOSS" in titles and "BEGAN" not in titles
        state = app.place.view_state()  # type: ignore[union-attr]
        assert state is not None and state.columns == ("status", "metric.loss", "tag.team")
        await pilot.press("f")
        app.place.prompt.retype("")  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: "BEGAN" in screen(app) and "TEAM" not in screen(app))
        app.place.restore_view(state)  # type: ignore[union-attr]
        await until(pilot, lambda: "TEAM" in screen(app))

    on(tracked_site(a_tracker()), test, size=(100, 24))


def test_the_page_of_a_record_with_its_curve_and_its_note() -> None:
    tracker = a_tracker()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.crumbs() == ["Experiments", "t-5"])
        await until(pilot, lambda: "loss  last" in screen(app) or "accuracy  last" in screen(app))
        before = screen(app)
        await pilot.press("m")
        await until(pilot, lambda: screen(app) != before and "2 of 2" in screen(app))
        await pilot.press("N")
        await typed(pilot, "try a larger batch")
        await pilot.press("enter")
        await until(pilot, lambda: "note of t-5 written; there was none" in said(app))
        await until(pilot, lambda: "try a larger batch" in screen(app))
        await pilot.press("M")
        await typed(pilot, "team=audio")
        await pilot.press("enter")
        await until(pilot, lambda: "it was 'vision'" in said(app))
        await pilot.press("i")
        await until(pilot, lambda: app.crumbs()[-1] == "5")  # its job, by the tag

    on(tracked_site(tracker), test, size=(100, 40))
    written = tracker.find("mlflow.note.content", "try a larger batch")
    assert [run.name for run in written] == ["t-5"]
    assert written[0].tags["team"] == "audio"


def test_a_tag_without_a_value_is_not_written() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await pilot.press("M")
        await typed(pilot, "audio")
        await pilot.press("enter")
        await until(pilot, lambda: "written as KEY=VALUE" in said(app))

    on(tracked_site(a_tracker()), test)


def test_what_it_costs_stands_beside_and_leads_to_the_runs() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await until(pilot, lambda: "What they cost" in screen(app))
        row = next(line for line in screen(app).splitlines() if line.startswith("! nlp"))
        assert "5%" in row
        app.screen.query_one("#spent", GridTable).focus()
        await pilot.press("enter")
        await until(pilot, lambda: len(names(app)) == 3)

    on(tracked_site(a_tracker()), test, size=(200, 50))


def test_the_scheduler_says_another_thing() -> None:
    from foundry_tui.estate.tracked import TrackStatus

    tracker = a_tracker()
    for run in tracker.find("foundry.slurm.job_id", "5"):
        tracker.update(run.run_id, status=TrackStatus.FINISHED)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await until(pilot, lambda: "finished!=running" in screen(app))
        row = next(line for line in screen(app).splitlines() if "finished!=" in line)
        assert row.startswith("!") and " t-5 " in row

    on(tracked_site(tracker), test)


def test_without_a_server_it_says_how_to_get_one() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot, "no tracking server")
        assert "foundry tracking up" in " ".join(screen(app).split())

    on(tracked_site(None), test, size=(120, 24))


@pytest.mark.parametrize("kind", [TrackerDown, TrackerDenied])
def test_a_server_that_does_not_serve_is_told_and_tried_again(kind: type) -> None:
    tracker = a_tracker()
    tracker.fault = kind("the runs", "lab-mlflow said no", "ask the admin")

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot, "lab-mlflow said no")
        tracker.fault = None
        await pilot.press("r")
        await until(pilot, lambda: "t-5" in screen(app))

    on(tracked_site(tracker), test, size=(120, 24))


def test_a_server_without_runs() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot, "The tracking server has no runs.")
        await pilot.press("enter", "P", "plus", "equals_sign", "N", "m", "i", "space", "y", "plus")
        assert app.is_running

    on(tracked_site(a_tracker(0)), test)


def test_a_filter_and_an_order_are_asked_of_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foundry_tui.tui.trackedreading.FIRST", 2)
    monkeypatch.setattr("foundry_tui.tui.trackedreading.MOST", 3)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await until(pilot, lambda: "3 of 6 tracked runs" in screen(app))
        await pilot.press("slash")
        await typed(pilot, "t-0")
        await pilot.press("enter")
        await until(pilot, lambda: names(app) == ["t-0"])
        await pilot.press("escape")
        await until(pilot, lambda: len(names(app)) == 3)
        app.screen.query_one("#main", GridTable).sort_by("name")
        await until(pilot, lambda: names(app) == ["t-0", "t-1", "t-2"])

    on(tracked_site(a_tracker()), test)


def test_a_name_from_outside_draws_nothing_of_its_own() -> None:
    tracker = a_tracker(1)
    tracker.create(HOSTILE, name=HOSTILE, tags={HOSTILE: HOSTILE}, started_at=NOW)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot, "t-0")
        assert "\x1b" not in screen(app) and "\u202e" not in screen(app)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.crumbs()) == 2)
        assert "\x1b" not in screen(app) and "\u202e" not in screen(app)

    on(tracked_site(tracker), test)


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10)])
def test_it_fits_every_screen_in_ascii_too(size: tuple[int, int]) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await pilot.press("plus", "plus", "enter")
        await until(pilot, lambda: len(app.crumbs()) == 2)
        assert all(len(line) <= size[0] for line in screen(app).splitlines())
        assert screen(app).isascii()

    on(tracked_site(a_tracker()), test, size=size, ascii_only=True)


def test_the_simulated_estate_has_a_past() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot, "tracked runs")
        await until(pilot, lambda: len(names(app)) > 60)

    on(still(), test)


def test_a_filter_over_two_thousand_runs_is_quick() -> None:
    import time
    from dataclasses import replace

    (one,) = a_tracker(1).find("foundry.slurm.job_id", "0")
    runs = [replace(one, run_id=f"{n:032x}") for n in range(2000)]
    frame = Frame(names=names_of(runs[:1]), numeric=numeric_names(runs[:1]))
    model = tracked_rows(frame)
    wanted = parse("metric.loss<3 t-0", model.fields)
    begun = time.process_time()
    assert sum(wanted.match(model.get(run, NOW)) for run in runs) == 2000
    assert time.process_time() - begun < 0.5
