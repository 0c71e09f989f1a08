"""What the tracking server knows of a run, as a panel."""

from __future__ import annotations

import math
from collections.abc import Sequence

from foundry_tui.estate.recorded import NOTE_TAG
from foundry_tui.estate.text import clip, safe
from foundry_tui.presenters.runpanel import table
from foundry_tui.presenters.toned import Line, heading, paragraph
from foundry_tui.presenters.tracked import LARGEST, TrackedSide, Value, metric_text
from foundry_tui.presenters.trackedtags import own_tags

MOST_PARAMS = 24
MOST_METRICS = 40


def metric_names(tracked: TrackedSide | None) -> tuple[str, ...]:
    """The metrics of a record, in the order of their names; those of the system itself come last.

    MLflow logs CPU, memory and disk under `system/`: seldom what one looks for first.
    """
    if tracked is None or tracked.record is None:
        return ()
    return tuple(sorted(tracked.record.metrics, key=lambda m: (m.startswith("system/"), m)))


def not_tracked(tracked: TrackedSide | None, *, server: bool) -> list[str]:
    """Why there is nothing of the tracking server here, and what to do."""
    if tracked is not None and tracked.record is None:
        return [tracked.reason or "The tracking server has no record of it."]
    if server:
        return ["This run has no record on the tracking server."]
    return [
        "No tracking server is configured, so nothing is known of parameters and metrics.",
        "`foundry tracking up` starts one, and says how to name it in the configuration.",
    ]


def tracked_lines(tracked: TrackedSide, width: int, *, shown: str | None) -> list[Line]:
    """Status, parameters and the latest metrics; the one whose curve is `shown` is marked."""
    record = tracked.record
    if record is None:
        return []
    where = clip(safe(tracked.experiment or "record"), 30)
    page = f"  {tracked.address}" if tracked.address else ""
    room = max(0, width - len(where) - len(record.status) - 5)
    lines: list[Line] = [
        [(f" {where}", ""), (f"  {record.status}", "strong"), (clip(safe(page), room), "dim")]
    ]
    if tracked.note:
        lines += paragraph(f"! {tracked.note}", width, tone="warn")
    if tracked.at_risk:
        lines += paragraph(f"if killed now: {tracked.at_risk}", width, tone="dim")
    said = record.tags.get(NOTE_TAG, "").strip()
    if said:
        lines += paragraph(f"note: {safe(said.replace(chr(10), ' '), max_cells=400)}", width)
    tags = " ".join(f"{key}={value}" for key, value in own_tags(record.tags).items())
    if tags:
        lines += paragraph(f"tags: {safe(tags, max_cells=400)}", width, tone="dim")
    metrics = {
        f"{'>' if name == shown else ' '}{name}": _latest(record.metrics[name])
        for name in metric_names(tracked)
    }
    if metrics:
        lines += [heading("Metrics, latest"), *table(metrics, width, most=MOST_METRICS)]
    if record.params:
        params = dict(sorted(record.params.items()))
        lines += [heading("Parameters"), *table(params, width, most=MOST_PARAMS)]
    if not metrics and not record.params:
        lines += paragraph("It has logged neither parameters nor metrics yet.", width, tone="dim")
    return lines


def _latest(point: Value) -> str:
    return f"{metric_text(point.value)} @{point.step}"


def curve_points(points: Sequence[Value]) -> list[tuple[float, float]]:
    """Steps and values of a curve; the largest number stands for infinity, as servers keep it."""
    return [
        (p.step, math.copysign(math.inf, p.value) if abs(p.value) >= LARGEST else p.value)
        for p in points
    ]
