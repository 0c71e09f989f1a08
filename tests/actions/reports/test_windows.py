"""Windows of time as they are typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.reports.windows import moment, period_of, window

NOW = datetime(2026, 3, 5, 14, 3, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("now", NOW),
        ("today", datetime(2026, 3, 5, tzinfo=UTC)),
        ("this-month", datetime(2026, 3, 1, tzinfo=UTC)),
        ("last-month", datetime(2026, 2, 1, tzinfo=UTC)),
        ("7d", NOW - timedelta(days=7)),
        ("36h", NOW - timedelta(hours=36)),
        ("2w", NOW - timedelta(days=14)),
        (" 2026-01-02 ", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T06:00Z", datetime(2026, 1, 2, 6, tzinfo=UTC)),
        ("2026-01-02T06:00+02:00", datetime(2026, 1, 2, 4, tzinfo=UTC)),
    ],
)
def test_a_time_is_in_utc_and_relative_to_now(typed: str, meant: datetime) -> None:
    assert moment(typed, "from", NOW) == meant


def test_last_month_goes_over_the_turn_of_the_year() -> None:
    assert moment("last-month", "from", NOW.replace(month=1)) == datetime(2025, 12, 1, tzinfo=UTC)


NO_TIMES = (
    *("", "yesterday", "2026-13-01", "d", "-3d", "9999999999d"),
    *("2026-11-01+02:00", "2026-11-01x02:00", "٢d", "2026-W43", "2026-11-01T06:00 CET"),
)


@pytest.mark.parametrize("typed", NO_TIMES)
def test_what_is_no_time_is_refused_with_the_name_of_its_field(typed: str) -> None:
    with pytest.raises(WrongUse) as refused:
        moment(typed, "from", NOW)
    assert str(refused.value).startswith(f"from {typed!r}: give a date")


@pytest.mark.parametrize(
    ("typed", "days", "first"),
    [
        ("2026-02", 28, datetime(2026, 2, 1, tzinfo=UTC)),
        ("2024-02", 29, datetime(2024, 2, 1, tzinfo=UTC)),
        ("2026-12", 31, datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-W01", 7, datetime(2025, 12, 29, tzinfo=UTC)),
        ("2026-W53", 7, datetime(2026, 12, 28, tzinfo=UTC)),
        ("2026-03-29", 1, datetime(2026, 3, 29, tzinfo=UTC)),
    ],
)
def test_a_period_is_a_month_a_week_or_a_day_in_utc(typed: str, days: int, first: datetime) -> None:
    assert period_of(typed, "from") == (first, first + timedelta(days=days))


@pytest.mark.parametrize(
    "typed", ["2026-13", "2026-W60", "2025-W53", "2026-02-30", "march", "٢٠٢٦-١٠"]
)
def test_what_is_no_period_is_refused(typed: str) -> None:
    with pytest.raises(WrongUse, match="give a month"):
        period_of(typed, "--period")


def test_without_anything_it_is_the_last_day() -> None:
    assert window(None, None, None, NOW) == (NOW - timedelta(days=1), NOW)


def test_a_period_stands_for_both_ends() -> None:
    assert window(None, None, "2026-02", NOW)[1] == datetime(2026, 3, 1, tzinfo=UTC)
    with pytest.raises(WrongUse, match="one or the other"):
        window("1d", None, "2026-02", NOW)


@pytest.mark.parametrize(("start", "end", "named"), [("", None, "--from"), (None, "", "--to")])
def test_an_option_that_is_empty_is_not_one_that_was_left_out(
    start: str | None, end: str | None, named: str
) -> None:
    """As when a script's variable was never set: that must not quietly be the last day."""
    with pytest.raises(WrongUse, match=f"^{named} ''"):
        window(start, end, None, NOW)
