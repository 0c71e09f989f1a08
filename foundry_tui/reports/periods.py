"""The borders of the periods of a report, all of them in UTC.

UTC has no summer time and unix seconds have no leap seconds, so that every day has 86,400 seconds
and adjacent periods neither share nor lose a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from foundry_tui.estate.usage import Window


def edges(window: Window, by: str | None) -> tuple[int, ...]:
    """The borders in unix seconds: period k is `edges[k] <= t < edges[k + 1]`.

    The first and the last period are cut at the window. `by` is hour, day, week (ISO 8601: from
    Monday) or month; without it the window is one period. An empty window has one border and no
    period. A window that does not lie on whole seconds is cut to the second below at both ends,
    so that adjacent windows stay adjacent.

    Raises:
        ValueError: `by` is none of these.
    """
    start, end = int(window.start.timestamp() // 1), int(window.end.timestamp() // 1)
    borders = [start]
    if by is not None:
        moment = _next(_floor(datetime.fromtimestamp(start, UTC), by), by)
        while (border := int(moment.timestamp())) < end:
            borders.append(border)
            moment = _next(moment, by)
    return (*borders, end) if end > start else (start,)


def split(borders: Sequence[int], moments: Iterable[int]) -> tuple[int, ...]:
    """The borders, with those of the moments among them that lie within the window."""
    first, last = borders[0], borders[-1]
    return tuple(sorted({*borders, *(m for m in moments if first < m < last)}))


def _floor(moment: datetime, by: str) -> datetime:
    """The begin of the period that a moment lies in."""
    if by == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if by == "day":
        return day
    if by == "week":
        return day - timedelta(days=day.weekday())
    if by == "month":
        return day.replace(day=1)
    raise ValueError(f"by: periods are of an hour, day, week or month, not {by!r}")


def _next(begin: datetime, by: str) -> datetime:
    if by == "hour":
        return begin + timedelta(hours=1)
    if by == "day":
        return begin + timedelta(days=1)
    if by == "week":
        return begin + timedelta(days=7)
    return (begin + timedelta(days=32)).replace(day=1)
