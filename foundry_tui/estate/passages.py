"""Passages: moves of a plan that only make sense together, so that nobody makes half of them.

A move that stops runs to make room for another leaves them stopped. The moves that start those runs
again wait for it. One without the other would leave a run held for ever, or do nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from foundry_tui.estate.plan import Move


def passages(moves: Sequence[Move]) -> tuple[tuple[Move, ...], ...]:
    """The moves in groups that go together, in the plan's order; most groups are one move.

    Two moves go together where one awaits the run of the other and is about a run which that one
    displaces.
    """
    leader: dict[tuple[str, str], str] = {}
    for move in moves:
        for run in move.displaces:
            leader.setdefault((move.target.id, run), move.id)
    groups: dict[str, list[Move]] = {}
    for move in moves:
        first = leader.get((move.awaits or "", move.target.id), move.id)
        groups.setdefault(first, []).append(move)
    return tuple(tuple(group) for group in groups.values())


def whole(moves: Sequence[Move], only: Collection[str]) -> tuple[str, ...]:
    """The ids of `only` and of every move that goes together with one of them, in plan order."""
    wanted = {
        move.id
        for group in passages(moves)
        if any(one.id in only for one in group)
        for move in group
    }
    return tuple(move.id for move in moves if move.id in wanted)
