"""What can be asked about a run, wherever one is shown."""

from __future__ import annotations

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.run import Run
from foundry_tui.estate.waste import Idle
from foundry_tui.tui.acting import RunActs, fitting
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.intime import InTime
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.text import LogPage, WhyPage
from foundry_tui.tui.suspending import Shell


class OnRun(Listing, InTime, RunActs, Shell):
    """A place with runs in it: the one under the cursor can be opened, explained and read."""

    def selected_runs(self) -> tuple[Run, ...]:
        """The runs that an act is for: the marked ones, else the one under the cursor.

        On a GPU they are the runs that hold a part of it.
        """
        seen = self.foundry.seen
        return tuple(run for row in self.table.chosen for run in runs_of(row, seen))

    def run_here(self) -> Run | None:
        """The run under the cursor; says so when there is none."""
        seen = self.foundry.seen
        found = runs_of(self.table.cursor, seen)
        if not found:
            self.say("there is no run here", "warn")
        return found[0] if found else None

    def act_on(self, action_id: str, where: str) -> None:
        """An act on the runs that a filter finds, as the command line asks for it."""
        if self._try_filter(where):
            found = tuple(run for run in self.table.shown if isinstance(run, Run))
            self.act_on_runs(action_id, fitting(action_id, found))

    def do_inspect(self) -> None:
        if (run := self.run_here()) is not None:
            self.foundry.open_run(run.id)

    def do_why(self) -> None:
        if (run := self.run_here()) is not None:
            self.foundry.enter(WhyPage(run))

    def do_logs(self) -> None:
        if (run := self.run_here()) is not None:
            self.foundry.enter(LogPage(run))


def runs_of(row: object, seen: Seen | None) -> tuple[Run, ...]:
    """The runs that a row is about: itself, those on a GPU, or the one that lets GPUs lie idle."""
    if isinstance(row, Run):
        return (row,)
    if seen is None or not isinstance(row, Gpu | Idle):
        return ()
    held = {row.run} if isinstance(row, Idle) else set(row.runs)
    return tuple(run for run in seen.runs if run.id in held)
