"""The tracked side of a run, and what reconciling did, as JSON records."""

from __future__ import annotations

import math

from foundry_tui.presenters.records.nouns import Record
from foundry_tui.presenters.tracked import LARGEST, Reconciled, TrackedSide, Value, metric_text


def tracked_record(tracked: TrackedSide | None) -> Record | None:
    """The record of a run; None for a run that is not linked."""
    if tracked is None:
        return None
    record = tracked.record
    return {
        "server": tracked.server,
        "experiment": tracked.experiment,
        "run_id": tracked.mlflow_run_id,
        "url": tracked.address,
        "status": None if record is None else str(record.status),
        "started_at": None if record is None else record.started_at,
        "ended_at": None if record is None else record.ended_at,
        "params": {} if record is None else dict(record.params),
        "metrics": {} if record is None else {k: _value(p) for k, p in record.metrics.items()},
        "reason": tracked.reason,
        "note": tracked.note,
        "at_risk": tracked.at_risk,
    }


def sync_record(item: Reconciled) -> Record:
    """What a pass did about one run."""
    return {
        "run": f"{item.source}/{item.native_id}" if item.native_id else None,
        "source": item.source,
        "submit_token": item.token,
        "mlflow_run_id": item.mlflow_run_id,
        "experiment": item.experiment,
        "state": item.state,
        "before": item.before,
        "after": item.after,
        "did": item.did,
        "words": item.words,
    }


def _value(point: Value) -> Record:
    """A value; JSON has no number for NaN and infinity, so those are null and named by `shown`."""
    number = math.isfinite(point.value) and abs(point.value) < LARGEST
    return {
        "value": point.value if number else None,
        "shown": metric_text(point.value),
        "step": point.step,
        "at": point.at,
    }
