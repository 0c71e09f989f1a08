"""Histories of metrics, sampled by the server where it can: whole, 100,000 points take 12 s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foundry_tui.estate.tracked import Point
from foundry_tui.tracking import answers
from foundry_tui.tracking.mlflow.call import API, Call, blocks
from foundry_tui.tracking.order import by_step
from foundry_tui.tracking.ports import TrackerDenied
from foundry_tui.tracking.refusals import NoEndpoint, Refused
from foundry_tui.tracking.wire import Request

RUNS_MOST = 100
"""The server refuses more runs in one request."""

POINTS_MOST = 2500
"""The server refuses more points of one run."""

POINTS_PER_ANSWER = 40_000
"""Points that are asked for at once: with keys of 250 characters an answer of 16 MiB."""

POINTS_PER_PAGE = 25_000

INTERVALS = (
    f"{API}/metrics/get-history-bulk-interval",
    "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
)
"""Where a sampled history is had; older servers have it in the second place alone, or nowhere."""


def sampled(
    call: Call, run_ids: Sequence[str], metric: str, most: int
) -> dict[str, tuple[Point, ...]]:
    """The metric of each run that has it, in the order of the ids, at most about `most` points.

    A run that this user may not see counts as one without it, unless all are such.
    """
    few = max(1, min(most, POINTS_MOST))
    wanted = tuple(dict.fromkeys(run_ids))
    found: dict[str, list[Point]] = {run_id: [] for run_id in wanted}
    denied: list[TrackerDenied] = []
    for block in blocks(wanted, max(1, min(RUNS_MOST, POINTS_PER_ANSWER // few))):
        try:
            _fill(call, block, metric, few, found)
        except (TrackerDenied, Refused):
            # One run that is gone, or not to be seen by this user, has all of them refused.
            for run_id in block:
                try:
                    _fill(call, (run_id,), metric, few, found)
                except TrackerDenied as error:
                    denied.append(error)
                except Refused as error:
                    if error.code != "RESOURCE_DOES_NOT_EXIST":
                        raise
    if denied and len(denied) == len(wanted):
        raise denied[0]
    return {run_id: by_step(points, most) for run_id, points in found.items() if points}


def _fill(
    call: Call, run_ids: Sequence[str], metric: str, most: int, found: dict[str, list[Point]]
) -> None:
    page = _interval(call, run_ids, metric, most)
    if page is None:
        for run_id in run_ids:
            found[run_id] = _whole(call, run_id, metric)
        return
    for value in page.metrics:
        if value.run_id in found:
            found[value.run_id].append(value.point())


def _interval(call: Call, run_ids: Sequence[str], metric: str, most: int) -> answers.Metrics | None:
    """One sampled answer; None where the server cannot sample."""
    params: Mapping[str, str | Sequence[str]] = {
        "run_ids": run_ids,
        "metric_key": metric,
        "max_results": str(most),
    }
    for path in INTERVALS:
        try:
            return call.ask(Request("GET", path, params, again=True), answers.Metrics)
        except NoEndpoint:
            continue
    return None


def _whole(call: Call, run_id: str, metric: str) -> list[Point]:
    """For servers that cannot sample; the oldest ignore max_results and send everything."""
    params = {"run_id": run_id, "metric_key": metric, "max_results": str(POINTS_PER_PAGE)}
    points: list[Point] = []
    while True:
        page = call.get("metrics/get-history", answers.Metrics, params)
        points += [value.point() for value in page.metrics]
        if not page.next_page_token:
            return points
        params["page_token"] = page.next_page_token
