"""The tracked record of a run as a panel: the latest values above the curve of one metric."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Container

from foundry_tui.actions import track
from foundry_tui.estate.run import Run
from foundry_tui.presenters.toned import paragraph
from foundry_tui.presenters.tracked import TrackedSide, Value
from foundry_tui.presenters.trackpanel import (
    curve_points,
    metric_names,
    not_tracked,
    tracked_lines,
)
from foundry_tui.tui.place import Place
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.curve import Curve
from foundry_tui.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry


class RecordPanel(Panel):
    """What the tracking server knows of a run; it is asked in threads."""

    DEFAULT_CSS = """
    RecordPanel #curve { height: 1fr; }
    RecordPanel.none #curve { display: none; }
    """

    def __init__(self) -> None:
        super().__init__(_Record(), id="tracking")
        self._run: Run | None = None
        self._tracked: TrackedSide | None = None
        self._metric: str | None = None
        self._answered = False

    @property
    def foundry(self) -> Foundry:
        """The app, by its own type."""
        return cast("Foundry", self.app)

    def on_mount(self) -> None:
        self.head("MLflow")

    def read_again(self, run: Run) -> None:
        """Ask for what is new, if there is a record at all."""
        if self._tracked is not None:
            self.read(run)

    def read(self, run: Run) -> None:
        """Ask the tracking server for the record and the curve that is shown."""
        site, self._run = self.foundry.site, run

        def then(found: TrackedSide | None) -> None:
            self._tracked, self._answered = found, True
            names = metric_names(found)
            if self._metric not in names:
                self._metric = names[0] if names else None
            self._later("record", self.draw)
            self._read_curve(run)

        self.foundry.work_on(f"record {run.id}", lambda: track.record(site, run), then)

    def draw(self) -> None:
        """Draw what was answered, in the room there is now."""
        if not self._answered:
            return
        lines, tracked = self.query_one("#record", Lines), self._tracked
        self.set_class(not metric_names(tracked), "none")
        width = max(20, lines.size.width - 1)
        if tracked is None or tracked.record is None:
            told = not_tracked(tracked, server=self._server)
            lines.put([line for words in told for line in paragraph(words, width)])
            self.head("MLflow")
            return
        self.head("MLflow", (f" · {tracked.server or ''}", "dim"))
        lines.put(tracked_lines(tracked, width, shown=self._metric))

    @property
    def _server(self) -> bool:
        return self.foundry.site.tracker is not None

    def _later(self, what: str, draw: Callable[[], None]) -> None:
        def once() -> None:
            if self.is_attached and self.screen.is_mounted:
                draw()

        self.foundry.pacer.paint(f"{what} {self._run.id if self._run else ''}", once)

    def _read_curve(self, run: Run) -> None:
        site, metric = self.foundry.site, self._metric
        if metric is None:
            return
        curve = self.query_one(Curve)

        def draw(points: Sequence[Value]) -> None:
            curve.show(metric, curve_points(points))

        self.foundry.work_on(
            f"curve {run.id}",
            lambda: track.curve(site, run, metric),
            lambda points: self._later("curve", lambda: draw(points)),
            lambda words: self._later("curve", lambda: curve.show(f"{metric}: {words}", ())),
        )

    def _say(self, words: str, tone: str = "") -> None:
        if isinstance(self.screen, Place):
            self.screen.say(words, tone)

    def next_metric(self) -> None:
        """Show the next metric's curve."""
        names = metric_names(self._tracked)
        if not names or self._run is None:
            self._say("no metric is known of this run", "warn")
            return
        at = (names.index(self._metric) + 1) % len(names) if self._metric in names else 0
        self._metric = names[at]
        self.draw()
        self._read_curve(self._run)
        self._say(f"{self._metric}, {at + 1} of {len(names)}")

    def open_page(self) -> None:
        """Show and copy the address of the record; open it only where there is a display."""
        tracked = self._tracked
        address = None if tracked is None else tracked.address
        if address is None:
            self._say(not_tracked(tracked, server=self._server)[0], "warn")
            return
        self.app.copy_to_clipboard(address)
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            self.foundry.work_on("page", lambda: webbrowser.open(address), lambda _: None)
        self._say(f"{address}  (copied, if your terminal allows it)")


class _Record(Container):
    """The latest values above the curve of one metric."""

    DEFAULT_CSS = "_Record { layout: vertical; height: 1fr; }"

    def compose(self) -> ComposeResult:
        yield Lines(id="record")
        yield Curve(id="curve")
