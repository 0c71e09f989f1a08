"""What is written to a run: tags, parameters, metrics and inputs, in blocks that a server takes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from foundry_tui.estate.tracked import DataInput, TrackStatus
from foundry_tui.tracking.answers import CONTEXT_TAG, KIND_TAG, PATH_TAG
from foundry_tui.tracking.mlflow.call import Call, blocks, ms, pairs
from foundry_tui.tracking.refusals import Refused
from foundry_tui.tracking.rules import INPUT_TAG_MOST

ENTRIES_MOST = 1000
"""Entries of one log-batch, of all sorts together; of metrics as many."""

PAIRS_MOST = 100
"""Parameters, and tags, of one log-batch."""

BYTES_MOST = 900_000
"""Bytes of the entries of one log-batch; the server takes a million, with all around them."""

INPUTS_MOST = 100
"""Sets of data of one request; the server takes 1,000."""


@dataclass(slots=True)
class Batch:
    """One request that is filled."""

    params: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0

    def takes(self, sort: str, size: int) -> bool:
        """Whether one more entry of this sort has room."""
        entries = len(self.params) + len(self.metrics) + len(self.tags)
        full = sort != "metrics" and len(getattr(self, sort)) >= PAIRS_MOST
        return entries < ENTRIES_MOST and not full and self.size + size <= BYTES_MOST


def write(
    call: Call,
    run_id: str,
    *,
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    at: datetime | None = None,
) -> None:
    """Send it all, parameters first: a server that refuses one has then taken nothing else.

    Raises:
        Refused: the server takes it not; the hint tells what to do about it.
    """
    entries = [("params", one) for one in pairs(params or {})]
    if metrics and at is not None:
        entries += [("metrics", metric(key, value, at)) for key, value in metrics.items()]
    entries += [("tags", one) for one in pairs(tags or {})]
    for batch in _batches(entries):
        body = {
            "run_id": run_id,
            "params": batch.params,
            "metrics": batch.metrics,
            "tags": batch.tags,
        }
        _sent(call, "runs/log-batch", run_id, {key: value for key, value in body.items() if value})


def inputs(call: Call, run_id: str, given: Sequence[DataInput]) -> None:
    """Say which data the run has read."""
    for block in blocks(given, INPUTS_MOST):
        body = {"run_id": run_id, "datasets": [_dataset(one) for one in block]}
        _sent(call, "runs/log-inputs", run_id, body)


def status(call: Call, run_id: str, status: TrackStatus | None, ended_at: datetime | None) -> None:
    """Set the state and the end of a run."""
    body: dict[str, Any] = {"run_id": run_id}
    if status is not None:
        body["status"] = status.value
    if ended_at is not None:
        body["end_time"] = ms(ended_at)
    _sent(call, "runs/update", run_id, body)


def metric(key: str, value: float, at: datetime) -> dict[str, Any]:
    """One value at step 0, as MLflow's own client writes it: JSON has no NaN."""
    word: float | str = value
    if not math.isfinite(value):
        word = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return {"key": key, "value": word, "timestamp": ms(at), "step": 0}


def _dataset(one: DataInput) -> dict[str, Any]:
    tags = {CONTEXT_TAG: "training", KIND_TAG: one.kind}
    if len(one.path) <= INPUT_TAG_MOST:
        tags[PATH_TAG] = one.path
    return {
        "dataset": {
            "name": one.name,
            "digest": one.digest,
            "source_type": "local",
            "source": json.dumps({"uri": one.path}),
        },
        "tags": pairs(tags),
    }


def _batches(entries: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[Batch]:
    batch = Batch()
    for sort, entry in entries:
        size = len(json.dumps(entry)) + 2
        if not batch.takes(sort, size):
            yield batch
            batch = Batch()
        getattr(batch, sort).append(entry)
        batch.size += size
    if batch.size:
        yield batch


def _sent(call: Call, endpoint: str, run_id: str, body: Mapping[str, Any]) -> None:
    try:
        call.post(endpoint, object, body, again=True)
    except Refused as error:
        raise Refused(error.asked, error.answer, error.code, _hint(error, run_id)) from None


def _hint(error: Refused, run_id: str) -> str:
    """What to do about what the server will not take."""
    said = error.answer.lower()
    if "changing param values" in said:
        return "a parameter is written once: write what changes between attempts as a tag"
    if "'active' state" in said:
        return f"it is in the trash: mlflow runs restore --run-id {run_id}"
    if "length" in said or "exceed" in said:
        return "servers before MLflow 2.8 take 500 characters: shorten it"
    return error.hint
