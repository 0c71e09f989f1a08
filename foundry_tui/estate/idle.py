"""Since when a held GPU does nothing, as far as it concerns those who hold it now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from foundry_tui.estate.gpu import Gpu

IDLE_PCT = 1.0
"""A GPU that does at most this, in percent, does nothing, where nothing else is configured."""


def since(mark: datetime, started: Iterable[datetime | None]) -> datetime | None:
    """From when the holders of a GPU let it lie idle.

    Args:
        mark: when the device itself fell idle.
        started: when each run that holds it started; time before the last of them is not theirs.

    None when a start is unknown: the idle time may be another's.
    """
    latest = mark
    for start in started:
        if start is None:
            return None
        latest = max(latest, start)
    return latest


def of(
    gpu: Gpu,
    mark: datetime | None,
    started: Mapping[str, datetime | None],
    idle_pct: float = IDLE_PCT,
) -> datetime | None:
    """`idle_since` of a GPU from its mark: None while it works, is free, or nobody knows.

    `idle_pct` is the utilisation up to which it does nothing, as for the mark.
    """
    if mark is None or not gpu.tenants or (gpu.util_pct or 0.0) > idle_pct:
        return None
    return since(mark, (started.get(run) for run in gpu.runs))
