"""A plan as whoever is to agree to it sees it: what it does, step by step, to whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.plan import Plan
from foundry_tui.presenters import units
from foundry_tui.presenters.actwords import act_words
from foundry_tui.presenters.page import Style, finish, wrap


def approve_text(
    plan: Plan, digest: str, given: Sequence[str], needed: int, *, now: datetime, style: Style
) -> str:
    """What is agreed to: every step of every move, uncut, and what is known of the approvals.

    The steps are shown as they will be sent; the words of a plan file (why, gain) prove nothing.
    """
    aged = units.age(units.since_s(plan.generated_at, now))
    count = f"{len(plan.moves)} move" + ("" if len(plan.moves) == 1 else "s")
    lines = [*wrap(f"Plan {plan.id}, {aged} old: {count}", style.width), f"  digest {digest}", ""]
    for move in plan.moves:
        facts = [move.target.id, f"risk {move.risk}"]
        facts += [f"of {move.owner}"] if move.owner else []
        facts += ["cannot be undone"] if move.irreversible else []
        lines += wrap(", ".join(facts), style.width, first=f"{move.id}  ", rest="    ")
        for step in move.steps:
            lines += wrap(act_words(step, max_cells=None), style.width, first="    ", rest="      ")
        if not move.steps:
            lines += wrap("nothing is sent for it", style.width, first="    ")
        if move.why:
            lines += wrap(f"why: {move.why}", style.width, first="    ", rest="      ")
    told = f"Agreed so far: {', '.join(given)}." if given else "Nobody else agreed so far."
    told += f" The site's policy asks for {needed} where it asks for any."
    return finish([*lines, "", *wrap(told, style.width)], style)
