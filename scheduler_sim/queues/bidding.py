"""Bid prices in the loop: the placement `best` for runs that end."""

from __future__ import annotations

from collections import Counter

from scheduler_sim.bids.chooser import Bids
from scheduler_sim.cluster import Mask
from scheduler_sim.fragmentation import Mix
from scheduler_sim.policies import Choice
from scheduler_sim.queues.placers import Live


class BidPrices:
    """Each node of a run goes where the worth of the cluster falls least.

    The mix is that of all runs of the history, as a site knows its own. Prices follow what is
    allocated, up and down: they are worked out anew when the cluster has filled or emptied by a
    twentieth.
    """

    def __init__(self) -> None:
        self._live: Live | None = None
        self._bids: Bids | None = None

    def begin(self, live: Live) -> None:
        """Learn the mix; without any run there is nothing to place."""
        jobs = live.jobs
        seen: Counter[int] = Counter()
        for kind, nodes in zip(jobs.kind.tolist(), jobs.nodes.tolist(), strict=True):
            seen[kind] += nodes
        if seen:
            kinds = sorted(seen)
            mix = Mix(tuple(jobs.kinds[k] for k in kinds), tuple(seen[k] for k in kinds))
            self._live, self._bids = live, Bids(live.cluster, mix)

    def choose(self, now_s: int, job: int, allowed: Mask) -> Choice | None:
        """Node and devices for one node of a run."""
        if self._live is None or self._bids is None:
            raise ValueError("placement: was asked before it began")
        jobs = self._live.jobs
        return self._bids.choose(jobs.kinds[jobs.kind[job]], allowed)
