"""The figures that stand on a plan as a whole: its id, its bound and its gap."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime

from foundry_tui.estate.plan import Move

Measures = dict[str, float | None]

Refused = Mapping[str, tuple[str, ...]]
"""Run id -> nodes that the scheduler would not give to it."""


def plan_id(estate_id: str, generated_at: datetime, moves: Iterable[Move]) -> str:
    """The same estate, moment and moves give the same id."""
    words = [estate_id, generated_at.isoformat()]
    words += [f"{m.target.id} {m.action} {m.queue} {m.placement}" for m in moves]
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def gap(objective: float | None, most: float | None) -> float | None:
    """What lies between objective and bound, as a part of the larger of the two, 0..1.

    0 when both are 0, None when either is unknown.
    """
    if objective is None or most is None:
        return None
    larger = max(abs(objective), abs(most))
    return abs(most - objective) / larger if larger else 0.0


def shifted(measures: Measures, gpus: float, asked: float, tasks: int) -> Measures:
    """The measures with `tasks` more runs started on `gpus` free GPUs (fewer where negative).

    `asked` is what those runs had in `waiting_gpus`.
    """
    change = {
        "gpus_allocated": gpus,
        "gpus_free": -gpus,
        "waiting_runs": -tasks,
        "waiting_gpus": -asked,
    }
    return {k: None if v is None else v + change.get(k, 0) for k, v in measures.items()}
