"""The screen Experiments: the runs of the tracking server, whatever has or had scheduled them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from foundry_tui.actions.experiments.page import jobs_of
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.experiments.nouns import SeedGroup
from foundry_tui.experiments.waste import Spent
from foundry_tui.presenters.queries import quoted
from foundry_tui.presenters.rows.seeds import seed_groups, seed_rows
from foundry_tui.presenters.rows.spent import spent_rows
from foundry_tui.presenters.rows.tracked import sort_name, tracked_rows
from foundry_tui.presenters.rows.trackedframe import differing
from foundry_tui.presenters.trackedpage import page_lines, run_lines, title_line
from foundry_tui.tui import trackedwords
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.messages import Entered
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.framed import Framed
from foundry_tui.tui.screens.listing import table_told
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.trackedreading import Query, Reading
from foundry_tui.tui.widgets.lines import Lines

TICK_S = 1.0
MOST_COMPARED = 50
"""Runs side by side that still tell something."""


class Experiments(Framed):
    """Tracked runs, in groups of seeds where that is asked for, and what they cost."""

    DEFAULT_CSS = """
    Experiments #side { display: none; width: 60; margin-left: 1; }
    Experiments.wide #side { display: block; }
    Experiments.full #side { width: 80; }
    Experiments #list_groups, Experiments #list_spent { display: none; }
    Experiments.grouped #list_main { display: none; }
    Experiments.grouped #list_groups { display: block; }
    Experiments.full #list_spent { display: block; height: 12; }
    """
    crumb = "Experiments"
    about = (
        "The runs of the tracking server: what they were given, what they reached and what they "
        "cost. Mark some and compare them."
    )
    hints = ("open", "filter", "sort", "mark", "diff", "metric", "group", "pin", "note", "columns")

    def __init__(self) -> None:
        super().__init__()
        self._reading = Reading(self._was_read)
        self._groups: tuple[SeedGroup, ...] = ()

    def panels(self) -> ComposeResult:
        with Horizontal():
            with Vertical():
                yield self.panel_of(tracked_rows(self._frame))
                yield self.panel_of(seed_rows((), self._frame), id="groups")
                yield self.panel_of(spent_rows(), id="spent")
            yield Panel(Lines(id="detail"), id="side")

    def on_mount(self) -> None:
        self.set_interval(TICK_S, self._tick)
        self._load()

    def on_unmount(self) -> None:
        self._reading.stop()

    @property
    def table(self) -> GridTable[Any]:
        focused = self.focused
        if isinstance(focused, GridTable):
            return focused
        return self.query_one("#groups" if self.has_class("grouped") else "#main", GridTable)

    def focus_body(self) -> None:
        self.query_one("#groups" if self.has_class("grouped") else "#main").focus()

    # -- reading

    def _tick(self) -> None:
        """Look again where something has changed: the copy of the runs, or the order asked for."""
        reading = self._reading
        if reading.asking or not self.is_current or self.foundry.paused:
            return
        live = self.foundry.site.mode != "saved"
        if self._wanted() != reading.query or reading.due(live=live):
            self._load()
        elif reading.progress is not None:
            self.retell()

    def _wanted(self) -> Query:
        """What has to be asked for what is shown."""
        state = self.main_table.state
        sort = sort_name(state.sort, self._frame) if state.sort else ""
        return self._reading.wanted(state.filter_text, sort, descending=state.descending)

    def _load(self) -> None:
        """Read the runs again, in a thread."""
        self._reading.ask(self.foundry, self._wanted())

    def _was_read(self) -> None:
        self.foundry.pacer.paint("experiments", self._arrange)

    def do_refresh(self) -> None:
        """Ask the server again now, however long its follower would have waited."""
        self.foundry.do_refresh()
        if not self._reading.asking:
            self._reading.stop()
            self._load()
            self.retell()

    # -- drawing

    def _arrange(self) -> None:
        """Draw what was read, with the columns that tell these runs apart."""
        if not self.is_mounted:
            return
        read = self._reading.read
        if read is not None:
            frame = replace(
                read.frame,
                metric=self._frame.metric,
                pinned=self._pinned_now(read.listing.rows),
                chosen=self._chosen,
            )
            self._frame = frame
            self._put(self._now())
        self._reframe()

    def _reframe(self) -> None:
        """Columns and groups anew: after other rows, another filter, metric or pin."""
        self._frame = replace(
            self._frame, differing=differing(self.main_table.shown), chosen=self._chosen
        )
        if self.has_class("grouped"):
            self._groups = seed_groups(tuple(self.main_table.shown), self._frame)
        self.redraw()

    def _now(self) -> datetime:
        seen = self.foundry.seen
        return self.foundry.site.clock() if seen is None else seen.now

    def _put(self, now: datetime) -> None:
        read = self._reading.read
        runs = () if read is None else read.listing.rows
        seen = self.foundry.seen
        self._frame = replace(self._frame, jobs=jobs_of(runs, seen.runs) if seen else {})
        self.main_table.show(runs, now, tracked_rows(self._frame))
        groups = self._groups
        self.query_one("#groups", GridTable).show(groups, now, seed_rows(groups, self._frame))
        self.query_one("#spent", GridTable).show(read.spent if read else (), now)

    def fill(self, seen: Seen) -> None:
        self._put(seen.now)

    def draw_nothing(self, told: tuple[str, ...]) -> None:
        """No scheduler has answered yet: the tracking server's runs are shown all the same."""
        self._put(self._now())
        self._heads()

    def _tell(self, seen: Seen) -> None:
        self._heads()

    def _heads(self) -> None:
        reading, now, pinned = self._reading, self._now(), self._frame.pinned
        for panel, table in self._tables():
            told = trackedwords.state(table, reading, pinned.name if pinned else None, now)
            panel.head(self.title_of(table), *told, *table_told(table))
            table.empty = trackedwords.nothing(table, reading)

    def title_of(self, table: GridTable[Any]) -> str:
        return trackedwords.title(table, self._reading)

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        return trackedwords.nothing(table, self._reading)

    def draw_beside(self, seen: Seen) -> None:
        if not self.has_class("wide"):
            return
        side, detail = self.query_one("#side", Panel), self.query_one("#detail", Lines)
        width = max(20, detail.size.width - 1)
        run = self._under_cursor()
        if run is None:
            side.head("Tracked run")
            detail.put([])
            return
        job = self._frame.jobs.get(run.run_id)
        title = title_line(run, job)
        side.head(title[0][0], *title[1:])
        lines = run_lines(
            run,
            self._frame.experiments.get(run.experiment_id),
            seen.now,
            width,
            job=job,
            metric=self._frame.metric_of(run),
        )
        detail.put([*lines, *page_lines(run, None, width)])

    def _under_cursor(self) -> TrackedRun | None:
        row = self.table.cursor
        if isinstance(row, SeedGroup):
            best = [run for run in row.runs if self._frame.value(run) == row.best]
            return best[0] if best else row.runs[0]
        return row if isinstance(row, TrackedRun) else self.main_table.cursor

    # -- filter, groups

    def _try_filter(self, text: str) -> bool:
        kept = super()._try_filter(text)
        if kept and not self.prompt.asking and self.table.id == "main":
            self._reframe()
        return kept

    def _keep(self, text: str) -> None:
        super()._keep(text)
        if not self.prompt.asking:
            self._reframe()
            if self._wanted() != self._reading.query:
                self._load()

    def do_group(self) -> None:
        """Runs, or groups of those that differ in their seed alone."""
        self.toggle_class("grouped")
        self._reframe()
        self.call_after_refresh(self.focus_body)
        one = "runs that differ in their seed alone" if self.has_class("grouped") else "each run"
        self.say(one)

    # -- deeper

    def tracked_here(self) -> TrackedRun | None:
        run = self._under_cursor()
        if run is None:
            self.say("there is no tracked run here", "warn")
        return run

    def was_noted(self, run: TrackedRun) -> None:
        self._load()

    def on_grid_table_entered(self, event: Entered) -> None:
        event.stop()
        row = event.row
        if isinstance(row, TrackedRun):
            self.foundry.open_tracked(row)
        elif isinstance(row, SeedGroup):
            self.remove_class("grouped")
            self._only(f"id={'|'.join(run.run_id for run in row.runs)}")
        elif isinstance(row, Spent):
            user = f"user={quoted(row.user)}" if row.user else "user=none"
            self._only(f"experiment={quoted(row.experiment)} {user}")

    def _only(self, where: str) -> None:
        self.main_table.filter(where, self.foundry.site.me)
        self._reframe()
        self.call_after_refresh(self.focus_body)

    def do_inspect(self) -> None:
        """The scheduler's run that this is the record of."""
        run = self.tracked_here()
        if run is None:
            return
        job = self._frame.jobs.get(run.run_id)
        if job is None:
            self.say(f"no scheduler lists the job of {run.name} any more", "warn")
        else:
            self.foundry.open_run(job.id)

    def do_diff(self) -> None:
        """The marked runs side by side; one alone is held against the pinned one."""
        runs = self._to_compare()
        if not 2 <= len(runs) <= MOST_COMPARED:
            said = f"{len(runs)} runs are" if len(runs) != 1 else "one run is"
            self.say(f"{said} chosen: mark 2 to {MOST_COMPARED} with space, or pin one", "warn")
            return
        from foundry_tui.tui.screens.compare import Compare

        self.foundry.enter(Compare.of_runs(runs))

    def _to_compare(self) -> tuple[TrackedRun, ...]:
        rows = self.table.chosen
        runs = [
            run
            for row in rows
            for run in (row.runs if isinstance(row, SeedGroup) else (row,))
            if isinstance(run, TrackedRun)
        ]
        if (pinned := self._frame.pinned) is not None:
            runs = [pinned, *(run for run in runs if run.run_id != pinned.run_id)]
        return tuple(runs)
