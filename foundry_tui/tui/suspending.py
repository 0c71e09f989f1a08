"""Giving the terminal away for a while: to the editor, and to a shell inside a run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from foundry_tui.actions import shell
from foundry_tui.actions.site import utc_now
from foundry_tui.actions.table import Action
from foundry_tui.estate.run import Run
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.page import Style
from foundry_tui.process import ProcessError, attach
from foundry_tui.tui.commandlog import Entry
from foundry_tui.tui.confirm import Question
from foundry_tui.tui.place import Place

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry


class NotGiven(Exception):
    """The terminal could not be given away, or the program could not be started."""


def outside(app: Foundry, argv: Sequence[str]) -> int:
    """Run a program in the user's own terminal; its exit code. The screens come back after it.

    Raises:
        NotGiven: this terminal cannot be given away, or there is no such program.
    """
    try:
        with app.suspend():
            return attach(argv)
    except ProcessError as error:
        raise NotGiven(str(error)) from error
    except SuspendNotSupported as error:
        raise NotGiven("this terminal cannot be given away") from error


class Shell(Place):
    """A shell inside the run that a place shows."""

    def selected_runs(self) -> tuple[Run, ...]:
        """The runs that are chosen here."""
        raise NotImplementedError

    def refusal(self, action: Action) -> str | None:
        if action.id != "shell":
            return super().refusal(action)
        runs = self.selected_runs()
        if len(runs) != 1:
            return "there is no run here" if not runs else "for one run at a time"
        return shell.refusal(self.foundry.site, runs[0])

    def do_shell(self) -> None:
        """Show the command, and run it when the user agrees."""
        runs, site = self.selected_runs(), self.foundry.site
        if not runs:
            return
        run = runs[0]

        def ask(argv: tuple[str, ...]) -> None:
            if not self.is_current:
                return
            self.confirm(
                Question(
                    title=f"Shell in {run.native_id} {run.name}",
                    lines=(
                        [(f"   {command_text(argv, Style())}", "accent")],
                        [(" A step of its own, on the GPUs and in the memory of the run.", "")],
                        [(" `exit` ends it and brings the screens back.", "dim")],
                    ),
                    agreed=lambda: self._open_shell(run, argv),
                    how="type y to open it here",
                )
            )

        self.foundry.work_on("shell", lambda: shell.argv(site, run), ask)

    def _open_shell(self, run: Run, argv: tuple[str, ...]) -> None:
        at, began = utc_now(), time.monotonic()
        try:
            code = outside(self.foundry, argv)
        except NotGiven as error:
            self.say(f"shell: {error}", "bad")
            return
        words = f"ended with {code}" if code >= 0 else f"was ended by signal {-code}"
        self.foundry.log_of_commands.add(
            Entry(
                at=at,
                command=command_text(argv, Style()),
                answer=words,
                took_s=time.monotonic() - began,
                good=code == 0,
            )
        )
        self.say(f"the shell in {run.native_id} {words}", "good" if code == 0 else "warn")
        self.foundry.feed.hurry()
