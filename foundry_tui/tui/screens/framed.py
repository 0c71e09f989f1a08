"""A table of tracked runs that shows what one chooses: any metric, param or tag, against a pin."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.presenters.rows.trackedframe import KINDS, Frame, metric_order
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.grid.view import ViewState
from foundry_tui.tui.noting import Noting
from foundry_tui.tui.screens.listing import Listing


class Framed(Listing, Noting):
    """The keys that change with what the table `main` is drawn: columns, metric, pinned run."""

    def __init__(self) -> None:
        super().__init__()
        self._frame = Frame()
        self._chosen: tuple[str, ...] = ()

    # -- what a subclass gives

    def _now(self) -> datetime:
        """The time of what is shown."""
        raise NotImplementedError

    def _put(self, now: datetime) -> None:
        """Give the tables their rows, with the frame as it is now."""
        raise NotImplementedError

    def _reframe(self) -> None:
        """Draw with the columns that tell the shown runs apart."""
        raise NotImplementedError

    # -- columns

    @property
    def main_table(self) -> GridTable[Any]:
        """The table of runs."""
        return self.query_one("#main", GridTable)

    def do_columns(self) -> None:
        if self.table.id != "main":
            super().do_columns()
            return
        table, before, extra = self.main_table, self.main_table.state, self._chosen

        def chosen(text: str) -> None:
            ids = text.replace(",", " ").split()
            self._choose(ids)
            known = [c.id for c in table.view.model.columns]
            unknown = [i for i in ids if i not in known]
            words = f" no column {' or '.join(unknown)}; also metric.NAME, param.NAME, tag.NAME"
            self.note([(words, "warn")] if unknown else [])
            self.retell()

        def done(text: str) -> None:
            chosen(text)
            self.note([])

        def restore() -> None:
            self._choose([*before.columns, *extra])
            self.note([])
            self.retell()

        shown = " ".join(before.columns or [c.id for c in table.view.model.columns])
        self.prompt.ask("columns: ", shown, changed=chosen, done=done, left=restore)

    def _choose(self, ids: list[str]) -> None:
        """Show these columns; any metric, param or tag that a run has can be one."""
        names = set(self._frame.names)
        own = {f"param.{key}" for key in self._frame.differing}
        wanted = [i for i in dict.fromkeys(ids) if i.startswith(KINDS) and i in names]
        self._chosen = tuple(i for i in wanted if i not in own)
        self._frame = replace(self._frame, chosen=self._chosen)
        self._put(self._now())
        self.main_table.choose_columns(ids)

    def restore_view(self, state: ViewState) -> None:
        self._choose(list(state.columns))
        super().restore_view(state)
        self._reframe()

    def view_state(self) -> ViewState:
        return self.main_table.state

    # -- metric and pin

    def do_metric(self) -> None:
        """The next metric as the column; after the last one each experiment's own again."""
        order = metric_order(self.main_table.shown)
        if len(order) == 1:
            self.say("no metric is known of these runs", "warn")
            return
        now = self._frame.metric
        at = order.index(now) + 1 if now in order else 0
        metric = order[at % len(order)]
        self._frame = replace(self._frame, metric=metric)
        self._put(self._now())
        self._reframe()
        self.say(metric or "each experiment's headline metric")

    def do_pin(self) -> None:
        run = self.tracked_here()
        if run is None:
            return
        before = self._frame.pinned
        again = before is not None and before.run_id == run.run_id
        self._frame = replace(self._frame, pinned=None if again else run)
        self._put(self._now())
        self.redraw()
        self.say("nothing is pinned" if again else f"measured against {run.name}")

    def _pinned_now(self, runs: tuple[TrackedRun, ...]) -> TrackedRun | None:
        before = self._frame.pinned
        if before is None:
            return None
        return next((run for run in runs if run.run_id == before.run_id), before)
