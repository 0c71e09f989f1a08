"""The borders of periods: UTC only, half-open, adjacent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.usage import Window
from foundry_tui.reports import periods

BY = (None, "hour", "day", "week", "month")
MOMENTS = st.datetimes(datetime(2023, 12, 1), datetime(2028, 3, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def borders(start: str, end: str, by: str | None) -> list[str]:
    """The borders as text, to the hour."""
    found = periods.edges(Window(utc(start), utc(end)), by)
    return [datetime.fromtimestamp(edge, UTC).strftime("%Y-%m-%dT%H") for edge in found]


def test_without_by_the_window_is_one_period() -> None:
    assert borders("2026-03-01T05", "2026-03-09T07", None) == ["2026-03-01T05", "2026-03-09T07"]


def test_hours_and_days_are_cut_at_the_window() -> None:
    window = Window(utc("2026-03-01T05:30"), utc("2026-03-01T07:15"))
    hours = [(edge - window.start.timestamp()) / 60 for edge in periods.edges(window, "hour")]
    assert hours == [0, 30, 90, 105]
    assert borders("2026-02-27T05", "2026-03-02T00", "day") == [
        "2026-02-27T05",
        "2026-02-28T00",
        "2026-03-01T00",
        "2026-03-02T00",
    ]


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    assert borders("2025-12-31T00", "2026-01-20T00", "week") == [
        "2025-12-31T00",
        "2026-01-05T00",
        "2026-01-12T00",
        "2026-01-19T00",
        "2026-01-20T00",
    ]
    assert borders("2027-11-15T00", "2028-03-10T00", "month") == [
        "2027-11-15T00",
        "2027-12-01T00",
        "2028-01-01T00",
        "2028-02-01T00",
        "2028-03-01T00",
        "2028-03-10T00",
    ]


def test_an_empty_window_has_no_period() -> None:
    for by in BY:
        assert len(periods.edges(Window(utc("2026-03-01T05"), utc("2026-03-01T05")), by)) == 1


def test_an_unknown_length_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"by: periods are of an hour, day, week or month.*'year'"):
        periods.edges(Window(utc("2026-03-01T05"), utc("2026-03-02T05")), "year")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A host whose local time has summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_r15_all_borders_are_utc_through_summer_time_and_leap_days() -> None:
    """29 March 2026: Berlin has 23 hours; 29 February 2028 is there; no leap second counts."""
    window = Window(utc("2026-03-28T00"), utc("2026-03-31T00"))
    assert [b - a for a, b in pairwise(periods.edges(window, "day"))] == [86_400] * 3
    assert len(periods.edges(window, "hour")) == 72 + 1
    leap = periods.edges(Window(utc("2028-02-01T00"), utc("2028-03-01T00")), "month")
    assert leap[1] - leap[0] == 29 * 86_400
    year = periods.edges(Window(utc("2016-12-31T00"), utc("2017-01-02T00")), "day")
    assert [b - a for a, b in pairwise(year)] == [86_400] * 2


def test_r15_the_zone_of_the_window_changes_nothing() -> None:
    start, end = utc("2026-03-01T05"), utc("2026-04-11T07")
    away = timezone(timedelta(hours=5, minutes=30))
    for by in BY:
        there = Window(start.astimezone(away), end.astimezone(away))
        assert periods.edges(there, by) == periods.edges(Window(start, end), by)


@settings(deadline=None)
@given(st.tuples(MOMENTS, MOMENTS, MOMENTS).map(sorted), st.sampled_from(BY[2:]))
def test_r02_borders_of_adjacent_windows_are_those_of_both(
    moments: list[datetime], by: str
) -> None:
    low, middle, high = moments
    whole = set(periods.edges(Window(low, high), by))
    parts = set(periods.edges(Window(low, middle), by)) | set(
        periods.edges(Window(middle, high), by)
    )
    assert parts == whole | {int(middle.timestamp())}
    ordered = periods.edges(Window(low, high), by)
    assert all(a < b for a, b in pairwise(ordered))
    assert (ordered[0], ordered[-1]) == (low.timestamp(), high.timestamp())


def test_a_split_keeps_the_window_and_adds_only_what_lies_within() -> None:
    assert periods.split((10, 20, 30), (5, 10, 15, 20, 30, 31)) == (10, 15, 20, 30)
    assert periods.split((10,), (5, 10, 15)) == (10,)
