"""The live table of tracked runs: its columns follow what the shown runs were given and logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from foundry_tui.estate.recorded import GPU_HOURS, GPU_UTIL
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import ENDED, TrackedRun, TrackStatus
from foundry_tui.presenters import units
from foundry_tui.presenters.experimenttext import (
    column_text,
    column_value,
    experiment_of,
    took_s,
)
from foundry_tui.presenters.records.experiments import run_of_experiment_record
from foundry_tui.presenters.rows.model import GridColumn, Rows, Tone, folded, lazy, natural
from foundry_tui.presenters.rows.trackedfields import TIMED, fields_of, plain_of
from foundry_tui.presenters.rows.trackedframe import (
    Frame,
    finite,
    metric_title,
    metric_value,
    number_of,
)
from foundry_tui.presenters.table import Column
from foundry_tui.presenters.tracked import metric_text

CSV = (
    "run_id",
    "name",
    "experiment",
    "status",
    "user",
    "started_at",
    "ended_at",
    "params",
    "metrics",
    "tags",
)

_TONES: Mapping[TrackStatus, Tone] = {
    TrackStatus.RUNNING: "good",
    TrackStatus.FINISHED: "good",
    TrackStatus.SCHEDULED: "warn",
    TrackStatus.KILLED: "dim",
    TrackStatus.FAILED: "bad",
}


def status_word(run: TrackedRun, job: Run | None) -> SafeText:
    """The status; behind `!=` what the scheduler says, where that is another thing."""
    own = run.status.value.lower()
    said = disagreement(run, job)
    return SafeText(f"{own}!={said}" if said else own)


def disagreement(run: TrackedRun, job: Run | None) -> str | None:
    """What the scheduler says of a run, where its record says otherwise; None where they agree."""
    if job is None or job.state is RunState.UNKNOWN:
        return None
    ended = run.status in ENDED
    if (job.state in LIVE) == ended:
        return job.state.value
    waits = job.state is RunState.PENDING
    return job.state.value if waits and run.status is TrackStatus.RUNNING else None


def tracked_rows(frame: Frame) -> Rows[TrackedRun]:
    """The table of tracked runs; `x` failed, `!` the scheduler says another thing."""
    columns = _columns(frame)
    extra = [*(f"param.{key}" for key in frame.differing), *_others(frame)]
    pinned = frame.pinned

    def cells(run: TrackedRun, now: datetime) -> Sequence[SafeText]:
        mark = "> " if pinned is not None and pinned.run_id == run.run_id else ""
        row = [
            SafeText(f"{mark}{run.name}"),
            status_word(run, frame.jobs.get(run.run_id)),
            _metric_cell(frame, run),
        ]
        if pinned is not None:
            row.append(delta_text(frame.delta(run)))
        row += [
            units.age(units.since_s(run.started_at, now)),
            experiment_of(run, frame.experiments),
            *(column_text(run, name) for name in extra),
            units.duration(took_s(run, now)),
            run.user or units.UNKNOWN,
            units.gpu_hours(metric_value(run, GPU_HOURS)),
            units.percent(util_pct(run, frame.jobs.get(run.run_id))),
            safe(run.run_id),
        ]
        return row

    def glyph(run: TrackedRun) -> str:
        if run.status is TrackStatus.FAILED:
            return "x"
        return "!" if disagreement(run, frame.jobs.get(run.run_id)) else ""

    fields = fields_of(frame)
    return Rows(
        noun="tracked run",
        plural="tracked",
        columns=columns,
        key=lambda run: run.run_id,
        cells=cells,
        glyph=glyph,
        fields=fields,
        get=lazy(lambda run: run.run_id, fields, plain_of(frame), TIMED),
        record=lambda run, _: run_of_experiment_record(
            run, frame.experiments.get(run.experiment_id)
        ),
        copied=(("id", lambda run: run.run_id), ("name", lambda run: run.name)),
        csv=CSV,
    )


def sort_name(column_id: str, frame: Frame) -> str:
    """What the mirror of the server calls the column; empty for its own order, newest first."""
    if column_id in ("headline", "delta"):
        metrics = {frame.metric} if frame.metric else {a.metric for a in frame.aims.values()}
        return f"metric.{metrics.pop()}" if len(metrics) == 1 else ""
    return {
        "began": "started",
        "took": "duration_s",
        "gpu_hours": f"metric.{GPU_HOURS}",
        "util": f"metric.{GPU_UTIL}",
    }.get(column_id, column_id)


def util_pct(run: TrackedRun, job: Run | None) -> float | None:
    """How busy its GPUs are now, or were on the whole."""
    if job is not None and job.gpu_util_pct is not None and job.state in LIVE:
        return job.gpu_util_pct
    return metric_value(run, GPU_UTIL)


def delta_text(delta: float | None) -> SafeText:
    """A distance with its sign."""
    if delta is None:
        return units.UNKNOWN
    return SafeText("0" if delta == 0 else f"{delta:+.3g}")


def _columns(frame: Frame) -> tuple[GridColumn[TrackedRun], ...]:
    several = frame.metric is None and len({a.metric for a in frame.aims.values()}) > 1
    found: list[GridColumn[TrackedRun]] = [
        GridColumn(
            id="name",
            column=Column("RUN", min_width=12, stretch=True),
            order=lambda r, _: natural(r.name),
        ),
        GridColumn(
            id="status",
            column=Column("STATUS", state=True),
            order=lambda r, _: r.status.value,
            tone=lambda r, _: (
                "warn" if disagreement(r, frame.jobs.get(r.run_id)) else _TONES[r.status]
            ),
            typical=9,
        ),
        GridColumn(
            id="headline",
            column=Column(metric_title(frame), "right", min_width=8, stretch=several),
            order=lambda r, _: finite(frame.value(r)),
            typical=6,
        ),
    ]
    if frame.pinned is not None:
        found.append(
            GridColumn(
                id="delta",
                column=Column("VS PIN", "right"),
                order=lambda r, _: frame.delta(r),
                tone=_delta_tone(frame),
                typical=6,
            )
        )
    found += [
        GridColumn(
            id="began",
            column=Column("BEGAN", "right", priority=1),
            order=lambda r, _: r.started_at,
        ),
        GridColumn(
            id="experiment",
            column=Column("EXPERIMENT", min_width=8, priority=2, stretch=True),
            order=lambda r, _: folded(experiment_of(r, frame.experiments)),
        ),
    ]
    for name in (*(f"param.{key}" for key in frame.differing), *_others(frame)):
        title = safe(name.partition(".")[2], max_cells=14).upper()
        found.append(
            GridColumn(
                id=name,
                column=Column(title, "right", min_width=7, priority=3, stretch=True),
                order=_order(name, frame),
            )
        )
    return (
        *found,
        GridColumn(id="took", column=Column("TOOK", "right", priority=4), order=took_s, typical=6),
        GridColumn(id="user", column=Column("USER", priority=5), order=lambda r, _: folded(r.user)),
        GridColumn(
            id="gpu_hours",
            column=Column("GPU-H", "right", priority=4),
            order=lambda r, _: metric_value(r, GPU_HOURS),
        ),
        GridColumn(
            id="util",
            column=Column("UTIL", "right", priority=5),
            order=lambda r, _: util_pct(r, frame.jobs.get(r.run_id)),
        ),
        GridColumn(
            id="id",
            column=Column("ID", min_width=8, priority=6, stretch=True),
            order=lambda r, _: r.run_id,
        ),
    )


def _others(frame: Frame) -> list[str]:
    return [name for name in frame.chosen if name.removeprefix("param.") not in frame.differing]


def _metric_cell(frame: Frame, run: TrackedRun) -> SafeText:
    value = frame.value(run)
    if value is None:
        return units.UNKNOWN
    if metric_title(frame) != "HEADLINE":
        return metric_text(value)
    return safe(f"{frame.metric_of(run)} {metric_text(value)}", max_cells=28)


def _delta_tone(frame: Frame) -> Callable[[TrackedRun, SafeText], Tone]:
    def tone(run: TrackedRun, _text: SafeText) -> Tone:
        delta, wanted = frame.delta(run), frame.aims.get(run.experiment_id)
        if not delta or wanted is None or wanted.metric != frame.metric_of(run):
            return ""
        return "good" if (delta < 0) is wanted.lower else "warn"

    return tone


def _order(name: str, frame: Frame) -> Callable[[TrackedRun, datetime], object]:
    number = name.startswith("metric.") or name in frame.numeric

    def order(run: TrackedRun, _now: datetime) -> object:
        value = column_value(run, name)
        if value is None:
            return None
        return finite(number_of(value)) if number else natural(str(value))

    return order
