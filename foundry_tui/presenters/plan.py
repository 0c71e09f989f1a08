"""A plan as text: what to move, what it gains and costs, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.table import Column, draw
from foundry_tui.presenters.tables import placement_text

MOST_MOVES = 20
"""Moves that are explained below the table, and things not proposed that are told."""

MOVES = (
    Column("MOVE", min_width=4, stretch=True),
    Column("ACTION"),
    Column("TARGET"),
    Column("TO", min_width=10, stretch=True),
    Column("GPUS", "right", priority=3),
    Column("GAIN", "right", priority=1),
    Column("COST", "right", priority=1),
    Column("RISK"),
    Column("OWNER", min_width=6, stretch=True),
    Column("STARTS", priority=2),
)
MEASURES = (
    Column("MEASURE", min_width=12, stretch=True),
    Column("NOW", "right"),
    Column("AFTER", "right"),
)


def plan_text(plan: Plan, *, now: datetime, style: Style) -> str:
    """The whole advice; gains and costs are GPU-hours."""
    width = style.width
    aged = units.age(units.since_s(plan.generated_at, now))
    solved = f"{plan.status}, solved in {units.number(plan.solve_s)} s"
    lines = wrap(f"Plan {plan.id}, {aged} old: {solved}{quality(plan)}", width)
    lines += ["", *_moves(plan.moves, style)]
    names = measures(plan)
    if names:
        rows = [
            (
                measure_name(name),
                measure(name, plan.before.get(name)),
                measure(name, plan.after.get(name)),
            )
            for name in names
        ]
        lines += ["", *draw(MEASURES, rows, style).lines]
    lines += _reasons(plan.moves, style)
    if plan.not_proposed:
        lines += ["", "Not proposed"]
        for item in plan.not_proposed[:MOST_MOVES]:
            words = f"{item.target.kind} {item.target.id}: {item.why}"
            lines += wrap(words, width, first="  ", rest="    ")
        lines += _more(len(plan.not_proposed))
    if plan.assumptions:
        lines += ["", "Assumes"]
        for text in plan.assumptions:
            lines += wrap(text, width, first="  - ", rest="    ")
    return finish(lines, style)


def measures(plan: Plan) -> list[str]:
    """The names of the measures that the plan tells before or after."""
    return list(dict.fromkeys((*plan.before, *plan.after)))


def measure_name(name: str) -> SafeText:
    """A measure's name without its unit, as words."""
    return safe(name.removesuffix("_s").removesuffix("_pct").replace("_", " "))


def measure(name: str, value: float | None) -> SafeText:
    """A measure in the unit that its name ends with."""
    if name.endswith("_s"):
        return units.duration(value)
    return units.percent(value) if name.endswith("_pct") else units.number(value)


def quality(plan: Plan) -> str:
    """How far from the best that is possible the plan is, as the end of a sentence."""
    if plan.objective is None:
        return ""
    reached = f"; {plan.objective_name} {units.number(plan.objective)}"
    if plan.bound is None or plan.gap is None:
        return f"{reached}, no bound was proven"
    return f"{reached} of at most {units.number(plan.bound)} (gap {100 * plan.gap:.1f}%)"


def _moves(moves: Sequence[Move], style: Style) -> list[str]:
    if not moves:
        return wrap("Nothing to move: no change was found that gains anything.", style.width)
    rows = [move_cells(move) for move in moves]
    drawn = draw(MOVES, rows, style)
    hidden = ", ".join(drawn.hidden).lower()
    words = f"not shown at {style.width} columns: {hidden} (--wide shows all)"
    return drawn.lines + (wrap(words, style.width) if hidden else [])


def move_cells(move: Move) -> tuple[SafeText, ...]:
    """The cells of a move, in the order of `MOVES`."""
    return (
        safe(move.id),
        safe(move.action),
        safe(move.target.id),
        _to(move),
        units.gpus(move.gpu_milli),
        units.number(move.gain),
        units.number(move.cost),
        safe(move.risk),
        safe(move.owner or ""),
        units.when(move.starts_at),
    )


def _to(move: Move) -> SafeText:
    place = placement_text(move.placement)
    return safe(" ".join(part for part in (move.queue or "", place) if part))


def _reasons(moves: Sequence[Move], style: Style) -> list[str]:
    """Per move why, what it displaces and the exact command; the command is never cut."""
    lines: list[str] = []
    for move in moves[:MOST_MOVES]:
        told = wrap(move.why, style.width, first="  ", rest="  ") if move.why else []
        if move.owner:
            told += wrap(f"{move.owner} must agree", style.width, first="  ", rest="    ")
        if move.displaces:
            displaced = f"displaces {', '.join(move.displaces)}"
            told += wrap(displaced, style.width, first="  ", rest="    ")
        if move.command:
            told.append(f"  {command_text(move.command, style)}")
        if told:
            lines += ["", *wrap(f"Why {move.id}", style.width), *told]
    return lines + _more(len(moves)) if lines else []


def _more(count: int) -> list[str]:
    return [f"  and {count - MOST_MOVES} more (--json has all)"] if count > MOST_MOVES else []
