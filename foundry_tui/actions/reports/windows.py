"""Windows of time as people write them: `7d`, `2026-11-01`, `last-month`, `2026-W43`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from foundry_tui.actions.errors import WrongUse

_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9].*)?")
"""`datetime.fromisoformat` takes any mark before the time: `2026-11-01+02:00` is 2 h there."""
_HOURS = {"h": 1, "d": 24, "w": 168}

TIMES = "a date (2026-11-01), a time (2026-11-01T06:00Z), now, today, this-month, last-month, or 7d"
PERIODS = "a month (2026-10), a week (2026-W43) or a day (2026-10-05)"


def window(
    start: str | None, end: str | None, period: str | None, now: datetime
) -> tuple[datetime, datetime]:
    """The window that is asked for: by two times, or by the name of a period.

    Without any of them it is the last day.

    Raises:
        WrongUse: names the option.
    """
    if period is None:
        begins = moment("1d" if start is None else start, "--from", now)
        return begins, moment("now" if end is None else end, "--to", now)
    if start is not None or end is not None:
        raise WrongUse("--period stands for --from and --to: give one or the other")
    return period_of(period, "--period")


def period_of(text: str, name: str) -> tuple[datetime, datetime]:
    """Begin and end of a month, a week or a day in UTC.

    Raises:
        WrongUse: it is none; `name` is the option or field that it names.
    """
    try:
        if found := _MONTH.fullmatch(text):
            first = datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)
            return first, (first + timedelta(days=31)).replace(day=1)
        if found := _WEEK.fullmatch(text):
            first = datetime.fromisocalendar(int(found[1]), int(found[2]), 1).replace(tzinfo=UTC)
            return first, first + timedelta(days=7)
        first = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        return first, first + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise WrongUse(f"{name} {text!r}: give {PERIODS}") from error


def moment(text: str, name: str, now: datetime) -> datetime:
    """A time in UTC; what is relative is so to `now`, and `7d` is 7 days before it.

    Raises:
        WrongUse: it is no time; `name` is the option or field that it names.
    """
    text = text.strip()
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight.replace(day=1)
    named = {
        "now": now,
        "today": midnight,
        "this-month": first,
        "last-month": (first - timedelta(days=1)).replace(day=1),
    }
    if text in named:
        return named[text]
    unit = _HOURS.get(text[-1:])
    try:
        if unit is not None and text.isascii() and text[:-1].isdecimal():
            return now - timedelta(hours=unit * int(text[:-1]))
        if not _TIME.fullmatch(text):
            raise ValueError("neither a date nor a time")
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise WrongUse(f"{name} {text!r}: give {TIMES}") from error
