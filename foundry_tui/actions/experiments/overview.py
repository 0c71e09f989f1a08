"""The experiments of a tracking server: how many runs each has, the last, and its best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions.experiments import find
from foundry_tui.actions.experiments.spent import spent
from foundry_tui.estate.recorded import CLUSTER_TAG, COST, GPU_MODEL_TAG, HEADLINE_TAG, USER_TAG
from foundry_tui.estate.tracked import TrackStatus
from foundry_tui.experiments.best import Aim, aim_of, first, tells

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.estate.tracked import Experiment, TrackedRun
    from foundry_tui.experiments.waste import Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One experiment. `aim`, `best` and `value` are None where no metric tells what is best.

    The metric is the experiment's headline, or else guessed, as `aim` says. `spent` is what its
    runs cost.
    """

    experiment: Experiment
    runs: int
    running: int
    failed: int
    last: TrackedRun | None
    aim: Aim | None = None
    best: TrackedRun | None = None
    value: float | None = None
    spent: Spent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The experiments, the one with the last begun run first; `words` say how whole it is.

    `by_user` is what each user's runs cost, where that was asked for.
    """

    rows: tuple[Standing, ...]
    by_user: tuple[Spent, ...]
    read_at: datetime | None
    complete: bool
    words: str
    problem: str | None = None


def overview(site: Site, prices: Path | None = None, *, by_user: bool = False) -> Overview:
    """How every experiment stands, and what it cost; with money where there are prices.

    Raises:
        WrongUse: the prices cannot be used.
        SourceMissing, ActionError: as `find.listing`.
    """
    listing = find.listing(site, experiment=None, most=0, whole=True)
    aims = _aims(site, listing.experiments)
    tags = [USER_TAG] if by_user else []
    if prices or site.config.reports.prices:
        tags += [CLUSTER_TAG, GPU_MODEL_TAG]
    metrics = sorted({*COST, *(one.metric for one in aims.values())})
    keys = [*(f"metric.{key}" for key in metrics), *(f"tag.{key}" for key in tags)]
    runs = find.figures(site, keys)
    by_experiment: dict[str, list[TrackedRun]] = {one: [] for one in listing.experiments}
    for run in runs:
        by_experiment.setdefault(run.experiment_id, []).append(run)
    known = listing.experiments
    whole = spent(site, runs, known, aims=aims, prices=prices, by_user=False)
    costs = {one.experiment_id: one for one in whole}
    rows = [
        replace(standing(known[one], own, aims.get(one)), spent=costs.get(one))
        for one, own in by_experiment.items()
        if one in known
    ]
    rows.sort(key=lambda row: row.experiment.name)
    rows.sort(key=_begun, reverse=True)
    return Overview(
        rows=tuple(rows),
        by_user=spent(site, runs, known, aims=aims, prices=prices) if by_user else (),
        read_at=listing.read_at,
        complete=listing.complete,
        words=listing.words,
        problem=listing.problem,
    )


def standing(
    experiment: Experiment, runs: Sequence[TrackedRun], wanted: Aim | None = None
) -> Standing:
    """How one experiment stands, out of its runs; the last values of what is wanted count."""
    last = max(runs, key=_started, default=None)
    row = Standing(
        experiment=experiment,
        runs=len(runs),
        running=sum(run.status is TrackStatus.RUNNING for run in runs),
        failed=sum(run.status is TrackStatus.FAILED for run in runs),
        last=last,
    )
    if wanted is None:
        return row
    values = {r.run_id: r.metrics[wanted.metric].value for r in runs if wanted.metric in r.metrics}
    best = first(runs, values, lower=wanted.lower)
    return replace(row, aim=wanted, best=best, value=None if best is None else values[best.run_id])


def _aims(site: Site, experiments: Mapping[str, Experiment]) -> dict[str, Aim]:
    """Experiment -> what is best in it, where its headline or the names of its metrics tell."""
    known = (name.partition(".") for name in find.names(site))
    counts = find.counted(site, [key for kind, _, key in known if kind == "metric" and tells(key)])
    aims = {
        id_: aim_of(one.tags.get(HEADLINE_TAG), counts.get(id_, {}))
        for id_, one in experiments.items()
    }
    return {id_: one for id_, one in aims.items() if one is not None}


def _begun(row: Standing) -> float:
    return _started(row.last) if row.last else 0.0


def _started(run: TrackedRun) -> float:
    return run.started_at.timestamp() if run.started_at else 0.0
