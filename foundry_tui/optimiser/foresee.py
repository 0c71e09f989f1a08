"""The prediction of a plan: every source played forward without it and with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from foundry_tui.estate.plan import Prediction, WaitChange
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.arrays import endings
from foundry_tui.optimiser.course import Course, Moved, Planned, Waiting, play
from foundry_tui.optimiser.demand import Demand
from foundry_tui.optimiser.look import Look
from foundry_tui.optimiser.placing import Start, alternatives, where
from foundry_tui.optimiser.result import Measures
from foundry_tui.optimiser.room import Passage
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

MOVED = (
    "a run that makes room starts again at once elsewhere, and counts as one that waits as long as "
    "it has run, since that work is done again"
)


def foresee(
    snapshot: Snapshot,
    looks: Mapping[str, Look],
    starts: Mapping[str, Sequence[Start]],
    rooms: Mapping[str, Sequence[Passage]],
    measures: tuple[Measures, Measures],
    now: datetime,
    cancelled: Callable[[], bool],
) -> Prediction | None:
    """What starts and passages change within `HORIZON_S`.

    `measures` are those of the estate before and right after the moves. None when nothing waits,
    or it was cancelled.
    """
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
            for s in (*starts.get(source, ()), *(p.start for p in rooms.get(source, ())))
            if s.demand.run.id in number
        ]
        moved = _moved(rooms.get(source, ()))
        ends = endings(look.board, snapshot)
        both: tuple[tuple[Sequence[Planned], Sequence[Moved], list[float]], ...]
        both = (((), (), without), (planned, moved, with_plan))
        for place, (plan, goes, waits) in enumerate(both):
            now_s = now.timestamp()
            course = play(look.board, ends, now_s, waiting, plan, HORIZON_S, cancelled, goes)
            if course is None:
                return None
            gpus[place] += course.gpus
            begin = len(waits)
            waits += _waits(course, waiting)
        for c in candidates:
            _count(of, c.ways[0].run, range(begin, begin + c.ways[0].tasks))
            begin += c.ways[0].tasks
        for passage in rooms.get(source, ()):
            for one, _ in passage.relocation.moved:
                again_s = _again_s(one.run, now)
                if again_s is not None:
                    _count(of, one.run, range(len(without), len(without) + 1))
                    without.append(0.0)
                    with_plan.append(min(HORIZON_S, again_s))
    if not without:
        return None
    before, after = np.array(without), np.array(with_plan)
    first, last = measures
    base = first["gpus_allocated"] or 0.0
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
        assumes=(*ASSUMES, *((MOVED,) if any(rooms.values()) else ())),
        wait_p50_without_s=float(np.percentile(before, 50)),
        wait_p50_with_s=float(np.percentile(after, 50)),
        stranded_without_gpus=first["fragmentation_gpus"],
        stranded_with_gpus=last["fragmentation_gpus"],
    )


def _moved(rooms: Sequence[Passage]) -> list[Moved]:
    return [
        Moved(
            one.run.id,
            (one.row, one.gpus, one.request.cpu_milli, one.request.memory_mib),
            one.request,
            _runs_s(one.run.request.time_limit_s),
            part,
        )
        for passage in rooms
        for one, part in passage.relocation.moved
    ]


def _again_s(run: Run, now: datetime) -> float | None:
    """How long a run that is moved has run, which is done again; None where that is not known."""
    return None if run.started_at is None else max(0.0, (now - run.started_at).total_seconds())


def _count(of: dict[tuple[str, str], list[int]], run: Run, places: Iterable[int]) -> None:
    """Note whose waits these are: the user's, the account's, and those of each of its queues."""
    names = [("user", run.user), ("account", run.account)]
    names += [("queue", queue) for queue in run.queues]
    for kind, name in names:
        if name is not None:
            of.setdefault((kind, name), []).extend(places)


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
