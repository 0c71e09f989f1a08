"""The nodes that a plan touches, before and after: one glyph per GPU.

`before` and `after` stand on one line, so that the eye compares them GPU by GPU.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.plan import Move
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters.toned import Line, paragraph

STARTING = frozenset({"start", "move_queue", "make_room", "restart"})
"""Actions that put a waiting run on GPUs; others leave the estate as it is until somebody agrees.
"""

FULL, FREE, ADDED, FREED, UNKNOWN = "█", "·", "+", "-", "?"
_ASCII = {FULL: "#", FREE: ".", "→": ">"}
_MEANING = {
    FULL: "held",
    FREE: "free",
    ADDED: "taken by the plan",
    FREED: "given up",
    UNKNOWN: "not known",
}


@dataclass(frozen=True, slots=True)
class Touched:
    """One node: its GPUs by glyph without and with the moves, the runs that come and that go."""

    node: str
    before: str
    after: str
    comes: tuple[str, ...]
    goes: tuple[str, ...] = ()


def glyph(gpu: Gpu) -> str:
    """How much of a GPU is given away; a digit is tenths of it."""
    held = gpu.milli_allocated
    if held is None:
        return UNKNOWN
    if held <= 0:
        return FREE
    return FULL if held >= WHOLE_MILLI else str(max(1, held * 10 // WHOLE_MILLI))


def touched(snapshot: Snapshot, moves: Iterable[Move]) -> tuple[Touched, ...]:
    """The nodes on which these moves start or stop something, in the order of the moves."""
    every = tuple(moves)
    taken: dict[tuple[str, str], set[int]] = {}
    comes: dict[tuple[str, str], dict[str, None]] = {}
    stopped = {run for move in every if move.steps for run in move.displaces}
    for move in every:
        source, _, run = move.target.id.partition("/")
        for part in move.placement if move.action in STARTING else ():
            key = source, part.node
            taken.setdefault(key, set()).update(part.gpus or ())
            comes.setdefault(key, {})[run] = None
    goes: dict[tuple[str, str], dict[str, None]] = {}
    for gpu in snapshot.gpus if stopped else ():
        for tenant in gpu.tenants or ():
            if tenant.run in stopped:
                run = tenant.run.partition("/")[2]
                goes.setdefault((gpu.source, gpu.node), {})[run] = None
    by_node: dict[tuple[str, str], list[Gpu]] = {key: [] for key in (*taken, *goes)}
    for gpu in snapshot.gpus:
        if (gpu.source, gpu.node) in by_node:
            by_node[gpu.source, gpu.node].append(gpu)
    found = []
    for key, gpus in by_node.items():
        gpus.sort(key=lambda gpu: gpu.index)
        before = "".join(glyph(gpu) for gpu in gpus)
        come = taken.get(key, set())
        after = "".join(ADDED if g.index in come else _left(g, stopped) for g in gpus)
        found.append(
            Touched(key[1], before, after, tuple(comes.get(key, ())), tuple(goes.get(key, ())))
        )
    return tuple(found)


def _left(gpu: Gpu, stopped: Collection[str]) -> str:
    """What is given away of a GPU once these runs have gone."""
    if gpu.tenants is None or not any(tenant.run in stopped for tenant in gpu.tenants):
        return glyph(gpu)
    stay = glyph(replace(gpu, tenants=tuple(t for t in gpu.tenants if t.run not in stopped)))
    return FREED if stay == FREE else stay


def node_lines(nodes: Iterable[Touched], width: int, *, ascii_only: bool = False) -> list[Line]:
    """The nodes below each other: name, before, after, and who comes; then what glyphs mean.

    Of one node alone the meaning stands on its line, where that is wide enough.
    """
    every = tuple(nodes)
    wide = max((cells(safe(one.node)) for one in every), default=0)
    lines: list[Line] = []
    for one in every:
        name = safe(one.node)
        head = f" {name}{' ' * (wide - cells(name))}  "
        drawn = f"{head}{one.before or UNKNOWN} → "
        line: Line = [(_drawable(drawn, ascii_only), "")]
        line += _marked(one.after or UNKNOWN, ascii_only)
        who = safe(_who(one), max_cells=max(4, width - len(drawn) - len(one.after) - 2))
        lines.append([*line, (f"  {who}", "dim")])
    legend = _legend(every, ascii_only)
    if len(lines) == 1 and sum(len(text) for text, _ in lines[0]) + 3 + len(legend) <= width:
        return [[*lines[0], (f"   {legend}", "dim")]]
    return lines + (paragraph(legend, width, tone="dim") if every else [])


def _who(one: Touched) -> str:
    """Who comes, and who goes."""
    comes, goes = ", ".join(one.comes), ", ".join(one.goes)
    if not goes:
        return comes
    return f"{comes} for {goes}" if comes else f"{goes} goes"


def _marked(glyphs: str, ascii_only: bool) -> Line:
    """The glyphs with those that the plan takes in a tone of their own."""
    parts: Line = []
    for char in glyphs:
        tone = {ADDED: "good", FREED: "warn"}.get(char, "")
        text = _drawable(char, ascii_only)
        if parts and parts[-1][1] == tone:
            parts[-1] = (parts[-1][0] + text, tone)
        else:
            parts.append((text, tone))
    return parts


def _drawable(text: str, ascii_only: bool) -> SafeText:
    if ascii_only:
        for sign, plain in _ASCII.items():
            text = text.replace(sign, plain)
    return SafeText(text)


def _legend(nodes: Iterable[Touched], ascii_only: bool) -> str:
    seen = {char for one in nodes for char in one.before + one.after}
    words: list[str] = [
        f"{_drawable(sign, ascii_only)} {meaning}"
        for sign, meaning in _MEANING.items()
        if sign in seen
    ]
    if seen & set("123456789"):
        words.append("1-9 tenths held")
    return "  ".join(words)
