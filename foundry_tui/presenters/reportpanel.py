"""What stands beside a report: its totals as a bar, coverage, reconciliation, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from foundry_tui.estate import csvtext
from foundry_tui.estate.text import cells, pad, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.reportchart import LOOKS, stacked
from foundry_tui.presenters.toned import Line, heading, pairs, paragraph
from foundry_tui.reports.columns import Column, Row
from foundry_tui.reports.drawing.charting import IDLE, UNKNOWN, USED
from foundry_tui.reports.made import Made, Totals

MOST_ODD = 5
"""Accounts whose sums differ that are named; the sidecar has all."""

_PARTS = (USED, IDLE, UNKNOWN)

_APART = {
    "running": "still run, counted up to now",
    "gpus_unknown": "whose GPUs nobody told: in no total",
    "end_unknown": "ended, nobody knows when: in no total",
    "end_before_start": "end before they start: in no total",
}
"""A count of the sidecar -> what it counts."""


def report_lines(made: Made, width: int, *, ascii_only: bool) -> list[Line]:
    """Totals, coverage, reconciliation and notes of a report, `width` cells wide."""
    lines: list[Line] = []
    if (totals := made.totals) is not None:
        lines += totals_lines(totals, width, ascii_only=ascii_only)
    lines += _measured(made.meta.get("telemetry") or {}, made.notes, width)
    for note in made.notes:
        lines += paragraph(f"! {safe(note, max_cells=1024)}", width, tone="warn")
    if (found := made.meta.get("reconciliation")) is not None:
        lines += reconciliation_lines(found, width)
    if (apart := made.meta.get("counted_apart")) is not None:
        lines += apart_lines(apart, width)
    return lines


def totals_lines(totals: Totals, width: int, *, ascii_only: bool) -> list[Line]:
    """The bar of what was allocated, its parts in GPU-hours, and how much of it was measured.

    What nobody measured is unknown, which is neither used nor idle.
    """
    amounts = (totals.used_s, totals.idle_s, totals.unknown_s)
    bar = stacked(_PARTS, amounts, totals.allocated_s, max(8, width - 2), ascii_only=ascii_only)
    lines: list[Line] = [[(" ", ""), *bar]] if bar else []
    told: list[Line] = [
        [(" allocated ", "dim"), (f"{_hours(totals.allocated_s)} GPU-hours", "strong")]
    ]
    measured = totals.used_s or totals.idle_s or not totals.allocated_s
    for part, amount in zip(_PARTS, amounts, strict=True):
        glyphs, tone = LOOKS[part]
        glyph = glyphs[-1] if ascii_only else glyphs[0]
        value = _hours(amount) if measured or part == UNKNOWN else str(units.UNKNOWN)
        told.append([(f" {glyph} ", tone), (f"{part} ", "dim"), (value, "")])
    lines += _flowed(told, width)
    return [*lines, *coverage_lines(totals, width)]


def coverage_lines(totals: Totals, width: int) -> list[Line]:
    """How much of the allocated time was measured."""
    covered = totals.coverage_pct
    if covered is None:
        return paragraph("Nothing was allocated in this window.", width, tone="dim")
    if not totals.used_s and not totals.idle_s:
        words = "Not measured: no reading of these GPUs is kept for this window, so that all of "
        return paragraph(f"{words}it is unknown. Unknown is not idle.", width, tone="warn")
    if not totals.unknown_s:
        return paragraph("All of it was measured.", width, tone="dim")
    words = f"{_percent(covered)} of it was measured; the rest is unknown, which is not idle."
    return paragraph(words, width, tone="dim")


def _measured(telemetry: Mapping[str, Any], notes: Iterable[str], width: int) -> list[Line]:
    """What the readings are: how fine, or why there are none, where no note says that already."""
    if (resolution_s := telemetry.get("resolution_s")) is None:
        reason = telemetry.get("reason")
        if not reason or any(reason in note for note in notes):
            return []
        return paragraph(f"No readings: {safe(reason)}.", width, tone="dim")
    words = f"Readings of {units.duration(resolution_s)}"
    if (idle_pct := telemetry.get("idle_threshold_pct")) is not None:
        words += f"; idle is {idle_pct:g} % or less in all of it"
    return paragraph(f"{words}.", width, tone="dim")


def reconciliation_lines(found: Mapping[str, Any], width: int) -> list[Line]:
    """Whether the rows add up to accounting, and to what each scheduler itself sums up."""
    lines = [heading("Reconciliation")]
    sums = found["accounting"]
    if sums["exact"]:
        words = f"= accounting to the GPU-second: {sums['rows_gpu_s']:,} GPU-seconds"
        lines += paragraph(words, width, tone="good")
    else:
        words = (
            f"! the rows have {sums['rows_gpu_s']:,} GPU-seconds, accounting "
            f"{sums['accounting_gpu_s']:,}: do not use them, and report this fault"
        )
        lines += paragraph(words, width, tone="bad")
    for own in found["schedulers"]:
        lines += _own(own, width)
    if not found["schedulers"]:
        lines += paragraph("No scheduler's own sums to lay beside them.", width, tone="dim")
    return lines


def _own(own: Mapping[str, Any], width: int) -> list[Line]:
    """The scheduler's own sums beside those of the rows, for the time that both cover."""
    differs = own["difference_gpu_s"]
    told = f"{safe(own['source'])}: {safe(own['by'])} says {own['own_gpu_s']:,} GPU-seconds"
    told += f", the rows {own['rows_gpu_s']:,}" if differs else ", as the rows do"
    if not differs and own["explained"]:
        return paragraph(f"= {told}", width, tone="good")
    if own["explained"]:
        words = f"~ {told}: {differs:+,}, which runs across the edges of hours and shares explain"
        return paragraph(words, width)
    lines = paragraph(f"! {told}: {differs:+,}, not explained", width, tone="warn")
    odd = [one for one in own["accounts"] if not one["explained"]]
    odd.sort(key=lambda one: -abs(one["difference_gpu_s"]))
    rows = [(str(one["account"]) or "(none)", _difference(one)) for one in odd[:MOST_ODD]]
    return [*lines, *pairs(rows, width)]


def _difference(account: Mapping[str, Any]) -> str:
    own = account["own_gpu_s"]
    theirs = "it says nothing" if own is None else f"it says {own:,}"
    return f"{account['difference_gpu_s']:+,} ({theirs})"


def apart_lines(found: Mapping[str, Any], width: int) -> list[Line]:
    """Tries that are not in the totals, or only up to now."""
    told: list[tuple[str, str]] = []
    for name, words in _APART.items():
        if count := found.get(name):
            told.append((str(count), words))
    for doubt in found.get("doubtful", ()):
        hours = _hours(doubt["not_billed_gpu_s"])
        reason = safe(doubt["reason"], max_cells=512)
        told.append((str(doubt["tries"]), f"in doubt, {hours} GPU-hours not billed: {reason}"))
    return [heading("Counted apart"), *pairs(told, width)] if told else []


def row_lines(columns: Sequence[Column], row: Row, width: int) -> list[Line]:
    """One row in full: every column with its value as the file has it, and what it is."""
    wide = max(len(column.name) for column in columns)
    values = [safe(_written(row.get(column.name)), max_cells=1024) for column in columns]
    room = min(max(map(cells, values)), 40)
    lines: list[Line] = []
    for column, value in zip(columns, values, strict=True):
        name, unknown = (f" {column.name.ljust(wide)}  ", "dim"), row.get(column.name) is None
        if max(cells(value), room) + wide + len(column.doc) + 6 <= width:
            shown = (pad(value, max(cells(value), room)), "dim" if unknown else "")
            lines.append([name, shown, (f"  {column.doc}", "dim")])
        else:
            lines.append([name, (value, "dim" if unknown else "strong")])
            lines += paragraph(column.doc, width, tone="dim", indent=5)
    return lines


def _written(value: object) -> str:
    if value is None or value == "":
        return "—"
    if isinstance(value, datetime):
        return csvtext.rfc3339(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _flowed(parts: list[Line], width: int) -> list[Line]:
    """Short texts one after the other, as many to a line as fit."""
    lines: list[Line] = []
    used = width
    for part in parts:
        taken = sum(len(text) for text, _ in part)
        if used + 1 + taken > width:
            lines.append([])
            used = 0
        elif lines[-1]:
            lines[-1].append((" ", ""))
            used += 1
        lines[-1] += part
        used += taken
    return lines


def _hours(gpu_s: int) -> str:
    return f"{gpu_s / 3600:,.2f}"


def _percent(value: float) -> str:
    """A share that is never rounded to all or nothing."""
    if 0 < value < 0.1:
        return "<0.1 %"
    return ">99.9 %" if 99.9 < value < 100 else f"{value:.1f} %"
