"""The checklist of sources: what was found on this host, what is missing, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult

from foundry_tui.actions import doctor as doctors
from foundry_tui.estate.text import cells, safe
from foundry_tui.presenters.details import Finding
from foundry_tui.presenters.page import wrap
from foundry_tui.tui.bars import Part
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.place import Place
from foundry_tui.tui.widgets.lines import Lines

Checked = Sequence[tuple[str, str, Sequence[Finding]]]

TONES = {"found": ("+", "good"), "missing": ("-", "warn"), "broken": ("x", "bad")}
"""State of a finding -> its sign and tone."""


def checklist(checked: Checked, width: int) -> list[list[Part]]:
    """One entry per finding, under its source; a mending command is never cut, it wraps."""
    lines: list[list[Part]] = []
    for name, kind, findings in checked:
        head = name if name == kind else f"{name} ({kind})"
        lines += [[], [(f" {safe(head)}", "title")]]
        wide = max((cells(safe(f.what)) for f in findings), default=0)
        for finding in findings:
            lines += _finding(finding, wide, width)
    return lines


def _finding(finding: Finding, wide: int, width: int) -> Iterable[list[Part]]:
    sign, tone = TONES.get(finding.state, ("?", ""))
    head = f"  {sign} {safe(finding.what):<{wide}}  {safe(finding.state):<8} "
    rest = " " * (wide + 6)
    first, *more = wrap(finding.found, width, first=head, rest=rest)
    yield [(first[: len(head)], tone), (first[len(head) :], "")]
    for line in more:
        yield [(line, "")]
    if finding.mend:
        for line in wrap(
            f"mend: {safe(finding.mend, max_cells=4096)}", width, first=rest, rest=rest
        ):
            yield [(line, "accent")]


class Doctor(Place):
    """Every source: found, missing or broken, and the one command that mends it."""

    crumb = "Doctor"
    hints: ClassVar[tuple[str, ...]] = ("refresh", "back", "command")
    about = (
        "Every source that this host could have: found, missing or broken, why, and the command "
        "that mends it. Nothing here changes anything."
    )

    def __init__(self) -> None:
        super().__init__()
        self._checked: Checked | None = None
        self._failed = ""

    def body(self) -> ComposeResult:
        yield Lines(id="main")

    def show(self, seen: Seen) -> None:
        self._draw()

    def on_mount(self) -> None:
        self._look()

    def on_resize(self, event: events.Resize) -> None:
        super().on_resize(event)
        self._draw()

    def do_refresh(self) -> None:
        """Look again."""
        self._checked, self._failed = None, ""
        self._look()
        self.foundry.do_refresh()

    def _look(self) -> None:
        site = self.foundry.site
        self._draw()
        self.foundry.work_on("doctor", lambda: doctors.doctor(site), self._took, self._could_not)

    def _took(self, checked: Checked) -> None:
        self._checked = checked
        self._draw()

    def _could_not(self, words: str) -> None:
        self._failed = words
        self._draw()

    def introduction(self, width: int) -> list[list[Part]]:
        """What stands above the list."""
        return [[(" What this host offers", "strong")]]

    def shown(self, checked: Checked) -> Checked:
        """The sources that are listed."""
        return checked

    def _draw(self) -> None:
        width = self.size.width
        if not width or not self.is_mounted:
            return
        lines = self.introduction(width)
        if self._failed:
            lines += [[], *([(line, "bad")] for line in wrap(self._failed, width, first=" "))]
        elif self._checked is None:
            lines += [[], [(" looking … (a source that does not answer takes its time)", "dim")]]
        else:
            lines += checklist(self.shown(self._checked), width)
        for reader in self.query("#main").results(Lines):  # none when the place is going
            reader.put(lines)
