"""A plan on the screen: what would be gained, why each move, why not the others."""

from __future__ import annotations

from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.text import SafeText, cells, pad, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.plan import measure, measure_name, measures, move_cells
from foundry_tui.presenters.toned import Line, heading, paragraph

MOST_LEFT = 40
"""Things not proposed that are told."""


def measure_lines(plan: Plan, width: int) -> list[Line]:
    """The estate's measures now and after the moves; what changes is marked."""
    names = measures(plan)
    wide = min(max((cells(measure_name(n)) for n in names), default=7), max(8, width - 18))
    lines: list[Line] = [[(f" {'':<{wide}} {'now':>7} {'after':>7}", "dim")]]
    for name in names:
        before, after = plan.before.get(name), plan.after.get(name)
        changed = before != after
        told = f" {pad(measure_name(name), wide)} {_right(measure(name, before))} "
        mark = "*" if changed else " "
        lines.append(
            [(told, ""), (f"{_right(measure(name, after))}{mark}", "strong" if changed else "dim")]
        )
    return lines


def _right(text: SafeText) -> SafeText:
    return pad(text, 7, "right")


def move_lines(move: Move, plan: Plan, width: int) -> list[Line]:
    """Why this move, who must agree, what it displaces, and its exact command."""
    lines = paragraph(move.why or "no reason is told", width)
    if move.owner:
        lines += paragraph(f"{move.owner} must agree", width, tone="warn")
    if move.displaces:
        lines += paragraph(f"displaces {', '.join(move.displaces)}", width, tone="warn")
    gain, cost = units.number(move.gain), units.number(move.cost)
    lines += paragraph(f"gain {gain} GPUh · cost {cost} GPUh · risk {move.risk}", width, tone="dim")
    if move.starts_at:
        lines += paragraph(f"starts {units.when(move.starts_at)}", width, tone="good")
    if move.inverse:
        lines += paragraph(f"taken back by: {move.inverse}", width, tone="dim")
    if move.command:
        shown = command_text(move.command, Style(width=width))
        lines += paragraph(f"$ {shown}", width, tone="accent")
    elif move.action == "review_idle":
        lines += paragraph(f"nothing to send: talk to {move.owner or 'the owner'}", width)
    place = move_cells(move)[3]
    if place and width > 60:
        lines += paragraph(f"to {place}", width, tone="dim")
    return lines


def rest_lines(plan: Plan, width: int) -> list[Line]:
    """What is not proposed with the reasons, and what the plan rests on."""
    lines: list[Line] = []
    if plan.not_proposed:
        lines.append(heading(f"Not proposed: {len(plan.not_proposed)}"))
        for item in plan.not_proposed[:MOST_LEFT]:
            target = safe(item.target.id)
            lines += paragraph(f"{target}: {item.why}", width)
        if len(plan.not_proposed) > MOST_LEFT:
            lines.append([(f" and {len(plan.not_proposed) - MOST_LEFT} more", "dim")])
    if plan.assumptions:
        lines.append(heading("Assumes"))
        for text in plan.assumptions:
            lines += paragraph(f"- {text}", width, tone="dim")
    return lines
