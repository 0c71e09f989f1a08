"""Tracked runs for the tests of the mirror, and what a page of them has to be."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import Experiment, Point, TrackedRun, TrackStatus
from foundry_tui.store.mirror.mirror import Mirror
from foundry_tui.store.mirror.query import Query

T0 = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NOW = T0 + timedelta(days=2)
URL = "https://mlflow.example.org"
LOSSES = (0.1, 0.25, 0.5, math.nan, math.inf, -math.inf, None)
RATES = ("1e-3", "0.001", "3e-4", "auto", None)


def run(number: int, **more: object) -> TrackedRun:
    """One run, from its number alone."""
    dice = random.Random(number)
    loss, rate = dice.choice(LOSSES), dice.choice(RATES)
    metrics = {"acc/val": Point(3, T0, dice.random())}
    if loss is not None:
        metrics["loss"] = Point(number, T0 + timedelta(seconds=number), loss)
    params = {"opt": safe(dice.choice(("adamw", "sgd", "Lion")))}
    if rate is not None:
        params["lr"] = safe(rate)
    one = TrackedRun(
        run_id=f"{random.Random(-number - 1).getrandbits(128):032x}",
        experiment_id=str(number % 3),
        name=safe(f"run-{number % 50}"),
        status=dice.choice(tuple(TrackStatus)),
        started_at=T0 + timedelta(minutes=dice.randrange(300)) if number % 17 else None,
        ended_at=T0 + timedelta(days=1, seconds=number) if number % 2 else None,
        params=params,
        metrics=metrics,
        tags={"mlflow.user": f"user{number % 4}", "team": dice.choice(("nlp", "cv"))},
        artifact_uri=f"mlflow-artifacts:/{number}",
    )
    return replace(one, **more)  # type: ignore[arg-type]


def opened(folder: Path) -> Mirror:
    return Mirror.open(folder / "mirror", URL)


def filled(mirror: Mirror, runs: Iterable[TrackedRun]) -> Mirror:
    """The mirror, with these runs and their three experiments."""
    with mirror.writer() as writer:
        assert writer is not None
        writer.experiments([Experiment(id=str(n), name=f"exp-{n}") for n in range(3)])
        writer.put(runs, NOW)
    return mirror


def ids(mirror: Mirror, most: int = 10_000, where: str = "", **more: object) -> list[str]:
    """The ids that the mirror gives."""
    query = Query(where=where, most=most, now=NOW, me=frozenset({"user1"}), **more)  # type: ignore[arg-type]
    return [run.run_id for run in mirror.ask(query).runs]


def newest_first(runs: Sequence[TrackedRun]) -> list[TrackedRun]:
    """The order of runs that are equal otherwise."""
    by_id = sorted(runs, key=lambda run: run.run_id)
    return sorted(
        by_id, key=lambda r: r.started_at or datetime.min.replace(tzinfo=UTC), reverse=True
    )


def ordered(one: TrackedRun) -> TrackedRun:
    """The same run, what it logged in the order in which the mirror gives it."""
    return replace(
        one,
        params=dict(sorted(one.params.items())),
        metrics=dict(sorted(one.metrics.items())),
        tags=dict(sorted(one.tags.items())),
    )
