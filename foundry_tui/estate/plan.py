"""A plan: an ordered set of moves with what it gains, costs and assumes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.run import Placement


@dataclass(frozen=True, slots=True)
class Target:
    """What a move changes: `kind` is run, node or queue."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One change of a plan.

    `precondition` holds the values that were observed and must still hold when the move is
    applied. `gain` and `cost` are in GPU-hours, `risk` is low, medium or high. `owner` is the user
    who must agree, None when nobody else is touched. `command` is None until the adapter has been
    asked for it. `starts_at` is when the move would let the run start, None when unknown.
    """

    id: str
    target: Target
    action: str
    placement: tuple[Placement, ...] = ()
    gpu_milli: int | None = None
    queue: str | None = None
    precondition: dict[str, str | int | None] | None = None
    inverse: str | None = None
    gain: float | None = None
    cost: float | None = None
    risk: str = "low"
    owner: str | None = None
    why: str = ""
    displaces: tuple[str, ...] = ()
    starts_at: datetime | None = None
    command: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class NotProposed:
    """A run or GPU that the plan leaves as it is, and why."""

    target: Target
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Advice for one estate at one moment.

    `objective` and `bound` are in the unit that `objective_name` states, `gap` is
    (bound - objective) / bound, None when no bound was proven. `before` and `after` hold the same
    measures of the estate without and with the moves.
    """

    id: str
    generated_at: datetime
    estate_id: str
    objective_name: str
    objective: float | None
    bound: float | None
    gap: float | None
    status: str
    solve_s: float
    moves: tuple[Move, ...]
    before: dict[str, float | None]
    after: dict[str, float | None]
    assumptions: tuple[str, ...] = ()
    not_proposed: tuple[NotProposed, ...] = ()
