"""The part of the app by which one goes from place to place and comes back."""

from __future__ import annotations

from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.tui.finding import Finding
from foundry_tui.tui.place import Place


class Going(Finding):
    """Going works from every place; `Foundry` is the whole app."""

    _mode_before = "overview"

    def crumbs(self) -> list[str]:
        """The way to the place that is shown."""
        return [s.name_here() for s in self.screen_stack if isinstance(s, Place)]

    def go(self, mode: str) -> None:
        """Show another of the six places."""
        if mode != self.current_mode:
            if mode in ("advise", "report", "experiments"):
                self._whole.travel.now()
            self._mode_before = self.current_mode
            self.switch_mode(mode)

    def enter(self, place: Place) -> None:
        """Go one step deeper; a place that is already on the way is gone back to."""
        for depth, other in enumerate(self.screen_stack):
            if isinstance(other, Place) and other.subject and other.subject == place.subject:
                for _ in range(len(self.screen_stack) - depth - 1):
                    self.pop_screen()
                return
        self.push_screen(place)

    def open_run(self, run_id: str) -> None:
        """Everything about one run."""
        from foundry_tui.tui.screens.run import RunPlace

        self.enter(RunPlace(run_id))

    def open_node(self, key: str, gpu_key: str | None = None) -> None:
        """One node, `source/name`, with its GPUs; the cursor on `gpu_key`, if it is given."""
        from foundry_tui.tui.screens.node import NodePlace

        self.enter(NodePlace(key, gpu_key))

    def open_gpu(self, key: str) -> None:
        """One GPU with who holds it; the key is `source/node/index`."""
        from foundry_tui.tui.screens.gpu import GpuPlace

        self.enter(GpuPlace(key))

    def open_runs(self, where: str, name: str) -> None:
        """The runs that match a filter, under a name for the way back."""
        from foundry_tui.tui.screens.runs import Runs

        self.enter(Runs(where, name))

    def open_tracked(self, run: TrackedRun) -> None:
        """The record of one run on the tracking server, whether a scheduler knows it or not."""
        from foundry_tui.tui.screens.tracked import TrackedPlace

        self.enter(TrackedPlace(run))

    def do_overview(self) -> None:
        self.go("overview")

    def do_runs(self) -> None:
        self.go("runs")

    def do_nodes(self) -> None:
        self.go("nodes")

    def do_advise(self) -> None:
        self.go("advise")

    def do_report(self) -> None:
        self.go("report")

    def do_experiments(self) -> None:
        self.go("experiments")

    def do_fractions(self) -> None:
        from foundry_tui.tui.screens.fractions import FractionsPlace

        self.enter(FractionsPlace())

    def do_submit(self) -> None:
        from foundry_tui.tui.screens.submit import Submit

        self.enter(Submit())

    def do_journal(self) -> None:
        from foundry_tui.tui.screens.journal import Journal

        self.enter(Journal())

    def do_verdicts(self) -> None:
        from foundry_tui.tui.screens.verdicts import Verdicts

        self.enter(Verdicts())

    def do_board(self) -> None:
        from foundry_tui.tui.screens.board import MigrationBoard

        self.enter(MigrationBoard())

    def do_log(self) -> None:
        from foundry_tui.tui.screens.commands import Commands

        self.enter(Commands())

    def do_previous(self) -> None:
        self.go(self._mode_before)

    def do_back(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()
