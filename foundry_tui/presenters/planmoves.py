"""What is to be known of one move beside its reason: who is asked, what it waits for, its steps."""

from __future__ import annotations

from foundry_tui.estate.plan import Move
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
    """The acts that carry it out, numbered, in their order."""
    return tuple(f"step {n}: {act_words(act)}" for n, act in enumerate(move.steps, start=1))
