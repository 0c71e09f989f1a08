"""Tries joined with readings: what the GPUs that a try held really did.

Accounting says how long a try held how many GPUs, and is the truth about that. The history says
which GPUs these were, second by second as far as somebody looked, and what they did. Whatever the
history does not know of the allocated time is unknown, which is neither used nor idle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.reports.joining import lines as lining
from foundry_tui.reports.joining.lines import Overlaps, Times
from foundry_tui.reports.joining.seen import Seen, by_holdings, by_whole_nodes
from foundry_tui.reports.part import Cells, Lines, Part

if TYPE_CHECKING:
    from foundry_tui.reports.part import Floats, Ints
    from foundry_tui.store.history import Past
    from foundry_tui.store.history.window.readings import Readings


class Join:
    """Joins the parts of one report with one history; without one all time is unknown.

    `edges` are the borders of the periods in unix seconds. `over_ms` are the thousandths of
    GPU-seconds by which readings told more than accounting allows, cut off so far: a collector
    that noticed an end too late, or a suspension that accounting spreads evenly.
    """

    def __init__(
        self, edges: Sequence[int], now_s: int, past: Past | None, readings: Readings | None
    ) -> None:
        self.edges = tuple(edges)
        self.over_ms = 0
        self._now_s = now_s
        self._past = past
        self._readings = readings

    def part(self, records: Sequence[UsageRecord]) -> Part:
        """One part of the accounting, joined.

        Raises:
            HistoryError: the history cannot be read.
        """
        lines, times = lining.of(records, self._now_s)
        pairs = lining.overlaps(times, self.edges)
        allocated = pairs.elapsed_s * lines.billed[pairs.line]
        sums = self._seen(records, lines, times, pairs)
        used, idle, busy, joint = sums.used, sums.idle, sums.busy, sums.joint
        known = used + idle
        over = known > allocated
        if over.any():
            self.over_ms += int((known - allocated)[over].sum())
            part, whole = allocated[over], known[over]
            for amount in (used, joint, busy):
                amount[over] = amount[over] * part // whole
            idle[over] = part - used[over]
        return Part(
            edges=self.edges,
            records=records,
            lines=lines,
            cells=Cells(
                line=pairs.line,
                period=pairs.period,
                elapsed_s=pairs.elapsed_s,
                allocated_ms=allocated,
                weighted_ms=pairs.elapsed_s * lines.weighted[pairs.line],
                used_ms=used,
                idle_ms=idle,
                unknown_ms=allocated - used - idle,
                joint_ms=joint,
                busy_ms=busy,
                powered_ms=sums.powered,
                energy_j=sums.energy_j,
                mem_peak_mib=sums.mem_peak_mib,
            ),
        )

    def _seen(
        self, records: Sequence[UsageRecord], lines: Lines, times: Times, pairs: Overlaps
    ) -> _Sums:
        """What was seen, summed up by pair of line and period."""
        sums = _Sums.none(len(pairs.line))
        if self._past is None or self._readings is None or not len(pairs.line):
            return sums
        seen, resting = by_holdings(self._past, records, lines, times, self.edges)
        without = np.ones(len(lines.record), bool)
        without[seen.line] = without[resting] = False
        rest = by_whole_nodes(self._past, records, lines, times, np.flatnonzero(without))
        _add(sums, seen.joined(rest), lines, pairs, self._readings, np.asarray(self.edges))
        return sums


@dataclass(frozen=True, slots=True)
class _Sums:
    """What was seen by pair of line and period; the columns of `Cells` of these names."""

    used: Ints
    idle: Ints
    joint: Ints
    busy: Ints
    powered: Ints
    mem_peak_mib: Ints
    energy_j: Floats

    @classmethod
    def none(cls, length: int) -> _Sums:
        """Nothing was seen."""
        used, idle, joint, busy, powered = np.zeros((5, length), np.int64)
        mem = np.full(length, -1, np.int64)
        return cls(used, idle, joint, busy, powered, mem, np.zeros(length))


def _add(
    sums: _Sums,
    seen: Seen,
    lines: Lines,
    pairs: Overlaps,
    readings: Readings,
    edges: Ints,
) -> None:
    """Read each stretch in which a line held a device, period by period, and add it up."""
    low = np.maximum(np.searchsorted(edges, seen.since, "right") - 1, 0)
    high = np.minimum(np.searchsorted(edges, seen.until, "left"), len(edges) - 1)
    owner, within = lining.spread(np.maximum(high - low, 0))
    period = low[owner] + within
    since = np.maximum(edges[period], seen.since[owner])
    until = np.minimum(edges[period + 1], seen.until[owner])
    line, device = seen.line[owner], seen.device[owner]
    uses = readings.use(device, since, until)
    cell = pairs.begins[line] + period - pairs.first[line]
    billed, worth = lines.billed[line], np.maximum(lines.weighted[line], 1)
    milli = seen.milli[owner]
    held = milli * billed // worth
    # what is billed as more than its worth are instances: each as a whole, its worth is rounded
    instances = np.maximum(np.rint(held / WHOLE_MILLI), 1).astype(np.int64)
    held = np.where(billed == worth, held, WHOLE_MILLI * instances)

    def summed(seconds: Ints) -> Ints:
        """By cell, as billed: what a device did counts as much as the line held of it."""
        amount = seconds * held
        # sums stay below 2**53, so that floats hold them exactly
        return np.bincount(cell, amount, len(pairs.line)).astype(np.int64)

    joint = seen.joint[owner]
    sums.used[:] = summed(uses.used_s)
    sums.idle[:] = summed(uses.idle_s)
    sums.joint[:] = summed(np.where(joint, uses.used_s, 0))
    sums.busy[:] = summed(uses.busy_milli_s) // 1000
    sums.powered[:] = summed(np.rint(uses.powered_s).astype(np.int64))
    share = milli / WHOLE_MILLI
    sums.energy_j[:] = np.bincount(cell, uses.energy_j * share, len(pairs.line))
    np.maximum.at(sums.mem_peak_mib, cell, uses.mem_peak_mib)
