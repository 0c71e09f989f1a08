"""The exact search in a worker process: better starts, a bound, and how far it came.

The worker is ended at the deadline, or when the caller cancels; what it printed until then holds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from foundry_tui.optimiser.exact import Job, Line
from foundry_tui.optimiser.problem import CLOSE, Problem, Task, broken, objective
from foundry_tui.process import ProcessError, TimedOut, run

START_S = 0.8
"""Seconds of the limit that are set aside for the worker's start and its last words."""

LEAST_S = 0.1
"""The search itself gets at least so long, however short the limit is."""

MAX_BYTES = 64 << 20


class _Cancelled(Exception):
    """The caller wants no more of it."""


@dataclass(slots=True)
class Found:
    """The best tasks known, a bound on the objective, and how the search ended.

    `ended` says in words why nothing more is proven; None when the tasks are proven best.
    """

    tasks: tuple[Task, ...]
    objective: int
    bound: float | None = None
    bound_kind: str | None = None
    searches: int = 0
    places: int = 0
    ended: str | None = None

    def take(self, line: Line, problem: Problem) -> None:
        """Believe a line of the worker where it is better and its tasks may start together."""
        if line.bound is not None and (self.bound is None or line.bound <= self.bound):
            self.bound, self.bound_kind = line.bound, line.bound_kind
        self.searches, self.places = line.searches, line.places
        if line.tasks is None or broken(problem, line.tasks) is not None:
            return
        value = objective(problem, line.tasks)
        if value > self.objective:
            self.tasks, self.objective = line.tasks, value


def refine(
    problem: Problem,
    start: tuple[Task, ...],
    *,
    time_limit_s: float,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Callable[[Found], None] = lambda _: None,
) -> Found:
    """Make `start` better within the time limit; never returns less.

    `cancelled` is asked several times a second; `progress` hears of every better plan
    and of every better bound.
    """
    found = Found(start, objective(problem, start))
    if time_limit_s <= 0:
        found.ended = f"no exact search was made: the time limit is {time_limit_s:g} s"
        return found
    ends_s = time.monotonic() + time_limit_s
    left_s = max(LEAST_S, time_limit_s - START_S)
    job = msgspec.json.encode(Job(problem, start, left_s))
    pending, proven = b"", False

    def watch(chunk: bytes) -> None:
        nonlocal pending, proven
        if cancelled():
            raise _Cancelled
        *lines, pending = (pending + chunk).split(b"\n")
        for text in lines:
            line = msgspec.json.decode(text, type=Line)
            known = found.objective, found.bound
            found.take(line, problem)
            proven = line.proven
            if known != (found.objective, found.bound):
                progress(found)

    path = os.environ.get("PYTHONPATH")
    try:
        done = run(
            (sys.executable, "-P", "-m", "foundry_tui.optimiser.exact"),
            timeout_s=max(LEAST_S, ends_s - time.monotonic()),
            max_bytes=MAX_BYTES,
            env={} if path is None else {"PYTHONPATH": path},
            stdin=job,
            watch=watch,
        )
    except _Cancelled:
        found.ended = "the exact search was cancelled"
    except TimedOut:
        found.ended = (
            f"the exact search was ended at its time limit of {round(time_limit_s, 2):g} s"
        )
    except (ProcessError, msgspec.MsgspecError) as error:
        found.ended = f"the exact search gave no usable answer ({error})"
    else:
        if done.code:
            found.ended = f"the exact search ended with exit code {done.code}"
        elif found.bound is not None and found.bound - found.objective <= CLOSE * abs(found.bound):
            found.ended = f"the exact search stopped at a gap of less than {100 * CLOSE:g} %"
        elif not proven:
            found.ended = (
                f"the exact search had no more time: its limit is {round(time_limit_s, 2):g} s"
            )
    if proven:
        found.ended, found.bound = None, float(found.objective)
    return found
