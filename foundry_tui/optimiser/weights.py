"""What starting a waiting run is worth: its work, weighted by priority, age, fair share and quota.

Work is the GPUs that a run asks for. A run without GPUs counts its cores: those that a GPU has on
average on the placeable nodes of its source count as a tenth of it (one core, where no node has a
GPU), because GPUs are what is scarce and dear. Worth is an integer
in thousandths of a weighted GPU, so that no floating-point number decides between two plans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run
from foundry_tui.optimiser.arrays import Board
from foundry_tui.optimiser.demand import Demand

BASE = 10
PRIORITY = 40
AGE = 10
FAIR_SHARE = 10
QUOTA = 10
"""Tenths: a GPU of a waiting run counts `BASE`, and up to so much more for each reason."""

CORES_PART = 10
"""The cores of one GPU are worth this part of it."""

FULL_AGE_S = 7 * 86_400
"""The wait from which on age counts in full (Slurm's default PriorityMaxAge)."""


class Weights:
    """The weight of each waiting run of one source.

    `waiting` are those runs in the order in which the scheduler looks at them, `tier` the queues'
    own priorities. Priority counts by rank (queue tier, then the run's priority), so that its
    scale does not matter; fair share and quota by the part of them that the run's queue does not
    use. What is not known adds nothing.
    """

    def __init__(
        self,
        board: Board,
        waiting: Sequence[Run],
        queues: Sequence[Queue],
        tier: Mapping[str, int],
        now: datetime,
    ) -> None:
        self._tier, self._now = tier, now
        self._known: dict[str, int] = {}
        self._queues = {q.name: q for q in queues}
        ranks = sorted({self._standing(run) for run in waiting})
        most = max(1, len(ranks) - 1)
        self._rank = {standing: place / most for place, standing in enumerate(ranks)}
        gpus = int(board.cluster.gpu_count.sum())
        cores = sum(n.cpu_milli for n in board.cluster.nodes)
        self._cpu_per_gpu = max(1, cores // gpus) if gpus else WHOLE_MILLI

    def worth(self, demand: Demand, run: Run) -> int:
        """Thousandths of a weighted GPU that a task of the run is worth, at least 1."""
        milli = demand.gpu_milli
        if not milli:
            cpu_milli = demand.nodes * demand.request.cpu_milli
            milli = cpu_milli * WHOLE_MILLI // (CORES_PART * self._cpu_per_gpu)
        return max(1, milli * self.tenths(run) // 10)

    def tenths(self, run: Run) -> int:
        """The weight of one GPU of the run, in tenths."""
        known = self._known.get(run.id)
        if known is None:
            known = self._known[run.id] = self._tenths(run)
        return known

    def _tenths(self, run: Run) -> int:
        queue = self._queues.get(run.queues[0]) if run.queues else None
        share = quota = None
        if queue is not None:
            share = _unused(queue.fair_share_gpu_milli, queue.allocated_gpu_milli)
            quota = _unused(queue.quota_gpu_milli, queue.allocated_gpu_milli)
        age_s = run.wait_s(self._now) or 0.0
        return (
            BASE
            + round(PRIORITY * self._rank.get(self._standing(run), 0.0))
            + round(AGE * min(1.0, age_s / FULL_AGE_S))
            + round(FAIR_SHARE * (share or 0.0))
            + round(QUOTA * (quota or 0.0))
        )

    def _standing(self, run: Run) -> tuple[int, int]:
        return max((self._tier.get(q, 0) for q in run.queues), default=0), run.priority or 0


def _unused(deserved: int | None, held: int | None) -> float | None:
    """The part of what a queue deserves that it does not hold, 0..1."""
    if not deserved or held is None:
        return None
    return min(1.0, max(0.0, (deserved - held) / deserved))


def stated() -> str:
    """The weights in words."""
    days = FULL_AGE_S // 86_400
    return (
        f"a GPU of a waiting run counts {BASE / 10:g}, up to {PRIORITY / 10:g} more by the rank of "
        f"its queue's tier and its priority, up to {AGE / 10:g} by age (in full from {days} days "
        f"on), and up to {FAIR_SHARE / 10:g} and {QUOTA / 10:g} by the part of its queue's fair "
        "share and quota that is not used; a run without GPUs counts its cores: "
        f"the mean cores of a GPU are worth 1/{CORES_PART} of it"
    )
