"""The worker of the exact search: `python -m foundry_tui.optimiser.exact`, a job on standard input.

It runs apart because HiGHS can be neither asked to stop nor asked how far it is: whoever started
this process ends it. Each line that it prints is one JSON object, a better plan or a better bound
than the line before; whatever the last whole line says holds, also when the process is killed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import msgspec

from foundry_tui.optimiser.problem import Problem, Task


@dataclass(frozen=True, slots=True)
class Job:
    """A problem, tasks to begin with, and the time for it."""

    problem: Problem
    start: tuple[Task, ...]
    time_limit_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """One step of the search; `tasks` only where they changed."""

    objective: int
    bound: float | None
    bound_kind: str | None
    proven: bool
    searches: int
    places: int
    tasks: tuple[Task, ...] | None


def main() -> None:
    """Read the job, search, and print what is found as it is found."""
    from foundry_tui.optimiser.search import State, search

    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    known = job.start

    def tell(state: State) -> None:
        nonlocal known
        line = Line(
            objective=state.objective,
            bound=state.bound,
            bound_kind=state.bound_kind,
            proven=state.proven,
            searches=state.searches,
            places=state.places,
            tasks=state.tasks if state.tasks != known else None,
        )
        known = state.tasks
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()

    search(job.problem, job.start, job.time_limit_s, tell)


if __name__ == "__main__":
    main()
