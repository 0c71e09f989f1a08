"""What the tries of a report add up to, for the sidecar: totals, what is missing, two cross-checks.

The first check sums the accounting a second way, try by try from its times and GPUs, and must
give the total of the rows to the thousandth of a GPU-second. The second lays the scheduler's own
sums beside those of the tries, account by account, for the time that both cover.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import LIVE
from foundry_tui.estate.usage import OwnTotals, UsageRecord, Window
from foundry_tui.reports.joining.elapsed import Spans
from foundry_tui.reports.part import Part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foundry_tui.reports.part import Ints

EDGE_S = 3600
"""By how much a scheduler that sums up by the hour may be wrong where a run crosses the edge."""


@dataclass(slots=True)
class AccountSum:
    """One account within the window of the scheduler's own sums, in thousandths of GPU-seconds.

    `shared_ms` is that part of `ours_ms` that was held as shares of GPUs, which Slurm does not
    count as GPUs. `edge_milli` are the GPUs held across the edges of that window. In its
    own sums and not in `ours_ms` are `suspended_ms`, for a suspended job keeps its GPUs there, and
    `doubtful_ms` of tries in doubt.
    """

    ours_ms: int = 0
    shared_ms: int = 0
    edge_milli: int = 0
    suspended_ms: int = 0
    doubtful_ms: int = 0


@dataclass(slots=True)
class Apart:
    """Tries that are counted but not billed, and the GPU-seconds they would be, if known."""

    tries: int = 0
    gpu_ms: int = 0


@dataclass(slots=True)
class Tally:
    """Adds parts up; `own` are the scheduler's own sums by source.

    Amounts named `..._ms` are thousandths of GPU-seconds within the window. `doubtful` is by
    reason. `checked_ms` is the second sum of the accounting.
    """

    window: Window
    now: datetime
    own: Mapping[str, OwnTotals] = field(default_factory=dict)
    tries: int = 0
    allocated_ms: int = 0
    weighted_ms: int = 0
    used_ms: int = 0
    idle_ms: int = 0
    unknown_ms: int = 0
    joint_ms: int = 0
    powered_ms: int = 0
    energies_j: list[float] = field(default_factory=list)
    checked_ms: int = 0
    running: int = 0
    gpus_unknown: int = 0
    end_unknown: int = 0
    end_before_start: int = 0
    doubtful: dict[str, Apart] = field(default_factory=dict)
    accounts: dict[tuple[str, str], AccountSum] = field(default_factory=dict)

    def add(self, part: Part) -> None:
        """The tries of one part."""
        cells, records = part.cells, part.records
        self.tries += len(records)
        self.allocated_ms += int(cells.allocated_ms.sum())
        self.weighted_ms += int(cells.weighted_ms.sum())
        self.used_ms += int(cells.used_ms.sum())
        self.idle_ms += int(cells.idle_ms.sum())
        self.unknown_ms += int(cells.unknown_ms.sum())
        self.joint_ms += int(cells.joint_ms.sum())
        self.powered_ms += int(cells.powered_ms.sum())
        self.energies_j.append(float(cells.energy_j.sum()))
        spans = Spans.of(records, self.now)
        held = _Held.of(records)
        gpu_ms = held.billed_milli * spans.elapsed_s(self.window)
        self.checked_ms += int(gpu_ms[held.sure].sum())
        self._count(records, held, gpu_ms)
        for source in self.own.keys() & {record.source for record in records}:
            self._compare(source, records, spans, held)

    @property
    def energy_j(self) -> float:
        """Joules in the time of which the power is known; the same in any order of the parts."""
        return math.fsum(self.energies_j)

    def _count(self, records: Sequence[UsageRecord], held: _Held, gpu_ms: Ints) -> None:
        """Count what is not billed as it stands."""
        for place in np.flatnonzero(~held.sure).tolist():
            reason = records[place].doubt or ""
            apart = self.doubtful.setdefault(reason, Apart())
            apart.tries += 1
            apart.gpu_ms += int(gpu_ms[place])
        begun = [
            (record, told)
            for record, sure, told in zip(
                records, held.sure.tolist(), held.told.tolist(), strict=True
            )
            if sure and record.started_at is not None
        ]
        self.gpus_unknown += sum(not told for _, told in begun)
        for record, _ in begun:
            if record.ended_at is not None:
                if record.started_at is not None and record.ended_at < record.started_at:
                    self.end_before_start += 1
            elif record.state in LIVE:
                self.running += 1
            else:
                self.end_unknown += 1

    def _compare(
        self, source: str, records: Sequence[UsageRecord], spans: Spans, held: _Held
    ) -> None:
        """Sum up by account within the window of the scheduler's own sums."""
        window = self.own[source].window
        elapsed = spans.elapsed_s(window)
        ours, shared = held.billed_milli * elapsed, held.shared_milli * elapsed
        edges = held.billed_milli * (spans.held_at(window.start) + spans.held_at(window.end))
        counted = (held.billed_milli - held.shared_milli) * spans.overlap_s(window)
        for place in np.flatnonzero((counted > 0) | (ours > 0) | (edges > 0)).tolist():
            record = records[place]
            if record.source == source:
                account = record.account or ""
                total = self.accounts.setdefault((source, account), AccountSum())
                if record.doubt is not None:
                    total.doubtful_ms += int(counted[place])
                    continue
                whole = int(ours[place] - shared[place])
                total.suspended_ms += int(counted[place]) - whole
                total.ours_ms += int(ours[place])
                total.shared_ms += int(shared[place])
                total.edge_milli += int(edges[place])


@dataclass(frozen=True, slots=True)
class _Held:
    """What each try held, in thousandths of GPUs as billed; `shared_milli` of it as shares.

    `told` is False where a part of it is not told or has no weight, and is not in the sums;
    `sure` is False for a try in doubt.
    """

    billed_milli: Ints
    shared_milli: Ints
    told: NDArray[np.bool_]
    sure: NDArray[np.bool_]

    @classmethod
    def of(cls, records: Sequence[UsageRecord]) -> _Held:
        table = np.array([_held(record) for record in records], np.int64).reshape(-1, 4)
        return cls(table[:, 0], table[:, 1], table[:, 2] > 0, table[:, 3] > 0)


def _held(record: UsageRecord) -> tuple[int, int, bool, bool]:
    kinds = record.gpus
    if kinds is None:
        return 0, 0, False, record.doubt is None
    billed = shared = 0
    told = True
    for one in kinds:
        milli = one.billed_milli
        if milli is None or one.milli is None:
            told = False
            continue
        billed += milli
        if one.share not in (Share.WHOLE, Share.MIG):
            shared += milli
    return billed, shared, told, record.doubt is None
