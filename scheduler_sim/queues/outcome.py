"""What became of every run of a simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.cluster import NodeSpec
from scheduler_sim.queues.jobs import LAST_S, Int32s, Int64s, Jobs
from scheduler_sim.queues.state import (
    DONE,
    FAILED,
    IMPOSSIBLE,
    KILLED,
    NONE,
    RUNNING,
    WAITING,
    Int8s,
)

STATE_WORDS = {
    WAITING: "waiting",
    RUNNING: "running",
    DONE: "done",
    KILLED: "killed at its limit",
    FAILED: "failed with its node",
    IMPOSSIBLE: "never possible",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A node that vanishes at `at_s` and is back at `back_s`, or never where that is None.

    The runs on it go back to the queue at their old rank and begin from nothing, or fail where
    `requeue` is False. A gang loses all its nodes with one.

    Raises:
        ValueError: it would be back before it is gone, or a time is no whole second.
    """

    at_s: int
    node: str
    back_s: int | None = None
    requeue: bool = True

    def __post_init__(self) -> None:
        for field, at_s in (("at_s", self.at_s), ("back_s", self.back_s)):
            # NaN is not below anything, and infinity is no second of a simulation
            if at_s is not None and not (abs(at_s) <= LAST_S and at_s == int(at_s)):
                raise ValueError(f"{field}: {self.node}: a whole second is needed, got {at_s}")
        if self.back_s is not None and self.back_s <= self.at_s:
            raise ValueError(f"back_s: {self.node} is gone at {self.at_s}, back at {self.back_s}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A start that a vanishing node undid: row of the run, seconds, and (node, devices) pairs."""

    job: int
    start_s: int
    end_s: int
    parts: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Starts and ends by row of `jobs`; -1 where there is none.

    `state` is one of the keys of `STATE_WORDS`. `promised_s` is the start that a run was promised
    (conservative backfill: when it joined; EASY: when it first headed the queue). The parts of run
    j are rows `first_part[j]` to `first_part[j + 1]` of `part_node` (row of `nodes`) and
    `part_gpus` (devices as a bit mask); they mean nothing for a run that has not started.
    `stopped_s` is the last moment that was played.
    """

    nodes: tuple[NodeSpec, ...]
    jobs: Jobs
    discipline: str
    placement: str
    seed: int
    start_s: Int64s
    end_s: Int64s
    state: Int8s
    promised_s: Int64s
    first_part: Int64s
    part_node: Int32s
    part_gpus: Int64s
    lost: tuple[Attempt, ...]
    faults: tuple[Fault, ...]
    stopped_s: int

    @property
    def started(self) -> NDArray[np.bool_]:
        """Which runs have started, ended or not."""
        return np.not_equal(self.start_s, NONE)

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Which runs have come to an end, by themselves or not."""
        return np.not_equal(self.end_s, NONE)

    @property
    def never(self) -> NDArray[np.intp]:
        """Rows of the runs that no set of nodes of this cluster can ever host."""
        return np.flatnonzero(self.state == IMPOSSIBLE)

    @property
    def unfinished(self) -> NDArray[np.intp]:
        """Rows of the runs that could have run and have not ended: they wait or run on."""
        return np.flatnonzero((self.state == WAITING) | (self.state == RUNNING))

    def parts(self, row: int) -> tuple[tuple[int, int], ...]:
        """Row of the node and mask of its devices for each node of a run; empty if not started."""
        if self.start_s[row] == NONE:
            return ()
        rows = slice(int(self.first_part[row]), int(self.first_part[row + 1]))
        return tuple(zip(self.part_node[rows].tolist(), self.part_gpus[rows].tolist(), strict=True))
