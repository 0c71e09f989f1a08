"""Output files of simulated runs: what a training script would have printed until now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.simulated.nouns import idle_from_s
from scheduler_sim.jobs import Job, State

STEP_S = 30
"""Simulated seconds between two lines."""

MOST_LINES = 5000

_LAST = {
    State.COMPLETED: "saved checkpoint; done",
    State.FAILED: "RuntimeError: loss is NaN at this step",
    State.OUT_OF_MEMORY: "torch.OutOfMemoryError: CUDA out of memory",
    State.CANCELLED: "terminated by signal 15",
    State.TIMEOUT: "CANCELLED DUE TO TIME LIMIT",
    State.NODE_FAIL: "the node failed",
}


def lines(job: Job, now_s: int, at: Callable[[int], datetime], *, errors: bool) -> list[SafeText]:
    """The lines of a run that started; `errors` for those of its error file."""
    started_s = job.started_s or 0
    end_s = now_s if job.ended_s is None else job.ended_s
    ended = [] if job.ended_s is None else [_line(at(end_s), _LAST.get(job.state, ""))]
    if errors:
        return ended if job.state not in (State.COMPLETED, State.RUNNING) else []
    worked_until_s = min(end_s, idle_from_s(job, end_s) or end_s)
    steps = max(0, worked_until_s - started_s) // STEP_S
    first = max(1, steps - MOST_LINES)
    told = [
        _line(
            at(started_s), f"{job.spec.name} starts on {len(job.parts) or job.spec.nodes} node(s)"
        )
    ]
    told += [
        _line(at(started_s + STEP_S * n), f"step {100 * n} loss {_loss(job, n):.4f}")
        for n in range(first, steps + 1)
    ]
    return told + ended


def _loss(job: Job, step: int) -> float:
    wobble = (job.number * 2654435761 + step * 40503 >> 7) % 100
    return 1.2 + 9.0 / (1 + step / 20) + wobble / 1000


def _line(moment: datetime, text: str) -> SafeText:
    return safe(f"{moment:%Y-%m-%dT%H:%M:%SZ} {text}")
