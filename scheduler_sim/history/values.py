"""Cells of a history as numbers: seconds, counts, dates. What is missing is never read as zero."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from scheduler_sim.history.rejects import Unfit

MOST = 10**12
"""No count, size or second of a history is above this; a larger number is a damaged one."""

MISSING = frozenset({"", "None", "null", "NULL", "nan", "NaN", "NA", "N/A", "Unknown", "NaT"})
"""How the published traces and Slurm write that there is no value."""

NEVER_STARTED = "never started, so its duration is not known"
STILL_RUNNING = "not ended yet, so its duration is not known"

_SURELY_FITS = len(str(MOST)) - 1
_EPOCH = datetime(1970, 1, 1)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_S = (datetime(1990, 1, 1) - _EPOCH).total_seconds()
_LATEST_S = (datetime(2100, 1, 1) - _EPOCH).total_seconds()
_DATE_AND_TIME = len("2026-01-04T04:16:36")


def number(text: str, field: str) -> float:
    """A finite number that is not negative.

    Raises:
        Unfit: missing, no number, not finite, negative, or beyond `MOST`.
    """
    if text in MISSING:
        raise Unfit(field, "missing")
    try:
        value = float(text)
    except ValueError:
        raise Unfit(field, "no number", text) from None
    if "_" in text or not math.isfinite(value):
        raise Unfit(field, "no number", text)
    if value < 0:
        raise Unfit(field, "negative", text)
    if value > MOST:
        raise Unfit(field, "too large to be true", text)
    return value


def whole(text: str, field: str) -> int:
    """A whole number that is not negative; `2.0` is one.

    Raises:
        Unfit: as `number`, and when it has a fraction.
    """
    if text.isdecimal() and len(text) <= _SURELY_FITS:
        return int(text)
    value = number(text, field)
    if not value.is_integer():
        raise Unfit(field, "no whole number", text)
    return int(value)


def moment_s(text: str, field: str) -> float:
    """Seconds since 1970 of a date and time in ISO 8601, or of such a number of seconds.

    A time without a zone counts as UTC: only differences of times matter here, but a dump in a
    zone with summer time has two days a year on which they are an hour off.

    Raises:
        Unfit: missing, no date and time, or not within 1990..2099: a clock that was not set.
    """
    if text in MISSING:
        raise Unfit(field, "missing")
    if text.isdecimal():
        seconds = number(text, field)
    else:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise Unfit(field, "no date and time", text) from None
        if len(text) < _DATE_AND_TIME:
            raise Unfit(field, "no date and time", text)
        seconds = (at - (_EPOCH if at.tzinfo is None else _EPOCH_UTC)).total_seconds()
    if not _EARLIEST_S <= seconds < _LATEST_S:
        raise Unfit(field, "not within the years 1990 to 2099", text)
    return seconds


def between_s(start_s: float, end_s: float, end_field: str) -> float:
    """Seconds from start to end.

    Raises:
        Unfit: the end is before the start.
    """
    if end_s < start_s:
        raise Unfit(end_field, "before the start", f"by {start_s - end_s:.0f} s")
    return end_s - start_s
