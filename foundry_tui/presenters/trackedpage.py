"""A tracked run as a panel: facts, note, cost, params, metrics, data, files, tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from foundry_tui.estate import recorded
from foundry_tui.estate.recorded import NOTE_TAG
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, clip, safe
from foundry_tui.estate.tracked import Artifact, Experiment, Point, TrackedRun
from foundry_tui.presenters import units
from foundry_tui.presenters.experimenttext import took_s
from foundry_tui.presenters.rows.tracked import disagreement, status_word, util_pct
from foundry_tui.presenters.runpanel import table
from foundry_tui.presenters.toned import Line, heading, pairs, paragraph
from foundry_tui.presenters.tracked import metric_text
from foundry_tui.presenters.trackedtags import own_tags

MOST_PARAMS, MOST_METRICS, MOST_TAGS, MOST_FILES = 60, 60, 40, 60


class Read(Protocol):
    """What the server said of the run, as `actions.experiments.page.Page` has it."""

    @property
    def address(self) -> str: ...
    @property
    def artifacts(self) -> tuple[Artifact, ...]: ...
    @property
    def notes(self) -> tuple[SafeText, ...]: ...


def shown_metrics(run: TrackedRun) -> tuple[str, ...]:
    """Its metrics: those that tell how well it learned, then its cost, then the machine's own."""

    def place(key: str) -> tuple[int, str]:
        return (key.startswith(recorded.OURS) + 2 * key.startswith(recorded.SYSTEM), key)

    return tuple(sorted(run.metrics, key=place))


def title_line(run: TrackedRun, job: Run | None) -> Line:
    """Which run it is, and its status."""
    tone = "warn" if disagreement(run, job) else "dim"
    return [(clip(run.name, 40) or safe(run.run_id), "title"), (f" {status_word(run, job)}", tone)]


def run_lines(
    run: TrackedRun,
    experiment: Experiment | None,
    now: datetime,
    width: int,
    *,
    job: Run | None = None,
    metric: str | None = None,
) -> list[Line]:
    """The facts, note, cost, params and metrics of a run; `metric` is marked."""
    lines = pairs(_facts(run, experiment, now, job), width)
    if said := disagreement(run, job):
        own = run.status.value.lower()
        words = f"! its record says {own}, its scheduler {said}: `foundry sync` brings them in line"
        lines += paragraph(words, width, tone="warn")
    note = run.tags.get(NOTE_TAG)
    if note:
        lines += [[], heading("Note")]
        for part in note.splitlines():
            lines += paragraph(safe(part, max_cells=4096), width)
    cost = _cost(run, job)
    if cost:
        lines += [[], heading("Cost"), *pairs(cost, width)]
    metrics = {
        f"{'>' if key == metric else ' '}{key}": _latest(run.metrics[key])
        for key in shown_metrics(run)
        if key not in recorded.COST
    }
    if metrics:
        lines += [[], heading("Metrics, latest"), *table(metrics, width, most=MOST_METRICS)]
    if run.params:
        params = dict(sorted(run.params.items()))
        lines += [[], heading("Parameters"), *table(params, width, most=MOST_PARAMS)]
    if not metrics and not run.params:
        words = "It has logged neither parameters nor metrics yet."
        lines += [[], *paragraph(words, width, tone="dim")]
    return lines


def page_lines(run: TrackedRun, read: Read | None, width: int) -> list[Line]:
    """Data, files, code and tags of a run: what stands below its facts on its own page."""
    lines: list[Line] = []
    if run.inputs:
        rows = [(one.name, f"{one.digest} ({one.kind}) {one.path}") for one in run.inputs]
        lines += [[], heading("Data"), *pairs(rows, width)]
    code = [(word, safe(run.tags[tag])) for word, tag in _CODE if run.tags.get(tag)]
    if code:
        lines += [[], heading("Code and environment"), *pairs(code, width)]
    if read is not None:
        lines += [[], heading("Files")]
        if not read.artifacts:
            lines += paragraph("It left no files on the server.", width, tone="dim")
        files = {
            one.path: "" if one.size_bytes is None else units.size(one.size_bytes)
            for one in read.artifacts
        }
        lines += table(files, width, most=MOST_FILES)
        for words in read.notes:
            lines += paragraph(f"not known: {words}", width, tone="warn")
    tags = own_tags(run.tags)
    if tags:
        lines += [[], heading("Tags"), *pairs(list(tags.items())[:MOST_TAGS], width)]
        if len(tags) > MOST_TAGS:
            lines += paragraph(f"and {len(tags) - MOST_TAGS} more", width, tone="dim")
    if read is not None:
        lines += [[], *paragraph(f"page {read.address}", width, tone="dim")]
    return lines


_CODE = (
    ("program", recorded.PROGRAM_TAG),
    ("commit", recorded.COMMIT_TAG),
    ("branch", recorded.BRANCH_TAG),
    ("remote", recorded.REMOTE_TAG),
    ("changed since", recorded.DIRTY_TAG),
    ("image", recorded.IMAGE_TAG),
    ("image digest", recorded.DIGEST_TAG),
    ("modules", recorded.MODULES_TAG),
    ("spec", recorded.SPEC_ID_TAG),
    ("reproduces", recorded.REPRODUCES_TAG),
)


def _facts(
    run: TrackedRun, experiment: Experiment | None, now: datetime, job: Run | None
) -> list[tuple[str, str]]:
    tags = run.tags
    rows: Sequence[tuple[str, str | None]] = (
        ("experiment", experiment.shown if experiment else f"id {safe(run.experiment_id)}"),
        ("record", safe(run.run_id)),
        ("user", run.user),
        ("began", units.when(run.started_at) if run.started_at else None),
        ("took", units.duration(took_s(run, now)) if took_s(run, now) is not None else None),
        ("job", job.id if job else None),
        (
            "where",
            " ".join(
                filter(None, (_tag(tags, recorded.CLUSTER_TAG), _tag(tags, recorded.NODES_TAG)))
            ),
        ),
        ("GPU", _tag(tags, recorded.GPU_MODEL_TAG)),
        ("reason", _tag(tags, recorded.REASON_TAG)),
        ("exit code", _tag(tags, recorded.EXIT_TAG)),
        ("attempt", _tag(tags, recorded.ATTEMPT_TAG)),
    )
    return [(name, value) for name, value in rows if value]


def _cost(run: TrackedRun, job: Run | None) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if (hours := run.metrics.get(recorded.GPU_HOURS)) is not None:
        rows.append(("GPU-hours", units.gpu_hours(hours.value)))
    if (used := util_pct(run, job)) is not None:
        rows.append(("GPU use", units.percent(used)))
    if (energy := run.metrics.get(recorded.ENERGY)) is not None:
        rows.append(("energy", f"{energy.value:.3g} kWh"))
    return rows


def _tag(tags: Mapping[str, str], key: str) -> str:
    return safe(tags.get(key, ""))


def _latest(point: Point) -> str:
    return f"{metric_text(point.value)} @{point.step}"
