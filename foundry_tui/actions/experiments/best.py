"""The best run of an experiment by a metric, alone or as a mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import NothingMatched, WrongUse
from foundry_tui.actions.experiments import find
from foundry_tui.actions.experiments.server import refusals, tracker_of
from foundry_tui.estate.recorded import HEADLINE_TAG
from foundry_tui.estate.text import safe
from foundry_tui.experiments.best import Aim, Unclear, aim, headline, ranked
from foundry_tui.experiments.nouns import Reduce, SeedGroup
from foundry_tui.experiments.reduce import ALPHA, reduced
from foundry_tui.experiments.seeds import SEED_KEYS, groups

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.estate.tracked import Experiment, TrackedRun

MOST_CURVES = 2000
"""Runs whose whole curve is asked for: some 30 requests of about half a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The runs that have the metric, the best first, with the value that stands for each.

    `groups` are ranked by their mean, where they were asked for. `without` counts the runs that
    have no finite value; `notes` are words on what was not looked at.
    """

    aim: Aim
    reduce: Reduce
    runs: tuple[TrackedRun, ...]
    values: Mapping[str, float]
    groups: tuple[SeedGroup, ...] = ()
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    total: int = 0
    without: int = 0
    read_at: datetime | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()


def best(
    site: Site,
    experiment: str | None,
    metric: str | None,
    *,
    lower: bool | None = None,
    reduce: Reduce = Reduce.LAST,
    where: str = "",
    grouped: bool = False,
    seed_keys: Sequence[str] = (),
    alpha: float = ALPHA,
    most: int = find.ALL,
) -> Best:
    """Rank the runs by the metric; without one by the experiment's headline.

    The first `most` runs are whole; of those behind only the metric is read.

    Raises:
        WrongUse: no metric, or no direction, is known; or too many curves would be read.
        NothingMatched: no run has a finite value of it.
        SourceMissing, ActionError: as `find.listing`.
    """
    if grouped:  # what a seed is shows in all that a run has
        listing = find.listing(site, experiment=experiment, where=where, most=find.ALL, whole=True)
        runs = listing.rows
    else:
        listing = find.listing(site, experiment=experiment, most=0, whole=True)
        wanted_keys = {metric} if metric is not None else _headlines(listing.experiments)
        names = sorted(f"metric.{key}" for key in wanted_keys)
        runs = find.figures(site, names, experiment=experiment, where=where)
    if metric is not None:
        _known(site, metric, runs)
    one = listing.experiments.get(runs[0].experiment_id) if _single(runs) else None
    try:
        wanted = aim(metric, lower, one.tags.get(HEADLINE_TAG) if one else None)
    except Unclear as error:
        raise WrongUse(str(error)) from error
    able = [run for run in runs if wanted.metric in run.metrics]
    values = reduced_values(site, able, wanted.metric, reduce, alpha=alpha)
    order = ranked(able, values, lower=wanted.lower)
    if not order:
        raise NothingMatched(f"none of {len(runs)} runs has a number as {wanted.metric}")
    made: tuple[SeedGroup, ...] = ()
    if grouped:
        keys = tuple(seed_keys) or tuple(SEED_KEYS)
        alike = groups(order, values, keys=keys, lower=wanted.lower)
        sign = 1 if wanted.lower else -1
        made = tuple(sorted(alike, key=lambda group: sign * (group.mean or 0.0)))
    notes: list[str] = [] if listing.complete else [listing.words]
    if reduce is not Reduce.LAST:
        notes.append("of long curves the server gives 320 points: what lies between is not seen")
    first = {run.run_id: run for run in find.whole(site, [run.run_id for run in order[:most]])}
    return Best(
        aim=wanted,
        reduce=reduce,
        runs=tuple(first.get(run.run_id, run) for run in order),
        values=values,
        groups=made,
        experiments=listing.experiments,
        total=len(runs),
        without=len(runs) - len(order),
        read_at=listing.read_at,
        problem=listing.problem,
        notes=tuple(note for note in notes if note),
    )


def reduced_values(
    site: Site, runs: Sequence[TrackedRun], metric: str, reduce: Reduce, *, alpha: float = ALPHA
) -> dict[str, float]:
    """MLflow run id -> the value that stands for the run; runs without one are absent.

    The last value is in the record; for any other the curves are asked of the server.

    Raises:
        WrongUse: more than `MOST_CURVES` curves would be read.
        SourceMissing, ActionError: the server does not answer, or refuses.
    """
    found: dict[str, float] = {}
    if reduce is Reduce.LAST:
        return {run.run_id: run.metrics[metric].value for run in runs if metric in run.metrics}
    if len(runs) > MOST_CURVES:
        raise WrongUse(
            f"{len(runs)} runs have {metric}: for more than {MOST_CURVES} only the last value is "
            "compared; narrow them with --where, or take --reduce last"
        )
    tracker = tracker_of(site, f"the curves of {metric}")
    with refusals():
        curves = tracker.curves([run.run_id for run in runs], metric) if runs else {}
    for run in runs:
        last = run.metrics.get(metric)
        value = reduced(reduce, curves.get(run.run_id, ()), last=last, alpha=alpha)
        if value is not None and not math.isnan(value):
            found[run.run_id] = value
    return found


def _headlines(experiments: Mapping[str, Experiment]) -> set[str]:
    """The metrics that any experiment names as its headline."""
    found = (headline(one.tags.get(HEADLINE_TAG)) for one in experiments.values())
    return {one[0] for one in found if one is not None}


def _known(site: Site, metric: str, runs: Sequence[TrackedRun]) -> None:
    """Raises `NothingMatched` where no run has the metric; the nearest one is named."""
    if any(metric in run.metrics for run in runs):
        return
    from difflib import get_close_matches

    known = (name.partition(".") for name in find.names(site))
    near = get_close_matches(metric, [key for kind, _, key in known if kind == "metric"], 1)
    hint = f"; did you mean {safe(near[0])}?" if near and near[0] != metric else ""
    words = f"none of {len(runs)} runs has the metric {safe(metric)}" if runs else "there is no run"
    raise NothingMatched(f"{words}{hint}")


def _single(runs: Sequence[TrackedRun]) -> bool:
    return len({run.experiment_id for run in runs}) == 1
