"""Any other node placement in the loop: what a placer sees and must answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scheduler_sim.cluster import Cluster, Mask
from scheduler_sim.policies import Choice
from scheduler_sim.queues.jobs import Int64s, Jobs
from scheduler_sim.queues.state import PICK_GPUS, PICK_NODE, World


@dataclass(frozen=True, slots=True)
class Live:
    """The simulation as it goes: all of it changes under the placer's eyes, none is to be written.

    `cluster` is what is left (its `changes` tell which nodes to look at again), `start_s` and
    `end_s` are -1 where a run has not started; `end_s` is the true end, which a fair placer does
    not read before it has come.
    """

    cluster: Cluster
    jobs: Jobs
    start_s: Int64s
    end_s: Int64s


class Placer(Protocol):
    """A node placement of one's own, for `simulate(placement=...)`."""

    def begin(self, live: Live) -> None:
        """Called once, before the first event."""

    def choose(self, now_s: int, job: int, allowed: Mask) -> Choice | None:
        """Node and devices for one node of a run, None to let it wait.

        Asked only while the whole gang fits. `allowed` leaves out the nodes that the gang has
        already; the request need not fit on all others.
        """


def ask(placer: Placer, live: Live, world: World, now_s: int, job: int) -> int:
    """Let the placer choose for each node of a run; how many were written into `world.nodes`.

    Raises:
        ValueError: the choice does not fit; says what does not.
    """
    cluster, request = live.cluster, live.jobs.kinds[live.jobs.kind[job]]
    allowed = np.ones(len(cluster.nodes), dtype=np.bool_)
    taken = []
    try:
        for k in range(int(live.jobs.nodes[job])):
            choice = placer.choose(now_s, job, allowed)
            if choice is None:
                return 0
            if not allowed[choice.node]:
                raise ValueError(f"node: row {choice.node} is taken by the same run")
            taken.append(cluster.place(choice.node, choice.gpus, request))
            allowed[choice.node] = False
            world.nodes[PICK_NODE, k] = choice.node
            world.nodes[PICK_GPUS, k] = sum(1 << g for g in choice.gpus)
    except ValueError as error:
        raise ValueError(f"placement: run {live.jobs.name(job)}: {error}") from None
    finally:
        for allotment in taken:
            cluster.release(allotment)
    return len(taken)
