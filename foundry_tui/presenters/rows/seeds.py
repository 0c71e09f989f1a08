"""The live table of runs that differ in nothing but their seed: count, mean, deviation, best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from foundry_tui.estate.filter import Field
from foundry_tui.estate.recorded import GPU_HOURS
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.experiments.nouns import SeedGroup
from foundry_tui.experiments.seeds import groups
from foundry_tui.presenters import units
from foundry_tui.presenters.experimenttext import differing_params, experiment_of
from foundry_tui.presenters.records import Record
from foundry_tui.presenters.rows.model import GridColumn, Rows, folded, lazy, natural
from foundry_tui.presenters.rows.trackedframe import Frame, metric_title
from foundry_tui.presenters.table import Column
from foundry_tui.presenters.tracked import metric_text

_FIELDS = {
    "params": Field("text", fuzzy=True),
    "experiment": Field("text", ("exp",), fuzzy=True),
    "n": Field("number"),
    "mean": Field("number"),
    "sd": Field("number"),
    "best": Field("number"),
    "gpu_hours": Field("number"),
}

CSV = ("experiment", "params", "runs", "n", "mean", "sd", "best", "best_run_id", "gpu_hours")


def seed_groups(runs: Sequence[TrackedRun], frame: Frame) -> tuple[SeedGroup, ...]:
    """The runs in groups, experiment by experiment, because each may have a metric of its own."""
    found: list[SeedGroup] = []
    for id_ in dict.fromkeys(run.experiment_id for run in runs):
        own = [run for run in runs if run.experiment_id == id_]
        values = {r.run_id: v for r in own if (v := frame.value(r)) is not None}
        wanted = frame.aims.get(id_)
        known = wanted is not None and (frame.metric in (None, wanted.metric))
        found += groups(own, values, lower=wanted.lower if wanted and known else None)
    return tuple(found)


def seed_rows(found: Sequence[SeedGroup], frame: Frame) -> Rows[SeedGroup]:
    """The table of these groups."""
    params = dict(
        zip(map(group_key, found), differing_params([g.params for g in found]), strict=True)
    )

    def words(group: SeedGroup) -> SafeText:
        return params.get(group_key(group)) or safe(group.runs[0].name)

    def experiment(group: SeedGroup) -> SafeText:
        return experiment_of(group.runs[0], frame.experiments)

    def best(group: SeedGroup) -> TrackedRun | None:
        if group.best is None:
            return None
        return next((r for r in group.runs if frame.value(r) == group.best), None)

    def cells(group: SeedGroup, _now: datetime) -> Sequence[SafeText]:
        one = best(group)
        return (
            words(group),
            experiment(group),
            SafeText(str(len(group.runs))),
            *(
                units.UNKNOWN if value is None else metric_text(value)
                for value in (group.mean, group.sd, group.best)
            ),
            one.name if one else units.UNKNOWN,
            units.gpu_hours(_hours(group)),
        )

    def record(group: SeedGroup, _now: datetime) -> Record:
        one = best(group)
        return {
            "experiment": experiment(group),
            "params": dict(group.params),
            "runs": [run.run_id for run in group.runs],
            "n": len(group.values),
            "mean": group.mean,
            "sd": group.sd,
            "best": group.best,
            "best_run_id": one.run_id if one else None,
            "gpu_hours": _hours(group),
        }

    title = metric_title(frame)
    plain: Mapping[str, Callable[[SeedGroup], object]] = {
        "params": words,
        "experiment": experiment,
        "n": lambda g: len(g.runs),
        "mean": lambda g: g.mean,
        "sd": lambda g: g.sd,
        "best": lambda g: g.best,
        "gpu_hours": _hours,
    }
    return Rows(
        noun="group",
        plural="seedgroups",
        columns=(
            GridColumn(
                id="params",
                column=Column("PARAMS THAT DIFFER", min_width=14, stretch=True),
                order=lambda g, _: natural(words(g)),
            ),
            GridColumn(
                id="experiment",
                column=Column("EXPERIMENT", min_width=8, priority=3, stretch=True),
                order=lambda g, _: folded(experiment(g)),
            ),
            GridColumn(id="n", column=Column("N", "right"), order=lambda g, _: len(g.runs)),
            GridColumn(
                id="mean",
                column=Column(f"MEAN {title}", "right", min_width=8),
                order=lambda g, _: g.mean,
            ),
            GridColumn(id="sd", column=Column("SD", "right"), order=lambda g, _: g.sd),
            GridColumn(
                id="best", column=Column("BEST", "right", priority=1), order=lambda g, _: g.best
            ),
            GridColumn(
                id="best_run",
                column=Column("BEST RUN", min_width=8, priority=4, stretch=True),
                order=lambda g, _: natural(one.name) if (one := best(g)) else None,
            ),
            GridColumn(
                id="gpu_hours",
                column=Column("GPU-H", "right", priority=2),
                order=lambda g, _: _hours(g),
            ),
        ),
        key=group_key,
        cells=cells,
        glyph=lambda _: "",
        fields=_FIELDS,
        get=lazy(group_key, _FIELDS, plain, {}),
        record=record,
        copied=(("ids", lambda g: " ".join(run.run_id for run in g.runs)),),
        csv=CSV,
    )


def group_key(group: SeedGroup) -> str:
    """The name of a group: its first run's id."""
    return group.runs[0].run_id


def _hours(group: SeedGroup) -> float | None:
    told = [p.value for run in group.runs if (p := run.metrics.get(GPU_HOURS)) is not None]
    return sum(told) if told else None
