"""The grid that a map of GPUs is drawn in: cells side by side, and where each of them stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from foundry_tui.estate.text import SafeText, cells, clip
from foundry_tui.presenters.heat import LEGEND
from foundry_tui.presenters.nodeuse import NodeUse

Fold = Literal["nodes", "glyphs", "racks"]
Part = tuple[str, str]
Parts = tuple[tuple[SafeText, str], ...]
"""A line: texts with their tones."""

GAP = 2
"""Cells between two columns of the map."""

NAME_CELLS = 16
"""The name of a node or a rack is cut to this."""

MARK_TONES = {"x": "bad", "?": "warn", "!": "warn"}
MARKS = {"!": "!name held but idle", "?": "?name no data", "x": "xname down or drained"}


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a node or a rack is drawn; `nodes` are the keys (`source/name`) that it stands for."""

    key: str
    line: int
    x: int
    width: int
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuMap:
    """A drawn map: `head` says the totals, `title` stands above the columns (none when folded).

    `cells` are in the order of reading, column by column.
    """

    fold: Fold
    head: SafeText
    title: Parts
    lines: tuple[Parts, ...]
    cells: tuple[Cell, ...]
    legend: SafeText


def across(count: int, fit: int, least: int, height: int) -> int:
    """How many columns: what the height asks for, at least `least`, as many as fit and are used."""
    wanted = -(-count // height) if height > 0 else fit
    return max(1, min(fit, count, max(wanted, least)))


def columns(
    drawn: Sequence[Sequence[Part]],
    keys: Sequence[tuple[str, tuple[str, ...]]],
    each: int,
    across: int,
) -> tuple[tuple[Parts, ...], tuple[Cell, ...]]:
    """Cells of `each` cells side by side, filled column by column, and where each of them is."""
    deep = -(-len(drawn) // across)
    lines: list[list[tuple[SafeText, str]]] = [[] for _ in range(deep)]
    placed: list[Cell] = []
    for n, (parts, (name, nodes)) in enumerate(zip(drawn, keys, strict=True)):
        column, line = divmod(n, deep)
        if column:
            parts = ((" " * GAP, ""), *parts)
        _append(lines[line], parts, each + GAP if column else each)
        placed.append(Cell(name, line, column * (each + GAP), each, nodes))
    return tuple(tuple(line) for line in lines), tuple(placed)


def _append(line: list[tuple[SafeText, str]], parts: Iterable[Part], width: int) -> None:
    """Put the parts at the end of a line in exactly `width` cells; neighbours of a tone join."""
    left = width
    for text, tone in (*parts, (" " * width, "")):
        shown = SafeText(text[:left]) if text.isascii() else clip(SafeText(text), left)
        left -= cells(shown)
        if line and line[-1][1] == tone:
            line[-1] = (SafeText(line[-1][0] + shown), tone)
        elif shown:
            line.append((shown, tone))


def key(use: NodeUse) -> str:
    """The key of a node: `source/name`."""
    return f"{use.node.source}/{use.node.name}"


def legend(shown: Iterable[str], marks: set[str]) -> SafeText:
    """The meaning of the glyphs and marks that occur."""
    seen = {"0" if c.isdecimal() else c for text in shown for c in text}
    words = [meaning for key, meaning in LEGEND.items() if key in seen]
    words += [meaning for key, meaning in MARKS.items() if key in marks]
    return SafeText("  ".join(words))
