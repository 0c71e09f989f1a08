"""The prediction of a plan: every source played forward without it and with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from foundry_tui.estate.plan import Prediction, WaitChange
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.arrays import endings
from foundry_tui.optimiser.course import Course, Planned, Waiting, play
from foundry_tui.optimiser.demand import Demand
from foundry_tui.optimiser.look import Look
from foundry_tui.optimiser.placing import Start, alternatives, where
from scheduler_sim.cluster import Mask

HORIZON_S = 24 * 3600.0

NOTABLE_S = 60.0
"""A mean wait that changes by less is no gain and no loss."""

ASSUMES = (
    "every run ends at its time limit; one without a limit never ends",
    "nothing new is submitted",
    "without the plan each run waits in the queues that it asked for; the scheduler starts runs in "
    "its order, by best fit, with EASY backfill in every queue",
    "a run that waits for something else than room does not start; limits are not counted, and "
    "runs on MIG instances are left out",
    "a task that does not start within the horizon counts as if it waited until then",
)


def foresee(
    snapshot: Snapshot,
    looks: Mapping[str, Look],
    starts: Mapping[str, Sequence[Start]],
    allocated_gpus: float | None,
    now: datetime,
    cancelled: Callable[[], bool],
) -> Prediction | None:
    """What the starts change within `HORIZON_S`; None when nothing waits, or it was cancelled."""
    without: list[float] = []
    with_plan: list[float] = []
    of: dict[tuple[str, str], list[int]] = {}
    gpus = [0.0, 0.0]
    for source, look in looks.items():
        candidates = [c for c in look.candidates if c.ways[0].profile is None]
        waiting = [
            Waiting(
                request=c.ways[0].request,
                nodes=c.ways[0].nodes,
                tasks=c.ways[0].tasks,
                runs_s=_runs_s(c.ways[0].run.request.time_limit_s),
                allowed=_allowed(look, c.ways[0], c.asked),
                queue=",".join(c.asked),
            )
            for c in candidates
        ]
        number = {c.ways[0].run.id: n for n, c in enumerate(candidates)}
        planned = [
            Planned(
                number[s.demand.run.id],
                s.demand.request,
                _runs_s(s.demand.run.request.time_limit_s),
                s.parts,
            )
            for s in starts.get(source, ())
            if s.demand.run.id in number
        ]
        ends = endings(look.board, snapshot)
        for place, (plan, waits) in enumerate((((), without), (planned, with_plan))):
            course = play(look.board, ends, now.timestamp(), waiting, plan, HORIZON_S, cancelled)
            if course is None:
                return None
            gpus[place] += course.gpus
            begin = len(waits)
            waits += _waits(course, waiting)
        for c in candidates:
            run = c.ways[0].run
            for kind, name in (("user", run.user), ("account", run.account)):
                if name is not None:
                    places = of.setdefault((kind, name), [])
                    places += range(begin, begin + c.ways[0].tasks)
            begin += c.ways[0].tasks
    if not without:
        return None
    before, after = np.array(without), np.array(with_plan)
    base = allocated_gpus or 0.0
    return Prediction(
        horizon_s=HORIZON_S,
        runs=len(before),
        wait_mean_without_s=float(before.mean()),
        wait_mean_with_s=float(after.mean()),
        wait_p90_without_s=float(np.percentile(before, 90)),
        wait_p90_with_s=float(np.percentile(after, 90)),
        not_started_without=int((before >= HORIZON_S).sum()),
        not_started_with=int((after >= HORIZON_S).sum()),
        allocated_without=base + gpus[0],
        allocated_with=base + gpus[1],
        changes=tuple(_changes(of, before, after)),
        assumes=ASSUMES,
    )


def _runs_s(limit_s: int | None) -> float | None:
    return None if limit_s is None else float(limit_s)


def _allowed(look: Look, way: Demand, asked: tuple[str, ...]) -> Mask:
    if not asked:
        return np.zeros(len(look.board.nodes), dtype=np.bool_)
    # A run on several nodes has them all in one queue; the first of its queues stands for all.
    allowed = look.board.allowed(where(way, alternatives(way, asked)[0]))
    if way.request.models:
        allowed = allowed & look.board.cluster.accepting(way.request.models)
    return allowed


def _waits(course: Course, waiting: Sequence[Waiting]) -> list[float]:
    """Seconds until each task starts, those of one run together and in order."""
    found: list[float] = []
    for run, starts_s in zip(waiting, course.starts_s, strict=True):
        found += sorted(starts_s)
        found += [HORIZON_S] * (run.tasks - len(starts_s))
    return found


def _changes(
    of: Mapping[tuple[str, str], Sequence[int]],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
) -> list[WaitChange]:
    """Who wins and who loses, the largest change in all first."""
    found = []
    for (kind, name), places in of.items():
        rows = np.array(places)
        one, other = float(before[rows].mean()), float(after[rows].mean())
        if abs(one - other) >= NOTABLE_S:
            found.append(WaitChange(kind, name, len(rows), one, other))
    return sorted(found, key=lambda c: (-abs(c.with_s - c.without_s) * c.runs, c.kind, c.name))
