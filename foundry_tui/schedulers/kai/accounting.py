"""Accounting of a cluster that keeps none: what it still remembers of its workloads."""

from __future__ import annotations

from foundry_tui.estate.run import HOLDING
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.usage import Accounting, UsageRecord, Window

FORGETS = (
    "Kubernetes keeps no history: workloads that were deleted are not counted; "
    "the site's own history or its Prometheus has them"
)


def read_accounting(
    estate: Snapshot, source: str, window: Window, users: tuple[str, ...] | None
) -> Accounting:
    """One record per workload that is still listed and touches the window."""
    records = []
    for run in estate.runs:
        if run.started_at is None or (users is not None and run.user not in users):
            continue
        ended = run.ended_at if run.state not in HOLDING else None
        if window.overlap_s(run.started_at, ended) <= 0:
            continue
        records.append(
            UsageRecord(
                source=source,
                native_id=run.native_id,
                raw_id=run.native_id,
                name=run.name,
                user=run.user,
                account=run.account,
                queue=run.queue,
                qos=run.qos,
                state=run.state,
                submitted_at=run.submitted_at,
                eligible_at=run.submitted_at,
                started_at=run.started_at,
                ended_at=ended,
                nodes=tuple(p.node for p in run.placement),
                gpu_count=run.request.gpu_count,
                gpu_milli=run.request.gpu_milli,
                cpu_milli=run.request.cpu_milli,
                memory_bytes=run.request.memory_bytes,
                exit_code=run.exit_code,
                submit_token=run.submit_token,
            )
        )
    return Accounting(window=window, records=tuple(records), notes=(FORGETS,))
