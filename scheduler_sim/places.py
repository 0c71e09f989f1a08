"""Where a run may start at all: the nodes of its queues, and whether they could ever serve it."""

from __future__ import annotations

import numpy as np

from scheduler_sim.cluster import Cluster, Mask
from scheduler_sim.jobs import JobSpec
from scheduler_sim.limits import LiveSpec


class Places:
    """The queues of a cluster as masks over its nodes."""

    def __init__(self, spec: LiveSpec) -> None:
        self._names = [n.name for n in spec.nodes]
        self._known = frozenset(self._names)
        self._queue = {q.name: q for q in spec.queues}
        self._masks: dict[tuple[str, tuple[str, ...]], Mask] = {}
        self._empty = Cluster(spec.nodes)

    def nodes(self, queue: str, nodelist: tuple[str, ...]) -> Mask:
        """The nodes of a queue, only those of `nodelist` unless it is empty."""
        mask = self._masks.get((queue, nodelist))
        if mask is None:
            inside = frozenset(self._queue[queue].nodes)
            wanted = frozenset(nodelist) or self._known
            mask = np.array([i in inside and n in wanted for i, n in enumerate(self._names)])
            self._masks[queue, nodelist] = mask
        return mask

    def rank_minutes(self, spec: JobSpec) -> int:
        """Minutes of rank that the best of the run's queues lends it."""
        return max(self._queue[q].rank_minutes for q in spec.queues)

    def check(self, spec: JobSpec) -> None:
        """Nothing, if the empty cluster could serve the run.

        Raises:
            ValueError: an unknown queue or node, or too few nodes that would do; names the field.
        """
        unknown = [q for q in spec.queues if q not in self._queue]
        if unknown:
            raise ValueError(f"queue: there is no {unknown[0]!r}")
        strange = [n for n in spec.nodelist if n not in self._known]
        if strange:
            raise ValueError(f"nodelist: there is no node {strange[0]!r}")
        fit = self._empty.feasible(spec.request)
        most = max(int((fit & self.nodes(q, spec.nodelist)).sum()) for q in spec.queues)
        if most < spec.nodes:
            raise ValueError(
                f"request: {spec.nodes} nodes with {spec.request.gpus} GPUs each are asked for, "
                f"and {most} of queue {spec.queue} could ever serve that"
            )
