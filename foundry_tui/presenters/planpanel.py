"""A plan on the screen: what would be gained, why each move, why not the others."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.text import SafeText, cells, pad, safe
from foundry_tui.estate.verdict import RuleRecord
from foundry_tui.presenters import planmoves, planwaits, units
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.plan import measure, measure_name, measures, move_cells
from foundry_tui.presenters.plancert import certificate, not_proven, summary
from foundry_tui.presenters.toned import Line, heading, pairs, paragraph

FIRST = frozenset({"gpus_allocated", "waiting_runs", "fragmentation_gpus"})
"""The measures that stand above what is predicted, where there is a prediction."""

MOST_LEFT = 40
"""Things not proposed that are told."""


def measure_lines(plan: Plan, width: int) -> list[Line]:
    """The estate's measures now and after the moves; what changes is marked."""
    names = measures(plan)
    wide = min(max((cells(measure_name(n)) for n in names), default=7), max(8, width - 18))
    first = [name for name in names if name in FIRST or plan.prediction is None]
    lines = _measured(plan, first, wide)
    if (told := plan.prediction) is not None:
        lines.append([(f" {'predicted':<{wide}} {'without':>7} {'with':>7}", "dim")])
        lines += [_compared(*row, wide) for row in planwaits.rows(told)]
        lines += _measured(plan, [name for name in names if name not in first], wide)
    return lines


def _measured(plan: Plan, names: Sequence[str], wide: int) -> list[Line]:
    lines: list[Line] = [[(f" {'':<{wide}} {'now':>7} {'after':>7}", "dim")]] if names else []
    for name in names:
        before, after = measure(name, plan.before.get(name)), measure(name, plan.after.get(name))
        lines.append(_compared(measure_name(name), before, after, wide))
    return lines


def _compared(name: SafeText, before: SafeText, after: SafeText, wide: int) -> Line:
    changed = before != after
    told = f" {pad(name, wide)} {_right(before)} "
    mark = "*" if changed else " "
    return [(told, ""), (f"{_right(after)}{mark}", "strong" if changed else "dim")]


def strip_lines(plan: Plan, width: int) -> tuple[Line, Line]:
    """The certificate on two lines: how good the plan is, and what was not proven."""
    left = not_proven(plan)
    more = f"; {len(left) - 1} more below" if len(left) > 1 else ""
    tone = "good" if plan.status == "optimal" else "warn"
    open_end = f"Not proven: {left[0]}" if left else "Nothing is left unproven"
    words = safe(open_end, max_cells=max(20, width - 2 - cells(SafeText(more))))
    return [(f" {summary(plan)}", tone)], [(f" {words}{more}", "dim")]


def certificate_lines(plan: Plan, width: int) -> list[Line]:
    """The certificate, a row for each of its parts."""
    return pairs(certificate(plan), width)


def _right(text: SafeText) -> SafeText:
    return pad(text, 7, "right")


def move_lines(
    move: Move,
    plan: Plan,
    width: int,
    *,
    refusal: str | None = None,
    records: Sequence[RuleRecord] = (),
) -> list[Line]:
    """Why this move, who must agree, what it displaces and promises, and how it is sent.

    `refusal` is why this user may not make it, `records` are those of the rules of advice.
    """
    lines = paragraph(move.why or "no reason is told", width)
    if refusal is not None:
        lines += paragraph(f"not by you: {refusal}", width, tone="bad")
    for words in planmoves.warnings(move):
        lines += paragraph(words, width, tone="warn")
    for words in planmoves.promises(move):
        lines += paragraph(words, width)
    gain, cost = units.number(move.gain), units.number(move.cost)
    lines += paragraph(f"gain {gain} GPUh · cost {cost} GPUh · risk {move.risk}", width, tone="dim")
    if told := planmoves.trust(move, records):
        lines += paragraph(told, width, tone="dim")
    if move.starts_at:
        lines += paragraph(f"starts {units.when(move.starts_at)}", width, tone="good")
    if move.inverse:
        lines += paragraph(f"taking it back: {move.inverse}", width, tone="dim")
    if move.command:
        shown = command_text(move.command, Style(width=width))
        lines += paragraph(f"$ {shown}", width, tone="accent")
    elif move.steps:
        for words in planmoves.steps(move):
            lines += paragraph(words, width, tone="accent")
    elif move.action == "review_idle":
        lines += paragraph(f"nothing to send: talk to {move.owner or 'the owner'}", width)
    place = move_cells(move)[3]
    if place and width > 60:
        lines += paragraph(f"to {place}", width, tone="dim")
    return lines


def rest_lines(plan: Plan, width: int) -> list[Line]:
    """Who wins and loses, what is not proven, what is not proposed and why, what is assumed."""
    lines: list[Line] = []
    if (told := plan.prediction) is not None:
        lines.append(heading("Who wins, who loses"))
        lines += paragraph(planwaits.heading(told), width, tone="dim")
        for words in planwaits.winners(told):
            lines += paragraph(words, width, tone="good")
        for words in planwaits.losers(told):
            lines += paragraph(words, width, tone="bad")
        if not told.changes:
            lines += paragraph("nobody's mean wait changes", width)
        for text in told.assumes:
            lines += paragraph(f"- {text}", width, tone="dim")
    if left := not_proven(plan):
        lines.append(heading("Not proven"))
        for text in left:
            lines += paragraph(f"- {text}", width)
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
