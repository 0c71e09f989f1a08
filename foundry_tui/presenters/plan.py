"""A plan as text: what to move, what it gains and costs, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.estate.tradeoff import TradeOff
from foundry_tui.presenters import planmoves, planwaits, units
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.plancert import certificate
from foundry_tui.presenters.table import Column, draw
from foundry_tui.presenters.tables import placement_text
from foundry_tui.presenters.tradeoffs import tradeoff_text

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
MEASURE_WORDS = {
    "gpus_total": "GPUs",
    "gpus_allocated": "GPUs allocated",
    "gpus_free": "GPUs free",
    "waiting_runs": "runs waiting",
    "waiting_gpus": "GPUs asked for",
    "fragmentation_gpus": "GPUs stranded",
    "gpus_idle_allocated": "GPUs held idle",
}
"""A measure of a plan -> the words that show it."""

MEASURES = (
    Column("MEASURE", min_width=12, stretch=True),
    Column("NOW", "right"),
    Column("AFTER", "right"),
)
PREDICTED = (
    Column("MEASURE", min_width=12, stretch=True),
    Column("WITHOUT", "right"),
    Column("WITH", "right"),
)


def plan_text(
    plan: Plan, *, now: datetime, style: Style, tradeoffs: Sequence[TradeOff] = ()
) -> str:
    """The whole advice; gains and costs are GPU-hours."""
    width = style.width
    aged = units.age(units.since_s(plan.generated_at, now))
    count = f"{len(plan.moves)} move" + ("" if len(plan.moves) == 1 else "s")
    lines = wrap(f"Plan {plan.id}, {aged} old: {count}", width)
    lines += _pairs(certificate(plan), width)
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
    lines += _prediction(plan, style)
    if tradeoffs:
        lines += ["", *tradeoff_text(tradeoffs, style)]
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
    known = MEASURE_WORDS.get(name)
    return safe(known or name.removesuffix("_s").removesuffix("_pct").replace("_", " "))


def measure(name: str, value: float | None) -> SafeText:
    """A measure in the unit that its name ends with."""
    if name.endswith("_s"):
        return units.duration(value)
    return units.percent(value) if name.endswith("_pct") else units.number(value)


def _pairs(rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Names and values below each other."""
    wide = max(cells(safe(name)) for name, _ in rows)
    lines: list[str] = []
    for name, value in rows:
        head = f"  {name:<{wide}}  "
        lines += wrap(value, width, first=head, rest=" " * len(head))
    return lines


def _prediction(plan: Plan, style: Style) -> list[str]:
    """What playing the estate forward with and without the plan tells."""
    told = plan.prediction
    if told is None:
        return []
    lines = ["", *wrap(planwaits.heading(told), style.width)]
    lines += draw(PREDICTED, planwaits.rows(told), style).lines
    for words in (*planwaits.winners(told), *planwaits.losers(told)):
        lines += wrap(words, style.width, first="  ", rest="    ")
    for words in told.assumes:
        lines += wrap(words, style.width, first="  - ", rest="    ")
    return lines


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
    """Per move why, what it displaces, its steps and the exact command, which is never cut."""
    lines: list[str] = []
    for move in moves[:MOST_MOVES]:
        told = wrap(move.why, style.width, first="  ", rest="  ") if move.why else []
        for words in (*planmoves.warnings(move), *planmoves.promises(move), *planmoves.steps(move)):
            told += wrap(words, style.width, first="  ", rest="    ")
        if move.command:
            told.append(f"  {command_text(move.command, style)}")
        if told:
            lines += ["", *wrap(f"Why {move.id}", style.width), *told]
    return lines + _more(len(moves)) if lines else []


def _more(count: int) -> list[str]:
    return [f"  and {count - MOST_MOVES} more (--json has all)"] if count > MOST_MOVES else []
