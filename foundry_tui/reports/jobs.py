"""The report `jobs`: one row per try of each run, what it held and for how long.

Without telemetry nothing is known of what the GPUs did, so all allocated time is unknown: the
columns of active and idle time stay empty, which is not 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from foundry_tui import __version__
from foundry_tui.estate import csvtext
from foundry_tui.estate.run import LIVE, RunState
from foundry_tui.estate.usage import Accounting, UsageRecord, Window

SCHEMA_VERSION = 1

COLUMNS = (
    "cluster",
    "job_id",
    "job_id_raw",
    "run",
    "array_job_id",
    "array_task_id",
    "user",
    "account",
    "partition",
    "qos",
    "job_name",
    "state",
    "exit_code",
    "submit_utc",
    "eligible_utc",
    "start_utc",
    "end_utc",
    "window_start_utc",
    "window_end_utc",
    "elapsed_s",
    "elapsed_in_window_s",
    "suspended_s",
    "wait_s",
    "nodes_count",
    "gpus_alloc",
    "gpu_type",
    "gpu_hours",
    "gpu_hours_in_window",
    "gpu_util_pct",
    "gpu_active_hours",
    "gpu_idle_hours",
    "gpu_unknown_hours",
    "telemetry_coverage_pct",
)

Row = dict[str, object]
"""Column -> value; None is an empty field."""

_ARRAY = re.compile(r"(\d+)_(\d+|\[[^\]]*\])")


def rows(accounting: Accounting, now: datetime) -> list[Row]:
    """The rows of a window, sorted by cluster, raw id, submission and start.

    A run that still runs is counted up to `now`. `run` counts the tries of one job in the order
    of their start, as far as this window shows them.
    """
    tries: dict[tuple[str, str], int] = {}
    found = []
    for record in sorted(accounting.records, key=_key):
        key = (record.source, record.raw_id)
        tries[key] = max(tries.get(key, 0) + 1, record.restarts + 1)
        found.append(_row(record, tries[key], accounting.window, now))
    return found


def csv(found: Sequence[Mapping[str, object]]) -> bytes:
    """The rows as a CSV file: the same bytes for the same rows."""
    return csvtext.write(found, COLUMNS)


def meta(
    accounting: Accounting,
    found: Sequence[Row],
    *,
    now: datetime,
    command: Sequence[str],
    sources: Sequence[str],
) -> dict[str, object]:
    """What the sidecar says of the file: where the rows come from and what they add up to.

    Totals are whole GPU-seconds within the window. Rows whose GPUs or whose end nobody told are
    counted apart and add nothing to the totals.
    """
    totals = [_gpu_s(row, "elapsed_in_window_s") for row in found]
    live = {state.value for state in LIVE - {RunState.PENDING}}
    return {
        "schema_version": SCHEMA_VERSION,
        "report": "jobs",
        "tool": f"foundry {__version__}",
        "command": list(command),
        "timezone": "UTC",
        "window": {
            "start": csvtext.rfc3339(accounting.window.start),
            "end": csvtext.rfc3339(accounting.window.end),
            "half_open": True,
        },
        "as_of": csvtext.rfc3339(now),
        "sources": list(sources),
        "rows": len(found),
        "rejects": {"count": len(accounting.rejects), "reasons": list(accounting.rejects)},
        "totals": {
            "gpu_seconds_allocated_in_window": sum(t for t in totals if t is not None),
            "gpu_seconds_active": None,
            "gpu_seconds_idle": None,
            "gpu_seconds_unknown": sum(t for t in totals if t is not None),
        },
        "coverage": {"telemetry_pct": None, "reason": "no telemetry was read for this report"},
        "counted_apart": {
            "running": sum(row["state"] in live for row in found),
            "gpus_unknown": sum(row["gpus_alloc"] is None for row in found),
            "end_unknown": sum(row["elapsed_s"] is None for row in found),
            "end_before_start": sum(_reversed(r) for r in accounting.records),
        },
        "assumptions": [
            "suspended time is spread evenly over a run, for accounting does not say when it was"
        ],
    }


def _row(record: UsageRecord, nth: int, window: Window, now: datetime) -> Row:
    array = _ARRAY.fullmatch(record.native_id)
    gpus = _gpus(record)
    row: Row = {
        "cluster": record.source,
        "job_id": record.native_id,
        "job_id_raw": record.raw_id,
        "run": nth,
        "array_job_id": array[1] if array else None,
        "array_task_id": array[2] if array else None,
        "user": record.user,
        "account": record.account,
        "partition": record.queue,
        "qos": record.qos,
        "job_name": record.name,
        "state": record.state,
        "exit_code": record.exit_code,
        "submit_utc": record.submitted_at,
        "eligible_utc": record.eligible_at,
        "start_utc": record.started_at,
        "end_utc": record.ended_at,
        "window_start_utc": window.start,
        "window_end_utc": window.end,
        "elapsed_s": _elapsed_s(record, None, now),
        "elapsed_in_window_s": _elapsed_s(record, window, now),
        "suspended_s": record.suspended_s,
        "wait_s": _wait_s(record),
        "nodes_count": len(record.nodes),
        "gpus_alloc": gpus,
        "gpu_type": record.gpu_model,
    }
    in_window = _hours(_gpu_s(row, "elapsed_in_window_s"))
    row["gpu_hours"] = _hours(_gpu_s(row, "elapsed_s"))
    row["gpu_hours_in_window"] = in_window
    row["gpu_unknown_hours"] = in_window
    return row


def _gpus(record: UsageRecord) -> int | None:
    """Whole devices; None where a part of a device is held, which has no weight here yet.

    Billing a share as a whole device would be wrong: such rows stay empty and are counted apart.
    """
    if record.gpu_milli is None:
        return record.gpu_count or None
    return record.gpu_count if record.gpu_milli == 1000 * (record.gpu_count or 0) else None


def _elapsed_s(record: UsageRecord, window: Window | None, now: datetime) -> int | None:
    """Whole seconds of work, suspended time taken off, within the window where one is given.

    Within [start, end) the work done up to second t is (t - start) x work // (end - start), so
    that the seconds of adjacent windows add up to those of the whole run exactly.
    None when the run has ended and nobody knows when.
    """
    if record.started_at is None:
        return 0
    if record.ended_at is None and record.state not in LIVE:
        return None
    start, end = _second(record.started_at), _second(record.ended_at or now)
    length = end - start
    if length <= 0:
        return 0
    work = max(0, length - record.suspended_s)
    first, last = (start, end) if window is None else (_second(window.start), _second(window.end))
    first, last = max(start, min(first, end)), max(start, min(last, end))
    return (last - start) * work // length - (first - start) * work // length


def _wait_s(record: UsageRecord) -> int | None:
    """Seconds from being eligible to the start of this try; None while either is unknown."""
    if record.started_at is None or record.eligible_at is None:
        return None
    return max(0, _second(record.started_at) - _second(record.eligible_at))


def _gpu_s(row: Row, elapsed: str) -> int | None:
    """GPU-seconds: devices times elapsed seconds; None when either is unknown."""
    seconds, gpus = row[elapsed], row["gpus_alloc"]
    if seconds == 0:
        return 0
    if not isinstance(seconds, int) or not isinstance(gpus, int):
        return None
    return gpus * seconds


def _hours(gpu_s: int | None) -> Decimal | None:
    return None if gpu_s is None else round(Decimal(gpu_s) / 3600, 4)


def _second(moment: datetime) -> int:
    return int(moment.timestamp() // 1)


def _reversed(record: UsageRecord) -> bool:
    return bool(record.started_at and record.ended_at and record.ended_at < record.started_at)


def _key(record: UsageRecord) -> tuple[object, ...]:
    """Numeric ids by their number; the whole record last, so that no order is left to chance."""
    number = int(record.raw_id) if record.raw_id.isascii() and record.raw_id.isdigit() else -1
    times = (record.submitted_at, record.started_at)
    moments = tuple(0.0 if t is None else t.timestamp() for t in times)
    return (record.source, number, record.raw_id, *moments, repr(record))
