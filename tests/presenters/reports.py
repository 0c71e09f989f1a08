"""Reports that were made, for what draws them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from foundry_tui.reports.columns import Column, Row, line, names
from foundry_tui.reports.jobs.columns import COLUMNS as JOBS
from foundry_tui.reports.made import Asked, Made, Totals
from foundry_tui.reports.usage.columns import BY_ACCOUNT

START = datetime(2026, 11, 1, tzinfo=UTC)


def a_row(columns: Sequence[Column], **given: Any) -> Row:
    """A row of which everything else is unknown."""
    return dict.fromkeys(names(columns)) | given


def a_job(number: int, used: str | None = "1", idle: str = "2", unknown: str = "1") -> Row:
    """A try of a run that held GPUs; without `used` nobody measured it."""
    parts = [Decimal(unknown)] if used is None else [Decimal(o) for o in (used, idle, unknown)]
    whole = sum(parts, Decimal(0))
    return a_row(
        JOBS,
        cluster="lab",
        job_id=str(number),
        job_id_raw=str(number),
        run=1,
        user="zoe" if number % 2 else "bo",
        account="bio",
        partition="gpu",
        job_name=f"train-{number}",
        state="completed",
        gpus_alloc=4,
        wait_s=75,
        start_utc=START + timedelta(hours=number),
        gpu_hours_in_window=whole,
        gpu_active_hours=None if used is None else parts[0],
        gpu_idle_hours=None if used is None else parts[1],
        gpu_unknown_hours=whole if used is None else parts[2],
    )


def an_account(account: str, day: int = 0, **given: Any) -> Row:
    """A row of `usage-by-account`."""
    return a_row(
        BY_ACCOUNT,
        period_start_utc=START + timedelta(days=day),
        cluster="lab",
        account=account,
        gpu_type="h100",
        **{
            "gpu_allocated_hours": Decimal("4.0000"),
            "gpu_active_hours": Decimal("1.0000"),
            "gpu_idle_hours": Decimal("2.0000"),
            "gpu_unknown_hours": Decimal("1.0000"),
            **given,
        },
    )


def made(
    name: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    shown: int | None = None,
    totals: Totals | None = None,
    meta: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
    asked: Asked | None = None,
) -> Made:
    """A report with these rows, of which the first `shown` are given to look at."""

    def lines() -> Iterator[str]:
        yield line(names(columns))
        for row in rows:
            yield line([row[column] for column in names(columns)])

    return Made(
        asked=asked or Asked(name=name, start=START, end=START + timedelta(days=1)),
        columns=columns,
        rows=tuple(rows[:shown]),
        row_count=len(rows),
        totals=totals,
        meta=meta or {},
        notes=notes,
        lines=lines,
    )
