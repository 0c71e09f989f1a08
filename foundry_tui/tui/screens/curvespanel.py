"""The panel of one metric's curves of several runs: asked for, drawn over each other, told of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from foundry_tui.actions.experiments.page import curves
from foundry_tui.estate.tracked import Point
from foundry_tui.experiments.nouns import Side
from foundry_tui.presenters.curves import MOST_CURVES, Series
from foundry_tui.tui.bars import Part
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.overlaid import Overlaid

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry


class CurvesPanel(Panel):
    """`changed` is called on the keys' thread when the curves, or why there are none, are known."""

    def __init__(self, changed: Callable[[], None], *, id: str) -> None:
        self._chart = Overlaid(id="chart")
        super().__init__(self._chart, id=id)
        self._changed = changed
        self._metric: str | None = None
        self._words = ""
        self.curves: Mapping[str, Sequence[Point]] = {}
        """The points of that metric by run id."""

    def ask(
        self, foundry: Foundry, subject: str, run_ids: Sequence[str], metric: str | None
    ) -> None:
        """Read the curves of these runs in a thread; `subject` names the question."""
        self._metric, self.curves, site = metric, {}, foundry.site
        if metric is None:
            self._words = "These runs have logged no metric."
            self._changed()
            return
        self._words = f"{metric} is read …"

        def then(read: Mapping[str, tuple[Point, ...]]) -> None:
            self.curves, self._words = read, f"No run has logged {metric}."
            self._changed()

        def failed(words: str) -> None:
            self._words = words.replace("\n", " ")
            self._changed()

        foundry.work_on(f"curves of {subject}", lambda: curves(site, run_ids, metric), then, failed)

    def show(self, sides: Sequence[Side]) -> None:
        """Draw the curves of the first of these, and say what is not drawn."""
        chart = self._chart
        with_curve = [side for side in sides if self.curves.get(side.run.run_id)]
        series = [
            Series(place=place, label=side.label, points=tuple(self.curves[side.run.run_id]))
            for place, side in enumerate(with_curve[:MOST_CURVES])
        ]
        chart.show(series, self._words if sides else "")
        parts: list[Part] = []
        if chart.smooth:
            parts.append((" · smoothed", "dim"))
        if chart.log_y:
            parts.append((" · log scale", "dim"))
        if len(with_curve) > len(series):
            parts.append((f" · the first {MOST_CURVES} of {len(with_curve)} runs", "dim"))
        if chart.left_out:
            parts.append((f" · {chart.left_out} values not drawn", "dim"))
        self.head(self._metric or "Curves", *parts)

    # -- how they are drawn; each says what holds from now on

    def turn_smooth(self) -> str:
        """As a moving average, or as they were logged."""
        self._chart.smooth = not self._chart.smooth
        return "curves smoothed" if self._chart.smooth else "curves as they were logged"

    def turn_log_y(self) -> str:
        """On a logarithmic scale, or a plain one."""
        self._chart.log_y = not self._chart.log_y
        return "logarithmic scale" if self._chart.log_y else "plain scale"

    def turn_x(self) -> str:
        """Over the time since the start, or over steps."""
        self._chart.x = "time" if self._chart.x == "step" else "step"
        return "over the time since the start" if self._chart.x == "time" else "over steps"
