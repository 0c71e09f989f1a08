"""The columns of a report: what each holds, how it is written, and its line in the documentation.

The unit stands in the name of a column (`_hours`, `_pct`, `_s`, `_kwh`, `_mib`, `_count`); the kind
says how many places are written. A value that is not known is None and an empty field, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction

from foundry_tui.estate import csvtext

Value = str | int | Decimal | bool | datetime | None
"""What a cell may hold: text, a count, a measure of fixed places, a yes or no, a time."""

Row = dict[str, Value]
"""Column -> value."""

HOURS_PLACES, PCT_PLACES, MONEY_PLACES, GPU_PLACES = 4, 2, 2, 3


class Kind(Enum):
    """How the values of a column are written; the number is that of decimal places."""

    TEXT = "text"
    COUNT = "count"
    TIME = "time"
    FLAG = "flag"
    HOURS = "hours"
    PCT = "pct"
    MONEY = "money"
    ENERGY = "energy"
    RATIO = "ratio"
    GPUS = "gpus"


PLACES = {
    Kind.HOURS: HOURS_PLACES,
    Kind.PCT: PCT_PLACES,
    Kind.MONEY: MONEY_PLACES,
    Kind.ENERGY: 4,
    Kind.RATIO: 4,
    Kind.GPUS: GPU_PLACES,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name with the unit, its kind, and one line of documentation."""

    name: str
    kind: Kind
    doc: str


def names(columns: Sequence[Column]) -> tuple[str, ...]:
    """The header."""
    return tuple(column.name for column in columns)


def rounded(value: Fraction | Decimal | float | None, places: int) -> Decimal | None:
    """A value with fixed decimal places, half to even; None stays None.

    Whole GPU-seconds are a few digits of hours away: four places of an hour are 0.36 s, so that
    hours x 3600, rounded, gives the seconds again.
    """
    if value is None:
        return None
    return Decimal(round(Fraction(value) * 10**places)).scaleb(-places)


def hours(milli_s: int | None) -> Decimal | None:
    """Hours of GPU from thousandths of GPU-seconds, exactly rounded to four places."""
    return None if milli_s is None else rounded(Fraction(milli_s, 3_600_000), HOURS_PLACES)


def pct(part: float, whole: float) -> Decimal | None:
    """`part` of `whole` in per cent with two places; None of nothing."""
    return rounded(Fraction(part) * 100 / Fraction(whole), PCT_PLACES) if whole else None


def line(values: Sequence[Value]) -> str:
    """One line of the CSV file, without its end."""
    return csvtext.line(values)
