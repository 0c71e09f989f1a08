"""What a filter of tracked runs knows: each metric, param and tag by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from foundry_tui.estate.fields import TRACKED_FIELDS
from foundry_tui.estate.filter import Field
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.presenters import units
from foundry_tui.presenters.experimenttext import experiment_of, took_s
from foundry_tui.presenters.rows.trackedframe import Frame, metric_value, number_of


def fields_of(frame: Frame) -> dict[str, Field]:
    """As the mirror of the server has them, so that a filter means the same in both."""
    fields = dict(TRACKED_FIELDS)
    for name in frame.names:
        number = name.startswith("metric.") or name in frame.numeric
        fields[name] = Field("number" if number else "text")
    return fields


def plain_of(frame: Frame) -> dict[str, Callable[[TrackedRun], object]]:
    """What they are asked of a run."""
    plain: dict[str, Callable[[TrackedRun], object]] = {
        "id": lambda r: (r.run_id,),
        "name": lambda r: r.name,
        "state": lambda r: r.status.value,
        "user": lambda r: r.user,
        "experiment": lambda r: experiment_of(r, frame.experiments),
    }
    for name in frame.names:
        plain[name] = _getter(name, number=name in frame.numeric)
    return plain


TIMED: Mapping[str, Callable[[TrackedRun, datetime], object]] = {
    "age_s": lambda r, now: units.since_s(r.started_at, now),
    "duration_s": took_s,
}
"""What changes while a run runs."""


def _getter(name: str, *, number: bool) -> Callable[[TrackedRun], object]:
    kind, _, key = name.partition(".")
    if kind == "metric":
        return lambda r: metric_value(r, key)
    if kind == "param":
        return (lambda r: number_of(r.params.get(key))) if number else (lambda r: r.params.get(key))
    return (lambda r: number_of(r.tags.get(key))) if number else (lambda r: r.tags.get(key))
