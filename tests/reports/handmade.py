"""Parts made by hand: tries of which it is known to the second what their GPUs did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.reports.joining.elapsed import second
from foundry_tui.reports.part import Cells, Lines, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """GPUs that a try held: first they were used, then idle, then nobody looked.

    `billed` and `weighted` are thousandths of GPUs. What is used is half busy, draws 100 W and
    fills `mem_mib`.
    """

    record: UsageRecord
    gpu_type: str | None = "h100"
    billed: int = 1000
    weighted: int = 1000
    used_s: int = 0
    idle_s: int = 0
    mem_mib: int = -1

    def seconds(self, begin: int, end: int) -> tuple[int, int, int]:
        """Seconds of the try within [begin, end): used, idle and unknown."""
        assert self.record.started_at is not None
        assert self.record.ended_at is not None
        start, stop = second(self.record.started_at), second(self.record.ended_at)
        borders = (start, start + self.used_s, start + self.used_s + self.idle_s, stop)
        cut = [min(max(min(b, stop), begin), max(end, begin)) for b in borders]
        return cut[1] - cut[0], cut[2] - cut[1], cut[3] - cut[2]


def part_of(edges: Sequence[int], holds: Sequence[Hold]) -> Part:
    """A part: holds of one and the same record (by identity) are lines of one try."""
    records: list[UsageRecord] = []
    place: dict[int, int] = {}
    for hold in holds:
        if id(hold.record) not in place:
            place[id(hold.record)] = len(records)
            records.append(hold.record)
    cells: list[tuple[int, ...]] = []
    for line, hold in enumerate(holds):
        for period, (begin, end) in enumerate(pairwise(edges)):
            used, idle, unknown = hold.seconds(begin, end)
            elapsed = used + idle + unknown
            if elapsed:
                scaled = [s * hold.billed for s in (elapsed, used, idle, unknown)]
                mem = hold.mem_mib if used else -1
                cells.append((line, period, elapsed, *scaled, elapsed * hold.weighted, mem))
    table = np.array(cells, np.int64).reshape(-1, 9)
    used_ms = table[:, 4]
    return Part(
        edges=tuple(edges),
        records=tuple(records),
        lines=Lines(
            record=np.array([place[id(h.record)] for h in holds], np.int64),
            gpu_type=[h.gpu_type for h in holds],
            share=[Share.WHOLE] * len(holds),
            count=np.array([max(1, h.billed // 1000) for h in holds], np.int64),
            billed=np.array([h.billed for h in holds], np.int64),
            weighted=np.array([h.weighted for h in holds], np.int64),
        ),
        cells=Cells(
            line=table[:, 0],
            period=table[:, 1],
            elapsed_s=table[:, 2],
            allocated_ms=table[:, 3],
            weighted_ms=table[:, 7],
            used_ms=used_ms,
            idle_ms=table[:, 5],
            unknown_ms=table[:, 6],
            joint_ms=np.zeros(len(table), np.int64),
            busy_ms=used_ms // 2,
            powered_ms=used_ms,
            energy_j=used_ms / 10,
            mem_peak_mib=table[:, 8],
        ),
    )
