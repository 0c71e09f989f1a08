"""A plan: an ordered set of moves with what it gains, costs and assumes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.acts import Act
from foundry_tui.estate.run import Placement


@dataclass(frozen=True, slots=True)
class Target:
    """What a move changes: `kind` is run, node or queue."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One change of a plan.

    `steps` are the acts that carry it out, in order; a move without steps asks people, not a
    scheduler. `precondition` holds the values that were observed and must still hold when the move
    is applied (`estate.precondition`). `awaits` is a run that must be running before the first step
    is sent. `inverse` says in words how it is taken back and what that leaves; `irreversible` that
    it cannot be, or not without loss. `gain` and `cost` are in GPU-hours, `risk` is low, medium or
    high. `owner` is the user who must agree, None when nobody else is touched. `command` is None
    until the adapter has been asked for it. `worth` is the work that it starts, in weighted GPUs
    (the weights stand in the plan's assumptions).

    What is promised: `starts_at` is when the run would start if the move were made at once, None
    when unknown, and `starts_within_s` how long after the move was made it starts at the latest, on
    the nodes of `placement`. `rule` is the rule of advice that proposes it, whose promises are
    counted; empty for a move that a person wrote.
    """

    id: str
    target: Target
    action: str
    placement: tuple[Placement, ...] = ()
    gpu_milli: int | None = None
    queue: str | None = None
    precondition: dict[str, str | int | float | None] | None = None
    inverse: str | None = None
    gain: float | None = None
    cost: float | None = None
    risk: str = "low"
    owner: str | None = None
    why: str = ""
    displaces: tuple[str, ...] = ()
    starts_at: datetime | None = None
    worth: float | None = None
    command: tuple[str, ...] | None = None
    steps: tuple[Act, ...] = ()
    awaits: str | None = None
    irreversible: bool = False
    starts_within_s: float | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class NotProposed:
    """A run or GPU that the plan leaves as it is, and why."""

    target: Target
    why: str


@dataclass(frozen=True, slots=True)
class WaitChange:
    """What a plan does to the waiting of one user, account or queue (`kind`): means over runs.

    `runs` are their waiting tasks. A task that does not start within the prediction's horizon
    counts with the horizon.
    """

    kind: str
    name: str
    runs: int
    without_s: float
    with_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The estate played forward from now, without the plan and with it.

    `runs` are the waiting tasks that could start. Waits are counted from now, in seconds; a task
    that does not start within `horizon_s` counts with that, and in `not_started_*`. `allocated_*`
    is the mean number of GPUs allocated until then. `stranded_*` are GPUs that are free and that no
    run of the mix can take, right after the moves. `changes` holds whoever wins (`with_s` lower) or
    loses, users, accounts and queues, the largest change in all first.
    """

    horizon_s: float
    runs: int
    wait_mean_without_s: float | None
    wait_mean_with_s: float | None
    wait_p90_without_s: float | None
    wait_p90_with_s: float | None
    not_started_without: int
    not_started_with: int
    allocated_without: float
    allocated_with: float
    changes: tuple[WaitChange, ...] = ()
    assumes: tuple[str, ...] = ()
    wait_p50_without_s: float | None = None
    wait_p50_with_s: float | None = None
    stranded_without_gpus: float | None = None
    stranded_with_gpus: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Advice for one estate at one moment.

    `objective` and `bound` are in the unit that `objective_name` states. `sense` says whether much
    of it is good (`max`: no plan has more than `bound`) or little (`min`: none has less). `gap` is
    what lies between the two, as a part of the larger; None when no bound was proven. `bound_kind`
    says in words where the bound comes from, and `unproven` what it does not cover.

    `seen` is source -> what it looked like then (`Snapshot.source_id`), None for a plan that does
    not say: by it is told whether it is carried out on another cluster.

    `status` is `heuristic` (no exact search), `optimal`, `time limit` (the search ended with a
    gap) or `bound only` (it found a bound and no better plan). `before` and `after` hold the same
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
    sense: str = "max"
    bound_kind: str | None = None
    unproven: tuple[str, ...] = ()
    prediction: Prediction | None = None
    seen: dict[str, str] | None = None
