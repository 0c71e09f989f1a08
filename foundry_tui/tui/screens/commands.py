"""The command log: every command that was sent since the start, and its answer."""

from __future__ import annotations

from datetime import UTC
from typing import ClassVar

from textual.app import ComposeResult

from foundry_tui.presenters import units
from foundry_tui.presenters.toned import Line, paragraph
from foundry_tui.tui.commandlog import Entry
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.screens.estate import EstatePlace
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines


class Commands(EstatePlace):
    """Command, answer and duration of each; the newest is the last."""

    crumb = "Command log"
    about = "Every command that these screens sent since they were opened, and its answer."
    hints: ClassVar[tuple[str, ...]] = ("back", "journal", "command")
    subject = "commands"

    def panels(self) -> ComposeResult:
        yield Panel(Lines(id="main", follow=True), id="log")

    def draw(self, seen: Seen) -> None:
        self._draw()

    def draw_nothing(self, told: tuple[str, ...]) -> None:
        self._draw()

    def _draw(self) -> None:
        entries, lines = self.foundry.log_of_commands.entries, self.query_one("#main", Lines)
        panel = self.query_one("#log", Panel)
        panel.head("Commands", (f" · {len(entries)} sent", "dim"))
        if not entries:
            lines.put(
                [
                    [(" No command was sent since the screens were opened.", "")],
                    [(" The journal has the changes of all times: J", "dim")],
                ]
            )
            return
        width = max(20, lines.size.width - 1)
        lines.put([line for entry in entries for line in _told(entry, width)])


def _told(entry: Entry, width: int) -> list[Line]:
    at = entry.at.astimezone(UTC).strftime("%H:%M:%SZ")
    sign, tone = ("=", "good") if entry.good else ("x", "bad")
    return [
        *paragraph(f"{at} {entry.command}", width, tone="strong"),
        *paragraph(f"{sign} {entry.answer}{_after(entry.took_s)}", width, tone=tone, indent=11),
    ]


def _after(took_s: float | None) -> str:
    if took_s is None:
        return ""
    return f", after {took_s:.1f} s" if took_s < 60 else f", after {units.duration(took_s)}"
