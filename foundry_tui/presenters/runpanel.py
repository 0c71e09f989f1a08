"""A run as a panel: what it is, where it runs and how hard, and what its tracking server knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import SafeText, cells, clip, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.details import facts
from foundry_tui.presenters.nodepanel import gpu_lines, portion_lines
from foundry_tui.presenters.rows import RUN_ROWS
from foundry_tui.presenters.rows.model import state_tone
from foundry_tui.presenters.tables import short_id, spent_s, where_or_why
from foundry_tui.presenters.toned import Line, heading, pairs, paragraph


class Log(Protocol):
    """The end of a run's output; `reason` says why there is none."""

    @property
    def path(self) -> SafeText | None: ...
    @property
    def lines(self) -> tuple[SafeText, ...]: ...
    @property
    def reason(self) -> str | None: ...


def log_lines(log: Log) -> list[Line]:
    """The lines of a log; each stays one line, cut at the edge of the window."""
    if not log.lines:
        return [[(f" {safe(log.reason or 'nothing was written yet')}", "dim")]]
    return [[(f" {safe(line, max_cells=4096)}", "")] for line in log.lines]


def state_word(run: Run) -> str:
    """The state as the tables write it."""
    return "held" if run.held else run.state.value


def title(run: Run, now: datetime, width: int) -> Line:
    """Which run it is and what it does, on one line."""
    state = state_word(run)
    spent = units.duration(spent_s(run, now))
    end = f"  {RUN_ROWS.glyph(run)}{state}"
    tone = state_tone(run, SafeText(state))
    head = clip(safe(f"{run.native_id} {run.name}"), max(8, width - len(end) - len(spent) - 3))
    return [(f" {head}", "title"), (end, tone), (f" {spent}", "dim")]


def one_line(run: Run, now: datetime, width: int) -> Line:
    """A run in one line: whose it is, what it holds or why it waits."""
    who = f"{run.user or '?'}/{run.name}"
    told = f"  {short_id(run.native_id)}  {state_word(run)} {units.duration(spent_s(run, now))}  "
    use = f" {units.percent(run.gpu_util_pct)}" if run.placement else ""
    line = safe(f"{who}{told}{where_or_why(run)}{use}", max_cells=max(1, width))
    return [(line, "")]


def held_gpus(run: Run, gpus: Iterable[Gpu]) -> tuple[Gpu, ...]:
    """The GPUs that a run holds a part of, by node and index."""
    nodes = {part.node for part in run.placement}
    held = (g for g in gpus if g.source == run.source and g.node in nodes)
    return tuple(sorted((g for g in held if run.id in g.runs), key=lambda g: (g.node, g.index)))


def run_lines(
    run: Run, gpus: Iterable[Gpu], runs: Sequence[Run], now: datetime, width: int
) -> list[Line]:
    """A run with its GPUs: the panel beside a list."""
    lines = [title(run, now, width), *pairs(facts(run, now)[1:], width)]
    return [*lines, *allocation(run, gpus, runs, width)]


def allocation(run: Run, gpus: Iterable[Gpu], runs: Sequence[Run], width: int) -> list[Line]:
    """Where a run is, node by node, with the use of each of its GPUs where that is known."""
    if not run.placement:
        return []
    lines: list[Line] = [[], heading("Where it runs")]
    held = held_gpus(run, gpus)
    owners = {r.id: r for r in runs}
    for part in run.placement:
        here = [g for g in held if g.node == part.node]
        lines.append([(f" {clip(safe(part.node), width - 1)}", "accent")])
        if here:
            lines += gpu_lines(here, owners, width)
        elif part.gpus is None:
            lines += paragraph(f"which of its GPUs is not told by {run.source}", width, tone="dim")
        elif part.gpus:
            lines += paragraph("its GPUs are not in this reading", width, tone="dim")
        else:
            lines += paragraph("no GPU", width, tone="dim")
    return [*lines, *portion_lines(held, width)]


def table(rows: Mapping[str, str], width: int, *, most: int) -> list[Line]:
    """Short names and values in as many columns as fit, at most `most` of them."""
    shown = [(clip(safe(k), 28), clip(safe(v), 24)) for k, v in list(rows.items())[:most]]
    if not shown:
        return []
    names, values = max(cells(k) for k, _ in shown), max(cells(v) for _, v in shown)
    each = names + values + 4
    across = max(1, (width - 1) // each)
    deep = -(-len(shown) // across)
    lines: list[Line] = []
    for n in range(deep):
        line: Line = [(" ", "")]
        for key, value in shown[n::deep]:
            line.append((f"{key}{' ' * (names - cells(key) + 1)}", "dim"))
            line.append((f"{value}{' ' * (values - cells(value) + 3)}", ""))
        lines.append(line)
    if len(rows) > most:
        lines.append([(f" and {len(rows) - most} more", "dim")])
    return lines


def runs_on(node: Node, runs: Iterable[Run], now: datetime, width: int) -> list[Line]:
    """The runs that are on a node, each on a line."""
    on = [
        run
        for run in runs
        if run.source == node.source
        and run.state is not RunState.PENDING
        and any(p.node == node.name for p in run.placement)
    ]
    head: list[Line] = [[(f" Runs on it: {len(on)}", "strong")]]
    return head + [[(" ", ""), *one_line(run, now, width - 1)] for run in on]
