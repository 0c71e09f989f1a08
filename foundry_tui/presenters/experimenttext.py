"""Tables of tracked runs: the best, seeds together, experiments, and lists with chosen columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import Experiment, TrackedRun
from foundry_tui.experiments.best import GUESSED, Aim
from foundry_tui.experiments.nouns import Reduce, SeedGroup
from foundry_tui.experiments.numerals import canon
from foundry_tui.experiments.waste import Spent
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.table import Column, draw
from foundry_tui.presenters.tracked import metric_text

SHOWN_ID = 12
"""Letters of a run's id in a table that a terminal limits; a pipe gets it whole."""


class Ranking(Protocol):
    """Runs from the best on, as `actions.experiments.best.Best` has them."""

    @property
    def aim(self) -> Aim: ...
    @property
    def reduce(self) -> Reduce: ...
    @property
    def runs(self) -> tuple[TrackedRun, ...]: ...
    @property
    def values(self) -> Mapping[str, float]: ...
    @property
    def groups(self) -> tuple[SeedGroup, ...]: ...
    @property
    def experiments(self) -> Mapping[str, Experiment]: ...
    @property
    def without(self) -> int: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


class Standing(Protocol):
    """How an experiment stands, as `actions.experiments.overview.Standing` has it."""

    @property
    def experiment(self) -> Experiment: ...
    @property
    def runs(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def last(self) -> TrackedRun | None: ...
    @property
    def aim(self) -> Aim | None: ...
    @property
    def best(self) -> TrackedRun | None: ...
    @property
    def value(self) -> float | None: ...
    @property
    def spent(self) -> Spent | None: ...


SPENT_COLUMNS = (
    Column("GPU-H", "right"),
    Column("USED", "right"),
    Column("UNUSED", "right"),
    Column("COST", "right", priority=2),
)


def best_text(found: Ranking, style: Style, *, most: int, notes: Sequence[str] = ()) -> str:
    """The first `most` runs, or groups of seeds where they were asked for."""
    aim = found.aim
    which = "" if found.reduce is Reduce.LAST else f", {found.reduce.value} of the curve"
    lines = wrap(f"{aim.words}{which}", style.width)
    lines += [""] + (_groups(found, style, most) if found.groups else _runs(found, style, most))
    rows = len(found.groups or found.runs)
    told = [f"{rows - most} more; --most shows them"] if rows > most else []
    if found.without:
        runs = "run has" if found.without == 1 else "runs have"
        told.append(f"{found.without} {runs} no number as {safe(aim.metric)}")
    lines.append("")
    for note in (*told, *found.notes, *notes):
        lines += wrap(note, style.width)
    return finish(lines, style)


def experiments_text(
    rows: Sequence[Standing], now: datetime, style: Style, notes: Sequence[str] = ()
) -> str:
    """Every experiment with its runs and its best by the headline metric, or by a guessed one."""
    columns = (
        Column("EXPERIMENT", min_width=12, stretch=True),
        Column("RUNS", "right"),
        Column("RUNNING", "right"),
        Column("FAILED", "right", priority=2),
        Column("LAST", "right", priority=1),
        Column("HEADLINE", priority=1, stretch=True, min_width=13),
        Column("BEST", "right"),
        Column("RUN", priority=2, stretch=True, min_width=8),
        *SPENT_COLUMNS,
    )
    cells = [
        (
            row.experiment.shown,
            units.number(row.runs),
            units.number(row.running),
            units.number(row.failed),
            units.age(units.since_s(row.last.started_at, now) if row.last else None),
            _headline(row.aim),
            units.UNKNOWN if row.value is None else metric_text(row.value),
            row.best.name if row.best else units.UNKNOWN,
            *spent_cells(row.spent),
        )
        for row in rows
    ]
    return _page(columns, cells, style, notes)


def spent_cells(spent: Spent | None) -> tuple[SafeText, ...]:
    """GPU-hours, their use, those in which the GPU did nothing, and their price."""
    if spent is None:
        return (units.UNKNOWN,) * len(SPENT_COLUMNS)
    util = spent.util_pct
    money = None if spent.cost is None else f"{float(spent.cost):,.2f} {spent.currency}"
    return (
        _hours(spent.gpu_hours),
        units.UNKNOWN if util is None else SafeText(f"{util:.0f}%"),
        _hours(spent.unused_hours),
        units.UNKNOWN if money is None else SafeText(money),
    )


def _hours(hours: float | None) -> SafeText:
    return units.UNKNOWN if hours is None else SafeText(f"{hours:,.1f}")


def spent_text(rows: Sequence[Spent], style: Style, notes: Sequence[str] = ()) -> str:
    """What each user's runs of each experiment cost, the most unused GPU-hours first."""
    columns = (
        Column("EXPERIMENT", min_width=12, stretch=True),
        Column("USER", min_width=6, stretch=True),
        Column("RUNS", "right", priority=1),
        *SPENT_COLUMNS,
        Column("METRIC", priority=1, stretch=True, min_width=6),
        Column("BEST", "right"),
    )
    cells = [
        (
            row.experiment,
            row.user or units.UNKNOWN,
            units.number(row.runs),
            *spent_cells(row),
            row.metric or units.UNKNOWN,
            units.UNKNOWN if row.best is None else metric_text(row.best),
        )
        for row in rows
    ]
    return _page(columns, cells, style, notes)


def tracked_table(
    runs: Sequence[TrackedRun],
    experiments: Mapping[str, Experiment],
    now: datetime,
    style: Style,
    *,
    columns: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Tracked runs, one per line, with these metrics (`metric.K`), params and tags as columns."""
    shown = (
        Column("RUN", min_width=8, stretch=True),
        Column("STATUS", state=True),
        Column("EXPERIMENT", min_width=8, priority=3, stretch=True),
        Column("BEGAN", "right", priority=2),
        Column("TOOK", "right", priority=4),
        Column("USER", priority=5),
        *(Column(_title(name), "right", stretch=True, priority=1) for name in columns),
        Column("ID"),
    )
    rows = [
        (
            run.name,
            SafeText(run.status.value),
            experiment_of(run, experiments),
            units.age(units.since_s(run.started_at, now)),
            units.duration(took_s(run, now)),
            run.user or units.UNKNOWN,
            *(column_text(run, name) for name in columns),
            _id(run, style),
        )
        for run in runs
    ]
    return _page(shown, rows, style, notes)


def column_text(run: TrackedRun, name: str) -> SafeText:
    """What stands in a chosen column of a table."""
    value = column_value(run, name)
    if isinstance(value, float):
        return metric_text(value)
    return units.UNKNOWN if value is None else value


def column_value(run: TrackedRun, name: str) -> float | SafeText | None:
    """What `metric.K`, `param.K` or `tag.K` is of a run; a bare word is a metric, or a param."""
    kind, dot, key = name.partition(".")
    if not dot or kind not in ("metric", "param", "tag"):
        kind, key = "metric" if name in run.metrics else "param", name
    if kind == "metric":
        point = run.metrics.get(key)
        return None if point is None else point.value
    if kind == "param":
        return run.params.get(key)
    value = run.tags.get(key)
    return None if value is None else safe(value)


def took_s(run: TrackedRun, now: datetime) -> float | None:
    """Seconds from its start to its end, or until now; None for what has not begun or is lost."""
    if run.started_at is None:
        return None
    if run.ended_at is None and run.status.value != "RUNNING":
        return None
    return max(0.0, ((run.ended_at or now) - run.started_at).total_seconds())


def experiment_of(run: TrackedRun, experiments: Mapping[str, Experiment]) -> SafeText:
    """The experiment's name; its id where the name is not known."""
    known = experiments.get(run.experiment_id)
    return safe(f"id {run.experiment_id}") if known is None else known.shown


def differing_params(runs: Sequence[Mapping[str, SafeText]]) -> list[SafeText]:
    """For each run the parameters in which these runs differ: `lr=0.001 bs=32`."""
    keys = sorted({key for params in runs for key in params})
    telling = [key for key in keys if len({canon(p[key]) if key in p else None for p in runs}) > 1]
    return [
        safe(" ".join(f"{key}={params.get(key, units.UNKNOWN)}" for key in telling))
        for params in runs
    ]


def _runs(found: Ranking, style: Style, most: int) -> list[str]:
    first = found.runs[:most]
    several = len({run.experiment_id for run in found.runs}) > 1
    columns = (
        Column("#", "right"),
        Column("RUN", min_width=8, stretch=True),
        Column(_metric_title(found), "right"),
        Column("STEP", "right", priority=4),
        Column("STATUS", priority=2, state=True),
        *([Column("EXPERIMENT", priority=3, min_width=8, stretch=True)] if several else []),
        Column("BEGAN", priority=5),
        Column("ID"),
        Column("PARAMS THAT DIFFER", priority=1, min_width=12, stretch=True),
    )
    params = differing_params([run.params for run in first])
    last = found.reduce is Reduce.LAST
    rows = [
        (
            SafeText(str(place)),
            run.name,
            metric_text(found.values[run.run_id]),
            SafeText(str(run.metrics[found.aim.metric].step)) if last else units.UNKNOWN,
            SafeText(run.status.value),
            *([experiment_of(run, found.experiments)] if several else []),
            units.when(run.started_at),
            _id(run, style),
            params[place - 1] or units.UNKNOWN,
        )
        for place, run in enumerate(first, 1)
    ]
    return draw(columns, rows, style).lines


def _groups(found: Ranking, style: Style, most: int) -> list[str]:
    first = found.groups[:most]
    columns = (
        Column("#", "right"),
        Column("MEAN", "right"),
        Column("SD", "right"),
        Column("N", "right"),
        Column("BEST", "right"),
        Column("BEST RUN", min_width=8, stretch=True),
        Column("ID"),
        Column("PARAMS THAT DIFFER", priority=1, min_width=12, stretch=True),
    )
    params = differing_params([group.params for group in first])
    rows = []
    for place, group in enumerate(first, 1):
        best = next(r for r in group.runs if found.values[r.run_id] == group.best)
        rows.append(
            (
                SafeText(str(place)),
                _number(group.mean),
                _number(group.sd),
                SafeText(str(len(group.values))),
                _number(group.best),
                best.name,
                _id(best, style),
                params[place - 1] or units.UNKNOWN,
            )
        )
    return draw(columns, rows, style).lines


def _headline(aim: Aim | None) -> SafeText:
    """The metric and its direction, with a question mark where both are a guess."""
    if aim is None:
        return units.UNKNOWN
    return safe(f"{'min' if aim.lower else 'max'}{'?' * (aim.how == GUESSED)} {aim.metric}")


def _page(
    columns: Sequence[Column],
    rows: Sequence[Sequence[SafeText]],
    style: Style,
    notes: Sequence[str],
) -> str:
    drawn = draw(columns, rows, style)
    lines = [*drawn.lines, ""]
    if drawn.hidden:
        words = f"not shown at {style.width} columns: {', '.join(drawn.hidden).lower()}"
        lines += wrap(f"{words} (--wide shows all)", style.width)
    for note in notes:
        lines += wrap(note, style.width)
    return finish(lines, style).rstrip("\n")


def _id(run: TrackedRun, style: Style) -> SafeText:
    return safe(run.run_id if style.wide else run.run_id[:SHOWN_ID])


def _metric_title(found: Ranking) -> str:
    return safe(found.aim.metric, max_cells=24)


def _title(name: str) -> str:
    kind, _, key = name.partition(".")
    return safe(key if kind in ("metric", "param", "tag") and key else name, max_cells=24)


def _number(value: float | None) -> SafeText:
    return units.UNKNOWN if value is None else metric_text(value)
