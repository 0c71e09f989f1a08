"""Cells against a schema: what does not hold is named by column and row. Pure.

A judge is told of each cell that a reader came upon, and at the end of the whole. It keeps one
number per cell where a distribution is asked for, and one value per cell where they are to be
unique: its memory is bounded by how many rows are looked at.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b

from foundry_tui.jobs.errors import shown
from foundry_tui.jobs.preflight.schema import (
    Column,
    Dtype,
    Number,
    Schema,
    Within,
    timestamp_s,
)

Value = str | bool | int | float
At = tuple[str, int]
"""Where a row stands: ("row", 17), the header not counted; or ("byte", 12345) of the file."""

NULLS = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"})
"""Cells of a CSV file that are empty. In a column of text only the empty cell is."""

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(
    r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|inf(?:inity)?)", re.I
)
_BOOLS = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True, slots=True)
class Finding:
    """One demand of the schema that does not hold; `column` is None where it is of the rows."""

    column: str | None
    words: str


def parse(dtype: Dtype, cell: str) -> Value | None:
    """The value of a cell of a CSV file; None when it is empty.

    Raises:
        ValueError: it is not of this type.
    """
    if dtype is Dtype.TEXT:
        return cell or None
    cell = cell.strip()
    if cell in NULLS:
        return None
    if dtype is Dtype.TIMESTAMP:
        return timestamp_s(cell)
    if dtype is Dtype.INT and _INT.fullmatch(cell):
        return int(cell)
    if dtype is Dtype.FLOAT and _FLOAT.fullmatch(cell):
        return float(cell)
    if dtype is Dtype.BOOL and cell.lower() in _BOOLS:
        return _BOOLS[cell.lower()]
    raise ValueError(f"not of the type {dtype}")


@dataclass(slots=True)
class _First:
    """How often something was found, and where and what it was the first time."""

    count: int = 0
    at: At = ("row", 0)
    found: str = ""

    def seen(self, at: At, found: object) -> None:
        if not self.count:
            self.at, self.found = at, shown(found)
        self.count += 1

    def words(self, expected: str) -> str:
        more = f" (and {self.count - 1:,} more)" if self.count > 1 else ""
        return f"{place(self.at)}: expected {expected}, found {self.found}{more}"


def place(at: At) -> str:
    """Where a row stands, in words."""
    return f"near byte {at[1]:,}" if at[0] == "byte" else f"{at[0]} {at[1]:,}"


@dataclass(slots=True)
class _Watched:
    """What is known of one column so far."""

    column: Column
    cells: int = 0
    nulls: _First = field(default_factory=_First)
    of_other_type: _First = field(default_factory=_First)
    outside: _First = field(default_factory=_First)
    not_allowed: _First = field(default_factory=_First)
    twice: _First = field(default_factory=_First)
    numbers: array[float] = field(default_factory=lambda: array("d"))
    values: set[Value | bytes] = field(default_factory=set)

    def text(self, at: At, cell: str) -> None:
        try:
            value = parse(self.column.dtype, cell)
        except ValueError:
            self.wrong(at, cell)
        else:
            self.value(at, value, cell)

    def wrong(self, at: At, found: object) -> None:
        self.cells += 1
        self.of_other_type.seen(at, found)

    def value(self, at: At, value: Value | None, found: object) -> None:
        """A value of the right type; None, and NaN, is an empty cell."""
        self.cells += 1
        if value is None or value != value:
            self.nulls.seen(at, found)
            return
        column = self.column
        if column.allowed is not None and _spelled(value) not in column.allowed:
            self.not_allowed.seen(at, found)
        if column.unique:
            kept = value if not isinstance(value, str) or len(value) <= 64 else _digest(value)
            if kept in self.values:
                self.twice.seen(at, found)
            self.values.add(kept)
        if isinstance(value, str):
            return
        if column.values is not None and not column.values.holds(value):
            self.outside.seen(at, found)
        if column.mean is not None or column.quantiles:
            self.numbers.append(_as_float(value))

    def findings(self) -> list[str]:
        column, found = self.column, []
        if self.of_other_type.count:
            found.append(self.of_other_type.words(str(column.dtype)))
        if column.values is not None and self.outside.count:
            found.append(self.outside.words(_within(column.values, column.dtype)))
        if column.allowed is not None and self.not_allowed.count:
            found.append(self.not_allowed.words(f"one of {_listed(sorted(column.allowed))}"))
        if self.twice.count:
            found.append(self.twice.words("each value once"))
        share = self.nulls.count / self.cells if self.cells else 0.0
        if column.null_share is not None and share > column.null_share:
            found.append(
                f"expected at most {column.null_share:.4g} of its cells empty, found {share:.4g} "
                f"({self.nulls.count:,} of {self.cells:,}), the first in {place(self.nulls.at)}"
            )
        return found + self._distribution()

    def _distribution(self) -> list[str]:
        column = self.column
        if column.mean is None and not column.quantiles:
            return []
        if not self.numbers:
            return ["expected a distribution, found no number at all"]
        found, numbers = [], sorted(self.numbers)
        mean = sum(numbers) / len(numbers)
        if column.mean is not None and not column.mean.holds(mean):
            found.append(
                f"expected a mean {_within(column.mean)}, found {mean:.6g} over {len(numbers):,} "
                "rows looked at"
            )
        for at, within in column.quantiles:
            value = quantile(numbers, at)
            if not within.holds(value):
                found.append(
                    f"expected its {at:g} quantile {_within(within)}, found {value:.6g} over "
                    f"{len(numbers):,} rows looked at"
                )
        return found


def quantile(ordered: Sequence[float], at: float) -> float:
    """The value at a part 0..1 of sorted numbers, linear between its neighbours.

    Hyndman and Fan (1996), type 7, as NumPy and R have it by default.
    """
    spot = (len(ordered) - 1) * at
    below = math.floor(spot)
    if below + 1 >= len(ordered) or spot == below:
        return ordered[below]
    return ordered[below] + (ordered[below + 1] - ordered[below]) * (spot - below)


class Judge:
    """Takes the header and the rows of a table, and tells what does not hold."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.looked = 0
        self.watched = {c.name: _Watched(c) for c in schema.columns}
        self._found: list[Finding] = []
        self._ragged = _First()

    def header(self, names: Sequence[str]) -> None:
        """The columns that the table has, in their order."""
        for name in self.watched:
            if name not in names:
                told = _listed(names)
                self.finding(
                    name, f"expected this column, found none of that name; there is {told}"
                )
        for name, count in Counter(names).items():
            if count > 1:
                self.finding(name, f"expected one column of that name, found {count}")
        if not self.schema.extra_columns:
            for name in dict.fromkeys(names):
                if name not in self.watched:
                    self.finding(name, "expected no column of that name, found one")

    def row(self, at: At, names: Sequence[str], cells: Sequence[str]) -> None:
        """One row of text; one with more or fewer cells than the header is counted apart."""
        self.looked += 1
        if len(cells) != len(names):
            self._ragged.seen(at, f"{len(cells)}")
            return
        for name, cell in zip(names, cells, strict=True):
            if (watched := self.watched.get(name)) is not None:
                watched.text(at, cell)

    def finding(self, column: str | None, words: str) -> None:
        """Something that the reader itself came upon."""
        self._found.append(Finding(column, words))

    def findings(self, rows: int | None, *, columns: int) -> tuple[Finding, ...]:
        """All that does not hold, in the order of the schema; `rows` is how many there are."""
        found = list(self._found)
        if self._ragged.count:
            at = place(self._ragged.at)
            more = f" (and {self._ragged.count - 1:,} more)" if self._ragged.count > 1 else ""
            cells = self._ragged.found.strip("'")
            words = f"{at}: expected {columns} cells as in the header, found {cells}{more}"
            found.append(Finding(None, words))
        if rows is not None and not self.schema.rows.holds(rows):
            found.append(
                Finding(None, f"expected {_within(self.schema.rows)} rows, found {rows:,}")
            )
        for name, watched in self.watched.items():
            found += [Finding(name, words) for words in watched.findings()]
        return tuple(found)


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _spelled(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_float(value: Number) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if value > 0 else -math.inf


def _within(within: Within, dtype: Dtype | None = None) -> str:
    told = [_bound(end, dtype) for end in (within.least, within.most)]
    if within.least is None:
        return f"at most {told[1]}"
    return f"at least {told[0]}" if within.most is None else f"from {told[0]} to {told[1]}"


def _bound(value: Number | None, dtype: Dtype | None) -> str:
    if value is None:
        return ""
    if dtype is Dtype.TIMESTAMP:
        return datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z")
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _listed(names: Sequence[str], most: int = 8) -> str:
    told = ", ".join(repr(n) for n in names[:most])
    return f"{told} and {len(names) - most} others" if len(names) > most else told or "none"
