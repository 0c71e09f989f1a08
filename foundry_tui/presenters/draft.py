"""The panel below the form of a new run: the estimate, the exact command, notes, the script."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.acts import Preview
from foundry_tui.presenters import units
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.toned import Line, heading, paragraph

HEAD_LINES = 40
"""Lines of the script that are shown."""

MOST_NODES = 4


def start_words(
    starts_at: datetime | None, nodes: Sequence[str], queue: str | None, now: datetime
) -> str:
    """When and where a run would start."""
    wait_s = 0.0 if starts_at is None else (starts_at - now).total_seconds()
    words = f"starts {units.when(starts_at)}"
    words += f", in {units.duration(wait_s)}" if wait_s >= 60 else ", at once"
    if nodes:
        more = f" and {len(nodes) - MOST_NODES} more" if len(nodes) > MOST_NODES else ""
        words += f", on {', '.join(nodes[:MOST_NODES])}{more}"
    return words + (f" ({queue})" if queue else "")


def room_words(obstacle: str | None, changes: Sequence[str]) -> str:
    """Whether it would find room now, and what would start it now instead."""
    if obstacle is None:
        return "there is room for it now"
    return f"{obstacle}. To start it now: {'; or '.join(changes)}" if changes else obstacle


def sending_lines(preview: Preview, notes: Sequence[str], width: int) -> list[Line]:
    """Why it would be refused, and what there is to know; then the exact command.

    The request to a cluster holds the whole program: whatever came behind it would not be seen.
    """
    lines: list[Line] = []
    for item in preview.items:
        if item.refusal is not None:
            lines += paragraph(f"refused: {item.refusal}", width, tone="bad")
        if item.warning is not None:
            lines += paragraph(f"warning: {item.warning}", width, tone="warn")
    for note in notes:
        lines += paragraph(note, width, tone="dim")
    for item in preview.items:
        if item.refusal is None and item.command:
            lines += paragraph(command_text(item.command, Style()), width, tone="accent")
    return lines


def script_lines(script: bytes, name: str, own: Sequence[str] = ()) -> list[Line]:
    """The beginning of a script, as it is; the lines that foundry adds (`own`) as one."""
    text = _folded(script[: 64 << 10].decode("utf-8", "replace").splitlines(), own)
    lines: list[Line] = [[], heading(name)]
    for line in text[:HEAD_LINES]:
        lines.append([(f"   {line.expandtabs(4)}", "" if line.startswith("#SBATCH") else "dim")])
    if len(text) > HEAD_LINES:
        lines.append([(f"   and {len(text) - HEAD_LINES} more lines", "dim")])
    return lines


def _folded(text: list[str], own: Sequence[str]) -> list[str]:
    """The lines without those for the record, which would push the program out of sight."""
    added = "\n".join(own).splitlines()
    at = next((n for n in range(len(text)) if text[n : n + len(added)] == added), None)
    if at is None or not added:
        return text
    before, behind = text[:at], text[at + len(added) :]
    while before and not before[-1]:
        before.pop()
    while behind and not behind[0]:
        behind.pop(0)
    return [*before, f"# {len(added)} lines that tell the record what it runs in", *behind]
