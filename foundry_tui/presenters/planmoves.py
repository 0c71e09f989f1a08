"""What is to be known of one move beside its reason: who is asked, what it waits for, its steps."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate.acts import Cancel, Requeue
from foundry_tui.estate.plan import Move
from foundry_tui.estate.verdict import RuleRecord
from foundry_tui.presenters import units
from foundry_tui.presenters.actwords import act_words


def warnings(move: Move) -> tuple[str, ...]:
    """Who must agree, what is displaced, and whether there is a way back."""
    owners = move.owner.replace(",", ", ") if move.owner else ""
    return tuple(
        words
        for words in (
            f"{owners} must agree" if owners else "",
            f"displaces {', '.join(move.displaces)}" if move.displaces else "",
            "cannot be taken back without loss" if move.irreversible else "",
        )
        if words
    )


def promises(move: Move) -> tuple[str, ...]:
    """What the move waits for, and within which time its run starts on the nodes that it names."""
    found = [f"waits until {move.awaits} runs"] if move.awaits else []
    if move.starts_within_s is not None and move.steps:
        nodes = ", ".join(dict.fromkeys(part.node for part in move.placement))
        where = f" on {nodes}" if nodes else ""
        found.append(f"promises a start{where} within {units.duration(move.starts_within_s)}")
    return tuple(found)


def steps(move: Move) -> tuple[str, ...]:
    """The acts that carry it out, numbered, in their order; what nothing takes back is `final`."""
    return tuple(
        f"step {n}: {act_words(act)}{' (final)' if isinstance(act, Cancel | Requeue) else ''}"
        for n, act in enumerate(move.steps, start=1)
    )


def trust(move: Move, records: Sequence[RuleRecord]) -> str:
    """How well the rule that proposes a move kept its promises so far; empty without a record."""
    one = next((r for r in records if r.rule == move.rule and r.decided), None)
    return "" if one is None else f"rule {one.rule}: kept {one.kept} of {one.decided} promises"
