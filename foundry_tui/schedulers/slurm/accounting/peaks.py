"""The highest GPU utilisation that Slurm itself saw of a try, from its steps.

It is there where slurmdbd keeps `gres/gpuutil` (AccountingStorageTRES) and the nodes measure it
(AcctGatherGPU by NVML). `TRESUsageInMax` is the high-water mark of one task, summed over the GPUs
that the task uses: a peak, never a mean, and above 100 for a task on several GPUs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from foundry_tui.estate.usage import UsageRecord
from foundry_tui.schedulers.slurm.tres import parse_tres

UTIL = "gres/gpuutil"
COLUMNS = ("JobIDRaw", "Start", "TRESUsageInMax")

Peaks = Mapping[str, Sequence[tuple[int, float]]]
"""Raw job id -> the start and the peak of each of its steps."""


def parse(out: bytes, mark: bytes) -> dict[str, list[tuple[int, float]]]:
    """The peaks of the steps; rows of whole jobs have none, and what makes no sense is no peak."""
    cells = out.split(mark)
    found: dict[str, list[tuple[int, float]]] = {}
    for at in range(0, len(cells) - len(COLUMNS), len(COLUMNS)):
        step, start, usage = cells[at : at + len(COLUMNS)]
        peak = parse_tres(usage.decode("ascii", "replace")).get(UTIL, "")
        job, dot, _ = step.strip().decode("ascii", "replace").partition(".")
        if dot and peak.isdigit() and start.isdigit():
            found.setdefault(job, []).append((int(start), float(peak)))
    return found


def with_peaks(records: Sequence[UsageRecord], peaks: Peaks) -> list[UsageRecord]:
    """The records with their peaks: a step belongs to the try within whose time it started."""
    return [_with_peak(r, peaks[r.raw_id]) if r.raw_id in peaks else r for r in records]


def _with_peak(record: UsageRecord, steps: Sequence[tuple[int, float]]) -> UsageRecord:
    if record.started_at is None:
        return record
    start = record.started_at.timestamp()
    end = record.ended_at.timestamp() if record.ended_at else float("inf")
    mine = [peak for at, peak in steps if start <= at <= end]
    return replace(record, gpu_util_peak_pct=max(mine)) if mine else record


def options(asked: Sequence[str]) -> tuple[str, ...]:
    """The options of the tries, with their steps."""
    return tuple(word for word in asked if word != "-X")
