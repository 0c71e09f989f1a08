"""Tracked runs for the tests of comparing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import DataInput, Point, TrackedRun, TrackStatus
from foundry_tui.experiments.compare import sides
from foundry_tui.experiments.nouns import Comparison, Difference, Evidence, Group, Side

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def at(minute: float) -> datetime:
    return NOW + timedelta(minutes=minute)


def points(*values: float) -> tuple[Point, ...]:
    return tuple(Point(step, at(step), value) for step, value in enumerate(values))


def run(
    number: int,
    *,
    name: str = "train",
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    inputs: Sequence[tuple[str, str]] = (),
    status: TrackStatus = TrackStatus.FINISHED,
    started: datetime | None = NOW,
    took_min: float | None = 30,
    experiment: str = "1",
) -> TrackedRun:
    return TrackedRun(
        run_id=f"{number:06d}" + "ab" * 13,
        experiment_id=experiment,
        name=safe(name),
        status=status,
        started_at=started,
        ended_at=None
        if took_min is None or started is None
        else started + timedelta(minutes=took_min),
        params={k: safe(v, max_cells=1000) for k, v in (params or {}).items()},
        metrics={k: Point(9, at(9), v) for k, v in (metrics or {}).items()},
        tags=dict(tags or {}),
        inputs=tuple(DataInput(name=n, digest=d, path=f"/data/{n}") for n, d in inputs),
    )


def sided(*runs: TrackedRun, evidence: Sequence[Evidence] | None = None) -> tuple[Side, ...]:
    return sides(runs, ["llama"] * len(runs), evidence)


def row(compared: Comparison, group: Group, key: str) -> Difference:
    (found,) = [r for r in compared.rows if (r.group, r.key) == (group, key)]
    return found


def differing(compared: Comparison) -> list[tuple[str, str]]:
    return [(r.group.value, r.key) for r in compared.differing]
