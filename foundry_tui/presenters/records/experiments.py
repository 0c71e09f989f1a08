"""Comparisons, rankings, experiments and tracked runs as JSON records."""

from __future__ import annotations

import math

from foundry_tui.estate.tracked import Experiment, Point, TrackedRun
from foundry_tui.experiments.compare import missing
from foundry_tui.experiments.nouns import Comparison, Difference, SeedGroup, Side
from foundry_tui.experiments.waste import Spent
from foundry_tui.presenters.experimenttext import Ranking, Standing
from foundry_tui.presenters.records.nouns import Record
from foundry_tui.presenters.tracked import LARGEST, metric_text


def run_of_experiment_record(run: TrackedRun, experiment: Experiment | None) -> Record:
    """A tracked run with its latest metrics, parameters, tags and data."""
    return {
        "run_id": run.run_id,
        "name": run.name,
        "experiment_id": run.experiment_id,
        "experiment": None if experiment is None else experiment.shown,
        "status": run.status.value,
        "user": run.user,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "params": dict(run.params),
        "metrics": {key: _point(point) for key, point in run.metrics.items()},
        "tags": dict(run.tags),
        "inputs": [
            {"name": d.name, "digest": d.digest, "path": d.path, "kind": d.kind} for d in run.inputs
        ],
    }


def comparison_record(compared: Comparison, *, every: bool) -> Record:
    """Sides, and the rows that differ or every row."""
    rows = compared.rows if every else compared.differing
    return {
        "sides": [_side(side) for side in compared.sides],
        "rows": [_row(row) for row in rows],
        "alike": len(compared.rows) - len(compared.differing),
    }


def best_record(found: Ranking, *, most: int) -> Record:
    """What is best and why, with the first runs and groups."""
    return {
        "metric": found.aim.metric,
        "direction": "min" if found.aim.lower else "max",
        "direction_from": found.aim.how,
        "reduce": found.reduce.value,
        "runs": [
            {
                "rank": place,
                "value": _finite(found.values[run.run_id]),
                **run_of_experiment_record(run, found.experiments.get(run.experiment_id)),
            }
            for place, run in enumerate(found.runs[:most], 1)
        ],
        "groups": [_group(place, group) for place, group in enumerate(found.groups[:most], 1)],
        "ranked": len(found.runs),
        "without": found.without,
    }


def standing_record(row: Standing) -> Record:
    """An experiment: how many runs, the last, and the best by its headline metric."""
    return {
        "id": row.experiment.id,
        "name": row.experiment.shown,
        "runs": row.runs,
        "running": row.running,
        "failed": row.failed,
        "last_run_id": row.last.run_id if row.last else None,
        "last_started_at": row.last.started_at if row.last else None,
        "metric": row.aim.metric if row.aim else None,
        "direction": ("min" if row.aim.lower else "max") if row.aim else None,
        "metric_from": row.aim.how if row.aim else None,
        "best_run_id": row.best.run_id if row.best else None,
        "best": None if row.value is None else _finite(row.value),
        **_cost(row.spent),
    }


def spent_record(row: Spent) -> Record:
    """What the runs of one user in an experiment have used, beside what they reached."""
    return {
        "experiment_id": row.experiment_id,
        "experiment": row.experiment,
        "user": row.user,
        "runs": row.runs,
        "live": row.live,
        **_cost(row),
        "metric": row.metric,
        "best": None if row.best is None else _finite(row.best),
        "best_run_id": row.best_run,
    }


def _cost(row: Spent | None) -> Record:
    """What runs have used; without any run nothing is known."""
    cost = row.cost if row else None
    return {
        "runs_told": row.told if row else 0,
        "gpu_hours": _rounded(row.gpu_hours if row else None),
        "gpu_util_pct": _rounded(row.util_pct if row else None),
        "gpu_hours_unused": _rounded(row.unused_hours if row else None),
        "energy_kwh": _rounded(row.energy_kwh if row else None),
        "cost": None if cost is None else f"{float(cost):.2f}",
        "currency": (row.currency or None) if row else None,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _side(side: Side) -> Record:
    run = side.run
    return {
        "label": side.label,
        "run_id": run.run_id,
        "name": run.name,
        "experiment": side.experiment,
        "status": run.status.value,
        "user": run.user,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "missing": list(missing(side)),
    }


def _row(row: Difference) -> Record:
    return {
        "group": row.group.value,
        "key": row.key,
        "same": row.same,
        "values": list(row.values),
        "numbers": [None if n is None else _finite(n) for n in row.numbers] or None,
        "unknown": sorted(row.unknown),
    }


def _group(place: int, group: SeedGroup) -> Record:
    return {
        "rank": place,
        "n": len(group.values),
        "mean": group.mean,
        "sd": None if group.sd is None else _finite(group.sd),
        "best": group.best,
        "values": list(group.values),
        "params": dict(group.params),
        "run_ids": [run.run_id for run in group.runs],
    }


def _point(point: Point) -> Record:
    """A value; JSON has no number for NaN and infinity, so those are null and named by `shown`."""
    return {
        "value": _finite(point.value),
        "shown": metric_text(point.value),
        "step": point.step,
        "at": point.at,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) and abs(value) < LARGEST else None
