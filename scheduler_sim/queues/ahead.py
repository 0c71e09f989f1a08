"""Conservative backfill: every run has a planned start, and nobody may push it back.

A run is planned when it joins: the soonest moment at which its nodes are free for the whole of its
limit, beside all that runs and all that was planned before. When runs end early, the plans are gone
through in the order of their starts, and each is moved to the soonest moment that is strictly
before its own (Mu'alem & Feitelson, IEEE TPDS 12(6), 2001).
"""

from __future__ import annotations

import numpy as np

from scheduler_sim.kernels import jit
from scheduler_sim.queues.choice import choose
from scheduler_sim.queues.easy import keep_smallest
from scheduler_sim.queues.rooms import (
    add_to,
    copy_layer,
    fits,
    link,
    lower_to,
    note_freed,
    unlink,
)
from scheduler_sim.queues.state import (
    AFTER,
    ALL,
    FIRST_PART,
    FREED,
    FREED_AT,
    GANG,
    JOB_AT,
    KIND,
    LEFT,
    LIMIT_S,
    MADE,
    NEVER_S,
    NEXT_PLAN_S,
    NONE,
    NOW,
    P_GPUS,
    P_JOB,
    P_NODE,
    PART,
    PICK_GPUS,
    PICK_NODE,
    PLAN_S,
    POLICY,
    PROMISED_S,
    SOONEST_S,
    SPACE,
    TILL_S,
    USABLE,
    WINDOW,
    World,
)
from scheduler_sim.queues.waiting import following


@jit
def plan_all(world: World) -> None:
    """Move plans to sooner starts where room was freed, then plan the runs that have no plan."""
    reg, runs = world.reg, world.runs
    count = 0
    rank = following(world.words, world.level, 0)
    while rank != NONE:
        count += 1
        rank = following(world.words, world.level, rank + 1)
    jobs = np.empty(count, dtype=np.int64)
    rank = following(world.words, world.level, 0)
    for i in range(count):
        jobs[i] = runs[JOB_AT, rank]
        rank = following(world.words, world.level, rank + 1)
    for job in jobs[np.argsort(runs[PLAN_S][jobs], kind="mergesort")]:
        if runs[PLAN_S, job] != NONE and runs[MADE, job] != reg[FREED]:
            move(world, int(job))
    for job in jobs:
        if runs[PLAN_S, job] == NONE and runs[MADE, job] != reg[FREED]:
            runs[MADE, job] = reg[FREED]
            write(world, int(job), find(world, int(job), NEVER_S))
    reg[NEXT_PLAN_S] = NEVER_S
    for job in jobs:
        if runs[PLAN_S, job] > reg[NOW]:
            reg[NEXT_PLAN_S] = min(reg[NEXT_PLAN_S], runs[PLAN_S, job])


@jit
def move(world: World, job: int) -> None:
    """Plan a run strictly sooner if what was freed since its plan was made allows it.

    Nothing can be sooner than its plan on nodes that got nothing back since: what was planned
    there meanwhile only takes.
    """
    reg, nodes, runs, parts = world.reg, world.nodes, world.runs, world.parts
    made = runs[MADE, job]
    runs[MADE, job] = reg[FREED]
    if nodes[FREED_AT].max() <= made:
        return
    planned_s = runs[PLAN_S, job]
    drop(world, job)
    at_s = find(world, job, planned_s)
    if at_s == NEVER_S:
        runs[PLAN_S, job] = planned_s
        for part in range(runs[FIRST_PART, job], runs[FIRST_PART, job + 1]):
            link(nodes, runs, parts, part)
    else:
        for part in range(runs[FIRST_PART, job], runs[FIRST_PART, job + 1]):
            note_freed(reg, nodes, world.ring, parts[P_NODE, part])
        runs[MADE, job] = reg[FREED]
        write(world, job, at_s)


@jit
def drop(world: World, job: int) -> None:
    """Take a waiting run's plan off its nodes."""
    for part in range(world.runs[FIRST_PART, job], world.runs[FIRST_PART, job + 1]):
        unlink(world.nodes, world.parts, part)
    world.runs[PLAN_S, job] = NONE


@jit
def write(world: World, job: int, at_s: int) -> None:
    """Plan a run on the nodes picked; it stays without a plan if the time is NEVER_S."""
    nodes, runs, parts = world.nodes, world.runs, world.parts
    if at_s == NEVER_S:
        return
    runs[PLAN_S, job] = at_s
    runs[TILL_S, job] = at_s + runs[LIMIT_S, job]
    if runs[PROMISED_S, job] == NONE:
        runs[PROMISED_S, job] = at_s
    first = runs[FIRST_PART, job]
    for k in range(runs[GANG, job]):
        parts[P_NODE, first + k] = nodes[PICK_NODE, k]
        parts[P_GPUS, first + k] = nodes[PICK_GPUS, k]
        link(nodes, runs, parts, first + k)


@jit
def find(world: World, job: int, bound: int) -> int:
    """The soonest start before `bound`, its nodes picked; NEVER_S if there is none."""
    nodes, room, runs = world.nodes, world.room, world.runs
    kind, count = runs[KIND, job], runs[GANG, job]
    length_s, at_s = runs[LIMIT_S, job], world.reg[NOW]
    while True:
        found = 0
        for node in range(nodes.shape[1]):
            until_s = nodes[SOONEST_S, count - 1] if found == count else bound
            node_s = free_for(world, node, kind, at_s, length_s, until_s)
            if node_s < until_s:
                found = keep_smallest(nodes, found, count, node_s)
        if found < count:
            return NEVER_S
        at_s = nodes[SOONEST_S, count - 1]
        if nodes[SOONEST_S, 0] == at_s:
            break
    for node in range(nodes.shape[1]):
        if free_for(world, node, kind, at_s, length_s, at_s + 1) != at_s:
            room[WINDOW, USABLE, node] = 0
    world.owner[:] = NONE  # scores of FGD are remembered for what is left now
    choose(world, WINDOW, world.reg[POLICY], kind, count)
    world.owner[:] = NONE
    return int(at_s)


@jit
def free_for(world: World, node: int, kind: int, since_s: int, length_s: int, bound: int) -> int:
    """When a kind fits for so long, at the soonest; NEVER_S if not before `bound`.

    The moment is `since_s` or the latest end of something that runs or is planned there.
    """
    nodes, room, gpu, kinds = world.nodes, world.room, world.gpu, world.kinds
    runs, parts = world.runs, world.parts
    if not room[LEFT, USABLE, node] or not fits(nodes, room, gpu, kinds, ALL, node, kind):
        return NEVER_S
    part, at_s = nodes[PART, node], since_s
    while at_s < bound:
        window(world, node, at_s, length_s)
        if fits(nodes, room, gpu, kinds, WINDOW, node, kind):
            return int(at_s)
        while part != NONE and runs[TILL_S, parts[P_JOB, part]] <= at_s:
            part = parts[AFTER, part]
        if part == NONE:
            return NEVER_S
        at_s = runs[TILL_S, parts[P_JOB, part]]
    return NEVER_S


@jit
def window(world: World, node: int, at_s: int, length_s: int) -> None:
    """Write down what a node has left at every moment of a window.

    Least is left at the window's begin or where something planned starts within it.
    """
    room, gpu, runs, parts = world.room, world.gpu, world.runs, world.parts
    left_at(world, WINDOW, node, at_s)
    part = world.nodes[PART, node]
    while part != NONE:
        job = parts[P_JOB, part]
        if at_s < runs[PLAN_S, job] < at_s + length_s:
            left_at(world, SPACE, node, runs[PLAN_S, job])
            lower_to(room, gpu, WINDOW, SPACE, node)
        part = parts[AFTER, part]


@jit
def left_at(world: World, layer: int, node: int, at_s: int) -> None:
    """Write down what a node has left at one moment."""
    room, gpu, runs, parts = world.room, world.gpu, world.runs, world.parts
    copy_layer(room, gpu, layer, ALL, node)
    part = world.nodes[PART, node]
    while part != NONE:
        job = parts[P_JOB, part]
        if runs[PLAN_S, job] <= at_s < runs[TILL_S, job]:
            kind = runs[KIND, job]
            add_to(room, gpu, world.kinds, layer, node, kind, parts[P_GPUS, part], -1)
        part = parts[AFTER, part]
