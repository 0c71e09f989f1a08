"""The sums of a usage report: what adds up, by whom, and what is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from foundry_tui.presenters.toned import Line, heading, pairs, paragraph

MOST_USERS = 8
"""Users that are named; the others are one line."""


def usage_lines(rows: Sequence[Mapping[str, Any]], notes: Iterable[str], width: int) -> list[Line]:
    """Totals of the rows, GPU-hours by user, and what is missing in the report.

    What nobody measured is unknown, which is neither active nor idle.
    """
    hours = _sum(rows, "gpu_hours_in_window")
    unknown = _sum(rows, "gpu_unknown_hours")
    untold = sum(row.get("gpu_hours_in_window") is None for row in rows)
    told = [
        ("rows", str(len(rows))),
        ("GPU-hours", _hours(hours)),
        ("active", _hours(_sum(rows, "gpu_active_hours"))),
        ("idle", _hours(_sum(rows, "gpu_idle_hours"))),
        ("unknown", _hours(unknown)),
    ]
    if untold:
        told.append(("not counted", f"{untold} rows whose GPUs are not told"))
    lines = [heading("Totals"), *pairs(told, width)]
    if users := _by_user(rows):
        lines += [[], heading("GPU-hours by user")]
        lines += pairs([(user, _hours(value)) for user, value in users[:MOST_USERS]], width)
        if rest := users[MOST_USERS:]:
            others = sum((value for _, value in rest), Decimal(0))
            lines += pairs([(f"{len(rest)} others", _hours(others))], width)
    for note in notes:
        lines += [[], *paragraph(f"! {note}", width, tone="warn")]
    return lines


def _sum(rows: Iterable[Mapping[str, Any]], column: str) -> Decimal | None:
    """The sum of what is known; None when nothing is."""
    values = [Decimal(str(row[column])) for row in rows if row.get(column) is not None]
    return sum(values, Decimal(0)) if values else None


def _by_user(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, Decimal]]:
    found: dict[str, Decimal] = {}
    for row in rows:
        value = row.get("gpu_hours_in_window")
        if value is not None:
            user = str(row.get("user") or "?")
            found[user] = found.get(user, Decimal(0)) + Decimal(str(value))
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))


def _hours(value: Decimal | None) -> str:
    return "—" if value is None else f"{value:.2f}"
