"""What a GPU did in a time, in whole seconds that add up."""

from __future__ import annotations

from collections.abc import Iterable

from foundry_tui.store.history.measured import Piece
from foundry_tui.store.history.shapes import Use


def of(pieces: Iterable[Piece], since: int, until: int) -> Use:
    """The use in `since <= t < until`: what no piece tells of is unknown.

    A part of a piece gets its part of the seconds. They lie evenly: before a moment lies the
    rounded-down part of the known ones, and of these the rounded-down part of the used ones, so
    that two adjacent times give what both together give.
    """
    used = idle = 0
    busy = energy = powered = 0.0
    for piece in pieces:
        low, high = max(since, piece.since), min(until, piece.until)
        if high <= low:
            continue
        before, upto = _before(piece, low), _before(piece, high)
        used += upto[0] - before[0]
        idle += upto[1] - before[1]
        part = (high - low) / (piece.until - piece.since)
        busy += piece.busy_milli_s * part
        energy += piece.energy_j * part
        powered += piece.power_s * part
    return Use(used, idle, until - since - used - idle, busy / 1000, energy, powered)


def _before(piece: Piece, at: int) -> tuple[int, int]:
    """The used and the idle seconds of a piece before a moment in it."""
    if not piece.seen_s:
        return 0, 0
    known = piece.seen_s * (at - piece.since) // (piece.until - piece.since)
    used = piece.used_s * known // piece.seen_s
    return used, known - used
