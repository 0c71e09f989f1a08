"""What is typed into the form of reports becomes what is asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.reports.wish import WINDOWS, Wish, asked, command_of, window_words

NOW = datetime(2026, 3, 5, 14, 3, 27, 999, tzinfo=UTC)


def test_the_first_wish_is_every_try_of_the_last_day() -> None:
    made = asked(Wish(), NOW)
    assert made.name == "jobs"
    assert made.end == NOW.replace(microsecond=0)
    assert made.end - made.start == timedelta(days=1)
    assert made.by is None
    assert made.prices is None


def test_all_that_is_typed_is_asked_for_and_is_a_command() -> None:
    wish = Wish(
        name="usage-by-user",
        start="2026-02",
        end="",
        cut="week",
        accounts="bio, ml",
        users="zoe",
        queues=" gpu ",
        prices="~/prices.csv",
        anonymise=True,
        excel_bom=True,
    )
    made = asked(wish, NOW)
    assert (made.start, made.end) == (
        datetime(2026, 2, 1, tzinfo=UTC),
        datetime(2026, 3, 1, tzinfo=UTC),
    )
    assert (made.by, made.accounts, made.users, made.queues) == (
        "week",
        ("bio", "ml"),
        ("zoe",),
        ("gpu",),
    )
    prices = str(Path("~/prices.csv").expanduser())
    assert made.command == tuple(
        "foundry report usage-by-user --from 2026-02-01T00:00:00Z --to 2026-03-01T00:00:00Z "
        f"--by week --account bio --account ml --user zoe --queue gpu --prices {prices} "
        "--anonymise --excel-bom".split()
    )
    assert command_of(made, Path("/r"))[-2:] == ("-o", "/r")


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(name="jobz"), "report 'jobz'"),
        (Wish(cut="year"), "cut 'year'"),
        (Wish(start="soon"), "from 'soon'"),
        (Wish(end="later"), "to 'later'"),
        (Wish(start="2026-13", end=""), "from '2026-13'"),
        (Wish(start="now", end="1d"), "ends before it begins"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_field(wish: Wish, words: str) -> None:
    with pytest.raises(WrongUse, match=words):
        asked(wish, NOW)


def test_every_window_of_the_key_can_be_asked_for_and_is_called_by_its_name() -> None:
    for words, start, end in WINDOWS:
        wish = Wish(start=start, end=end)
        assert window_words(wish) == words
        made = asked(wish, NOW)
        assert made.start < made.end <= NOW
    assert window_words(Wish(start="2026-02", end="")) == "2026-02"
    assert window_words(Wish(start="3d", end="now")) == "3d to now"


def test_a_wish_stays_relative_until_it_is_asked() -> None:
    later = NOW + timedelta(hours=1)
    assert asked(Wish(), later).end == later.replace(microsecond=0)
    assert replace(Wish(), start="7d").end == "now"
