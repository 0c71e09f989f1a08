"""Finding, reading and making runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from foundry_tui.estate.tracked import RunPage, TrackedRun, TrackStatus
from foundry_tui.tracking import answers
from foundry_tui.tracking.mlflow import experiments, writing
from foundry_tui.tracking.mlflow.call import Call, blocks, ms, pairs
from foundry_tui.tracking.order import newest_first
from foundry_tui.tracking.ports import TrackerDown, TrackingError
from foundry_tui.tracking.refusals import Refused
from foundry_tui.tracking.rules import EXPERIMENTS_MOST, RUNS_PER_PAGE, page_size

BY_START = ("attributes.start_time DESC",)
"""The one order that is asked for: by a metric or a parameter a store can take two minutes."""


def create(
    call: Call, experiment_id: str, name: str, tags: Mapping[str, str], started_at: datetime
) -> TrackedRun:
    """A new run in the state SCHEDULED; sent once, whatever comes back."""
    body = {
        "experiment_id": experiment_id,
        "run_name": name,
        "start_time": ms(started_at),
        "tags": pairs(tags),
    }
    try:
        made = call.post("runs/create", answers.OneRun, body).run
        writing.status(call, made.info.run_id, TrackStatus.SCHEDULED, None)
    except TrackerDown as error:
        hint = "the run may have been made all the same: it is found by its tags"
        raise TrackerDown(call.asked, error.answer, hint) from None
    made.info.status = TrackStatus.SCHEDULED
    return made.noun()


def find(call: Call, tag: str, value: str) -> tuple[TrackedRun, ...]:
    """No experiment named would mean none, so all of them are listed first."""
    quote_mark = '"' if "'" in value else "'"
    if quote_mark in value or "`" in tag:
        raise TrackingError(call.asked, "the server's filter cannot express these quotes")
    where = f"tags.`{tag}` = {quote_mark}{value}{quote_mark}"
    ids = [experiment.id for experiment in experiments.listed(call)]
    found: list[TrackedRun] = []
    for block in blocks(ids, EXPERIMENTS_MOST):
        after: str | None = None
        while True:
            page = search(call, block, where, RUNS_PER_PAGE, after)
            found += page.runs
            if (after := page.after) is None:
                break
    # Some databases compare without regard to case.
    return newest_first(run for run in found if run.tags.get(tag) == value)


def search(
    call: Call, experiment_ids: Sequence[str], where: str, most: int, after: str | None
) -> RunPage:
    """One page. No experiment means all to nobody: the server answers none, so it is not asked."""
    if not experiment_ids:
        return RunPage(())
    body: dict[str, Any] = {
        "experiment_ids": list(experiment_ids),
        "max_results": page_size(most),
        "order_by": list(BY_START),
        "run_view_type": "ACTIVE_ONLY",
    }
    if where.strip():
        body["filter"] = where
    if after is not None:
        body["page_token"] = after
    page = call.post("runs/search", answers.Runs, body, again=True)
    return RunPage(tuple(run.noun() for run in page.runs), page.next_page_token or None)


def get(call: Call, run_id: str) -> TrackedRun | None:
    """The run; None where there is none, or where it lies in the trash."""
    try:
        run = call.get("runs/get", answers.OneRun, {"run_id": run_id}).run
    except Refused as error:
        if error.code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run.noun() if run.info.lifecycle_stage == "active" else None
