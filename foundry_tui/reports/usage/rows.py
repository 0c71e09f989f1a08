"""The reports of usage: what accounts and users held, what came of it, and what it costs.

The columns and their definitions stand in `usagecolumns`, the sums are made in `tally`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import Account, UsageRecord
from foundry_tui.reports.columns import MONEY_PLACES, Column, Value, rounded
from foundry_tui.reports.joining.elapsed import second
from foundry_tui.reports.part import Part
from foundry_tui.reports.percentiles import by_group, nearest_rank
from foundry_tui.reports.prices import MS_PER_HOUR, Prices
from foundry_tui.reports.usage.columns import BY_ACCOUNT, BY_USER
from foundry_tui.reports.usage.sums import firsts, parted, quotient
from foundry_tui.reports.usage.tally import Amounts, Placed, Tallied, Tally

if TYPE_CHECKING:
    from foundry_tui.reports.part import Ints

_MS_PER_PLACE = 360  # the fourth decimal of an hour
_MJ_PER_KWH = 3_600_000_000
_LEAST_COVERAGE = 20  # a twentieth: below it a utilisation would be told of what nobody saw
_WAIT_PCTS = (50, 90, 99)
_LOSS = {
    RunState.FAILED: 0,
    RunState.OUT_OF_MEMORY: 0,
    RunState.NODE_FAIL: 0,
    RunState.CANCELLED: 1,
    RunState.TIMEOUT: 2,
    RunState.REQUEUED: 3,
    RunState.PREEMPTED: 3,
}
"""The column of lost hours that the hours of a try in this state stand in."""


class ByAccount:
    """GPU-hours and their cost by account, partition, QOS and type of GPU.

    `edges` are the borders of the periods that were asked for; the parts have those of
    `self.edges`, which has the changes of prices too. `accounts` are by source and name,
    `schedulers` by source; `memory_mib` is the memory of one device by source and type, as far as
    it is known. These may become more while the parts come.
    """

    columns: tuple[Column, ...] = BY_ACCOUNT
    _by_user = False

    def __init__(
        self,
        edges: Sequence[int],
        prices: Prices | None = None,
        *,
        accounts: Mapping[tuple[str, str], Account] | None = None,
        schedulers: Mapping[str, str] | None = None,
        memory_mib: Mapping[tuple[str, str | None], int] | None = None,
    ) -> None:
        self._accounts = {} if accounts is None else accounts
        self._schedulers = {} if schedulers is None else schedulers
        self._memory_mib = {} if memory_mib is None else memory_mib
        self._tally = Tally(edges, prices, by_user=self._by_user)
        self.edges = self._tally.edges

    def add(self, part: Part) -> None:
        """Add the tries of one part.

        Raises:
            ValueError: the periods of the part are others than `self.edges`.
        """
        self._tally.add(part)

    def rows(self) -> Iterator[Sequence[Value]]:
        """The rows in the order of `columns`, sorted by their key."""
        quota = _Quota(self._accounts, self._tally.held_ms(), self.edges)
        for tallied in self._tally.tallied():
            yield self._row(tallied, quota)

    def _row(self, tallied: Tallied, quota: _Quota) -> list[Value]:
        return [
            *self._keys(tallied),
            tallied.jobs,
            tallied.users or None,
            *self._measures(tallied),
            *quota.columns(tallied),
        ]

    def _keys(self, tallied: Tallied) -> list[Value]:
        who, amounts = tallied.who, tallied.amounts
        account = who.charged_to(self._accounts)
        allocated = amounts.allocated_ms
        return [
            datetime.fromtimestamp(self.edges[tallied.first], UTC),
            datetime.fromtimestamp(self.edges[tallied.last + 1], UTC),
            who.source,
            self._schedulers.get(who.source),
            *((who.user,) if self._by_user else ()),
            who.account,
            account.parent if account else None,
            who.partition,
            who.qos,
            tallied.kind.gpu_type,
            quotient(amounts.weighted_ms, allocated, 4) if allocated else None,
        ]

    def _measures(self, tallied: Tallied) -> list[Value]:
        amounts = tallied.amounts
        allocated, covered = amounts.allocated_ms, amounts.used_ms + amounts.idle_ms
        active, idle, unknown = parted(
            (amounts.used_ms, amounts.idle_ms, amounts.unknown_ms), _MS_PER_PLACE
        )
        seen = covered > 0
        told = seen and _LEAST_COVERAGE * covered >= allocated
        memory = self._memory_mib.get((tallied.who.source, tallied.kind.gpu_type))
        peak = tallied.mem_peak_mib
        return [
            _hours(allocated),
            _hours(amounts.weighted_ms),
            Decimal(active).scaleb(-4) if seen else None,
            Decimal(idle).scaleb(-4) if seen else None,
            Decimal(unknown).scaleb(-4),
            _hours(amounts.busy_ms) if seen else None,
            _pct(amounts.busy_ms, covered) if told else None,
            _pct(covered, allocated),
            None if peak is None or not memory else _pct(peak, memory),
            quotient(amounts.energy_mj, _MJ_PER_KWH, 4) if amounts.powered_ms else None,
            _pct(amounts.powered_ms, allocated),
            *_cost(tallied),
        ]


class ByUser(ByAccount):
    """The same for each user, with what was lost, how long tries waited, and their time limits.

    `now_s` is the time up to which what still waits has waited.
    """

    columns = BY_USER
    _by_user = True

    def __init__(
        self,
        edges: Sequence[int],
        prices: Prices | None = None,
        *,
        now_s: int,
        accounts: Mapping[tuple[str, str], Account] | None = None,
        schedulers: Mapping[str, str] | None = None,
        memory_mib: Mapping[tuple[str, str | None], int] | None = None,
    ) -> None:
        super().__init__(
            edges, prices, accounts=accounts, schedulers=schedulers, memory_mib=memory_mib
        )
        self._now_s = now_s
        self._waiting = 0
        self._waiting_s: list[int] = []
        self._waits: list[tuple[Ints, Ints]] = []
        self._own = np.zeros((6, 0), np.int64)  # four losses, work and limit of ended tries

    def add(self, part: Part) -> None:
        """Add the tries of one part.

        Raises:
            ValueError: the periods of the part are others than `self.edges`.
        """
        placed = self._tally.add(part)
        self._await(part.records)
        if not len(placed.row):
            return
        more = int(placed.row.max()) + 1 - self._own.shape[1]
        self._own = np.pad(self._own, ((0, 0), (0, max(0, more))))
        self._add_own(part, placed)

    def waiting(self) -> dict[str, int | None]:
        """The tries that had not begun, and how long they have waited so far.

        They have no place among the waits of those that began: how long they will have waited
        nobody knows. A try that may not begin yet is counted and has not waited.
        """
        ordered = sorted(self._waiting_s)
        ranks = {f"wait_so_far_p{p}_s": nearest_rank(ordered, p) for p in _WAIT_PCTS}
        return {"pending_count": self._waiting, **ranks}

    def rows(self) -> Iterator[Sequence[Value]]:
        """The rows in the order of `columns`, sorted by their key."""
        quota = _Quota(self._accounts, self._tally.held_ms(), self.edges)
        rows = [np.concatenate(column) for column in zip(*self._waits, strict=True)]
        waits = by_group(rows[0], rows[1], _WAIT_PCTS) if rows else {}
        for tallied in self._tally.tallied():
            *lost, work_s, limit_s = self._own[:, tallied.row].tolist()
            yield [
                *self._keys(tallied),
                tallied.jobs,
                *self._measures(tallied),
                *quota.columns(tallied),
                *map(_hours, lost),
                *waits.get(tallied.row, (None,) * len(_WAIT_PCTS)),
                _pct(work_s, limit_s),
            ]

    def _add_own(self, part: Part, placed: Placed) -> None:
        cells, edges = part.cells, np.asarray(self.edges)
        places, where = np.unique(placed.record, return_inverse=True)
        facts = _facts([part.records[place] for place in places.tolist()])
        loss, start, wait, end, work, limit = facts[:, where]
        begin, until = edges[cells.period], edges[cells.period + 1]
        for column in range(4):
            lost = loss == column
            np.add.at(self._own[column], placed.row[lost], cells.allocated_ms[lost])
        here = np.flatnonzero((begin <= start) & (start < until) & (wait >= 0))
        here = here[firsts(placed.row[here], placed.record[here])]
        self._waits.append((placed.row[here], wait[here]))
        here = np.flatnonzero((begin < end) & (end <= until) & (limit > 0))
        here = here[firsts(placed.row[here], placed.record[here])]
        np.add.at(self._own[4], placed.row[here], work[here])
        np.add.at(self._own[5], placed.row[here], limit[here])

    def _await(self, records: Sequence[UsageRecord]) -> None:
        for record in records:
            if record.state is RunState.PENDING and record.started_at is None:
                self._waiting += 1
                if record.eligible_at is not None:
                    self._waiting_s.append(max(0, self._now_s - second(record.eligible_at)))


class _Quota:
    """The quotas of accounts, and what these and the accounts below them held."""

    def __init__(
        self,
        accounts: Mapping[tuple[str, str], Account],
        held_ms: Mapping[tuple[str, str], Ints],
        edges: Sequence[int],
    ) -> None:
        self._edges = edges
        self._accounts = accounts
        self._held_ms: dict[tuple[str, str], Ints] = {}
        for (source, name), held in held_ms.items():
            above: str | None = name
            passed: set[str] = set()  # a circle of parents is the source's mistake
            while above is not None and above not in passed:
                passed.add(above)
                total = self._held_ms.get((source, above))
                self._held_ms[source, above] = held if total is None else total + held
                account = accounts.get((source, above))
                above = account.parent if account else None

    def columns(self, tallied: Tallied) -> tuple[Value, Value]:
        """quota_gpu_hours and quota_used_pct of the row's account in its period."""
        account = tallied.who.charged_to(self._accounts)
        if account is None or account.quota_gpu_milli is None:
            return None, None
        length_s = self._edges[tallied.last + 1] - self._edges[tallied.first]
        quota_ms = account.quota_gpu_milli * length_s
        held = self._held_ms[tallied.who.source, tallied.who.account or ""]
        held_ms = int(held[tallied.first : tallied.last + 1].sum())
        return _hours(quota_ms), _pct(held_ms, quota_ms)


def _facts(records: Sequence[UsageRecord]) -> Ints:
    """Of shape (6, tries): kind of loss, start, wait, end, work and time limit.

    -1 where there is none, 0 for no time limit.
    """
    start = _seconds([record.started_at for record in records])
    eligible = _seconds([record.eligible_at for record in records])
    end = _seconds([record.ended_at for record in records])
    suspended = np.array([record.suspended_s for record in records], np.int64)
    return np.stack(
        (
            np.array([_LOSS.get(record.state, -1) for record in records], np.int64),
            start,
            np.where(eligible < 0, -1, np.maximum(start - eligible, 0)),
            end,
            np.maximum(end - start - suspended, 0),
            np.array([record.time_limit_s or 0 for record in records], np.int64),
        )
    )


def _seconds(moments: Sequence[datetime | None]) -> Ints:
    """Whole unix seconds, -1 for none."""
    found = np.array([-1.0 if moment is None else moment.timestamp() for moment in moments])
    whole: Ints = np.floor(found).astype(np.int64)
    return whole


def _cost(tallied: Tallied) -> tuple[Value, Value, Value, Value]:
    """unit_price, currency, cost_allocated and cost_idle: rounded once, at the end."""
    price, amounts = tallied.kind.prices[tallied.first], tallied.amounts
    if price is None:
        return None, None, None, None
    whole = price.cost(amounts.allocated_ms, amounts.weighted_ms)
    return (
        price.shown,
        price.currency,
        rounded(whole, MONEY_PLACES),
        rounded(_idle_part(amounts, whole), MONEY_PLACES),
    )


def _idle_part(amounts: Amounts, whole: Fraction) -> Fraction | None:
    """What of a cost was seen idle; None where nobody looked."""
    if not amounts.used_ms + amounts.idle_ms:
        return None
    return whole * amounts.idle_ms / amounts.allocated_ms


def _hours(milli_s: int) -> Decimal:
    return quotient(milli_s, MS_PER_HOUR, 4)


def _pct(part: int, whole: int) -> Decimal | None:
    return quotient(100 * part, whole, 2) if whole else None
