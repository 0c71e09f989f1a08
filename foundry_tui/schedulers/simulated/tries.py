"""The books of the simulated cluster: what tries held, and what they add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from foundry_tui.estate.gpu import WHOLE_MILLI, Share
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import HeldGpus, OwnTotals, Window
from foundry_tui.schedulers.simulated.live import Live
from scheduler_sim.jobs import JobSpec


def held(
    spec: JobSpec, models: Sequence[str], share: Share, count: Callable[[int, int], int]
) -> tuple[HeldGpus, ...]:
    """What a try held on nodes of these models, one entry a node.

    `count` makes the scheduler's own units of parts of GPUs and their thousandths.
    """
    need = spec.request
    if not need.gpus:
        return ()
    whole = need.gpu_milli == WHOLE_MILLI
    found = []
    for model, nodes in sorted(Counter(models).items()):
        gpus, milli = nodes * need.gpus, nodes * need.total_milli
        units = gpus if whole else count(gpus, milli)
        found.append(HeldGpus(model, units, milli, Share.WHOLE if whole else share))
    return tuple(found)


def totals(live: Live, window: Window, now: datetime) -> OwnTotals | None:
    """GPU-seconds by account as the simulated `sreport` has them: of whole hours that are over."""
    start = _hour(window.start + timedelta(hours=1, microseconds=-1))
    end = _hour(min(window.end, now))
    if end <= start:
        return None
    books, first, last = live.engine().books, live.second(start), live.second(end)
    total: Counter[str] = Counter()
    for job, started_s, ended_s in (
        *((t.job, t.started_s, t.ended_s) for t in books.tries),
        *((job, job.started_s, last) for job in books.running.values()),
    ):
        if started_s is not None:
            held_s = max(0, min(ended_s, last) - max(started_s, first))
            total[job.spec.account] += held_s * job.spec.total_milli
    return OwnTotals(
        window=Window(start, end),
        gpu_s={account: milli_s // WHOLE_MILLI for account, milli_s in sorted(total.items())},
        by="sreport of the simulation",
        notes=(safe("shards count as the part of a GPU that they are"),),
    )


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
