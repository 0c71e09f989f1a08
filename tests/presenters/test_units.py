"""Values with their units."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.presenters import units


@pytest.mark.parametrize(
    ("milli", "shown"),
    [(0, "0"), (8000, "8"), (3500, "3.5"), (250, "0.25"), (333, "0.333"), (-500, "-0.5")],
)
def test_gpus_come_from_thousandths(milli: int, shown: str) -> None:
    assert units.gpus(milli) == shown


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1K"),
        (250 << 30, "250G"),
        (3 << 39, "1.5T"),
        ((1 << 40) - 1, "1T"),
        (1 << 62, "4096P"),
    ],
)
def test_sizes(size_bytes: int, shown: str) -> None:
    assert units.size(size_bytes) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (45.9, "45s"),
        (60, "1m00s"),
        (7_500, "2h05m"),
        (273_600, "3d04h"),
        (-3, "0s"),
    ],
)
def test_durations_have_two_units(seconds: float, shown: str) -> None:
    assert units.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(3.9, "3s"), (65, "1m"), (7_500, "2h"), (200_000, "2d")]
)
def test_ages_have_one_unit(seconds: float, shown: str) -> None:
    assert units.age(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0%"), (0.4, "<1%"), (1.0, "1%"), (99.6, "100%")]
)
def test_a_little_use_is_not_none(value: float, shown: str) -> None:
    assert units.percent(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(17, "17"), (0.5, "0.5"), (1234.567, "1234.57")])
def test_numbers(value: float, shown: str) -> None:
    assert units.number(value) == shown


def test_times_are_utc_and_say_so() -> None:
    assert units.when(datetime(2026, 11, 21, 2, 31, 59, tzinfo=UTC)) == "11-21 02:31Z"


def test_unknown_is_a_dash_for_every_unit() -> None:
    shown = {
        units.gpus(None),
        units.size(None),
        units.duration(None),
        units.age(None),
        units.percent(None),
        units.number(None),
        units.when(None),
    }
    assert shown == {"—"}


def test_a_time_in_the_future_has_no_negative_age() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert units.since_s(now + timedelta(seconds=5), now) == 0.0
    assert units.since_s(None, now) is None
