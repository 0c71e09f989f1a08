"""One source: the look in the scheduler's order, then the exact search on what it leaves open."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser import queues
from foundry_tui.optimiser.arrays import PARTITION, Board, endings
from foundry_tui.optimiser.build import CHANGE, Built, build, changed
from foundry_tui.optimiser.demand import demands, in_order, running_tasks
from foundry_tui.optimiser.goal import Goal
from foundry_tui.optimiser.limits import Headroom
from foundry_tui.optimiser.placing import Candidate, Placing, Start, chooser
from foundry_tui.optimiser.problem import objective, pooled
from foundry_tui.optimiser.refine import Found, refine
from foundry_tui.optimiser.result import Refused
from foundry_tui.optimiser.timeline import Kept, Timeline
from foundry_tui.optimiser.weights import Weights
from scheduler_sim.fragmentation import Mix

TRIVIAL = "trivial: the free GPUs filled with the work that is worth most, as if they were one"
NOTHING = "trivial: no GPU is stranded"
NO_ROOM = "trivial: nothing that waits fits anywhere now"


@dataclass(slots=True)
class Look:
    """The starts of one source, why other runs wait, and what is known of better starts.

    `candidates` are all runs that were looked at for a place, in the scheduler's order; `kept`
    tells of those that wait when and where they can start at the earliest, as far as is known.
    `slack` is what a plan could be better at most, in thousandths of the objective: of a weighted
    GPU, or of a stranded one; None when it is not known. `search_s` is the time of the search,
    `ended` why nothing is proven.
    """

    board: Board
    weights: Weights
    candidates: list[Candidate]
    starts: list[Start]
    waits: list[tuple[Run, str]]
    slack: float | None
    bound_kind: str
    search_s: float
    searched: bool
    improved: bool
    ended: str | None
    kept: Mapping[str, Kept] = field(default_factory=dict)

    @property
    def proven(self) -> bool:
        """Whether no plan under the same rules is better."""
        return self.ended is None

    def worth(self, group: Sequence[Start]) -> float:
        """What starts are worth, in weighted GPUs."""
        milli = sum(
            max(1, self.weights.worth(s.demand, s.demand.run) - CHANGE * (s.queue is not None))
            for s in group
        )
        return milli / WHOLE_MILLI


def look(
    snapshot: Snapshot,
    board: Board,
    mix: Mix | None,
    *,
    policy: str,
    goal: Goal,
    rights: Rights | None,
    now: datetime,
    refused: Refused,
    time_limit_s: float,
    cancelled: Callable[[], bool],
    progress: Callable[[Found], None],
) -> Look:
    """What of the waiting runs of the board's source should start now."""
    runs = [r for r in snapshot.runs if r.source == board.source]
    known = [q for q in snapshot.queues if q.source == board.source]
    tier = {q.name: q.priority or 0 for q in known if q.kind == PARTITION}
    line = Timeline(board, endings(board, snapshot), now)
    headroom = Headroom(known, rights, runs)
    placing = Placing(
        board,
        line,
        lambda cluster: chooser(policy, cluster, mix),
        headroom.copy(),
    )
    active = running_tasks(runs)
    order = in_order(runs, tier)
    for run in order:
        needs = demands(run, now, active, board.stock, refused.get(run.id, ()))
        if isinstance(needs, str):
            placing.waits.append((run, needs))
        else:
            others = queues.others(run, known, rights) if goal.others else ()
            placing.look_at(needs, queues.asked(run, known), others)
    weights = Weights(board, order, known, tier, now)
    found = Look(
        board,
        weights,
        placing.candidates,
        placing.starts,
        placing.waits,
        None,
        TRIVIAL,
        0.0,
        False,
        False,
        None,
        line.kept,
    )
    built = build(
        board,
        line,
        placing.candidates,
        headroom,
        weights,
        placing.starts,
        mix=mix if goal.by_fragmentation else None,
        keep_starts=goal.keep_starts,
        others=goal.others,
    )
    if built is None:
        found.ended = "the starts of the heuristic could not be told to the exact search"
        return found
    _search(found, built, time_limit_s, cancelled, progress)
    return found


def _search(
    found: Look,
    built: Built,
    time_limit_s: float,
    cancelled: Callable[[], bool],
    progress: Callable[[Found], None],
) -> None:
    """Replace the starts by better ones, as far as the time allows, and say what is proven."""
    problem = built.problem
    scale = sum(t.count for t in problem.mix) or 1
    reached = objective(problem, built.start)
    most = 0.0 if problem.mix else float(pooled(problem))
    found.bound_kind = NOTHING if problem.mix else TRIVIAL
    found.slack = (most - reached) / scale
    if not problem.kinds:
        found.slack, found.bound_kind = 0.0, NO_ROOM
        return
    if reached >= most:
        found.slack = 0.0
        return
    began_s = time.monotonic()
    best = refine(
        problem,
        built.start,
        time_limit_s=time_limit_s,
        cancelled=cancelled,
        progress=progress,
    )
    found.search_s = time.monotonic() - began_s
    found.searched, found.ended = best.searches > 0, best.ended
    if best.tasks != built.start:
        starts = built.starts(best.tasks)
        found.waits = changed(found.waits, found.starts, starts)
        found.starts, found.improved = starts, True
    if best.bound is not None and best.bound_kind is not None and best.bound <= most:
        most, found.bound_kind = best.bound, best.bound_kind
    found.slack = max(0.0, (most - best.objective) / scale)
