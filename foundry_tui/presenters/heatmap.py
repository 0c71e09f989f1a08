"""The map of an estate's GPUs: a line per node, a glyph per node, or a cell per rack.

Up to `NODE_LINES` nodes have a line each, with a glyph per GPU. Above that a node is one glyph in
the line of its rack, and above `NODE_GLYPHS` a rack is one cell. A rack are the nodes of a source
whose names differ only in their last number (`r12n01`, `r12n02`); where these are more than
`RACK_NODES`, in the order of that number, so many at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, cells, pad
from foundry_tui.estate.waste import IDLE_AFTER_S
from foundry_tui.presenters import units
from foundry_tui.presenters.heatgrid import (
    GAP,
    MARK_TONES,
    NAME_CELLS,
    Cell,
    GpuMap,
    Parts,
    across,
    columns,
    key,
    legend,
)
from foundry_tui.presenters.heatnodes import node_lines, toned
from foundry_tui.presenters.nodepanel import glyph_tone
from foundry_tui.presenters.nodeuse import NodeUse, Tally, add, node_uses, owners, shortened
from foundry_tui.presenters.rows.model import natural
from foundry_tui.presenters.totals import GpuTotals, gpu_totals

__all__ = ["Cell", "GpuMap", "Parts", "gpu_map", "head_words", "racks"]

NODE_LINES = 96
NODE_GLYPHS = 1000
RACK_NODES = 32
FRAME = 4
"""Cells of a line that the frame around the head takes."""

LEAST_BLOCK = 4
"""A rack is cut into blocks of as many nodes as fit on a line, of so many in any case."""

_LAST_NUMBER = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)


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
    idle_after_s: float = IDLE_AFTER_S,
) -> GpuMap:
    """The map in lines of at most `width` cells.

    `height` is how many lines are in sight: no more columns are made than it takes to fit; 0 is
    as many as fit.
    """
    uses = node_uses(nodes, gpus, now, idle_after_s)
    uses.sort(key=lambda use: (use.node.source, natural(use.node.name)))
    width = max(1, width)
    totals = gpu_totals(nodes, gpus, now, idle_after_s=idle_after_s)
    head = head_words(totals, width - FRAME)
    if len(uses) <= NODE_LINES:
        return node_lines(uses, owners(gpus, runs), head, now, width, height)
    most = RACK_NODES
    if len(uses) <= NODE_GLYPHS:
        while most > LEAST_BLOCK and 1 + NAME_CELLS + 1 + most + 6 > width:
            most //= 2
        return _rack_lines(racks(uses, most), head, width, height)
    return _rack_cells(racks(uses, most), head, width, height)


def head_words(totals: GpuTotals, width: int) -> SafeText:
    """The totals: allocated and used are told apart, and what nobody measured is not counted.

    The words are shorter where `width` cells do not hold the long ones.
    """
    if not totals.total_milli:
        return SafeText("GPUs: none is known")
    count, allocated = units.gpus(totals.total_milli), units.gpus(totals.allocated_milli)
    words = [
        (f"GPUs {count}", f"GPUs {count}", f"GPUs {count}"),
        (f"allocated {allocated}", f"allocated {allocated}", f"{allocated} allocated"),
        *([_used(totals)] if totals.allocated_count or totals.unknown_milli else []),
    ]
    if totals.idle_count:
        idle, hours = f"{totals.idle_count} idle", f"{units.gpu_hours(totals.idle_gpu_hours)} GPU-h"
        words.append((f"{idle} but allocated, {hours} lost", f"{idle}, {hours}", idle))
    elif zero := totals.at_zero_count:
        words.append((f"allocated at 0% now {zero}", f"at 0% {zero}", f"{zero} at 0%"))
    elif totals.measured_count:
        words.append(("idle but allocated 0", "idle 0", "0 idle"))
    if totals.out_of_service_milli:
        out = units.gpus(totals.out_of_service_milli)
        words.append((f"out of service {out}", f"out {out}", f"out {out}"))
    if totals.unknown_milli:
        unknown = units.gpus(totals.unknown_milli)
        words.append((f"unknown {unknown}", f"unknown {unknown}", f"{unknown} ?"))
    for length in range(3):
        whole = " · ".join(told[length] for told in words)
        if cells(SafeText(whole)) <= width:
            break
    return SafeText(whole)


def _used(totals: GpuTotals) -> tuple[str, str, str]:
    """How much of what is allocated is used, and how many of these GPUs were measured at all."""
    if not totals.allocated_count and totals.unheld_util_pct is not None:
        used = f"used {units.percent(totals.unheld_util_pct)}"
        return (used, used, used)
    if not totals.measured_count:
        return ("use not measured", "use not measured", "not measured")
    used = f"used {units.percent(totals.util_pct)}"
    if totals.measured_count == totals.allocated_count:
        return (used, used, used)
    of = f"{totals.measured_count} of {totals.allocated_count}"
    return (f"{used} ({of} measured)", f"{used} ({of})", used)


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


def _rack_lines(found: Sequence[Rack], head: SafeText, width: int, height: int) -> GpuMap:
    label = max(cells(shortened(r.label, NAME_CELLS)) for r in found)
    most = max(len(r.uses) for r in found)
    each = label + 1 + most + 5
    count = across(len(found), max(1, (width + GAP) // (each + GAP)), 1, height)
    each = min(each, width)
    drawn = []
    for rack in found:
        glyphs = "".join(use.tally.glyph for use in rack.uses)
        parts = [(f"{pad(shortened(rack.label, label), label)} ", ""), *toned(glyphs)]
        share = units.percent(rack.tally.allocated_pct)
        parts.append((" " * (most - len(glyphs)) + f" {pad(share, 4, 'right')}", "dim"))
        drawn.append(parts)
    lines, placed = columns(drawn, [("", ())] * len(found), each, count)
    places = [
        Cell(key(use), at.line, at.x + label + 1 + n, 1, (key(use),))
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
        legend=SafeText(f"a glyph is a node, % of the rack is allocated: {legend(shown, set())}"),
    )


def _rack_cells(found: Sequence[Rack], head: SafeText, width: int, height: int) -> GpuMap:
    label = max(cells(shortened(r.label, NAME_CELLS)) for r in found)
    each = min(1 + label + 1 + 1 + 5, width)
    count = across(len(found), max(1, (width + GAP) // (each + GAP)), 1, height)
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
        nodes = tuple(key(use) for use in rack.uses)
        keys.append((f"rack:{nodes[0]}", nodes))
    lines, placed = columns(drawn, keys, each, count)
    meaning = legend((rack.tally.glyph for rack in found), marks)
    return GpuMap(
        fold="racks",
        head=head,
        title=(),
        lines=lines,
        cells=placed,
        legend=SafeText(f"a cell is a rack: mean use of what is held, % allocated: {meaning}"),
    )
