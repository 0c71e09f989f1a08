"""Nodes that vanish with runs on them, and come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scheduler_sim.cluster import Cluster
from scheduler_sim.queues.advance import join, stop
from scheduler_sim.queues.ahead import drop
from scheduler_sim.queues.outcome import Attempt, Fault
from scheduler_sim.queues.rooms import note_freed
from scheduler_sim.queues.state import (
    AFTER,
    CONSERVATIVE,
    END_S,
    FAILED,
    FIRST_PART,
    HEAD_BEFORE,
    LEFT,
    MADE,
    NEVER_S,
    NEXT_FAULT_S,
    NONE,
    NOW,
    P_GPUS,
    P_JOB,
    P_NODE,
    PART,
    PLAN_S,
    RESERVED_FOR,
    RULE,
    RUNNING_NOW,
    START_S,
    STATE,
    USABLE,
    WAITING,
    World,
)
from scheduler_sim.queues.waiting import withdraw


class Outages:
    """Carries out the faults of a simulation, each at its second.

    A node that is gone twice at once is back when the last of its faults ends.

    Raises:
        ValueError: a fault of a node that does not exist.
    """

    def __init__(self, cluster: Cluster, world: World, faults: Sequence[Fault]) -> None:
        row = {node.name: i for i, node in enumerate(cluster.nodes)}
        strange = [f.node for f in faults if f.node not in row]
        if strange:
            raise ValueError(f"faults: there is no node {strange[0]!r}")
        self._cluster, self._world = cluster, world
        # At one second nodes come back before others go.
        self._due = sorted(
            [(f.back_s, 0, row[f.node], True) for f in faults if f.back_s is not None]
            + [(f.at_s, 1, row[f.node], f.requeue) for f in faults]
        )
        self._next = 0
        self._gone: dict[int, int] = {}
        self._lost: list[Attempt] = []
        self._aim()

    def strike(self) -> None:
        """Carry out what is due now."""
        world = self._world
        world.reg[HEAD_BEFORE] = world.reg[RESERVED_FOR] = NONE
        while self._next < len(self._due) and self._due[self._next][0] <= world.reg[NOW]:
            _, going, node, requeue = self._due[self._next]
            self._next += 1
            self._gone[node] = self._gone.get(node, 0) + (1 if going else -1)
            if going:
                self._vanish(node, requeue)
            elif self._gone[node] == 0:
                self._set_usable(node, True)
                note_freed(world.reg, world.nodes, world.ring, node)
        self._aim()

    def lost_at(self, places: Sequence[int]) -> tuple[Attempt, ...]:
        """The starts that were undone, with nodes as rows of the list that `places` points into."""
        return tuple(
            replace(a, parts=tuple((places[node], gpus) for node, gpus in a.parts))
            for a in self._lost
        )

    def _aim(self) -> None:
        due = self._due[self._next :][:1]
        self._world.reg[NEXT_FAULT_S] = due[0][0] if due else NEVER_S

    def _set_usable(self, node: int, usable: bool) -> None:
        self._cluster.set_usable(node, usable)
        self._world.room[LEFT, USABLE, node] = usable

    def _vanish(self, node: int, requeue: bool) -> None:
        world = self._world
        runs, parts, reg = world.runs, world.parts, world.reg
        self._set_usable(node, False)
        there, part = set(), int(world.nodes[PART, node])
        while part != NONE:
            there.add(int(parts[P_JOB, part]))
            part = int(parts[AFTER, part])
        for job in sorted(there):
            if runs[STATE, job] == WAITING:  # only planned here
                drop(world, job)
                runs[MADE, job] = NONE
                continue
            rows = range(int(runs[FIRST_PART, job]), int(runs[FIRST_PART, job + 1]))
            held = tuple((int(parts[P_NODE, p]), int(parts[P_GPUS, p])) for p in rows)
            withdraw(runs, reg[RUNNING_NOW], job)
            reg[RUNNING_NOW] -= 1
            stop(world, job, WAITING if requeue else FAILED)
            if not requeue:
                runs[END_S, job] = reg[NOW]
                continue
            self._lost.append(Attempt(job, int(runs[START_S, job]), int(reg[NOW]), held))
            runs[START_S, job] = runs[END_S, job] = NONE
            if reg[RULE] == CONSERVATIVE:
                runs[PLAN_S, job] = runs[MADE, job] = NONE
            join(world, job)
