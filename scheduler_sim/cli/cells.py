"""A cell is one trace, one policy, one seed: how many are run, and how seeds are summed up."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scheduler_sim.cli.errors import FAILED, PARTLY, SimError
from scheduler_sim.cli.plot import Curve
from scheduler_sim.cli.pool import Failure, run_all
from scheduler_sim.cli.progress import Progress

METRICS = (
    "alloc_pct_at_100",
    "alloc_pct_at_130",
    "frag_pct_at_130",
    "first_refusal_pct",
    "refused_8gpu_milli",
    "migrations",
    "served_pct_of_original",
    "placements_per_s",
    "cpu_s",
)
"""What is measured per seed, under the names of JSON and CSV."""

Value = float | int | None


@dataclass(frozen=True, slots=True)
class Cell:
    """What one experiment is: the two lists, the policy and how the arrivals are made.

    `migrations` is the most moves that policy `best` may make, `max_cut` the largest part a
    fraction may lose. `curve` says whether the course is wanted beside the numbers.
    """

    nodes: Path
    pods: Path
    policy: str
    seed: int
    inflate: float = 1.3
    migrations: int = 0
    max_cut: float = 0.0
    curve: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a cell: the metrics by name, the course if wanted, and cuts as (old, new)."""

    trace: str
    metrics: dict[str, Value]
    curve: Curve | None = None
    cuts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy over all its seeds, in the order of the seeds."""

    policy: str
    trace: str
    seeds: tuple[int, ...]
    per_seed: tuple[Measured, ...]

    def values(self, metric: str) -> list[Value]:
        """A metric of every seed."""
        return [one.metrics[metric] for one in self.per_seed]

    def curves(self) -> list[Curve]:
        """The courses of the seeds."""
        return [one.curve for one in self.per_seed if one.curve is not None]


def spread(values: Sequence[Value]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of the seeds that have a value; None where too few do."""
    known = [float(v) for v in values if v is not None]
    mean = statistics.fmean(known) if known else None
    return mean, statistics.stdev(known) if len(known) > 1 else None


def run_cells(cells: Sequence[Cell], jobs: int | None, what: str) -> list[Measured]:
    """Every cell measured, in the order given.

    Raises:
        SimError: one of them failed; the others are not waited for where several were given.
    """
    found: dict[Cell, Measured] = {}

    def keep(cell: Cell, result: Measured | Failure) -> None:
        if isinstance(result, Failure):
            raise SimError(result.reason)
        found[cell] = result
        bar.step()

    from scheduler_sim.cli.experiment import measure

    with Progress(len(cells), what) as bar:
        run_all(measure, cells, jobs, keep)
    return [found[cell] for cell in cells]


def run_policies(
    base: Cell, policies: Sequence[str], seeds: Sequence[int], jobs: int | None
) -> list[Outcome]:
    """Each policy over the seeds; `base` says the rest. Moves are for policy `best` alone."""
    cells = [
        replace(
            base, policy=policy, seed=seed, migrations=base.migrations if policy == "best" else 0
        )
        for policy in policies
        for seed in seeds
    ]
    measured = run_cells(cells, jobs, " ".join(policies))
    size = len(seeds)
    return [
        Outcome(
            policy,
            measured[first].trace,
            tuple(seeds),
            tuple(measured[first : first + size]),
        )
        for policy, first in zip(policies, range(0, len(cells), size), strict=True)
    ]


def record(outcome: Outcome) -> dict[str, Any]:
    """The JSON object of one policy: every metric as per_seed, mean and sd."""
    made: dict[str, Any] = {
        "policy": outcome.policy,
        "trace": outcome.trace,
        "seeds": list(outcome.seeds),
    }
    for metric in METRICS:
        values = outcome.values(metric)
        mean, sd = spread(values)
        made[metric] = {"per_seed": values, "mean": mean, "sd": sd}
    if cuts := outcome.per_seed[0].cuts:
        made["cuts"] = [{"old_milli": old, "new_milli": new} for old, new in cuts]
    return made


def seed_rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The rows of CSV: one per policy and seed."""
    return [
        {"policy": o.policy, "trace": o.trace, "seed": seed, **one.metrics}
        for o in outcomes
        for seed, one in zip(o.seeds, o.per_seed, strict=True)
    ]


def ended(failed: int, total: int) -> int:
    """The exit code of work of which some failed."""
    return 0 if not failed else FAILED if failed == total else PARTLY
