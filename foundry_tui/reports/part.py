"""What reports are computed from: tries, the GPUs that each held, and what these did, in columns.

A month of a large site is a million tries. They come in parts (a day of accounting or so); a part
is arrays of numbers beside its records, so that a report adds it up without a step of Python for
each try and second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.usage import UsageRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """GPUs of one kind that one try held; a try without GPUs, or whose GPUs are not told, has none.

    All of one length. `record` is the place of the try among the records of the part; `billed` and
    `weighted` are thousandths of GPUs: as accounting counts them, and as they are worth (a MIG
    instance is billed as a whole GPU and is worth a seventh). `gpu_type` names the model or the MIG
    profile, None when it is not told.
    """

    record: Ints
    gpu_type: Sequence[str | None]
    share: Sequence[Share]
    count: Ints
    billed: Ints
    weighted: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """What came of a line within one period: the pairs of line and period that have time in common.

    All of one length, in the order of lines, then of periods. `elapsed_s` are whole seconds of work
    (suspended time is taken off). Amounts named `..._ms` are thousandths of GPU-seconds as billed,
    and in every cell `used_ms + idle_ms + unknown_ms == allocated_ms` exactly. `weighted_ms` is the
    allocated time by worth. `busy_ms` is utilisation times the time that was seen: an hour at 50 %
    is half an hour. `joint_ms` is that part of `used_ms` in which other runs held a part of the
    same device, so that nobody knows whose work it was. `energy_j` is what was used in the
    `powered_ms` of which the power is known. `mem_peak_mib` is the most memory that one of the
    devices held, -1 where that is not known.
    """

    line: Ints
    period: Ints
    elapsed_s: Ints
    allocated_ms: Ints
    weighted_ms: Ints
    used_ms: Ints
    idle_ms: Ints
    unknown_ms: Ints
    joint_ms: Ints
    busy_ms: Ints
    powered_ms: Ints
    energy_j: Floats
    mem_peak_mib: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the accounting, joined with the readings.

    `edges` are unix seconds: period k is `edges[k] <= t < edges[k + 1]`. `records` are all tries of
    the part, also those without GPUs and without cells.
    """

    edges: Sequence[int]
    records: Sequence[UsageRecord]
    lines: Lines
    cells: Cells
