"""What was held and what came of it, added up by who, what kind of GPU, and period.

The tries come in parts; a part is grouped with arrays, so that a try costs microseconds. All sums
are whole numbers: the rows add up to what accounting says, in whatever parts the tries came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.usage import Account, UsageRecord
from foundry_tui.reports import periods
from foundry_tui.reports.part import Part
from foundry_tui.reports.prices import Price, Prices
from foundry_tui.reports.usage.sums import Distinct, Sums

if TYPE_CHECKING:
    from foundry_tui.reports.part import Ints

_RAW = attrgetter("source", "user", "account", "queue", "qos")
_EXACT_DIGITS = 18  # of a number that surely fits into 63 bits


@dataclass(frozen=True, slots=True)
class Who:
    """Whose row it is. `user` is None where users are added up."""

    source: str
    user: str | None
    account: str | None
    partition: str | None
    qos: str | None

    def charged_to(self, accounts: Mapping[tuple[str, str], Account]) -> Account | None:
        """The account, where the source still knows one of that name."""
        return None if self.account is None else accounts.get((self.source, self.account))

    @property
    def order(self) -> tuple[str, ...]:
        """What rows of one cluster are sorted by."""
        return tuple(v or "" for v in (self.user, self.account, self.partition, self.qos))


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of GPU of a cluster, with its price in each period.

    A row stands for the periods between two borders that the report was asked for, or for fewer
    where the price changes within them. `first` gives, for each period, the first one of its row.
    """

    source: str
    gpu_type: str | None
    prices: tuple[Price | None, ...]
    first: tuple[int, ...]

    def last(self, first: int) -> int:
        """The last period of the row that begins with this one."""
        last = first
        while last + 1 < len(self.first) and self.first[last + 1] == first:
            last += 1
        return last


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """The sums of a row, named as in `part.Cells`; energy in thousandths of joules."""

    allocated_ms: int
    weighted_ms: int
    used_ms: int
    idle_ms: int
    unknown_ms: int
    busy_ms: int
    powered_ms: int
    energy_mj: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallied:
    """One row: whose, of which kind of GPU, from which period to which, and what it adds up to."""

    row: int
    who: Who
    kind: Kind
    first: int
    last: int
    amounts: Amounts
    mem_peak_mib: int | None
    jobs: int
    users: int


@dataclass(frozen=True, slots=True)
class Placed:
    """The row and the record of each cell of a part."""

    row: Ints
    record: Ints


class Tally:
    """Adds up parts whose periods are `edges`: those of the report, split where prices change."""

    def __init__(
        self,
        edges: Sequence[int],
        prices: Prices | None,
        *,
        by_user: bool,
    ) -> None:
        self.edges = periods.split(edges, prices.changes_s if prices else ())
        self._borders = frozenset(edges)
        self._prices = prices
        self._by_user = by_user
        self._raw: dict[tuple[str | None, ...], int] = {}
        self._of_raw: list[tuple[int, int, int]] = []  # who, user, account
        self._who: dict[Who, int] = {}
        self._user: dict[str | None, int] = {None: 0}
        self._account: dict[tuple[str, str], int] = {}
        self._kind: dict[tuple[str, str | None], int] = {}
        self._kinds: list[Kind] = []
        self._firsts = np.empty((0, len(self.edges) - 1), np.int64)
        self._sums = Sums(len(Amounts.__slots__))
        self._peak_mib = np.empty(0, np.int64)
        self._held = Sums(1)
        self._jobs = Distinct()
        self._users = Distinct()

    def add(self, part: Part) -> Placed:
        """Add a part.

        Raises:
            ValueError: its periods are others than `edges`.
        """
        if tuple(part.edges) != self.edges:
            raise ValueError(f"part: its periods are not the {len(self.edges) - 1} of the report")
        cells = part.cells
        record = part.lines.record[cells.line]
        who, user, account, job = self._people(part.records, record)
        kind = self._kinds_of(part)[cells.line]
        row = self._sums.add(
            (who, kind, self._firsts[kind, cells.period]),
            (
                cells.allocated_ms,
                cells.weighted_ms,
                cells.used_ms,
                cells.idle_ms,
                cells.unknown_ms,
                cells.busy_ms,
                cells.powered_ms,
                np.rint(cells.energy_j * 1000).astype(np.int64),
            ),
        )
        more = len(self._sums.keys) - len(self._peak_mib)
        self._peak_mib = np.pad(self._peak_mib, (0, more), constant_values=-1)
        np.maximum.at(self._peak_mib, row, cells.mem_peak_mib)
        self._jobs.add(row, job)
        known = user > 0
        self._users.add(row[known], user[known])
        charged = account >= 0
        self._held.add((account[charged], cells.period[charged]), (cells.allocated_ms[charged],))
        return Placed(row, record)

    def tallied(self) -> list[Tallied]:
        """All rows, sorted by period, cluster, user, account, partition, QOS and type of GPU."""
        whos = list(self._who)
        values, peaks = self._sums.values.T.tolist(), self._peak_mib.tolist()
        jobs = self._jobs.counts(len(values)).tolist()
        users = self._users.counts(len(values)).tolist()
        found = [
            Tallied(
                row=row,
                who=whos[who],
                kind=self._kinds[kind],
                first=first,
                last=self._kinds[kind].last(first),
                amounts=Amounts(**dict(zip(Amounts.__slots__, values[row], strict=True))),
                mem_peak_mib=None if peaks[row] < 0 else peaks[row],
                jobs=jobs[row],
                users=users[row],
            )
            for (who, kind, first), row in self._sums.keys.items()
        ]
        found.sort(key=lambda t: (t.first, t.who.source, t.who.order, t.kind.gpu_type or ""))
        return found

    def held_ms(self) -> dict[tuple[str, str], Ints]:
        """What each account of each source held itself, period by period, as billed."""
        names = list(self._account)
        held = {name: np.zeros(len(self.edges) - 1, np.int64) for name in names}
        for (account, period), row in self._held.keys.items():
            held[names[account]][period] = self._held.values[0, row]
        return held

    def _people(
        self, records: Sequence[UsageRecord], record: Ints
    ) -> tuple[Ints, Ints, Ints, Ints]:
        """Numbers for the row's owner, the user, the account, and the run of each cell."""
        places, where = np.unique(record, return_inverse=True)
        raws: list[int] = []
        jobs: list[int] = []
        for place in places.tolist():
            one = records[place]
            raw = _RAW(one)
            number = self._raw.get(raw)
            raws.append(self._meet(raw) if number is None else number)
            name = one.raw_id
            exact = name.isdecimal() and len(name) <= _EXACT_DIGITS
            jobs.append(int(name) if exact else hash(name))
        people = np.array(self._of_raw, np.int64).reshape(-1, 3)[raws][where]
        return people[:, 0], people[:, 1], people[:, 2], np.array(jobs, np.int64)[where]

    def _meet(self, raw: tuple[str | None, ...]) -> int:
        """The number of people that are seen for the first time."""
        source, user, account, partition, qos = raw
        assert source is not None
        who = Who(source, user if self._by_user else None, account, partition, qos)
        charged = -1
        if account is not None:
            charged = self._account.setdefault((source, account), len(self._account))
        numbers = (
            self._who.setdefault(who, len(self._who)),
            self._user.setdefault(user, len(self._user)),
            charged,
        )
        self._of_raw.append(numbers)
        return self._raw.setdefault(raw, len(self._raw))

    def _kinds_of(self, part: Part) -> Ints:
        """The number of the kind of GPU of each line."""
        numbers = np.empty(len(part.lines.record), np.int64)
        known = len(self._kinds)
        places = part.lines.record.tolist()
        for line, (place, gpu_type) in enumerate(zip(places, part.lines.gpu_type, strict=True)):
            name = (part.records[place].source, gpu_type)
            number = self._kind.get(name)
            if number is None:
                number = self._kind[name] = len(self._kinds)
                self._kinds.append(self._priced(*name))
            numbers[line] = number
        if len(self._kinds) > known:
            self._firsts = np.array([kind.first for kind in self._kinds], np.int64)
        return numbers

    def _priced(self, source: str, gpu_type: str | None) -> Kind:
        begins = self.edges[:-1]
        if self._prices is None:
            found: tuple[Price | None, ...] = (None,) * len(begins)
        else:
            found = self._prices.over(source, gpu_type, begins)
        terms = [price and price.terms for price in found]
        first: list[int] = []
        for period, begin in enumerate(begins):
            new = begin in self._borders or terms[period] != terms[period - 1]
            first.append(period if new else first[-1])
        return Kind(source, gpu_type, found, tuple(first))
