"""Columns of whole numbers, their rounding, and their fields in a CSV file and back.

Hours are counted in ten-thousandths, percents and money in hundredths, times in unix seconds: a
million rows of `Decimal` and `datetime` would take most of the time of a report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from foundry_tui.estate import csvtext
from foundry_tui.reports.columns import PLACES, Kind, Value

if TYPE_CHECKING:
    from foundry_tui.reports.part import Floats, Ints

_MS_PER_HOUR = 3_600_000
_J_PER_KWH = 3_600_000


def where(known: Any, values: Ints) -> list[int | None]:
    """The values, None where they are not known."""
    return [v if k else None for k, v in zip(known.tolist(), values.tolist(), strict=True)]


def hours(milli_s: Ints) -> Ints:
    """Ten-thousandths of hours of thousandths of GPU-seconds, half to even."""
    return half_evens(milli_s, np.int64(_MS_PER_HOUR // 10 ** PLACES[Kind.HOURS]))


def parted_hours(*milli_s: Ints) -> list[Ints]:
    """`hours` of amounts, so rounded that they add up to the hours of their sum.

    Each is rounded up or down, those with the largest rest up, so that active, idle and unknown
    give the allocated hours in a spreadsheet too; what is nothing stays nothing.
    """
    unit = _MS_PER_HOUR // 10 ** PLACES[Kind.HOURS]
    units, rests = np.divmod(np.array(milli_s), unit)
    left = hours(np.sum(milli_s, axis=0)) - units.sum(axis=0)
    rank = np.argsort(np.argsort(-rests, axis=0, kind="stable"), axis=0)
    return list(units + (rank < left))


def pct(part: Ints, whole: Ints) -> Ints:
    """Hundredths of per cent, half to even; 0 of nothing."""
    return half_evens(part * (100 * 10 ** PLACES[Kind.PCT]), np.maximum(whole, 1))


def kwh(energy_j: Floats) -> Ints:
    """Ten-thousandths of kWh of joules, half to even."""
    parts: Ints = np.rint(energy_j * 10 ** PLACES[Kind.ENERGY] / _J_PER_KWH).astype(np.int64)
    return parts


def half_even(part: int, whole: int) -> int:
    """`part / whole` as a whole number, half to even."""
    quotient, rest = divmod(part, whole)
    return quotient + (2 * rest > whole or (2 * rest == whole and quotient % 2 == 1))


def half_evens(part: Ints, whole: Ints | np.int64) -> Ints:
    """`half_even` of every pair."""
    quotient: Ints
    quotient, rest = np.divmod(part, whole)
    up = (2 * rest > whole) | ((2 * rest == whole) & (quotient % 2 == 1))
    quotient += up
    return quotient


def written(kind: Kind, values: Sequence[Any]) -> list[str]:
    """The fields of a column of this kind in the CSV file; a text that repeats is written once."""
    if kind is Kind.TEXT:
        fields = {value: "" if value is None else csvtext.text(value) for value in set(values)}
        return [fields[value] for value in values]
    if kind is Kind.COUNT:
        return ["" if value is None else str(value) for value in values]
    if kind is Kind.TIME:
        moments = np.array([value or 0 for value in values], "M8[s]")
        texts = np.datetime_as_string(moments, timezone="UTC").tolist()
        return ["" if v is None else text for v, text in zip(values, texts, strict=True)]
    # exact up to 2**53 units: the quotient is much nearer to them than half a unit
    form, unit = f"%.{PLACES[kind]}f", 10 ** PLACES[kind]
    return ["" if value is None else form % (value / unit) for value in values]


def value(kind: Kind, field: str) -> Value:
    """What a field of the CSV file says; None of an empty one."""
    return _VALUE[kind](field) if field else None


_VALUE: Mapping[Kind, Callable[[str], Value]] = {
    Kind.TEXT: str,
    Kind.COUNT: int,
    Kind.TIME: datetime.fromisoformat,
    **dict.fromkeys(PLACES, Decimal),
}
