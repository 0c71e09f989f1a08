"""HiGHS on one problem: its tasks, its bound, and whether they are proven best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, milp

from foundry_tui.optimiser.model import Model
from foundry_tui.optimiser.problem import Problem, Task, broken, objective

_OPTIMAL = 0
_INFEASIBLE = 2
_SLACK = 1e-6
"""Relative slack by which a bound of the solver is widened before it is believed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The best tasks found (None: none in time), a bound on the objective, whether it is proven."""

    tasks: tuple[Task, ...] | None
    bound: float | None
    proven: bool


def solve(problem: Problem, time_limit_s: float, better_than: int | None = None) -> Answer:
    """Solve the whole problem with HiGHS, for at most this time.

    With `better_than` only tasks are looked for that are worth more than that; an answer without
    tasks that is proven then says that there are none.
    """
    if time_limit_s <= 0:
        return Answer(None, None, False)
    model = Model(problem)
    if not model.cost:
        nothing = broken(problem, ()) is None
        return Answer(() if nothing else None, float(objective(problem, ())), nothing)
    if better_than is not None and not problem.mix:
        model.demand(better_than + 1)
    found = milp(
        np.array(model.cost),
        integrality=np.array(model.whole, dtype=np.uint8),
        bounds=Bounds(0, np.array(model.most)),
        constraints=model.constraints(),
        options={"time_limit": time_limit_s, "mip_rel_gap": 0.0},
    )
    tasks = None if found.x is None else model.tasks(np.rint(found.x).astype(np.int64))
    if tasks is not None and broken(problem, tasks) is not None:
        tasks = None
    if found.status == _INFEASIBLE and better_than is not None:
        return Answer(None, float(better_than), True)
    bound = getattr(found, "mip_dual_bound", None)
    if bound is None or not np.isfinite(bound):
        return Answer(tasks, None, False)
    best = (model.constant - float(bound)) * model.scale
    best += _SLACK * max(1.0, abs(best))
    if not problem.mix:
        best = float(np.floor(best))
    proven = found.status == _OPTIMAL and tasks is not None
    if proven and tasks is not None:
        best = float(objective(problem, tasks))
    return Answer(tasks, best, proven)
