"""A map of GPUs with a line per node: its glyphs, its means and sums, and who holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.node import NodeState
from foundry_tui.estate.text import SafeText, cells, clip, pad, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.heatgrid import (
    GAP,
    MARK_TONES,
    NAME_CELLS,
    GpuMap,
    Part,
    Parts,
    across,
    columns,
    key,
    legend,
)
from foundry_tui.presenters.nodepanel import glyph_tone
from foundry_tui.presenters.nodeuse import NodeKey, NodeUse, owner_words, shortened

GROUP = 4
"""GPUs that stand together."""

WIDEST_CELL = 64
"""A node's line gains nothing from more cells than these."""

OWNER_CELLS = 7
"""Room for an owner: `alice`, `bob +12`."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """Widths in cells of a node's columns; `use` names those of util, mem and kW that fit."""

    name: int
    glyphs: int
    use: tuple[str, ...]
    owner: int
    width: int


def node_lines(
    uses: Sequence[NodeUse],
    held: Mapping[NodeKey, Mapping[str, int]],
    head: SafeText,
    now: datetime,
    width: int,
    height: int,
) -> GpuMap:
    """The map; `held` are the users of each node with how many GPUs they hold."""
    name = max((4, *(cells(shortened(u.node.name, NAME_CELLS)) for u in uses)))
    shown = [use.glyphs for use in uses]
    glyphs = max((len(_grouped(text)) for text in shown), default=4)
    least = 1 + name + 1 + glyphs + 5 + 1 + OWNER_CELLS
    full = least + 10
    fit = max((width + GAP) // (full + GAP), min(2, (width + GAP) // (least + GAP)), 1)
    count = across(len(uses), fit, -(-width // WIDEST_CELL), height)
    shape = _shape((width - GAP * (count - 1)) // count, name, glyphs)
    drawn = [
        _node_parts(use, text, held.get((use.node.source, use.node.name)), shape, now)
        for use, text in zip(uses, shown, strict=True)
    ]
    keys = [(key(use), (key(use),)) for use in uses]
    lines, placed = columns(drawn, keys, shape.width, count)
    return GpuMap(
        fold="nodes",
        head=head,
        title=_title(shape, count) if uses else (),
        lines=lines,
        cells=placed,
        legend=legend(shown, {use.mark for use in uses}),
    )


def _shape(width: int, name: int, glyphs: int) -> _Shape:
    left = width - (1 + name + 1 + glyphs)
    use: list[str] = []
    for column in ("util", "mem", "kW"):
        if left - 5 >= (1 + OWNER_CELLS if column != "util" else 0):
            use.append(column)
            left -= 5
    owner = left - 1 if left > OWNER_CELLS // 2 else 0
    return _Shape(name, glyphs, tuple(use), owner, width)


def _title(shape: _Shape, count: int) -> Parts:
    numbers = "".join(f" {word:>4}" for word in shape.use)
    gpus = pad(clip(SafeText("GPU 0.."), shape.glyphs), shape.glyphs)
    owner = " owner" if shape.owner else ""
    text = f" {pad(SafeText('node'), shape.name)} {gpus}{numbers}{owner}"
    one = pad(clip(SafeText(text), shape.width), shape.width)
    return ((SafeText((" " * GAP).join([one] * count)), "dim"),)


def _node_parts(
    use: NodeUse, glyphs: str, users: Mapping[str, int] | None, shape: _Shape, now: datetime
) -> list[Part]:
    parts: list[Part] = [
        (use.mark, MARK_TONES.get(use.mark, "")),
        (f"{pad(shortened(use.node.name, shape.name), shape.name)} ", ""),
    ]
    grouped = _grouped(glyphs)
    parts += toned(grouped)
    parts.append((" " * (shape.glyphs - len(grouped)), ""))
    rest = 5 * len(shape.use) + 1 + shape.owner
    words, tone = _instead(use, glyphs, now)
    if words and users:
        words = f"{words}  {owner_words(users, OWNER_CELLS)}"
    if words:
        parts.append((f" {clip(safe(words), max(0, rest - 1))}", tone))
    else:
        util, power_w = use.util_pct, use.power_w
        # Use is told per device, and a device that is cut in parts tells none.
        cut = util is None and use.partitioned
        values = {
            "util": SafeText("MIG") if cut else units.percent(util),
            "mem": units.percent(use.mem_pct),
            "kW": units.UNKNOWN if power_w is None else SafeText(f"{power_w / 1000:.1f}"),
        }
        numbers = "".join(f" {pad(values[column], 4, 'right')}" for column in shape.use)
        who = owner_words(users, shape.owner) if shape.owner else ""
        state = "" if use.node.placeable else f" {use.node.state.value}"
        parts.append((f"{numbers} {clip(safe(who + state), shape.owner)}".rstrip(), ""))
    return parts


def _instead(use: NodeUse, glyphs: str, now: datetime) -> tuple[str, str]:
    """Words in place of the numbers, with their tone, where there is nothing to measure."""
    node = use.node
    if not node.placeable and not use.tally.held and node.state is not NodeState.UNKNOWN:
        since = units.since_s(node.reason_since, now)
        aged = f" {units.age(since)}" if since is not None else ""
        return f"{node.state.value}{aged}{f': {node.reason}' if node.reason else ''}", ""
    if use.mark == "?" and use.util_pct is None:
        return "no data", "warn"
    if not use.tally.held and not use.tally.unknown and "!" not in glyphs:
        return "free", "dim"
    return "", ""


def _grouped(glyphs: str) -> str:
    return " ".join(glyphs[at : at + GROUP] for at in range(0, len(glyphs), GROUP))


def toned(glyphs: str) -> list[Part]:
    """Neighbours of one tone in one text; a space joins what is before it."""
    parts: list[Part] = []
    for glyph in glyphs:
        tone = glyph_tone(glyph)
        if parts and (glyph == " " or parts[-1][1] == tone):
            parts[-1] = (parts[-1][0] + glyph, parts[-1][1])
        else:
            parts.append((glyph, tone))
    return parts
