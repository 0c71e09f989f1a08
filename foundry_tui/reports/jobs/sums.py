"""What came of each try of a part: its cells added up, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.reports.jobs.stored import half_even
from foundry_tui.reports.part import Part
from foundry_tui.reports.prices import MS_PER_HOUR, Prices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foundry_tui.reports.part import Floats, Ints

_PRICE_SCALE = 10**12
"""Prices have twelve places at most."""

_CENTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TrySums:
    """The cells of a part added up by try, in thousandths of GPU-seconds; see `Cells`.

    `lined` is whether a try has a line at all.
    """

    lined: NDArray[np.bool_]
    allocated: Ints
    used: Ints
    idle: Ints
    unknown: Ints
    joint: Ints
    busy: Ints
    powered: Ints
    energy_j: Floats
    mem_peak_mib: Ints

    @classmethod
    def of(cls, part: Part) -> TrySums:
        """The sums; those of whole numbers stay below 2**53, so that floats hold them exactly."""
        cells, length = part.cells, len(part.records)
        owner = part.lines.record[cells.line]

        def total(amounts: Ints) -> Ints:
            return np.bincount(owner, amounts, length).astype(np.int64)

        mem_peak_mib = np.full(length, -1, np.int64)
        np.maximum.at(mem_peak_mib, owner, cells.mem_peak_mib)
        return cls(
            lined=np.bincount(part.lines.record, minlength=length) > 0,
            allocated=total(cells.allocated_ms),
            used=total(cells.used_ms),
            idle=total(cells.idle_ms),
            unknown=total(cells.unknown_ms),
            joint=total(cells.joint_ms),
            busy=total(cells.busy_ms),
            powered=total(cells.powered_ms),
            energy_j=np.bincount(owner, cells.energy_j, length).astype(np.float64),
            mem_peak_mib=mem_peak_mib,
        )


def costs(part: Part, prices: Prices | None) -> tuple[list[int | None], list[str | None]]:
    """Cost in hundredths, half to even, and currency by try: each period has its price.

    Both are None where a price is missing, or where the currency changes in between.
    """
    found: list[int | None] = [None] * len(part.records)
    currencies: list[str | None] = [None] * len(part.records)
    if prices is None:
        return found, currencies
    exact: dict[int, int] = {}
    unpriced: set[int] = set()
    known: dict[tuple[str, str | None, int], _Terms | None] = {}
    cells = part.cells
    some = np.flatnonzero(cells.allocated_ms)
    line = cells.line[some]
    columns = (
        part.lines.record[line],
        line,
        cells.period[some],
        cells.allocated_ms[some],
        cells.weighted_ms[some],
    )
    for place, line_, period, billed, worth in zip(*(c.tolist() for c in columns), strict=True):
        what = (part.records[place].source, part.lines.gpu_type[line_], period)
        if what not in known:
            known[what] = _terms(prices, what[0], what[1], part.edges[period])
        terms = known[what]
        if terms is None or currencies[place] not in (None, terms.currency):
            unpriced.add(place)
            continue
        amount = worth if terms.by_worth else billed
        exact[place] = exact.get(place, 0) + terms.per_gpu_hour * amount
        currencies[place] = terms.currency
    for place, total in exact.items():
        found[place] = half_even(total, MS_PER_HOUR * _PRICE_SCALE // _CENTS)
    for place in unpriced:
        found[place] = currencies[place] = None
    return found, currencies


@dataclass(frozen=True, slots=True)
class _Terms:
    """The price of a GPU-hour as a whole number, and whether it is by worth."""

    per_gpu_hour: int
    currency: str
    by_worth: bool


def _terms(prices: Prices, cluster: str, kind: str | None, moment_s: int) -> _Terms | None:
    price = prices.at(cluster, kind, moment_s)
    if price is None:
        return None
    return _Terms(int(price.per_gpu_hour * _PRICE_SCALE), price.currency, price.by_worth)
