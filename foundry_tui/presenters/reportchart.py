"""The chart of a report as text: one bar per period, account or node, with what was used of it.

What is unknown is drawn with `?`, so that it never passes for idle.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from foundry_tui.estate.text import SafeText, cells, clip, pad, safe
from foundry_tui.presenters.page import Style, finish
from foundry_tui.presenters.toned import Line, paragraph
from foundry_tui.reports.columns import Row, names
from foundry_tui.reports.drawing.charting import IDLE, UNKNOWN, USED, Chart, chart_of, charted
from foundry_tui.reports.made import Made

__all__ = ["Chart", "chart_lines", "chart_text", "charted", "legend", "shown_chart", "stacked"]

LOOKS = {
    USED: ("█#", "good"),
    "allocated": ("█#", "good"),
    IDLE: ("░.", "warn"),
    "drained": ("d", "dim"),
    "down": ("x", "bad"),
    "maint": ("m", "dim"),
    UNKNOWN: ("?", "dim"),
}
"""Part -> its glyph (and the one for ASCII), and its tone."""

LEAST_BAR = 8
"""Cells below which a bar says nothing."""


def shown_chart(made: Made, rows: Sequence[Row]) -> Chart:
    """The chart of some rows of a report."""
    columns = names(made.columns)
    return chart_of(made.asked.name, columns, ([row.get(one) for one in columns] for row in rows))


def chart_text(made: Made, style: Style) -> str:
    """The chart for a terminal without screens."""
    chart = charted(made)
    lines = chart_lines(chart, style.width, ascii_only=style.ascii)
    return finish(("".join(text for text, _ in line) for line in lines), style)


def chart_lines(chart: Chart, width: int, *, ascii_only: bool) -> list[Line]:
    """The bars with their names and amounts, and what their glyphs mean, `width` cells wide."""
    if not chart.labels:
        return [*paragraph(f"{chart.title}: nothing was held.", width, tone="dim"), *_untold(chart)]
    labels = [safe(label) for label in chart.labels]
    wholes = [sum(bar, Decimal(0)) for bar in chart.amounts]
    numbers = [SafeText(f"{whole:,.2f}") for whole in wholes]
    room = max(cells(number) for number in numbers)
    named = min(max(cells(label) for label in labels), max(6, (width - room) // 3))
    longest = max(LEAST_BAR, width - named - room - 4)
    lines: list[Line] = [[(f" {chart.title} by {chart.by}", "strong")]]
    for label, bar, number in zip(labels, chart.amounts, numbers, strict=True):
        drawn = stacked(chart.parts, bar, chart.largest, longest, ascii_only=ascii_only)
        taken = sum(len(text) for text, _ in drawn)
        lines.append(
            [
                (f" {pad(clip(label, named), named)} ", ""),
                *drawn,
                (" " * (longest - taken + 1), ""),
                (pad(number, room, "right"), ""),
            ]
        )
    present = [
        part for k, part in enumerate(chart.parts) if any(amounts[k] for amounts in chart.amounts)
    ]
    return [*lines, *legend(present, width, ascii_only=ascii_only), *_untold(chart)]


def stacked(
    parts: Sequence[str],
    amounts: Sequence[Decimal | int],
    full: Decimal | int,
    width: int,
    *,
    ascii_only: bool,
) -> Line:
    """A bar of parts, in which `full` takes `width` cells; what there is of a part is seen."""
    if not full:
        return []
    line: Line = []
    reached, drawn = Decimal(0), 0
    later = [sum(1 for amount in amounts[k + 1 :] if amount) for k in range(len(amounts))]
    for k, (part, amount) in enumerate(zip(parts, amounts, strict=True)):
        if not amount:
            continue
        reached += amount
        end = int(width * reached / full + Decimal("0.5"))
        count = max(1, min(end, width - later[k]) - drawn)
        glyphs, tone = LOOKS[part]
        line.append(((glyphs[-1] if ascii_only else glyphs[0]) * count, tone))
        drawn += count
    return line


def legend(parts: Sequence[str], width: int, *, ascii_only: bool) -> list[Line]:
    """What the glyphs of the bars mean."""
    lines: list[Line] = []
    used = width
    for part in parts:
        glyphs, tone = LOOKS[part]
        word = f" {part} "
        if used + 2 + len(word) > width:
            lines.append([(" ", "")])
            used = 1
        lines[-1] += [(glyphs[-1] if ascii_only else glyphs[0], tone), (word, "dim")]
        used += 1 + len(word)
    return lines


def _untold(chart: Chart) -> list[Line]:
    """Rows that are in no bar."""
    if not (count := chart.untold_count):
        return []
    rows = (
        "1 row is in no bar: it tells" if count == 1 else f"{count} rows are in no bar: they tell"
    )
    return [[(f" {rows} no {chart.unit}.", "dim")]]
