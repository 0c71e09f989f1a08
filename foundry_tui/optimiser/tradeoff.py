"""Gain against number of moves: the moves of a plan in the order in which they pay.

A reader who wants little disturbance makes the first few only. So every point is a set of moves
that can be made without the others: a move that needs another, because it takes the room of a run
that the other one touches, brings it with it.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.tradeoff import TradeOff

STARTING = frozenset({"start", "move_queue", "make_room"})
"""Actions that put a waiting run on GPUs."""

Needs = Mapping[str, Collection[str]]


def tradeoff(plan: Plan) -> tuple[TradeOff, ...]:
    """The plan from no move to all of them, most gain per move first, its cost taken off.

    Moves of unknown gain come last. Moves of equal gain come in the plan's order, those that
    nobody has to agree to before the others.
    """
    by_id = {move.id: move for move in plan.moves}
    needed = needs(plan.moves)
    needing: dict[str, list[str]] = {}
    for one, others in needed.items():
        for other in others:
            needing.setdefault(other, []).append(one)
    place = {move.id: n for n, move in enumerate(plan.moves)}
    made: dict[str, None] = {}

    def entry(one: str) -> tuple[tuple[bool, float, int], int, str]:
        return _rank([by_id[i] for i in _bundle(one, needed, made)]), place[one], one

    total = _Sum(plan.before.get("gpus_allocated"))
    points = [total.with_(())]
    heap = [entry(one) for one in by_id]
    heapq.heapify(heap)
    while heap:
        was, _, one = heapq.heappop(heap)
        if one in made or was != entry(one)[0]:
            continue  # a newer entry of it is in the heap, or it came along with another
        bundle = _bundle(one, needed, made)
        made.update(dict.fromkeys(bundle))
        points.append(total.with_([by_id[i] for i in bundle]))
        for changed in {i for b in bundle for i in needing.get(b, ())} - made.keys():
            heapq.heappush(heap, entry(changed))
    return tuple(points)


def needs(moves: Sequence[Move]) -> dict[str, tuple[str, ...]]:
    """Id of a move -> the moves without which it cannot be made, in the plan's order.

    They are those that touch a run which it displaces: they make its room, or start that run
    again. What awaits a run needs the move that starts it.
    """
    touching: dict[str, list[str]] = {}
    for move in moves:
        if move.target.kind == "run":
            touching.setdefault(move.target.id, []).append(move.id)
    return {
        move.id: tuple(
            i
            for run in (*move.displaces, *([move.awaits] if move.awaits else ()))
            for i in touching.get(run, ())
            if i != move.id
        )
        for move in moves
    }


def _bundle(one: str, needed: Needs, made: Collection[str]) -> list[str]:
    """The move behind everything that it needs and that is not made yet."""
    found: dict[str, None] = {}
    asked: set[str] = set()

    def add(move: str) -> None:
        if move in made or move in asked:
            return
        asked.add(move)
        for before in needed[move]:
            add(before)
        found[move] = None

    add(one)
    return list(found)


def _rank(moves: Sequence[Move]) -> tuple[bool, float, int]:
    """What comes first is least: known gain, most of it per move, fewest to agree."""
    known = [move for move in moves if move.gain is not None]
    net = sum((move.gain or 0.0) - (move.cost or 0.0) for move in known)
    return not known, -net / len(moves), len({move.owner for move in moves if move.owner})


class _Sum:
    """The point that the moves made so far come to; `with_` makes more of them."""

    def __init__(self, allocated: float | None) -> None:
        self._allocated = allocated
        self._gain = self._cost = self._worth = 0.0
        self._moves = self._unknown = self._started_milli = self._untold = 0
        self._owners: dict[str, None] = {}
        self._stopped: dict[str, None] = {}

    def with_(self, moves: Sequence[Move]) -> TradeOff:
        """The next point."""
        for move in moves:
            self._add(move)
        allocated = self._allocated
        return TradeOff(
            moves=self._moves,
            added=tuple(move.id for move in moves),
            gain=self._gain,
            cost=self._cost,
            gain_unknown=self._unknown,
            worth=None if self._untold else self._worth,
            gpus_allocated=None
            if allocated is None
            else allocated + self._started_milli / WHOLE_MILLI,
            owners=tuple(self._owners),
            stopped=tuple(self._stopped),
        )

    def _add(self, move: Move) -> None:
        self._moves += 1
        if move.gain is None:
            self._unknown += 1
        else:
            self._gain += move.gain
            self._cost += move.cost or 0.0
        if move.action in STARTING:
            self._started_milli += move.gpu_milli or 0
            self._untold += move.worth is None
            self._worth += move.worth or 0.0
        if move.owner:
            self._owners[move.owner] = None
        self._stopped |= dict.fromkeys(move.displaces)
