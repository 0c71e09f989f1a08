"""Play runs on a cluster under a queue discipline and a node placement."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from scheduler_sim.cluster import Cluster, NodeSpec
from scheduler_sim.queues import build
from scheduler_sim.queues.advance import advance
from scheduler_sim.queues.ahead import plan_all
from scheduler_sim.queues.jobs import LAST_S, Jobs
from scheduler_sim.queues.outages import Outages
from scheduler_sim.queues.outcome import Fault, Outcome
from scheduler_sim.queues.placers import Live, Placer, ask
from scheduler_sim.queues.state import (
    ASK,
    ASKED,
    BEST_FIT,
    BY_FAIR_SHARE,
    BY_RANK,
    CONSERVATIVE,
    EASY,
    END_S,
    FAULT,
    FGD,
    FINISHED,
    FIRST_FIT,
    FIRST_PART,
    IMPOSSIBLE,
    NONE,
    NOW,
    OUTSIDE,
    P_GPUS,
    P_NODE,
    PLAN,
    PROMISED_S,
    RUNNING,
    START_S,
    STATE,
    STRICT,
    WAITING,
)

HALF_LIFE_S = 7 * 24 * 3600
"""Use counts half after so long in `fairshare`."""


@dataclass(frozen=True, slots=True)
class _Discipline:
    order: int
    rule: int
    by_priority: bool = False


DISCIPLINES: Final = {
    "fifo": _Discipline(BY_RANK, STRICT),
    "priority": _Discipline(BY_RANK, STRICT, by_priority=True),
    "easy": _Discipline(BY_RANK, EASY),
    "priority-easy": _Discipline(BY_RANK, EASY, by_priority=True),
    "conservative": _Discipline(BY_RANK, CONSERVATIVE),
    "fairshare": _Discipline(BY_FAIR_SHARE, EASY),
}
"""`fifo` and `priority`: nobody overtakes the first of the queue. `easy` is FIFO with EASY
backfill, `priority-easy` the same by priority, `conservative` plans every run in the order of
submission, `fairshare` puts the least used account and user first, with EASY backfill."""

PLACEMENTS: Final = {"first_fit": FIRST_FIT, "best_fit": BEST_FIT, "fgd": FGD}

Progress = Callable[[int, int], None]
"""Told how many runs have ended or are impossible, and of how many."""


def simulate(
    nodes: Sequence[NodeSpec],
    jobs: Jobs,
    *,
    discipline: str = "easy",
    placement: str | Placer = "best_fit",
    seed: int = 0,
    faults: Sequence[Fault] = (),
    progress: Progress | None = None,
    half_life_s: int = HALF_LIFE_S,
    until_s: int | None = None,
) -> Outcome:
    """Play the runs from the first submission until nothing more can happen, or past `until_s`.

    Equal input gives an equal outcome, with numba or without: all decisions are made in whole
    numbers, ties go to the run that came first and to the node that stands first. `seed` 0 keeps
    the nodes in the order given, any other puts them in a random order that breaks the ties. Plans
    use `limit_s`, the truth is `duration_s`. A run that no set of nodes could ever host does not
    join the queue; it is `Outcome.never`.

    Raises:
        ValueError: an unknown discipline or placement, no or unfit nodes, a fault of an unknown
            node, a placer whose choice does not fit, or a placer of one's own with `conservative`,
            which plans ahead and would have to ask about the future.
    """
    if discipline not in DISCIPLINES:
        raise ValueError(f"discipline: {discipline!r} is none of {', '.join(DISCIPLINES)}")
    if isinstance(placement, str) and placement not in PLACEMENTS:
        raise ValueError(f"placement: {placement!r} is none of {', '.join(PLACEMENTS)}")
    if not 1 <= half_life_s <= LAST_S:
        raise ValueError(f"half_life_s: at least 1, got {half_life_s}")
    queue = DISCIPLINES[discipline]
    if queue.rule == CONSERVATIVE and not isinstance(placement, str):
        raise ValueError(f"placement: conservative plans ahead, with {', '.join(PLACEMENTS)} only")
    places = list(range(len(nodes)))
    if seed:
        random.Random(seed).shuffle(places)
    cluster = Cluster([nodes[i] for i in places])
    policy = PLACEMENTS[placement] if isinstance(placement, str) else OUTSIDE
    world = build.world(
        cluster,
        jobs,
        order=queue.order,
        rule=queue.rule,
        policy=policy,
        by_priority=queue.by_priority,
        half_life_s=half_life_s,
        until_s=until_s,
    )
    outages = Outages(cluster, world, faults)
    runs, parts = world.runs[:, : len(jobs)], world.parts
    live = Live(cluster, jobs, runs[START_S], runs[END_S])
    if not isinstance(placement, str):
        placement.begin(live)
    state, answer = runs[STATE], 0
    while (why := advance(world, answer)) != FINISHED:
        if why == ASK and not isinstance(placement, str):
            answer = ask(placement, live, world, int(world.reg[NOW]), int(world.reg[ASKED]))
        elif why == PLAN:
            plan_all(world)
        elif why == FAULT:
            outages.strike()
        elif progress is not None:
            progress(int(np.count_nonzero((state != WAITING) & (state != RUNNING))), len(jobs))
    if progress is not None:
        progress(len(jobs), len(jobs))
    runs[END_S, (state == RUNNING) | (state == WAITING) | (state == IMPOSSIBLE)] = NONE
    row = np.array(places, dtype=np.int32)
    return Outcome(
        nodes=tuple(nodes),
        jobs=jobs,
        discipline=discipline,
        placement=placement if isinstance(placement, str) else type(placement).__name__,
        seed=seed,
        start_s=runs[START_S].copy(),
        end_s=runs[END_S].copy(),
        state=state.astype(np.int8),
        promised_s=runs[PROMISED_S].copy(),
        first_part=world.runs[FIRST_PART].copy(),
        part_node=row[parts[P_NODE]],
        part_gpus=parts[P_GPUS].copy(),
        lost=outages.lost_at(places),
        faults=tuple(faults),
        stopped_s=int(world.reg[NOW]),
    )
