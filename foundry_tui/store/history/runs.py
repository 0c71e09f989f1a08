"""What was recorded of runs: how they used the GPUs that they held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from foundry_tui.estate.gpu import WHOLE_MILLI, Share
from foundry_tui.store.history import use
from foundry_tui.store.history.measured import Measured, Piece, Stay
from foundry_tui.store.history.shapes import RunHistory
from foundry_tui.store.history.values import MIB, maybe, when

LEVELS = 101
"""Utilisation in whole per cent: 0, and 1 to 100."""

_ALLOCATIONS = """
SELECT a.gpu, a.milli, a.share, a.since, coalesce(a.until, s.seen + 1), d.model, d.mem_mib, a.run,
  d.since, d.until
FROM allocation a JOIN run r ON r.id = a.run JOIN device d ON d.id = a.gpu
JOIN source s ON s.id = d.source WHERE r.run = ? ORDER BY a.since
"""

_OTHERS = """
SELECT a.since, coalesce(a.until, s.seen + 1) FROM allocation a
JOIN device d ON d.id = a.gpu JOIN source s ON s.id = d.source
WHERE a.gpu = ? AND a.run <> ? AND a.since < ? AND coalesce(a.until, s.seen + 1) > ?
"""


@dataclass(slots=True)
class _Sum:
    """What comes together of one run."""

    allocated: float = 0.0
    used: float = 0.0
    idle: float = 0.0
    unknown: float = 0.0
    shared: bool = False
    missing: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * LEVELS)
    mem_mib: list[int] = field(default_factory=list)


def of(found: Measured, run_id: str) -> RunHistory | None:
    """What was recorded of one run; None when it was never seen with a GPU."""
    db = found.db
    rows = db.execute(_ALLOCATIONS, (run_id,)).fetchall()
    if not rows:
        return None
    total = _Sum()
    for gpu, milli, share, since, until, _, _, number, *stay in rows:
        pieces = list(found.finest(Stay(gpu, *stay), since, until))
        part = (WHOLE_MILLI if milli is None else milli) / WHOLE_MILLI
        did = use.of(pieces, since, until)
        total.allocated += part * (until - since)
        total.used += part * did.used_s
        total.idle += part * did.idle_s
        total.unknown += part * did.unknown_s
        others = db.execute(_OTHERS, (gpu, number, until, since)).fetchall()
        total.shared |= bool(others) or share == Share.MIG
        if share != Share.MIG:
            _sample(total, found, pieces, others, (since, until))
    sizes = [row[6] for row in rows if row[6] is not None]
    return RunHistory(
        run=run_id,
        since=when(min(row[3] for row in rows)),
        until=when(max(row[4] for row in rows)),
        gpus=len({row[0] for row in rows}),
        gpu_model=maybe(rows[-1][5]),
        shared=total.shared,
        allocated_gpu_s=total.allocated,
        used_gpu_s=total.used,
        idle_gpu_s=total.idle,
        unknown_gpu_s=total.unknown,
        util_counts=tuple(total.counts),
        util_missing=total.missing,
        mem_peak_bytes=max(total.mem_mib) * MIB if total.mem_mib else None,
        mem_total_bytes=min(sizes) * MIB if len(sizes) == len(rows) else None,
    )


def _sample(
    total: _Sum,
    found: Measured,
    pieces: Sequence[Piece],
    others: Sequence[tuple[int, int]],
    span: tuple[int, int],
) -> None:
    """Count the minutes that lie whole in a time in which nobody else held the GPU."""
    step = found.step
    first = -(-max(span[0], found.raw_from) // step) * step
    alone = {
        begin + step
        for begin in range(first, span[1] - step + 1, step)
        if not any(begin < high and begin + step > low for low, high in others)
    }
    seen = 0
    for piece in pieces:
        if piece.until - piece.since == step and piece.until in alone:
            if piece.mem_mib is not None:
                total.mem_mib.append(piece.mem_mib)
            if piece.seen_s:
                seen += 1
                total.counts[-(-piece.busy_milli_s // (10 * step))] += 1
    total.missing += len(alone) - seen
