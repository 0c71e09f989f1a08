"""What data has to look like: columns, types, empty cells, ranges and distribution, and rows.

The file is YAML or TOML as a job spec is, and is read as strictly:

    rows: {at_least: 1000}
    columns:
      id: {dtype: int, unique: true, null_share: 0}
      price: {dtype: float, min: 0, mean: [5, 20], quantiles: {0.99: [0, 500]}}
      label: {dtype: text, allowed: [cat, dog]}
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

from foundry_tui.jobs.document import Document, Path, read
from foundry_tui.jobs.errors import SpecError, shown

MAX_COLUMNS = 2000
MAX_ALLOWED = 10_000
MAX_DEPTH = 5
"""The file, its columns, one of them, its quantiles, one of them."""

Number = float | int


class Dtype(StrEnum):
    """What the cells of a column are."""

    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    BOOL = "bool"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Within:
    """A range, both ends included; None is open."""

    least: Number | None = None
    most: Number | None = None

    def holds(self, value: Number) -> bool:
        """Whether a value lies in it; NaN never does."""
        above = self.least is None or value >= self.least
        return above and (self.most is None or value <= self.most) and not math.isnan(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. What is None is not asked for.

    `null_share` is the largest part of empty cells, 0..1. `values` bounds each value: a number, or
    for a timestamp seconds since 1970 UTC. `mean` and `quantiles` bound the distribution of what
    was looked at.
    """

    name: str
    dtype: Dtype
    null_share: float | None = None
    values: Within | None = None
    mean: Within | None = None
    quantiles: tuple[tuple[float, Within], ...] = ()
    allowed: frozenset[str] | None = None
    unique: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns of a table, how many rows it has, and whether others may stand beside them."""

    columns: tuple[Column, ...]
    rows: Within = Within()
    extra_columns: bool = True
    delimiter: str | None = None


def load(name: str, data: bytes) -> Schema:
    """The schema in a file of this name.

    Raises:
        SpecError: it cannot be read, or a field is unknown, missing or has a wrong value; the
            line is named.
    """
    if all(not line.strip() or line.lstrip()[:1] == b"#" for line in data.splitlines()):
        raise SpecError(name, None, "", "empty: give at least `columns`")
    document = read(name, data, what="data schema", max_depth=MAX_DEPTH)
    values = document.values
    _known(document, (), values, ("columns", "rows", "extra_columns", "delimiter"))
    if "columns" not in values:
        raise SpecError(name, None, "columns", "missing: a schema says at least what they are")
    delimiter = values.get("delimiter")
    if delimiter is not None and not (isinstance(delimiter, str) and len(delimiter) == 1):
        raise _wrong(document, ("delimiter",), delimiter, 'one character in quotes, such as ";"')
    return Schema(
        columns=_columns(document, values["columns"]),
        rows=_rows(document, values["rows"]) if "rows" in values else Within(),
        extra_columns=_truth(document, ("extra_columns",), values.get("extra_columns", True)),
        delimiter=delimiter,
    )


def timestamp_s(text: str) -> float:
    """Seconds since 1970 UTC of an ISO 8601 date or time; without a zone it is taken as UTC.

    Raises:
        ValueError: it is none, or no such day.
    """
    if not _DATED.match(text):
        raise ValueError(f"no ISO 8601 date or time: {text[:40]}")
    moment = datetime.fromisoformat(text)
    whole = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    try:
        return whole.timestamp()
    except OverflowError:
        raise ValueError(f"out of range: {text[:40]}") from None


_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""`fromisoformat` takes `20260101` too, which is a number in most data."""


def _columns(document: Document, value: object) -> tuple[Column, ...]:
    if not isinstance(value, dict) or not value:
        raise _wrong(document, ("columns",), value, "a table of columns: `id: {dtype: int}`")
    if len(value) > MAX_COLUMNS:
        raise document.error(("columns",), f"{len(value)} columns; at most {MAX_COLUMNS}")
    return tuple(_column(document, name, asked) for name, asked in value.items())


def _column(document: Document, name: str, asked: object) -> Column:
    where = ("columns", name)
    if isinstance(asked, str):
        return Column(name=name, dtype=_dtype(document, where, asked))
    if not isinstance(asked, dict):
        raise _wrong(document, where, asked, "a table with its dtype: `{dtype: int}`")
    _known(document, where, asked, _FIELDS)
    if "dtype" not in asked:
        raise document.error(where, f"dtype is missing: one of {', '.join(Dtype)}")
    dtype = _dtype(document, (*where, "dtype"), asked["dtype"])
    for field, fits in _ONLY_FOR.items():
        if field in asked and dtype not in fits:
            told = ", ".join(fits)
            raise document.error((*where, field), f"not for {dtype}; only for {told}")
    quantiles = _quantiles(document, (*where, "quantiles"), asked.get("quantiles"))
    mean = asked.get("mean")
    return Column(
        name=name,
        dtype=dtype,
        null_share=_share(document, (*where, "null_share"), asked.get("null_share")),
        values=_bounds(document, where, asked, dtype),
        mean=None if mean is None else _range(document, (*where, "mean"), mean),
        quantiles=quantiles,
        allowed=_allowed(document, (*where, "allowed"), asked.get("allowed")),
        unique=_truth(document, (*where, "unique"), asked.get("unique", False)),
    )


_FIELDS = ("dtype", "null_share", "min", "max", "mean", "quantiles", "allowed", "unique")
_NUMERIC = (Dtype.INT, Dtype.FLOAT)
_ONLY_FOR = {
    "min": (*_NUMERIC, Dtype.TIMESTAMP),
    "max": (*_NUMERIC, Dtype.TIMESTAMP),
    "mean": _NUMERIC,
    "quantiles": _NUMERIC,
    "allowed": (Dtype.TEXT, Dtype.INT, Dtype.BOOL),
}


def _known(
    document: Document, where: Path, table: dict[str, object], known: tuple[str, ...]
) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"one of {', '.join(known)}"
            raise document.error((*where, key), f"unknown; {hint}")


def _wrong(document: Document, where: Path, value: object, expected: str) -> SpecError:
    return document.error(where, f"expected {expected}, not {shown(value)}")


def _dtype(document: Document, where: Path, value: object) -> Dtype:
    if not isinstance(value, str) or value not in set(Dtype):
        raise _wrong(document, where, value, f"one of {', '.join(Dtype)}")
    return Dtype(value)


def _truth(document: Document, where: Path, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(document, where, value, "true or false")
    return value


def _number(document: Document, where: Path, value: object) -> Number:
    """A finite number; `1e-3` is text to the reader of the file, and a number here."""
    found: object = value
    if isinstance(value, str):
        try:
            found = float(value)
        except ValueError:
            found = None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise _wrong(document, where, value, "a number")
    return found


def _share(document: Document, where: Path, value: object) -> float | None:
    if value is None:
        return None
    number = _number(document, where, value)
    if not 0 <= number <= 1:
        raise _wrong(document, where, value, "a part of 0..1: 0.01 allows one cell of a hundred")
    return float(number)


def _range(document: Document, where: Path, value: object) -> Within:
    if not isinstance(value, list) or len(value) != 2:
        raise _wrong(document, where, value, "a list of two numbers: [LEAST, MOST]")
    least, most = (_number(document, (*where, str(n)), v) for n, v in enumerate(value, 1))
    if least > most:
        raise document.error(where, f"{least:g} is above {most:g}; the smaller one stands first")
    return Within(least, most)


def _bounds(
    document: Document, where: Path, asked: dict[str, object], dtype: Dtype
) -> Within | None:
    reader = _moment if dtype is Dtype.TIMESTAMP else _number
    ends = [
        reader(document, (*where, end), asked[end]) if end in asked else None
        for end in ("min", "max")
    ]
    if ends == [None, None]:
        return None
    if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
        raise document.error((*where, "max"), "is below `min`")
    return Within(ends[0], ends[1])


def _moment(document: Document, where: Path, value: object) -> Number:
    if isinstance(value, date):  # TOML has dates and times of its own
        value = value.isoformat()
    if isinstance(value, str):
        try:
            return timestamp_s(value)
        except ValueError:
            pass
    raise _wrong(document, where, value, "a date or time such as 2026-01-31 or 2026-01-31T12:00Z")


def _quantiles(document: Document, where: Path, value: object) -> tuple[tuple[float, Within], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise _wrong(document, where, value, "a table: {0.5: [LEAST, MOST]}")
    found = []
    for key, asked in value.items():
        at = _number(document, (*where, key), key)
        if not 0 <= at <= 1:
            raise document.error((*where, key), "a quantile lies in 0..1")
        found.append((float(at), _range(document, (*where, key), asked)))
    return tuple(found)


def _allowed(document: Document, where: Path, value: object) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or len(value) > MAX_ALLOWED:
        raise _wrong(document, where, value, f"a list of 1..{MAX_ALLOWED} values")
    for n, item in enumerate(value, 1):
        if not isinstance(item, str | int):
            raise _wrong(document, (*where, str(n)), item, "a text, a whole number, true or false")
    return frozenset(_spelled(item) for item in value)


def _spelled(item: object) -> str:
    return str(item).lower() if isinstance(item, bool) else str(item)


def _rows(document: Document, value: object) -> Within:
    if not isinstance(value, dict):
        raise _wrong(document, ("rows",), value, "a table: {at_least: 1000, at_most: 2000}")
    _known(document, ("rows",), value, ("at_least", "at_most"))
    ends: list[int | None] = []
    for key in ("at_least", "at_most"):
        count = value.get(key)
        if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
            raise _wrong(document, ("rows", key), count, "a whole number of rows")
        if count is not None and count < 0:
            raise _wrong(document, ("rows", key), count, "a number of rows of 0 or more")
        ends.append(count)
    if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
        raise document.error(("rows", "at_most"), "is below `at_least`")
    return Within(*ends)
