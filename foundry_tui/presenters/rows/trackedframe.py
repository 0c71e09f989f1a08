"""What a table of tracked runs is drawn with beside its rows: metrics, params, a pinned run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from foundry_tui.estate.recorded import COST, HEADLINE_TAG, SYSTEM
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import Experiment, TrackedRun
from foundry_tui.experiments.best import Aim, aim_of, counted
from foundry_tui.experiments.numerals import canon
from foundry_tui.experiments.seeds import is_seed

MOST_PARAMS = 6
"""Params that differ among the shown runs and get a column of their own."""

KINDS = ("metric.", "param.", "tag.")
"""How the name of a column begins that is a metric, a param or a tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a table of tracked runs is drawn with, beside its rows.

    `aims` is by the id of the experiment; `metric` takes the place of all of them. `differing` are
    the params that get a column, `chosen` further columns by name (`metric.loss`). `jobs` are the
    schedulers' runs by MLflow run id, as far as they are known. `names` can be filtered by, and
    `numeric` are those of them that are numbers.
    """

    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    aims: Mapping[str, Aim] = field(default_factory=dict)
    metric: str | None = None
    pinned: TrackedRun | None = None
    differing: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    jobs: Mapping[str, Run] = field(default_factory=dict)
    numeric: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()

    def metric_of(self, run: TrackedRun) -> str | None:
        """The metric that is shown of a run."""
        if self.metric is not None:
            return self.metric
        found = self.aims.get(run.experiment_id)
        return None if found is None else found.metric

    def value(self, run: TrackedRun) -> float | None:
        """The last value of that metric."""
        point = run.metrics.get(self.metric_of(run) or "")
        return None if point is None else point.value

    def delta(self, run: TrackedRun) -> float | None:
        """Its distance to the pinned run, where both have a finite number of one metric."""
        pinned = self.pinned
        if pinned is None or self.metric_of(run) != self.metric_of(pinned):
            return None
        own, other = self.value(run), self.value(pinned)
        if own is None or other is None or not math.isfinite(own - other):
            return None
        return own - other


def aims_of(runs: Iterable[TrackedRun], experiments: Mapping[str, Experiment]) -> dict[str, Aim]:
    """Experiment -> what is best in it: its headline, else what its metrics' names let guess."""
    by_experiment: dict[str, list[TrackedRun]] = {}
    for run in runs:
        by_experiment.setdefault(run.experiment_id, []).append(run)
    found: dict[str, Aim] = {}
    for id_, own in by_experiment.items():
        tag = experiments[id_].tags.get(HEADLINE_TAG) if id_ in experiments else None
        wanted = aim_of(tag, counted(own))
        if wanted is not None:
            found[id_] = wanted
    return found


def differing(runs: Sequence[TrackedRun], most: int = MOST_PARAMS) -> tuple[str, ...]:
    """The params in which these runs differ, those of most runs first and seeds last."""
    values: dict[str, set[object]] = {}
    counts: Counter[str] = Counter()
    for run in runs:
        for key, value in run.params.items():
            counts[key] += 1
            values.setdefault(key, set()).add(canon(value))
    telling = [key for key, found in values.items() if len(found) > 1 or counts[key] < len(runs)]
    telling.sort(key=lambda key: (is_seed(key), -counts[key], key))
    return tuple(telling[:most])


def numeric_names(runs: Iterable[TrackedRun]) -> frozenset[str]:
    """The params and tags all of whose values are numbers, as `param.lr`."""
    number: dict[str, bool] = {}
    for run in runs:
        for kind, pairs in (("param.", run.params), ("tag.", run.tags)):
            for key, value in pairs.items():
                name = kind + key
                if number.get(name, True):
                    number[name] = number_of(value) is not None
    return frozenset(name for name, every in number.items() if every)


def names_of(runs: Iterable[TrackedRun]) -> tuple[str, ...]:
    """Every metric, param and tag of these runs, as the filter calls them."""
    found = {
        kind + key
        for run in runs
        for kind, pairs in (("metric.", run.metrics), ("param.", run.params), ("tag.", run.tags))
        for key in pairs
    }
    return tuple(sorted(found))


def metric_title(frame: Frame) -> str:
    """What the column of the metric is called."""
    if frame.metric is not None:
        return safe(frame.metric, max_cells=16).upper()
    metrics = {one.metric for one in frame.aims.values()}
    return safe(metrics.pop(), max_cells=16).upper() if len(metrics) == 1 else "HEADLINE_TAG"


def metric_order(runs: Iterable[TrackedRun]) -> list[str | None]:
    """The metrics by how many runs have them, without costs; first each experiment's own (None)."""
    counts = Counter(key for run in runs for key in run.metrics)
    told = [key for key in counts if key not in COST and not key.startswith(SYSTEM)]
    return [None, *sorted(told, key=lambda key: (-counts[key], key))]


def metric_value(run: TrackedRun, key: str) -> float | None:
    """The last value of a metric."""
    point = run.metrics.get(key)
    return None if point is None else point.value


def number_of(value: str | float | None) -> float | None:
    """A value as a number, where it is one."""
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def finite(value: float | None) -> float | None:
    """None for what has no place in an order: NaN and the infinities."""
    return value if value is not None and math.isfinite(value) else None
