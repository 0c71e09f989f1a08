"""Prices of GPU-hours, each with the time that it is valid: read, checked, looked up.

Money is decimal from the file to the cell. A table that is wrong in one line is refused as a
whole: a report that bills some of the hours is worse than none.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from foundry_tui.estate.text import safe

NEEDED = ("gpu_type", "price_per_gpu_hour", "currency", "valid_from_utc", "valid_to_utc")
COLUMNS = (*NEEDED, "cluster")
ANY = "*"
MS_PER_HOUR = 3_600_000

_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9].*)?")
"""`datetime.fromisoformat` takes any mark before the time: `2026-11-01+02:00` is 2 h there."""
_MOST_BYTES = 16 * 1024 * 1024


class PriceError(ValueError):
    """The table of prices cannot be used; the message names file, line and field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One line of the table: `since_s <= t < until_s` in unix seconds, None without that end.

    `gpu_type` is the name of a type, or `*` for all types that have no price of their own.
    `cluster` None holds for all clusters.
    """

    gpu_type: str
    per_gpu_hour: Decimal
    currency: str
    since_s: int | None
    until_s: int | None
    cluster: str | None
    line: int

    @property
    def by_worth(self) -> bool:
        """Whether a GPU-hour is counted by worth, a MIG instance of a seventh as a seventh.

        A type that is named has the price of what stands under that name, as it is billed.
        """
        return self.gpu_type == ANY

    @property
    def terms(self) -> tuple[Decimal, str, bool]:
        """What decides the cost; two lines of the same terms do not part a period."""
        return (self.per_gpu_hour, self.currency, self.by_worth)

    @property
    def shown(self) -> Decimal:
        """The unit price with two places, and with more only where the table has more."""
        places = -int(self.per_gpu_hour.as_tuple().exponent)
        return self.per_gpu_hour if places >= 2 else self.per_gpu_hour.quantize(Decimal("0.01"))

    def cost(self, billed_ms: int | Fraction, weighted_ms: int | Fraction) -> Fraction:
        """What thousandths of GPU-seconds cost, exactly: `billed_ms` of them, or by worth."""
        amount = weighted_ms if self.by_worth else billed_ms
        return Fraction(amount) * Fraction(self.per_gpu_hour) / MS_PER_HOUR

    def valid_at(self, moment_s: int) -> bool:
        """Whether the price holds at a moment."""
        begun = self.since_s is None or self.since_s <= moment_s
        return begun and (self.until_s is None or moment_s < self.until_s)

    def overlaps(self, other: Price) -> bool:
        """Whether both are valid at some time."""
        return _before(self.since_s, other.until_s) and _before(other.since_s, self.until_s)


@dataclass(frozen=True, slots=True)
class Prices:
    """A table of prices: `name` and `sha256` of its file are what a report says of it."""

    table: tuple[Price, ...]
    name: str
    sha256: str

    @property
    def changes_s(self) -> tuple[int, ...]:
        """The moments at which some price begins or ends, in unix seconds."""
        ends = {price.since_s for price in self.table} | {price.until_s for price in self.table}
        return tuple(sorted(end for end in ends if end is not None))

    def at(self, cluster: str, gpu_type: str | None, moment_s: int) -> Price | None:
        """The price at a moment; None where the table has none.

        A price of the type goes before one of `*`, and then one of the cluster before one of all.
        Types are compared without regard to case, as the schedulers write them differently.
        """
        return self.over(cluster, gpu_type, (moment_s,))[0]

    def over(
        self, cluster: str, gpu_type: str | None, moments_s: Iterable[int]
    ) -> tuple[Price | None, ...]:
        """The prices at many moments: at the begin of each period, that is, of the whole of it.

        That holds where the periods are split at `changes_s` (`periods.split`).
        """
        kind = (gpu_type or "").casefold()
        mine = [
            price
            for price in self.table
            if price.gpu_type in (ANY, kind) and price.cluster in (None, cluster)
        ]
        mine.sort(key=lambda price: (price.gpu_type == ANY, price.cluster is None))
        return tuple(next((p for p in mine if p.valid_at(m)), None) for m in moments_s)


def read(path: Path) -> Prices:
    """The table of prices in a CSV file with the columns of `COLUMNS`, the last one optional.

    Times are `2026-01-31T00:00:00Z` or `2026-01-31`, and empty where there is no end.

    Raises:
        PriceError: the file cannot be read or says something that cannot be used.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise PriceError(f"prices {path}: cannot be read: {error.strerror or error}") from error
    if len(data) > _MOST_BYTES:
        raise PriceError(f"prices {path}: longer than {_MOST_BYTES} bytes, which no table is")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PriceError(
            f"prices {path}, line {line}: not UTF-8; save the table as CSV in UTF-8"
        ) from error
    try:
        table = tuple(_lines(path, text))
    except csv.Error as error:
        raise PriceError(f"prices {path}: no CSV file: {error}") from error
    if not table:
        raise PriceError(f"prices {path}: no price in it; give a line for each type of GPU, or `*`")
    _refuse_overlaps(path, table)
    return Prices(table, path.name, hashlib.sha256(data).hexdigest())


def _lines(path: Path, text: str) -> Iterator[Price]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [name.strip() for name in next(reader, [])]
    _check_header(path, header)
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"prices {path}, line {reader.line_num}"
        if len(cells) != len(header):
            raise PriceError(f"{where}: {len(cells)} fields, where the header has {len(header)}")
        yield _price(where, reader.line_num, dict(zip(header, map(str.strip, cells), strict=True)))


def _check_header(path: Path, header: Sequence[str]) -> None:
    wanted = ", ".join(COLUMNS)
    for name in NEEDED:
        if name not in header:
            raise PriceError(f"prices {path}: no column {name}; give the header {wanted}")
    for name in header:
        if name not in COLUMNS or header.count(name) > 1:
            what = "twice the column" if name in COLUMNS else "a column unknown here,"
            raise PriceError(f"prices {path}: {what} {safe(name)!r}; give the header {wanted}")


def _price(where: str, line: int, cells: Mapping[str, str]) -> Price:
    if not cells["gpu_type"]:
        raise PriceError(f"{where}: gpu_type is empty; name a type of GPU, or `*` for all others")
    amount = cells["price_per_gpu_hour"]
    if not _AMOUNT.fullmatch(amount):
        raise PriceError(
            f"{where}: price_per_gpu_hour is {safe(amount)!r}; give a number that is not negative,"
            " with a point before its decimals, such as 2.50"
        )
    if not _CURRENCY.fullmatch(cells["currency"]):
        raise PriceError(
            f"{where}: currency is {safe(cells['currency'])!r}; give three letters, such as EUR"
        )
    since = _moment(where, "valid_from_utc", cells["valid_from_utc"])
    until = _moment(where, "valid_to_utc", cells["valid_to_utc"])
    if since is not None and until is not None and until <= since:
        raise PriceError(
            f"{where}: valid_to_utc {cells['valid_to_utc']} is not after valid_from_utc"
            f" {cells['valid_from_utc']}"
        )
    return Price(
        gpu_type=cells["gpu_type"].casefold(),
        per_gpu_hour=Decimal(amount),
        currency=cells["currency"],
        since_s=since,
        until_s=until,
        cluster=cells.get("cluster") or None,
        line=line,
    )


def _moment(where: str, name: str, text: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment is None or moment.utcoffset() or moment.microsecond:
        raise PriceError(
            f"{where}: {name} is {safe(text)!r}; give a time in UTC such as 2026-01-31T00:00:00Z,"
            " or 2026-01-31, or nothing where it has no end"
        )
    return int(moment.timestamp())


def _refuse_overlaps(path: Path, table: Sequence[Price]) -> None:
    ordered = sorted(table, key=lambda p: (p.cluster or "", p.gpu_type, _sort(p.since_s)))
    for one, other in pairwise(ordered):
        alike = (one.cluster, one.gpu_type) == (other.cluster, other.gpu_type)
        if alike and one.overlaps(other):
            first, last = sorted((one.line, other.line))
            raise PriceError(
                f"prices {path}, lines {first} and {last}: both give a price of"
                f" {safe(one.gpu_type)!r} at the same time; end one where the other begins"
            )


def _before(moment: int | None, end: int | None) -> bool:
    return moment is None or end is None or moment < end


def _sort(since_s: int | None) -> float:
    return float("-inf") if since_s is None else since_s
