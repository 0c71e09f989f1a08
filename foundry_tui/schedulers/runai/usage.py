"""What workloads held in a window of time, from the lists of present and deleted ones.

The control plane keeps one record per workload, not one per try. Its running time is told as a
sum, so a workload that was stopped and resumed counts as if it had run in one piece up to its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from foundry_tui.estate.run import LIVE, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Accounting, UsageRecord, Window
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.nouns import (
    TOKEN_VARIABLE,
    queue_of,
    request_of,
    started_at,
    state_of,
)
from foundry_tui.schedulers.runai.paging import Params, listed
from foundry_tui.schedulers.runai.reader import PODS, WORKLOADS
from foundry_tui.schedulers.runai.tables import Tables
from foundry_tui.schedulers.runai.wire import Pod, Workload, count, text, when

ROUNDING_S = 60.0
"""Running times are told a little late, and count from the phase and not from the container."""


def read_usage(
    client: Client,
    tables: Tables,
    source: str,
    window: Window,
    *,
    users: tuple[str, ...] | None,
    now: datetime,
) -> Accounting:
    """Every workload that touches the window.

    Raises:
        Unavailable, Denied: the control plane does not answer, or refuses the lists.
    """
    deadline = client.deadline()
    asked: Params = (("filterBy", f"createdAt<={_iso(window.end + timedelta(seconds=1))}"),)
    with ThreadPoolExecutor(3) as pool:
        present = pool.submit(
            lambda: listed(client, WORKLOADS, "workloads", Workload, deadline, asked)
        )
        deleted = pool.submit(
            lambda: listed(
                client, WORKLOADS, "workloads", Workload, deadline, (("deleted", "true"), *asked)
            )
        )
        pods = pool.submit(lambda: listed(client, PODS, "pods", Pod, deadline))
        found = {text(w.id): w for w in (*deleted.result().items, *present.result().items)}
        by_workload: dict[str, list[Pod]] = {}
        for pod in pods.result().items:
            by_workload.setdefault(text(pod.workload_id) or "", []).append(pod)
        missing = (*deleted.result().missing, *present.result().missing)
    records, rejects = [], [safe(words) for words in missing]
    notes: list[str] = []
    for workload in found.values():
        if text(workload.id) is None or not _of(workload, tables.cluster):
            continue
        if users is not None and text(workload.submitted_by) not in users:
            continue
        record = _record(workload, by_workload, tables, source)
        if isinstance(record, str):
            rejects.append(record)
        elif _touches(record, window):
            records.append(record)
            notes += _untold(record, workload, now)
    return Accounting(
        window=window, records=tuple(records), rejects=tuple(rejects), notes=tuple(notes)
    )


def _of(workload: Workload, cluster: str | None) -> bool:
    return cluster is None or text(workload.cluster_id) in (None, cluster)


def _record(
    workload: Workload, pods: Mapping[str, Sequence[Pod]], tables: Tables, source: str
) -> UsageRecord | SafeText:
    """The record, or why it is not known when the workload ran."""
    native = text(workload.id) or ""
    mine = pods.get(native, [])
    state = state_of(workload, mine)
    gone = when(workload.deleted_at)
    ended = when(workload.completed_at) or gone
    if ended is None and state not in LIVE:
        ended = when(workload.phase_updated_at)
    if gone is not None and state not in (RunState.COMPLETED, RunState.FAILED):
        state = RunState.CANCELLED
    ran_s = count(workload.total_running_time_seconds)
    start = started_at(workload, mine)
    if state is RunState.SUSPENDED:
        ended = when(workload.phase_updated_at)
    if ended is not None and ran_s is not None:
        start = ended - timedelta(seconds=ran_s) if ran_s else None
    elif ended is not None:
        return safe(f"{text(workload.name)}: its running time is not told", max_cells=200)
    request = request_of(workload, None)
    return UsageRecord(
        source=source,
        native_id=native,
        raw_id=native,
        name=safe(text(workload.name) or "?"),
        user=_safe(workload.submitted_by),
        account=None,
        queue=queue_of(workload, tables),
        qos=_safe(workload.priority_class_name),
        state=state,
        submitted_at=when(workload.created_at),
        eligible_at=None,
        started_at=start,
        ended_at=ended,
        nodes=tuple(dict.fromkeys(safe(n) for p in mine if (n := text(p.node_name)))),
        gpu_count=request.gpu_count,
        gpu_milli=request.gpu_milli,
        cpu_milli=request.cpu_milli,
        memory_bytes=request.memory_bytes,
        submit_token=_safe((workload.environment_variables or {}).get(TOKEN_VARIABLE)),
    )


def _untold(record: UsageRecord, workload: Workload, now: datetime) -> list[SafeText]:
    """What a running workload did before it was stopped once: how long, but not when."""
    ran_s, start = count(workload.total_running_time_seconds), record.started_at
    if ran_s is None or start is None or record.ended_at is not None:
        return []
    before_s = ran_s - (now - start).total_seconds()
    if before_s <= ROUNDING_S:
        return []
    return [
        safe(
            f"{record.name}: it ran {before_s:.0f} s more before it was stopped and resumed; "
            "when is not told",
            max_cells=200,
        )
    ]


def _touches(record: UsageRecord, window: Window) -> bool:
    begins = record.submitted_at or record.started_at
    if begins is not None and begins >= window.end:
        return False
    return record.ended_at is None or record.ended_at >= window.start


def _safe(word: object) -> SafeText | None:
    found = text(word)
    return None if found is None else safe(found)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
