"""Reports: choosing one, looking at it, giving it up, writing it; each state says what it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.errors import ActionError, SourceMissing
from foundry_tui.actions.reports import make as report
from foundry_tui.reports.gpus import capacity, health
from foundry_tui.reports.jobs.columns import COLUMNS as JOBS
from foundry_tui.reports.made import Asked, Made, Progress, Totals
from foundry_tui.reports.queues import balance
from foundry_tui.reports.usage.columns import BY_ACCOUNT, BY_USER
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.screens.reports import Reports
from tests.presenters.reports import a_job, a_row, an_account, made
from tests.tui.estates import Stub, a_run, an_estate, live, on, screen, until
from tests.tui.opened import said, typed

TOTALS = Totals(allocated_s=72_000, used_s=18_000, idle_s=36_000, unknown_s=18_000)
ROWS = {
    "jobs": (JOBS, [a_job(n) for n in range(5)]),
    "usage-by-account": (BY_ACCOUNT, [an_account("bio"), an_account("ml", day=1)]),
    "usage-by-user": (BY_USER, [a_row(BY_USER, user="zoe")]),
    "gpu-health": (health.COLUMNS, [a_row(health.COLUMNS, node="h01")]),
    "capacity": (capacity.COLUMNS, [a_row(capacity.COLUMNS, cluster="lab")]),
    "queue-balance": (balance.COLUMNS, [a_row(balance.COLUMNS, queue="gpu")]),
}


@dataclass
class Maker:
    """Makes reports as told, and remembers what it was asked."""

    totals: Totals | None = TOTALS
    notes: tuple[str, ...] = ()
    error: Exception | None = None
    hold: threading.Event | None = None
    empty: bool = False
    shown: int | None = None
    asked: list[Asked] = field(default_factory=list)
    most: list[int | None] = field(default_factory=list)
    stopped: list[Callable[[], bool]] = field(default_factory=list)

    def __call__(
        self,
        site: object,
        asked: Asked,
        *,
        most: int | None = None,
        told: Callable[[Progress], None],
        stop: Callable[[], bool],
    ) -> Made:
        self.asked.append(asked)
        self.most.append(most)
        self.stopped.append(stop)
        told(Progress(0.42, "lab: 2026-11-20"))
        if self.hold is not None:
            self.hold.wait(10)
        if self.error is not None:
            raise self.error
        columns, rows = ROWS[asked.name]
        return made(
            asked.name,
            columns,
            [] if self.empty else rows,
            shown=self.shown,
            totals=self.totals,
            notes=self.notes,
            asked=asked,
        )


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Maker:
    one = Maker()
    monkeypatch.setattr(report, "make", one)
    return one


def a_site() -> Any:
    return live(Stub(an_estate([a_run(0)])))


def shown(test: Callable[[Foundry, Pilot[int]], Any], size: tuple[int, int] = (80, 24)) -> None:
    """Run a test on the open screen, once the first report is there."""

    async def go(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "rows" in head(app))
        await test(app, pilot)

    on(a_site(), go, size=size)


def place(app: Foundry) -> Reports:
    assert isinstance(app.place, Reports)
    return app.place


def head(app: Foundry) -> str:
    """The title of the table."""
    return next(
        (line for line in screen(app).splitlines() if " · " in line and line[:1] == "─"), ""
    )


def test_the_rows_stand_above_what_adds_up(maker: Maker) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        drawn = screen(app)
        assert "─ jobs · the last day · 5 rows ─" in drawn
        assert "  0    train-0  bo    bio" in drawn
        assert " allocated 20.00 GPU-hours  █ used 5.00  ░ idle 10.00  ? unknown 5.00" in drawn
        assert "75.0 % of it was measured; the rest is unknown, which is not idle." in drawn
        assert " GPU-hours of jobs by account" in drawn
        assert maker.most == [10_000]

    shown(test)


def test_a_large_window_has_the_chart_in_a_panel_of_its_own(maker: Maker) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        drawn = screen(app)
        assert "─ Chart ─" in drawn
        assert drawn.count("GPU-hours of jobs by account") == 1
        first = next(line for line in drawn.splitlines() if "─ jobs" in line)
        assert "─ What adds up ─" in first, "the figures stand beside the table"

    shown(test, size=(200, 50))


def test_r_goes_through_all_six_reports_and_w_through_the_windows(maker: Maker) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        for _ in range(6):
            await pilot.press("R")
            name = maker.asked[-1].name if maker.asked else ""
            await until(pilot, lambda: "row" in head(app) and maker.asked[-1].name in head(app))
            assert name
        names = [asked.name for asked in maker.asked]
        assert names[0] == names[-1] == "jobs"
        assert set(names) == set(report.NAMES)
        await pilot.press("W")
        await until(pilot, lambda: "the last week · 5 rows" in head(app))
        assert (maker.asked[-1].end - maker.asked[-1].start).days == 7

    shown(test)


def test_while_it_is_made_a_bar_says_how_far_it_is_and_esc_gives_it_up(maker: Maker) -> None:
    maker.hold = threading.Event()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "42 % lab: 2026-11-20" in screen(app))
        drawn = screen(app)
        assert "█" * 25 + "░" * 35 in drawn
        assert "esc gives it up." in drawn
        await pilot.press("escape")
        await until(pilot, lambda: "Given up before its end." in screen(app))
        assert maker.stopped[0]()
        assert said(app) == "the report is given up; nothing was written"
        assert app.crumbs() == ["Reports"]
        assert maker.hold is not None
        maker.hold.set()
        await pilot.press("r")
        await until(pilot, lambda: "5 rows" in head(app))
        assert not maker.stopped[1]()

    on(a_site(), test)


def test_what_comes_while_another_place_is_shown_is_there_on_the_way_back(maker: Maker) -> None:
    maker.hold = threading.Event()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: len(maker.asked) == 1)
        await pilot.press("2")
        await until(pilot, lambda: app.crumbs() == ["Runs"])
        assert maker.hold is not None
        maker.hold.set()
        await pilot.app.workers.wait_for_complete()
        await pilot.press("5")
        await until(pilot, lambda: "5 rows" in head(app))
        assert "train-0" in screen(app)
        assert len(maker.asked) == 1

    on(a_site(), test)


def test_another_report_gives_up_the_one_before(maker: Maker) -> None:
    maker.hold = threading.Event()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: len(maker.asked) == 1)
        await pilot.press("R")
        await until(pilot, lambda: len(maker.asked) == 2)
        assert maker.stopped[0]()
        assert maker.hold is not None
        maker.hold.set()
        await until(pilot, lambda: "row" in head(app))
        assert maker.asked[-1].name in head(app)

    on(a_site(), test)


def test_without_telemetry_nothing_is_called_idle(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker.totals = Totals(allocated_s=3600, used_s=0, idle_s=0, unknown_s=3600)
    unseen = [a_job(n, used=None) for n in range(2)]
    monkeypatch.setitem(ROWS, "jobs", (JOBS, unseen))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        drawn = screen(app)
        assert "Not measured: no reading of these GPUs" in drawn
        assert "Unknown is not idle." in drawn
        assert "░░" not in drawn
        row = next(line for line in drawn.splitlines() if "train-1" in line)
        assert row.startswith("?")
        assert row.split()[-4:] == ["1.00", "—", "—", "1.00"]

    shown(test)


def test_an_empty_window_says_so_and_what_to_do(maker: Maker) -> None:
    maker.empty, maker.totals = True, Totals(allocated_s=0, used_s=0, idle_s=0, unknown_s=0)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        drawn = screen(app)
        assert "There is nothing to report of the last day." in drawn
        assert "W takes another window, a asks for another report." in drawn
        assert "Nothing was allocated in this window." in drawn

    shown(test)


@pytest.mark.parametrize(
    "error",
    [
        SourceMissing("lab: sacct: access denied; ask its admin"),
        ActionError("report jobs: prices.csv line 3: price_per_gpu_hour: no number"),
    ],
)
def test_a_refusal_is_told_and_tried_again(maker: Maker, error: Exception) -> None:
    maker.error = error

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "not made" in head(app))
        assert str(error) in " ".join(screen(app).split())
        assert "r asks again" in screen(app)
        maker.error = None
        await pilot.press("r")
        await until(pilot, lambda: "5 rows" in head(app))

    on(a_site(), test)


def test_what_fails_anew_leaves_the_rows_that_were_there(maker: Maker) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        maker.error = SourceMissing("lab: no answer")
        await pilot.press("r")
        await until(pilot, lambda: "not made anew" in head(app))
        assert "train-0" in screen(app)

    shown(test)


def test_notes_of_sources_that_did_not_answer_are_told(maker: Maker) -> None:
    maker.notes = ("theta: no accounting: HTTP 403",)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        assert "! theta: no accounting: HTTP 403" in screen(app)

    shown(test)


def test_more_rows_than_are_shown_are_counted_and_in_the_chart(maker: Maker) -> None:
    maker.shown = 2

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        assert "the first 2 of 5 rows; the file has all" in head(app)
        assert "20.00" in next(x for x in screen(app).splitlines() if x.startswith(" bio"))

    shown(test)


def test_o_writes_the_report_that_is_shown_and_copies_its_path(maker: Maker, home: Path) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("O")
        await until(pilot, lambda: "write jobs into folder: reports" in screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: "its path is copied" in said(app))
        path = home / "reports" / "jobs.csv"
        assert app.clipboard == str(path)
        assert len(path.read_text().splitlines()) == 6
        assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads((home / "reports" / "jobs.csv.meta.json").read_text())["sha256"]
        assert len(maker.asked) == 1, "the very report that is shown is written"

    shown(test)


def test_a_folder_that_cannot_be_written_is_asked_for_again(maker: Maker, home: Path) -> None:
    (home / "taken").write_text("a file")

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("O")
        app.screen.query_one("Prompt").retype("taken")  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: "cannot be written" in screen(app))
        assert "write jobs into folder: taken" in screen(app)
        await pilot.press("escape")
        await until(pilot, lambda: "cannot be written" not in screen(app))

    shown(test)


def test_e_writes_the_rows_that_a_filter_shows(maker: Maker, home: Path) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("slash")
        await typed(pilot, "user=zoe")
        await pilot.press("enter")
        await until(pilot, lambda: "2 of 5 rows match user=zoe" in head(app))
        assert "8.00" in next(x for x in screen(app).splitlines() if x.startswith(" bio"))
        await pilot.press("e")
        app.screen.query_one("Prompt").retype("mine.csv")  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: "wrote 2 rows" in said(app))
        head_line, *rows = (home / "mine.csv").read_text().splitlines()
        assert head_line.split(",")[:2] == ["cluster", "job_id"]
        assert [row.split(",")[1] for row in rows] == ["1", "3"]
        await pilot.press("y", "r")
        assert app.clipboard.splitlines()[0] == head_line

    shown(test)


def test_a_filter_does_not_outlive_its_report(maker: Maker) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("slash")
        await typed(pilot, "state=completed")
        await pilot.press("enter", "space", "R")
        await until(pilot, lambda: "gpu-health · the last day · 1 row" in head(app))
        assert place(app).table.state.filter_text == ""
        assert not place(app).table.marked
        assert "h01" in screen(app)

    shown(test)


def test_enter_shows_a_row_in_full(maker: Maker) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: app.crumbs() == ["Reports", "Row"])
        await until(pilot, lambda: "name of the source in the configuration" in screen(app))
        assert "array_job_id" in screen(app)
        await pilot.press("end")
        await until(pilot, lambda: "first_submit_utc" in screen(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.crumbs() == ["Reports"])

    shown(test)


@pytest.mark.parametrize("size", [(80, 24), (120, 30), (200, 50), (40, 10)])
def test_it_fits_every_screen(maker: Maker, size: tuple[int, int]) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: " 0 " in screen(app))
        assert all(len(line) <= size[0] for line in screen(app).splitlines())

    on(a_site(), test, size=size)


def test_plain_characters_alone(maker: Maker) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "rows" in screen(app))
        assert screen(app).isascii()
        assert "# used 5.00  . idle 10.00  ? unknown 5.00" in screen(app)

    on(a_site(), test, ascii_only=True)


def test_a_saved_estate_says_that_it_has_no_accounting() -> None:
    from tests.tui.estates import saved

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "a saved estate (--estate) holds no accounting" in screen(app))

    on(saved(an_estate([a_run(0)])), test)


def test_nothing_is_written_before_there_is_a_report(maker: Maker) -> None:
    maker.error = SourceMissing("lab: no answer")

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "not made" in head(app))
        await pilot.press("O")
        assert said(app) == "there is no report to write yet"

    on(a_site(), test)


def test_the_folder_of_the_configuration_is_offered(maker: Maker, home: Path) -> None:
    site = a_site()
    site.config = replace(site.config, reports=replace(site.config.reports, folder=home / "all"))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "rows" in head(app))
        await pilot.press("O", "enter")
        await until(pilot, lambda: "its path is copied" in said(app))
        assert (home / "all" / "jobs.csv").exists()

    on(site, test)
