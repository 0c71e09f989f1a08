"""Comparisons and lists of tracked runs as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from foundry_tui.estate import csvtext
from foundry_tui.estate.text import SafeText
from foundry_tui.estate.tracked import Experiment, TrackedRun
from foundry_tui.experiments.nouns import Comparison
from foundry_tui.presenters.experimenttext import column_value, experiment_of
from foundry_tui.presenters.tracked import metric_text


def comparison_csv(compared: Comparison, every: bool) -> bytes:
    """A line per row; the sides are columns, named by the ids of their runs."""
    rows = compared.rows if every else compared.differing
    lines = [csvtext.line(["group", "key", "same", *(s.run.run_id for s in compared.sides)])]
    lines += [csvtext.line([r.group.value, r.key, r.same, *r.values]) for r in rows]
    return "\r\n".join([*lines, ""]).encode()


def tracked_csv(
    runs: Sequence[TrackedRun], experiments: Mapping[str, Experiment], columns: Sequence[str]
) -> bytes:
    """A line per run, with the chosen metrics, params and tags; every metric without a choice."""
    if not columns:
        columns = sorted({f"metric.{key}" for run in runs for key in run.metrics})
    head = ("run_id", "name", "experiment", "status", "user", "started_at", "ended_at")
    lines = [csvtext.line([*head, *columns])]
    for run in runs:
        cells = (_csv_cell(column_value(run, name)) for name in columns)
        lines.append(
            csvtext.line(
                [
                    run.run_id,
                    run.name,
                    experiment_of(run, experiments),
                    run.status.value,
                    run.user,
                    run.started_at,
                    run.ended_at,
                    *cells,
                ]
            )
        )
    return "\r\n".join([*lines, ""]).encode()


def _csv_cell(value: float | SafeText | None) -> float | SafeText | None:
    """A number; NaN and infinity as a text, because an empty field is a value that is missing."""
    return metric_text(value) if isinstance(value, float) and not isfinite(value) else value
