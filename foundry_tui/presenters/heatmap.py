"""The map of an estate's GPUs: a line per node, a glyph per node, or a cell per rack.

Up to `NODE_LINES` nodes have a line each, with a glyph per GPU. Above that a node is one glyph in
the line of its rack, and above `NODE_GLYPHS` a rack is one cell. A rack are the nodes of a source
whose names differ only in their last number (`r12n01`, `r12n02`); where these are more than
`RACK_NODES`, in the order of that number, so many at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, cells, clip, pad, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.heat import LEGEND
from foundry_tui.presenters.nodepanel import glyph_tone
from foundry_tui.presenters.nodeuse import (
    NodeKey,
    NodeUse,
    Tally,
    add,
    node_uses,
    owner_words,
    owners,
    shortened,
)
from foundry_tui.presenters.rows.model import natural
from foundry_tui.presenters.totals import gpu_totals

Fold = Literal["nodes", "glyphs", "racks"]
Part = tuple[str, str]
Parts = tuple[tuple[SafeText, str], ...]
"""A line: texts with their tones."""

NODE_LINES = 96
NODE_GLYPHS = 1000
RACK_NODES = 32
GROUP = 4
"""GPUs that stand together."""

GAP = 2
"""Cells between two columns of the map."""

WIDEST_CELL = 64
"""A node's line gains nothing from more cells than these."""

NAME_CELLS = 16
"""A node's name is cut to this."""

OWNER_CELLS = 7
"""Room for an owner: `alice`, `bob +12`."""

MARK_TONES = {"x": "bad", "?": "warn", "!": "warn"}
MARKS = {"!": "!name held but idle", "?": "?name no data", "x": "xname down or drained"}
_LAST_NUMBER = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)


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


@dataclass(frozen=True, slots=True)
class Rack:
    """Nodes that stand together, with their label."""

    label: str
    uses: tuple[NodeUse, ...]

    @property
    def tally(self) -> Tally:
        """The sum over its nodes."""
        return add(use.tally for use in self.uses)


def gpu_map(
    nodes: Sequence[Node],
    gpus: Sequence[Gpu],
    runs: Iterable[Run],
    *,
    now: datetime,
    width: int,
    height: int = 0,
) -> GpuMap:
    """The map in lines of at most `width` cells.

    `height` is how many lines are in sight: no more columns are made than it takes to fit; 0 is
    as many as fit.
    """
    uses = node_uses(nodes, gpus)
    uses.sort(key=lambda use: (use.node.source, natural(use.node.name)))
    head = head_words(nodes, gpus)
    width = max(1, width)
    if len(uses) <= NODE_LINES:
        return _node_lines(uses, owners(gpus, runs), head, now, width, height)
    most = RACK_NODES
    if len(uses) <= NODE_GLYPHS:
        while most > GROUP and 1 + NAME_CELLS + 1 + most + 6 > width:
            most //= 2
        return _rack_lines(racks(uses, most), head, width, height)
    return _rack_cells(racks(uses, most), head, width, height)


def head_words(nodes: Iterable[Node], gpus: Sequence[Gpu]) -> SafeText:
    """The totals: allocated and used are told apart, and what nobody measured is not counted."""
    totals = gpu_totals(nodes, gpus)
    if not totals.total_milli:
        return SafeText("GPUs: none is known")
    words = [f"GPUs {units.gpus(totals.total_milli)}"]
    words.append(f"allocated {units.gpus(totals.allocated_milli)}")
    util = [g.util_pct for g in gpus if g.util_pct is not None]
    if util:
        words.append(f"util {units.percent(sum(util) / len(util))} ({len(util)} measured)")
    else:
        words.append("util not measured")
    if totals.at_zero_count > totals.idle_count:
        words.append(f"allocated at 0% now {totals.at_zero_count}")
    elif totals.measured_count or totals.idle_count:
        words.append(f"idle but allocated {totals.idle_count}")
    if totals.out_of_service_milli:
        words.append(f"out of service {units.gpus(totals.out_of_service_milli)}")
    if totals.unknown_milli:
        words.append(f"unknown {units.gpus(totals.unknown_milli)}")
    return SafeText(" · ".join(words))


def racks(uses: Sequence[NodeUse], most: int = RACK_NODES) -> list[Rack]:
    """The nodes in racks of at most `most`, by the rule of this module."""
    groups: dict[tuple[str, ...], list[NodeUse]] = {}
    for use in uses:
        found = _LAST_NUMBER.fullmatch(use.node.name)
        names = (found[1], found[3]) if found else ()
        groups.setdefault((use.node.source, *names), []).append(use)
    return [
        Rack(_label(part), part)
        for group in groups.values()
        for at in range(0, len(group), most)
        if (part := tuple(group[at : at + most]))
    ]


def _label(uses: Sequence[NodeUse]) -> str:
    """`h001-032`: the first name and the number of the last one."""
    first, last = uses[0].node.name, uses[-1].node.name
    if first == last:
        return first
    found = _LAST_NUMBER.fullmatch(last)
    return f"{first}-{found[2] if found else last}"


# -- a line per node


@dataclass(frozen=True, slots=True)
class _Shape:
    """Widths in cells of a node's columns; `use` names those of util, mem and kW that fit."""

    name: int
    glyphs: int
    use: tuple[str, ...]
    owner: int
    width: int


def _node_lines(
    uses: Sequence[NodeUse],
    held: Mapping[NodeKey, Mapping[str, int]],
    head: SafeText,
    now: datetime,
    width: int,
    height: int,
) -> GpuMap:
    name = max((4, *(cells(shortened(u.node.name, NAME_CELLS)) for u in uses)))
    glyphs = max((len(_grouped(u.glyphs)) for u in uses), default=4)
    least = 1 + name + 1 + glyphs + 5 + 1 + OWNER_CELLS
    full = least + 10
    fit = max((width + GAP) // (full + GAP), min(2, (width + GAP) // (least + GAP)), 1)
    across = _across(len(uses), fit, -(-width // WIDEST_CELL), height)
    shape = _shape((width - GAP * (across - 1)) // across, name, glyphs)
    drawn = [
        _node_parts(use, held.get((use.node.source, use.node.name)), shape, now) for use in uses
    ]
    keys = [(_key(use), (_key(use),)) for use in uses]
    lines, placed = _columns(drawn, keys, shape.width, across)
    return GpuMap(
        fold="nodes",
        head=head,
        title=_title(shape, across) if uses else (),
        lines=lines,
        cells=placed,
        legend=_legend((u.glyphs for u in uses), {u.mark for u in uses}),
    )


def _across(count: int, fit: int, least: int, height: int) -> int:
    """How many columns: what the height asks for, at least `least`, as many as fit and are used."""
    wanted = -(-count // height) if height > 0 else fit
    return max(1, min(fit, count, max(wanted, least)))


def _shape(width: int, name: int, glyphs: int) -> _Shape:
    left = width - (1 + name + 1 + glyphs)
    use: list[str] = []
    for column in ("util", "mem", "kW"):
        if left - 5 >= (1 + OWNER_CELLS if column != "util" else 0):
            use.append(column)
            left -= 5
    owner = left - 1 if left > OWNER_CELLS // 2 else 0
    return _Shape(name, glyphs, tuple(use), owner, width)


def _title(shape: _Shape, across: int) -> Parts:
    columns = "".join(f" {word:>4}" for word in shape.use)
    gpus = pad(clip(SafeText("GPU 0.."), shape.glyphs), shape.glyphs)
    owner = " owner" if shape.owner else ""
    text = f" {pad(SafeText('node'), shape.name)} {gpus}{columns}{owner}"
    one = pad(clip(SafeText(text), shape.width), shape.width)
    return ((SafeText((" " * GAP).join([one] * across)), "dim"),)


def _node_parts(
    use: NodeUse, users: Mapping[str, int] | None, shape: _Shape, now: datetime
) -> list[Part]:
    parts: list[Part] = [
        (use.mark, MARK_TONES.get(use.mark, "")),
        (f"{pad(shortened(use.node.name, shape.name), shape.name)} ", ""),
    ]
    grouped = _grouped(use.glyphs)
    parts += _toned(grouped)
    parts.append((" " * (shape.glyphs - len(grouped)), ""))
    rest = 5 * len(shape.use) + 1 + shape.owner
    words, tone = _instead(use, now)
    if words and users:
        words = f"{words}  {owner_words(users, OWNER_CELLS)}"
    if words:
        parts.append((f" {clip(safe(words), max(0, rest - 1))}", tone))
    else:
        values = {
            "util": SafeText("MIG") if _is_mig(use) else units.percent(use.util_pct),
            "mem": units.percent(use.mem_pct),
            "kW": units.UNKNOWN if use.power_w is None else SafeText(f"{use.power_w / 1000:.1f}"),
        }
        numbers = "".join(f" {pad(values[column], 4, 'right')}" for column in shape.use)
        who = owner_words(users, shape.owner) if shape.owner else ""
        state = "" if use.node.placeable else f" {use.node.state.value}"
        parts.append((f"{numbers} {clip(safe(who + state), shape.owner)}".rstrip(), ""))
    return parts


def _is_mig(use: NodeUse) -> bool:
    """Use is told per device, and a device that is cut in parts tells none."""
    return use.partitioned and use.util_pct is None


def _instead(use: NodeUse, now: datetime) -> tuple[str, str]:
    """Words in place of the numbers, with their tone, where there is nothing to measure."""
    node = use.node
    if not node.placeable and not use.tally.held and node.state is not NodeState.UNKNOWN:
        since = units.since_s(node.reason_since, now)
        aged = f" {units.age(since)}" if since is not None else ""
        return f"{node.state.value}{aged}{f': {node.reason}' if node.reason else ''}", ""
    if use.mark == "?":
        return "no data", "warn"
    if not use.tally.held and not use.tally.unknown and "!" not in use.glyphs:
        return "free", "dim"
    return "", ""


def _grouped(glyphs: str) -> str:
    return " ".join(glyphs[at : at + GROUP] for at in range(0, len(glyphs), GROUP))


def _toned(glyphs: str) -> list[Part]:
    """Neighbours of one tone in one text; a space joins what is before it."""
    parts: list[Part] = []
    for glyph in glyphs:
        tone = glyph_tone(glyph)
        if parts and (glyph == " " or parts[-1][1] == tone):
            parts[-1] = (parts[-1][0] + glyph, parts[-1][1])
        else:
            parts.append((glyph, tone))
    return parts


# -- a glyph per node, and a cell per rack


def _rack_lines(found: Sequence[Rack], head: SafeText, width: int, height: int) -> GpuMap:
    label = max(cells(shortened(r.label, NAME_CELLS)) for r in found)
    most = max(len(r.uses) for r in found)
    each = label + 1 + most + 5
    across = _across(len(found), max(1, (width + GAP) // (each + GAP)), 1, height)
    each = min(each, width)
    drawn = []
    for rack in found:
        glyphs = "".join(use.tally.glyph for use in rack.uses)
        parts = [(f"{pad(shortened(rack.label, label), label)} ", ""), *_toned(glyphs)]
        share = units.percent(rack.tally.allocated_pct)
        parts.append((" " * (most - len(glyphs)) + f" {pad(share, 4, 'right')}", "dim"))
        drawn.append(parts)
    lines, placed = _columns(drawn, [("", ())] * len(found), each, across)
    places = [
        Cell(_key(use), at.line, at.x + label + 1 + n, 1, (_key(use),))
        for at, rack in zip(placed, found, strict=True)
        for n, use in enumerate(rack.uses)
        if label + 1 + n < each
    ]
    shown = (use.tally.glyph for rack in found for use in rack.uses)
    return GpuMap(
        fold="glyphs",
        head=head,
        title=(),
        lines=lines,
        cells=tuple(places),
        legend=SafeText(f"a glyph is a node, % of the rack is allocated: {_legend(shown, set())}"),
    )


def _rack_cells(found: Sequence[Rack], head: SafeText, width: int, height: int) -> GpuMap:
    label = max(cells(shortened(r.label, NAME_CELLS)) for r in found)
    each = min(1 + label + 1 + 1 + 5, width)
    across = _across(len(found), max(1, (width + GAP) // (each + GAP)), 1, height)
    drawn, keys, marks = [], [], set[str]()
    for rack in found:
        tally = rack.tally
        mark = next((m for m in "x?!" if any(use.mark == m for use in rack.uses)), " ")
        marks.add(mark)
        share = pad(units.percent(tally.allocated_pct), 4, "right")
        drawn.append(
            [
                (mark, MARK_TONES.get(mark, "")),
                (f"{pad(shortened(rack.label, label), label)} ", ""),
                (tally.glyph, glyph_tone(tally.glyph)),
                (f" {share}", ""),
            ]
        )
        nodes = tuple(_key(use) for use in rack.uses)
        keys.append((f"rack:{nodes[0]}", nodes))
    lines, placed = _columns(drawn, keys, each, across)
    legend = _legend((rack.tally.glyph for rack in found), marks)
    return GpuMap(
        fold="racks",
        head=head,
        title=(),
        lines=lines,
        cells=placed,
        legend=SafeText(f"a cell is a rack: mean use of what is held, % allocated: {legend}"),
    )


# -- drawing


def _columns(
    drawn: Sequence[Sequence[Part]],
    keys: Sequence[tuple[str, tuple[str, ...]]],
    each: int,
    across: int,
) -> tuple[tuple[Parts, ...], tuple[Cell, ...]]:
    """Cells of `each` cells side by side, filled column by column, and where each of them is."""
    deep = -(-len(drawn) // across)
    lines: list[list[tuple[SafeText, str]]] = [[] for _ in range(deep)]
    placed: list[Cell] = []
    for n, (parts, (key, nodes)) in enumerate(zip(drawn, keys, strict=True)):
        column, line = divmod(n, deep)
        if column:
            parts = ((" " * GAP, ""), *parts)
        _append(lines[line], parts, each + GAP if column else each)
        placed.append(Cell(key, line, column * (each + GAP), each, nodes))
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


def _key(use: NodeUse) -> str:
    return f"{use.node.source}/{use.node.name}"


def _legend(shown: Iterable[str], marks: set[str]) -> SafeText:
    """The meaning of the glyphs and marks that occur."""
    seen = {"0" if c.isdecimal() else c for text in shown for c in text}
    words = [meaning for key, meaning in LEGEND.items() if key in seen]
    words += [meaning for key, meaning in MARKS.items() if key in marks]
    return SafeText("  ".join(words))
