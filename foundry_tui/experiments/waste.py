"""What experiments cost beside what they reached: GPU-hours, their use and money per user."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from foundry_tui.estate.recorded import ENERGY, GPU_HOURS, GPU_UTIL, USER_TAG
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import ENDED, TrackedRun
from foundry_tui.experiments.best import first

Priced = Callable[[TrackedRun, float], tuple[Fraction, str] | None]
"""What GPU-hours of a run cost, and in which currency; None where there is no price."""

Aimed = tuple[str, bool]
"""A metric, and whether less of it is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the runs of an experiment have used, or those of one user in it.

    `user` is None where there are several, or none is named. `gpu_hours` are those of the `told`
    runs whose end was recorded, None where none was. `used_hours` are GPU-hours times measured use,
    of the `measured_hours` of them that have a measurement: what is not measured is neither used
    nor wasted. `cost` is None without prices, or where a run has none or has another currency.
    `best` is the best value of the metric and `best_run` whose it is.
    """

    experiment_id: str
    experiment: SafeText
    user: SafeText | None
    runs: int
    live: int
    told: int
    gpu_hours: float | None
    measured_hours: float
    used_hours: float
    energy_kwh: float | None
    cost: Fraction | None
    currency: str
    metric: SafeText | None
    best: float | None
    best_run: str | None

    @property
    def util_pct(self) -> float | None:
        """Use of the measured GPU-hours; None where none were measured."""
        return 100 * self.used_hours / self.measured_hours if self.measured_hours else None

    @property
    def unused_hours(self) -> float | None:
        """Measured GPU-hours in which the GPU did nothing; None where none were measured."""
        return self.measured_hours - self.used_hours if self.measured_hours else None


def spent(
    runs: Sequence[TrackedRun],
    names: Mapping[str, SafeText],
    aims: Mapping[str, Aimed],
    priced: Priced | None = None,
    *,
    by_user: bool = True,
) -> tuple[Spent, ...]:
    """One row for each experiment, and each user of it, the most unused GPU-hours first.

    `names` and `aims` are by the id of the experiment; one without an aim has no best run.
    """
    parts: dict[tuple[str, str], list[TrackedRun]] = {}
    for run in runs:
        user = run.tags.get(USER_TAG, "") if by_user else ""
        parts.setdefault((run.experiment_id, user), []).append(run)
    rows = [
        _row(
            experiment, names.get(experiment, safe(experiment)), part, aims.get(experiment), priced
        )
        for (experiment, _), part in parts.items()
    ]
    return tuple(
        sorted(
            rows,
            key=lambda r: (
                -(r.unused_hours or 0.0),
                -(r.gpu_hours or 0.0),
                r.experiment,
                r.user or "",
            ),
        )
    )


def _row(
    experiment_id: str,
    experiment: SafeText,
    runs: Sequence[TrackedRun],
    aim: Aimed | None,
    priced: Priced | None,
) -> Spent:
    told = [(run, hours) for run in runs if (hours := _value(run, GPU_HOURS)) is not None]
    measured = [(h, pct) for run, h in told if (pct := _value(run, GPU_UTIL)) is not None]
    energy = [kwh for run in runs if (kwh := _value(run, ENERGY)) is not None]
    cost, currency = _cost(told, priced)
    best, best_run = _best(runs, aim)
    return Spent(
        experiment_id=experiment_id,
        experiment=experiment,
        user=runs[0].user if len({run.tags.get(USER_TAG) for run in runs}) == 1 else None,
        runs=len(runs),
        live=sum(run.status not in ENDED for run in runs),
        told=len(told),
        gpu_hours=math.fsum(h for _, h in told) if told else None,
        measured_hours=math.fsum(h for h, _ in measured),
        used_hours=math.fsum(h * pct / 100 for h, pct in measured),
        energy_kwh=math.fsum(energy) if energy else None,
        cost=cost,
        currency=currency,
        metric=safe(aim[0]) if aim else None,
        best=best,
        best_run=best_run,
    )


def _value(run: TrackedRun, key: str) -> float | None:
    point = run.metrics.get(key)
    return point.value if point is not None and math.isfinite(point.value) else None


def _cost(
    told: Sequence[tuple[TrackedRun, float]], priced: Priced | None
) -> tuple[Fraction | None, str]:
    if priced is None or not told:
        return None, ""
    found = [priced(run, hours) for run, hours in told]
    known = [each for each in found if each is not None]
    currencies = {currency for _, currency in known}
    if len(known) < len(found) or len(currencies) != 1:
        return None, ""
    return sum((amount for amount, _ in known), Fraction()), currencies.pop()


def _best(runs: Sequence[TrackedRun], aim: Aimed | None) -> tuple[float | None, str | None]:
    if aim is None:
        return None, None
    metric, lower = aim
    values = {run.run_id: run.metrics[metric].value for run in runs if metric in run.metrics}
    run = first(runs, values, lower=lower)
    return (None, None) if run is None else (values[run.run_id], run.run_id)
