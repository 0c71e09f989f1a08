"""Since when a GPU did nothing at a moment of the past."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from foundry_tui.estate import idle
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.run import Run
from foundry_tui.store.history.measured import Measured
from foundry_tui.store.history.recorder import GAP_WINDOWS
from foundry_tui.store.history.schema import IDLE_LIMIT
from foundry_tui.store.history.values import RESTING, maybe_when

_BACK = f"""WITH RECURSIVE t(ts) AS (
  SELECT :at / :step * :step UNION ALL SELECT ts - :step FROM t WHERE ts - :step > :first)
SELECT r.ts, {RESTING} FROM t CROSS JOIN raw r ON r.ts = t.ts AND r.gpu = :gpu"""
"""The minutes of one GPU from a moment on backwards; NULL where its work is not known."""


def with_idle(
    found: Measured, at: int, gpus: Mapping[int, Gpu], runs: Iterable[Run]
) -> Iterator[Gpu]:
    """GPUs as they were at a moment, those that were held and did nothing with since when.

    Args:
        gpus: by their numbers.
        runs: that held them then.
    """
    idle_pct = found.meta.get(IDLE_LIMIT, 0) / 10
    marks = dict(found.db.execute("SELECT gpu, since FROM idle"))
    started = {run.id: run.started_at for run in runs}
    for number, gpu in gpus.items():
        if not gpu.tenants or gpu.util_pct is None or gpu.util_pct > idle_pct:
            yield gpu
            continue
        mark = marks.get(number)  # of now: it reaches back over the moment where nothing broke it
        if mark is None or mark > at:
            mark = _since(found, number, at)
        yield replace(gpu, idle_since=idle.of(gpu, maybe_when(mark), started, idle_pct))


def _since(found: Measured, gpu: int, at: int) -> int | None:
    """From when a GPU did nothing until `at`.

    Only minutes tell it: None where these are gone, or the GPU worked. More than three windows
    without a sample break the time, as they do in the marks of now.
    """
    begun: int | None = None
    (came,) = found.db.execute("SELECT since FROM device WHERE id = ?", (gpu,)).fetchone()
    values = {
        "at": at,
        "step": found.step,
        "first": max(found.raw_from, came),
        "gpu": gpu,
        "limit": found.meta.get(IDLE_LIMIT, 0),
    }
    for ts, resting in found.db.execute(_BACK, values):
        if resting is None:
            continue
        before = (at if begun is None else begun + found.step) - ts
        if not resting or before > GAP_WINDOWS * found.step:
            break
        begun = ts - found.step
    return begun
