"""Plans that are applied: the dry run, what has changed since, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.text import safe
from foundry_tui.presenters import planwaits, units
from foundry_tui.presenters.actwords import act_words
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.plan import MEASURES, measure, measure_name, measures
from foundry_tui.presenters.records.applied import (
    AppliedLike,
    PreparedLike,
    StepLike,
    TakingLike,
)
from foundry_tui.presenters.table import draw

MOST_TOLD = 20
"""Reasons and changes that are listed one by one."""


def prepared_text(
    prepared: PreparedLike, seen: Mapping[str, Mapping[str, object]], *, now: datetime, style: Style
) -> str:
    """The whole in short, then every step with its exact command and what takes it back.

    What stands in the way, what is lost and what nothing takes back come first: whoever reads ten
    lines of it has read them. `seen` are the values that each move's precondition names, as they
    are now.
    """
    plan, width = prepared.plan, style.width
    aged = units.age(units.since_s(plan.generated_at, now))
    moves = list(dict.fromkeys(step.move.id for step in prepared.steps))
    head = f"Plan {plan.id}, {aged} old: {_count(len(moves), 'move')}"
    head += f", {_count(prepared.count, 'target')} touched"
    lines = [*wrap(head, width), *_in_short(prepared, width)]
    last = None
    for step in prepared.steps:
        if step.move.id != last:
            last = step.move.id
            lines += ["", *_move_lines(step.move, seen.get(step.move.id, {}), width)]
        lines += _step_lines(step, style)
    return finish(lines, style)


def _in_short(prepared: PreparedLike, width: int) -> list[str]:
    """What stands in the way; else whose runs it touches, what is lost, and what takes it back."""
    lines = _reasons("Changed since the plan was made:", prepared.broken, width)
    lines += _reasons("Refused:", prepared.refused, width)
    if prepared.needs_approval is not None:
        lines += wrap(f"Needs approval: {prepared.needs_approval}", width)
    if lines:
        return lines
    items = [item for step in prepared.steps if step.done_by is None for item in step.items]
    owners = dict.fromkeys(item.owner for item in items if item.owner)
    if owners:
        lines += wrap(f"It touches runs of {', '.join(owners)}.", width)
    if prepared.approved_by:
        lines += wrap(f"Approved by {', '.join(prepared.approved_by)}.", width)
    if lost_s := sum(item.loss_gpu_s or 0.0 for item in items):
        words = f"Work thrown away: {units.gpu_hours(lost_s / 3600)} GPU-hours."
        lines += wrap(words, width)
    if prepared.irreversible:
        lines += _reasons("This cannot be taken back:", prepared.irreversible, width)
    elif prepared.count:
        lines += wrap(f"`foundry undo {prepared.plan.id}` takes it back.", width)
    return lines


def _move_lines(move: Move, seen: Mapping[str, object], width: int) -> list[str]:
    words = [f"{move.id} {move.action} {move.target.id}", f"risk {move.risk}"]
    words += [f"{move.owner} must agree"] if move.owner else []
    words += [f"waits until {move.awaits} is running"] if move.awaits else []
    lines = wrap(", ".join(words), width, rest="  ")
    told = [_fact(key, seen[key]) for key in move.precondition or {} if key in seen]
    if told:
        lines += wrap(f"now: {', '.join(told)}", width, first="  ", rest="    ")
    return lines


def _step_lines(step: StepLike, style: Style) -> list[str]:
    width = style.width
    lines = wrap(f"{step.index + 1}. {act_words(step.act)}", width, first="  ", rest="     ")
    if step.done_by is not None:
        return [*lines, *wrap(f"done already by {step.done_by}", width, first="     ")]
    for item in step.items:
        if item.command:
            lines.append(f"     {command_text(item.command, style)}")
        if item.loss_gpu_s:
            lost = units.gpu_hours(item.loss_gpu_s / 3600)
            lines += wrap(f"throws away {lost} GPU-hours of work", width, first="     ")
        if item.warning is not None:
            lines += wrap(f"warning: {item.warning}", width, first="     ", rest="       ")
    if step.refusal is not None:
        lines += wrap("refused: the reason stands above", width, first="     ")
    elif not any(item.command for item in step.items) and step.later:
        lines += wrap("spelled out when its turn comes", width, first="     ")
    inverse = None if step.preview is None else step.preview.inverse
    if step.irreversible:
        lines += wrap("cannot be taken back", width, first="     ")
    elif inverse is not None:
        lines += wrap(f"taken back by: {act_words(inverse)}", width, first="     ", rest="       ")
    return lines


def diff_text(
    plan: Plan,
    moves: Sequence[tuple[Move, Mapping[str, object], tuple[str, ...]]],
    whole: Sequence[str],
    *,
    now: datetime,
    style: Style,
) -> str:
    """Per move what the plan saw and what is now; measures before and after; who wins and loses.

    `moves` holds each with the present values and what is broken; `whole` what is wrong with the
    plan as such.
    """
    width = style.width
    aged = units.age(units.since_s(plan.generated_at, now))
    gone = sum(bool(words) for _, _, words in moves)
    told = f"{gone} no longer hold" + ("s" if gone == 1 else "") if gone else "all still hold"
    lines = wrap(f"Plan {plan.id}, {aged} old: {_count(len(moves), 'move')}, {told}", width)
    for words in whole:
        lines += wrap(words, width, first="  ", rest="    ")
    for move, seen, broken in moves:
        lines += ["", *wrap(f"{move.id} {move.action} {move.target.id}", width)]
        for key, was in (move.precondition or {}).items():
            value = seen.get(key)
            same = f"{key}: {_value(was)}"
            turn = same if value == was else f"{key}: {_value(was)} -> {_value(value)}"
            lines += wrap(turn, width, first="  ", rest="    ")
        for words in broken:
            lines += wrap(f"broken: {words}", width, first="  ", rest="    ")
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
    if plan.prediction is not None:
        winners = (*planwaits.winners(plan.prediction), *planwaits.losers(plan.prediction))
        lines += ["", *(line for one in winners for line in wrap(one, width, rest="  "))]
    return finish(lines, style)


def applied_text(applied: AppliedLike, style: Style) -> str:
    """What came of a plan, or of taking one back."""
    width = style.width
    lines: list[str] = []
    for change in applied.changes:
        names = ", ".join(receipt.target for receipt in change.receipts[:3])
        words = f"{change.id}  {change.act.replace('_', ' ')} {names}: {change.status}"
        lines += wrap(words, width, rest="    ")
    if applied.applied_at is not None:
        when = units.when(applied.applied_at)
        words = f"Plan {applied.plan_id} was applied already at {when}: nothing was sent."
        return finish(wrap(words, width), style)
    done = _count(len(applied.changes), "change")
    if applied.stopped is None:
        lines += wrap(f"{applied.plan_id}: done, {done}", width)
    else:
        lines += wrap(f"{applied.plan_id}: stopped after {done}: {applied.stopped}", width)
        lines += wrap(f"left: {', '.join(applied.left)}", width, rest="  ")
    return finish(lines, style)


def taking_text(taking: TakingLike, *, count: int, style: Style) -> str:
    """What takes a change or plan back: each act with its command, and what stays as it is."""
    lines = wrap(f"undo {taking.id}: {_count(count, 'target')} touched", style.width)
    if lost_s := sum(back.loss_gpu_s or 0.0 for back in taking.backs):
        words = f"Work thrown away: {units.gpu_hours(lost_s / 3600)} GPU-hours."
        lines += wrap(words, style.width)
    lines += _reasons("Left as it is:", taking.left, style.width)
    lines += _reasons("This cannot be taken back:", taking.irreversible, style.width)
    for number, back in enumerate(taking.backs, start=1):
        lines += wrap(f"{number}. {back.name}", style.width, first="  ", rest="     ")
        lines += [f"     {command_text(one, style)}" for one in back.commands if one]
        if back.loss_gpu_s:
            lost = units.gpu_hours(back.loss_gpu_s / 3600)
            lines += wrap(f"throws away {lost} GPU-hours of work", style.width, first="     ")
    return finish(lines, style)


def _reasons(title: str, words: Sequence[str], width: int) -> list[str]:
    if not words:
        return []
    lines = [title]
    for one in words[:MOST_TOLD]:
        lines += wrap(one, width, first="  - ", rest="    ")
    more = len(words) - MOST_TOLD
    return [*lines, f"  and {more} more (--json has all)"] if more > 0 else lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _fact(key: str, value: object) -> str:
    """One value that a move rests on, in words."""
    name, _, node = key.partition(" on ")
    if name == "gpu_milli_free" and isinstance(value, int | float):
        return f"{value / 1000:g} GPUs free on {node}"
    return f"{key} {_value(value)}"


def _value(value: object) -> str:
    if value is None or value == "":
        return str(units.UNKNOWN)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return safe(str(value))
