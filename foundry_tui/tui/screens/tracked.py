"""The place of one tracked run: its record whole, with or without a job of any scheduler."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Callable, Mapping, Sequence

from textual.app import ComposeResult
from textual.containers import Container

from foundry_tui.actions.experiments import page as pages
from foundry_tui.estate.recorded import COST
from foundry_tui.estate.run import Run
from foundry_tui.estate.tracked import Experiment, Point, TrackedRun
from foundry_tui.presenters import units
from foundry_tui.presenters.toned import Line, paragraph
from foundry_tui.presenters.trackedpage import page_lines, run_lines, shown_metrics, title_line
from foundry_tui.presenters.trackpanel import curve_points
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.noting import Noting
from foundry_tui.tui.screens.estate import EstatePlace
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.curve import Curve
from foundry_tui.tui.widgets.lines import Lines


class TrackedPlace(EstatePlace, Noting):
    """The facts of a record above, or beside, the curve of one of its metrics."""

    DEFAULT_CSS = """
    TrackedPlace #all { layout: vertical; }
    TrackedPlace #drawn { height: 9; }
    TrackedPlace #drawn Curve { height: 1fr; }
    TrackedPlace.wide #all { layout: horizontal; }
    TrackedPlace.wide #drawn { height: 1fr; margin-left: 1; }
    TrackedPlace.small #drawn, TrackedPlace.curveless #drawn { display: none; }
    """
    main = "#facts"
    about = "A record of the tracking server: what the run was given, reached, read and left."
    hints = ("back", "metric", "note", "tag", "page", "inspect", "copy", "refresh", "zoom")

    def __init__(self, run: TrackedRun) -> None:
        super().__init__()
        self.subject = f"tracked {run.run_id}"
        self._run = run
        self._read: pages.Page | None = None
        self._failed = ""
        self._asking = False
        self._metric: str | None = None

    def name_here(self) -> str:
        return self._run.name or self._run.run_id[:12]

    def panels(self) -> ComposeResult:
        with Container(id="all"):
            yield Panel(Lines(id="facts"), id="top")
            yield Panel(Curve(id="curve"), id="drawn")

    def on_mount(self) -> None:
        self._ask()
        if self.foundry.seen is None:
            self.call_after_refresh(self._draw_run)

    # -- asking

    def _ask(self) -> None:
        site, run_id = self.foundry.site, self._run.run_id
        self._asking = True

        def then(found: pages.Page) -> None:
            self._asking, self._failed = False, ""
            self._read, self._run = found, found.run
            self._later("page", self._draw_run)
            self._ask_curve()

        def failed(words: str) -> None:
            self._asking, self._failed = False, words.replace("\n", " ")
            self._later("page", self._draw_run)

        self.foundry.work_on(f"tracked {run_id}", lambda: pages.page(site, run_id), then, failed)
        self._ask_curve()

    def _ask_curve(self) -> None:
        names = self._names()
        if self._metric not in names:
            self._metric = names[0] if names else None
        site, run_id, metric = self.foundry.site, self._run.run_id, self._metric
        if metric is None:
            return

        def draw(found: Mapping[str, Sequence[Point]]) -> None:
            self.query_one(Curve).show(metric, curve_points(found.get(run_id, ())))

        self.foundry.work_on(
            f"curve {run_id}",
            lambda: pages.curves(site, [run_id], metric),
            lambda found: self._later("curve", lambda: draw(found)),
            lambda words: self._later(
                "curve", lambda: self.query_one(Curve).show(f"{metric}: {words}", ())
            ),
        )

    def _later(self, what: str, draw: Callable[[], None]) -> None:
        def once() -> None:
            if self.is_mounted:
                draw()

        self.foundry.pacer.paint(f"{what} {self.subject}", once)

    def do_refresh(self) -> None:
        """Ask the server again."""
        self.foundry.do_refresh()
        self._ask()
        self._draw_run()

    # -- drawing

    def draw(self, seen: Seen) -> None:
        self._draw_run()

    def draw_nothing(self, told: tuple[str, ...]) -> None:
        self._draw_run()

    def _job(self) -> Run | None:
        seen = self.foundry.seen
        return pages.jobs_of((self._run,), seen.runs).get(self._run.run_id) if seen else None

    def _names(self) -> tuple[str, ...]:
        return tuple(key for key in shown_metrics(self._run) if key not in COST)

    def _draw_run(self) -> None:
        run, read, panel = self._run, self._read, self.query_one("#top", Panel)
        lines, seen = self.query_one("#facts", Lines), self.foundry.seen
        now = self.foundry.site.clock() if seen is None else seen.now
        width = max(20, lines.size.width - 1)
        job = self._job()
        first = title_line(run, job)
        panel.head(first[0][0], *first[1:], *self._state())
        told: list[Line] = []
        if self._failed:
            words = f"! {self._failed}; what follows is as it was last seen, r asks again"
            told += [*paragraph(words, width, tone="bad"), []]
        experiment: Experiment | None = read.experiment if read else None
        told += run_lines(run, experiment, now, width, job=job, metric=self._metric)
        lines.put([*told, *page_lines(run, read, width)])
        at = self._names()
        self.set_class(not at, "curveless")
        count = f" · {at.index(self._metric) + 1} of {len(at)}" if self._metric in at else ""
        self.query_one("#drawn", Panel).head("Curve", (count, "dim"))

    def _state(self) -> list[tuple[str, str]]:
        if self._asking and self._read is None:
            return [(" · asking the tracking server …", "warn")]
        if self._failed:
            return [(" · not from now", "bad")]
        if self._read is None:
            return []
        seen = self.foundry.seen
        now = self.foundry.site.clock() if seen is None else seen.now
        age_s = (now - self._read.read_at).total_seconds()
        return [(f" · {units.age(age_s)} old", "dim")] if age_s >= 60 else []

    # -- keys

    def tracked_here(self) -> TrackedRun | None:
        return self._run

    def was_noted(self, run: TrackedRun) -> None:
        self._ask()

    def do_metric(self) -> None:
        """The next metric's curve."""
        names = self._names()
        if not names:
            self.say("it has logged no metric", "warn")
            return
        at = names.index(self._metric) + 1 if self._metric in names else 0
        self._metric = names[at % len(names)]
        self._draw_run()
        self._ask_curve()
        self.say(f"{self._metric}, {at % len(names) + 1} of {len(names)}")

    def do_inspect(self) -> None:
        """The scheduler's run that this is the record of."""
        job = self._job()
        if job is None:
            self.say("no scheduler lists its job any more", "warn")
        else:
            self.foundry.open_run(job.id)

    def do_page(self) -> None:
        """Show and copy the address of the MLflow page; a browser only where there is a display."""
        if self._read is None:
            self.say("the address of its page is not known yet", "warn")
            return
        address = self._read.address
        self.app.copy_to_clipboard(address)
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            self.foundry.work_on("page", lambda: webbrowser.open(address), lambda _: None)
        self.say(f"{address}  (copied, if your terminal allows it)")

    def do_copy(self) -> None:
        """The id of the record, for the command line."""
        self.app.copy_to_clipboard(self._run.run_id)
        self.say(f"copied {self._run.run_id} (if your terminal allows it)", "good")
