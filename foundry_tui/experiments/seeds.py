"""Runs that differ in nothing but their seed, and the mean and deviation of a metric over them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set

from foundry_tui.estate import recorded
from foundry_tui.estate.text import SafeText
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.experiments.nouns import SeedGroup
from foundry_tui.experiments.numerals import canon

SEED_KEYS = frozenset({"seed", "random_seed", "random_state", "rng_seed", "torch_seed", "np_seed"})
"""Parameters that count as a seed, also as the last part of a dotted name (`trainer.seed`)."""

_CODE = (recorded.COMMIT_TAG, recorded.PATCH_TAG, recorded.DIGEST_TAG)
"""Tags that make another run of it. Attempts, hosts and ids of jobs never do."""


def is_seed(key: str, keys: Iterable[str] = SEED_KEYS) -> bool:
    """Whether a parameter is a seed."""
    name = key.casefold()
    last = name.replace("/", ".").rpartition(".")[2]
    return any(word.casefold() in (name, last) for word in keys)


def groups(
    runs: Sequence[TrackedRun],
    values: Mapping[str, float],
    *,
    keys: Iterable[str] = SEED_KEYS,
    lower: bool | None = None,
) -> tuple[SeedGroup, ...]:
    """The runs in groups that differ only in their seed, in the order of their first run.

    Alike are runs of one experiment with the same parameters, commit, patch, image and data.

    Args:
        values: MLflow run id -> the value that stands for the run; runs without one are in the
            group, but not in its mean. What is no finite number counts as none.
        keys: Which parameters count as a seed.
        lower: Whether less is better; None leaves `best` out.
    """
    words = frozenset(keys)
    seeds = {key for run in runs for key in run.params}
    seeds = {key for key in seeds if is_seed(key, words)}
    found: dict[Hashable, list[TrackedRun]] = {}
    for run in runs:
        found.setdefault(_identity(run, seeds), []).append(run)
    return tuple(_group(alike, values, seeds, lower) for alike in found.values())


def mean_sd(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation (n - 1) of finite values; None for what they cannot give.

    A deviation beyond the largest number is infinite.
    """
    if not values:
        return None, None
    mean = (
        statistics.fmean(values) if all(abs(v) < 1e290 for v in values) else statistics.mean(values)
    )
    if len(values) == 1:
        return mean, None
    if min(values) == max(values):
        return values[0], 0.0
    try:
        return mean, statistics.stdev(values)
    except OverflowError:
        return mean, math.inf


def _identity(run: TrackedRun, seeds: Set[str]) -> Hashable:
    return (
        run.experiment_id,
        frozenset((k, canon(v)) for k, v in run.params.items() if k not in seeds),
        tuple(run.tags.get(tag) for tag in _CODE),
        frozenset((data.name, data.digest) for data in run.inputs),
    )


def _group(
    runs: list[TrackedRun],
    values: Mapping[str, float],
    seeds: Set[str],
    lower: bool | None,
) -> SeedGroup:
    known = [values[run.run_id] for run in runs if run.run_id in values]
    finite = tuple(value for value in known if math.isfinite(value))
    mean, sd = mean_sd(finite)
    best = None
    if finite and lower is not None:
        best = min(finite) if lower else max(finite)
    params: dict[str, SafeText] = {
        key: value for key, value in runs[0].params.items() if key not in seeds
    }
    return SeedGroup(runs=tuple(runs), params=params, values=finite, mean=mean, sd=sd, best=best)
