"""Amounts of a job spec: sizes with a unit, durations with a unit, shares of a GPU."""

from __future__ import annotations

import re
from decimal import Decimal

WHOLE_MILLI = 1000

_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([kKMGT])(i?)B?")
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
_DURATION = re.compile(r"(?:([0-9]{1,5})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,7})m)?(?:([0-9]{1,8})s)?")
_CLOCK = re.compile(r"(?:([0-9]{1,5})-)?([0-9]{1,5}):([0-5][0-9]):([0-5][0-9])")
_STEPS_S = (86_400, 3600, 60, 1)

SIZE = "an amount with its unit such as 20G (10^9 bytes) or 20Gi (2^30)"
DURATION = "a time with its unit such as 90m, 12h or 1d12h, or 1-12:00:00"
MAX_DURATION_S = 3650 * 86_400
MAX_SIZE_BYTES = 10**15
MIN_SIZE_BYTES = 10**6


def size_bytes(text: str) -> int:
    """Bytes in `20G`, `1.5TB` or `512MiB`.

    Raises:
        ValueError: anything else, less than a megabyte, or not a whole number of bytes.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(SIZE)
    unit: int = (1024 if found[3] else 1000) ** _POWERS[found[2].lower()]
    amount = Decimal(found[1]) * unit
    if amount != int(amount) or not MIN_SIZE_BYTES <= amount <= MAX_SIZE_BYTES:
        raise ValueError("a whole number of bytes, from 1M to 1000T")
    return int(amount)


def duration_s(text: str) -> int:
    """Seconds in `90m`, `1d12h` or `1-12:00:00`.

    Raises:
        ValueError: anything else (a bare number has no unit), none at all, or above ten years.
    """
    found = _DURATION.fullmatch(text) or _CLOCK.fullmatch(text)
    if found is None or not text:
        raise ValueError(DURATION)
    seconds = sum(int(n or 0) * step for n, step in zip(found.groups(), _STEPS_S, strict=True))
    if not 0 < seconds <= MAX_DURATION_S:
        raise ValueError("a time above 0 and at most ten years")
    return seconds


def milli(value: int | float, most: int) -> int:
    """Thousandths in a number of at most three decimals.

    Raises:
        ValueError: not above 0, above `most` thousandths, or finer than a thousandth.
    """
    exact = Decimal(str(value)) * WHOLE_MILLI
    if not exact.is_finite() or exact != int(exact) or not 0 < exact <= most:
        raise ValueError
    return int(exact)
