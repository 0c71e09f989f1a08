"""Which rows of a scheduler belong to a pair, and what they tell of its run. Pure.

A pass looks up thousands of pairs in thousands of rows, hence the rows by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from foundry_tui.estate.run import GOES_ON, LIVE, Run
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.store.links import Link
from foundry_tui.tracking.reconcile import Job, expected, whole

Row = TypeVar("Row", Run, UsageRecord)


def by_key(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by their token; those without one by their job: ids come round again, tokens do not."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        job = row.native_id.partition("_")[0].partition("+")[0]
        keys = {row.native_id, job} if row.submit_token is None else {token_key(row.submit_token)}
        for key in keys:
            found.setdefault(key, []).append(row)
    return found


def token_key(token: str) -> str:
    return f"token {token}"


def of_pair(rows: Mapping[str, list[Row]], link: Link) -> list[Row]:
    """The rows of the pair's run, and of its tasks."""
    return [*rows.get(link.native_id or "", ()), *rows.get(token_key(link.token), ())]


def enough(rows: Sequence[Run]) -> bool:
    """Whether the job list tells all: it forgets tasks of an array one by one."""
    if any(r.state in LIVE for r in rows):
        return True
    return bool(rows) and all(r.array is None for r in rows)


def as_known(link: Link, job: Job | None) -> bool:
    """Whether a live job is where it was when its record was last looked at."""
    return job is not None and job.state in LIVE and link.status == expected(job.state)


def as_one(rows: Sequence[Run], records: Iterable[UsageRecord]) -> Job | None:
    """The run as one job; None when nobody knows it, or the accounting is behind."""
    parts = {
        r.native_id: Job(state=r.state, ended_at=r.ended_at, exit_code=r.exit_code, reason=r.reason)
        for r in rows
    }
    if not enough(rows):
        # The newest try of a requeued run stands last.
        newest = {r.native_id: r for r in records}
        for native_id, record in newest.items():
            if record.state in GOES_ON and native_id not in parts:
                return None
            ended = Job(state=record.state, ended_at=record.ended_at, exit_code=record.exit_code)
            parts.setdefault(native_id, ended)
    return whole(tuple(parts.values())) if parts else None
