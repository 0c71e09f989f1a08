"""The dry run of a plan: every step with its exact command; nothing is sent from reading it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult

from foundry_tui.actions import apply
from foundry_tui.actions.table import Action
from foundry_tui.estate.plan import Plan
from foundry_tui.tui.applying import ask_apply, dry_run, style_of
from foundry_tui.tui.asking import toned
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.screens.estate import EstatePlace
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines


class DryRun(EstatePlace):
    """What these moves of a plan would send here and now, and what stands in the way."""

    about = "What the moves would send here and now, what stands in the way, what takes it back."
    hints: ClassVar[tuple[str, ...]] = ("back", "apply", "refresh", "copy", "log")

    def __init__(self, plan: Plan, only: tuple[str, ...], then: Callable[[bool], None]) -> None:
        super().__init__()
        self._plan, self._only, self._then = plan, only, then
        self._prepared: apply.Prepared | None = None
        self._failed = ""
        self._asked = False
        self.subject = f"dry run of plan {plan.id}"

    def name_here(self) -> str:
        return "Dry run"

    def panels(self) -> ComposeResult:
        yield Panel(Lines(id="main"), id="dry")

    def refusal(self, action: Action) -> str | None:
        why = super().refusal(action)
        if why is None and action.id == "apply" and (made := self._prepared) is not None:
            if made.applied is not None:
                return f"applied {made.applied:%H:%M} already"
            return made.obstacles[0] if made.obstacles else None
        return why

    def draw(self, seen: Seen) -> None:
        if not self._asked:
            self.do_refresh()
        self._draw(seen)

    def do_refresh(self) -> None:
        """Hold the plan against the estate again."""
        foundry, plan = self.foundry, self._plan
        if (seen := foundry.seen) is None:
            return
        self._asked = True

        def then(prepared: apply.Prepared) -> None:
            self._prepared, self._failed = prepared, ""
            self._draw(seen)
            self.refresh_lines()

        def failed(words: str) -> None:
            self._failed = words
            self._draw(seen)

        foundry.work_on(
            "dry run",
            lambda: apply.prepare(foundry.site, plan, None, seen.snapshot, only=self._only),
            then,
            failed,
        )

    def _draw(self, seen: Seen) -> None:
        panel, lines = self.query_one("#dry", Panel), self.query_one("#main", Lines)
        made = self._prepared
        if self._failed or made is None:
            how = "not possible" if self._failed else "being made …"
            panel.head("Dry run", (f" · {how}", "warn"))
            lines.put([[(f" {self._failed or 'Every step is being spelled out …'}", "")]])
            return
        obstacles = len(made.obstacles)
        if made.applied is not None:
            panel.head("Dry run", (f" · applied {made.applied:%H:%M}: nothing is left", "good"))
            lines.put(
                [toned(line) for line in dry_run(made, seen.snapshot, style_of(self)).splitlines()]
            )
            return
        count = f" · {made.count} target{'' if made.count == 1 else 's'}"
        stands = f" · {obstacles or 'nothing'} in the way"
        panel.head("Dry run", (count, "dim"), (stands, "bad" if obstacles else "good"))
        text = dry_run(made, seen.snapshot, style_of(self))
        lines.put([toned(line) for line in text.splitlines()])

    def do_apply(self) -> None:
        """Ask for these moves, hold them, and carry them out one by one."""
        ask_apply(self, self._plan, self._only, self._carried)

    def _carried(self, all_of_it: bool) -> None:
        """Something of it was carried out: told to whoever came from there, and looked at anew."""
        self._then(all_of_it)
        if self.is_mounted:
            self.do_refresh()

    def do_copy(self) -> None:
        """The exact commands, one on a line."""
        made = self._prepared
        words = [" ".join(one) for s in made.steps for one in s.commands if one] if made else []
        if not words:
            self.say("there is no command to copy", "warn")
            return
        self.app.copy_to_clipboard("\n".join(words))
        self.say(f"copied {len(words)} commands (if your terminal allows it)", "good")
