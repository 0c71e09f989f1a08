"""Proposed quotas as text, records and rows of CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from foundry_tui.estate import csvtext
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.migration.quotas import Quota
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.records.nouns import Record
from foundry_tui.presenters.table import Column, draw

COLUMNS = (
    Column("ACCOUNT"),
    Column("PROJECT"),
    Column("SHARES", align="right", priority=2),
    Column("ENTITLED", align="right"),
    Column("MEAN", align="right"),
    Column("P50", align="right"),
    Column("P95", align="right"),
    Column("QUOTA", align="right"),
    Column("WEIGHT", align="right"),
    Column("LIMIT", align="right", priority=2),
    Column("WHY", min_width=12, priority=1, stretch=True),
)
CSV = (
    "account", "project", "shares", "share", "entitled_gpus", "mean_gpus", "p50_gpus", "p95_gpus",
    "hours", "hours_unknown", "quota_gpus", "over_quota_weight", "limit_gpus", "why",
)  # fmt: skip


def quotas_text(
    quotas: Sequence[Quota],
    projects: Mapping[str, str | None],
    pool: str,
    notes: Iterable[str],
    style: Style,
) -> str:
    """A line for each account; GPUs everywhere. `pool` says what there is to give."""
    rows = [quota_cells(quota, projects.get(quota.account)) for quota in quotas]
    given = sum(quota.quota or 0 for quota in quotas)
    lines = wrap(f"{given} GPUs as quota, of {pool}", style.width)
    lines += ["", *draw(COLUMNS, rows, style).lines]
    for note in notes:
        lines += wrap(f"note: {note}", style.width, rest="  ")
    return finish(lines, style)


def quota_cells(quota: Quota, project: str | None) -> tuple[SafeText, ...]:
    """One account in the order of `COLUMNS`."""
    use = quota.use
    return (
        safe(quota.account),
        units.UNKNOWN if project is None else safe(project),
        units.number(quota.shares),
        gpus(quota.entitled),
        gpus(use.mean),
        gpus(use.p50),
        gpus(use.p95),
        units.number(quota.quota),
        units.number(quota.weight),
        SafeText("none"),
        safe(quota.why),
    )


def gpus(count: float | None) -> SafeText:
    """GPUs with one digit behind the point."""
    return units.UNKNOWN if count is None else SafeText(f"{count:.1f}".removesuffix(".0"))


def quota_record(quota: Quota, project: str | None) -> Record:
    """One account; `limit_gpus` is null: none."""
    use = quota.use
    return {
        "account": quota.account,
        "project": project,
        "shares": quota.shares,
        "share": quota.share,
        "entitled_gpus": quota.entitled,
        "mean_gpus": use.mean,
        "p50_gpus": use.p50,
        "p95_gpus": use.p95,
        "hours": use.hours,
        "hours_unknown": use.unknown_hours,
        "quota_gpus": quota.quota,
        "over_quota_weight": quota.weight,
        "limit_gpus": None,
        "why": quota.why,
    }


def quotas_csv(quotas: Iterable[Quota], projects: Mapping[str, str | None]) -> bytes:
    """One row per account."""
    return csvtext.write((quota_record(q, projects.get(q.account)) for q in quotas), CSV)
