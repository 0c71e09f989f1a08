"""What a mix to come charges, as one thing: the worth by stages, and what hosts and models cost."""

from __future__ import annotations

import numpy as np

from scheduler_sim.bids.hosts import large, penalties
from scheduler_sim.bids.scarce import confined, scarcity
from scheduler_sim.bids.stages import Stages
from scheduler_sim.bids.state import Books


class Prices:
    """The prices of one mix. `large` are its runs that need most of a host."""

    def __init__(self, stages: Stages) -> None:
        self.stages = stages
        self.large = large(stages.shapes)
        self._confined = confined(stages.shapes)

    def charge(self, books: Books, free: int, capacity: int) -> None:
        """Write what hosts and models cost now into `books`; amounts in thousandths of a GPU."""
        mix, runs = self.stages.shapes, self.stages.runs_to_come(free, capacity)
        books.penalty[:] = penalties(self.large, mix, books.hosts, runs)
        left = np.bincount(books.model, books.gpu_left.sum(axis=1), books.scarce.size)
        books.scarce[:] = scarcity(self._confined, mix, runs, left.astype(np.int64))
