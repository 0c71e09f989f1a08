"""The orders that the port promises."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from foundry_tui.estate.tracked import Point, TrackedRun

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def newest_first(runs: Iterable[TrackedRun]) -> tuple[TrackedRun, ...]:
    """By the start; runs without one come last."""
    return tuple(sorted(runs, key=lambda run: run.started_at or _BEFORE_ALL, reverse=True))


def pages_first(runs: Iterable[TrackedRun]) -> tuple[TrackedRun, ...]:
    """As a search gives them, page after page: newest first, of one moment by their ids."""
    return newest_first(sorted(runs, key=lambda run: run.run_id))


def by_step(points: Iterable[Point], most: int) -> tuple[Point, ...]:
    """In the order of the steps; of more than `most`, evenly chosen ones with first and last."""
    ordered = sorted(points, key=lambda point: (point.step, point.at))
    if len(ordered) <= most:
        return tuple(ordered)
    if most == 1:
        return (ordered[-1],)
    last = len(ordered) - 1
    return tuple(ordered[round(i * last / (most - 1))] for i in range(most))
