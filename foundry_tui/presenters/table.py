"""A table for a terminal: columns that fit, lines that never wrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from foundry_tui.estate.text import SafeText, cells, pad
from foundry_tui.presenters.page import Style, coloured

GAP = 2
"""Cells between two columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    When room is short, columns with `stretch` shrink to `min_width` cells; then the column with
    the highest `priority` goes, the last one first among equals. 0 never goes. `state` means that
    the cells are states, which may be coloured.
    """

    title: str
    align: Literal["left", "right"] = "left"
    min_width: int = 6
    priority: int = 0
    stretch: bool = False
    state: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """The lines of a table, header first, and the titles of the columns that had no room."""

    lines: list[str]
    hidden: tuple[str, ...]


def draw(columns: Sequence[Column], rows: Sequence[Sequence[SafeText]], style: Style) -> Drawn:
    """The table in at most `style.width` cells, or with every column whole when `style.wide`."""
    natural = [
        max(len(column.title), max((cells(row[i]) for row in rows), default=0))
        for i, column in enumerate(columns)
    ]
    widths = dict(enumerate(natural)) if style.wide else fit(columns, natural, style.width)
    shown = [(i, width, columns[i]) for i, width in widths.items()]
    lines = [_line([pad(SafeText(c.title), width, c.align) for _, width, c in shown])]
    for row in rows:
        line = []
        for i, width, column in shown:
            cell = pad(row[i], width, column.align)
            line.append(coloured(row[i], cell) if column.state and style.colour else cell)
        lines.append(_line(line))
    return Drawn(lines, tuple(c.title for i, c in enumerate(columns) if i not in widths))


def _line(padded: Sequence[str]) -> str:
    return (" " * GAP).join(padded).rstrip()


def fit(columns: Sequence[Column], natural: Sequence[int], width: int) -> dict[int, int]:
    """Place of a column -> its width, for the columns that are shown in `width` cells.

    `natural` are the widths that show every cell whole. A column gets no more than that, so cells
    may be left over.
    """
    widths = {
        i: min(natural[i], max(c.min_width, len(c.title))) if c.stretch else natural[i]
        for i, c in enumerate(columns)
    }
    while _total(widths) > width:
        last = max(widths, key=lambda i: (columns[i].priority, i))
        if not columns[last].priority:
            break
        del widths[last]
    while _total(widths) > width and widths:
        widest = max(widths, key=lambda i: (widths[i], i))
        if widths[widest] > 1:
            widths[widest] -= 1
        else:
            del widths[widest]
    for _ in range(width - _total(widths)):
        short = [i for i, w in widths.items() if w < natural[i]]
        if not short:
            break
        widths[min(short, key=lambda i: widths[i])] += 1
    return widths


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)
