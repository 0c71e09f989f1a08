"""EASY backfill: the head of the queue keeps a reservation, the rest may use what it leaves.

The head is reserved the nodes on which it can start soonest if running work ends at its limits
(Lifka, "The ANL/IBM SP scheduling system", 1995). A run that would end before that moment may start
anywhere; one that would still run then may use of the kept nodes only what the head leaves there.
"""

from __future__ import annotations

from scheduler_sim.kernels import jit
from scheduler_sim.queues.rooms import add_to, copy_layer, fits, lower_to
from scheduler_sim.queues.state import (
    AFTER,
    ALL,
    CHANGES,
    CPU,
    FREE,
    FREED,
    GANG,
    HEAD,
    HELD,
    HELD_NODE,
    HOLD,
    K_ACCEPTS,
    K_CPU,
    K_GPUS,
    K_MEMORY,
    K_MILLI,
    KEPT,
    KIND,
    KNOWN_AT,
    KNOWN_FULLY,
    KNOWN_KIND,
    KNOWN_S,
    LEFT,
    MEMORY,
    MODEL,
    NEVER_S,
    NONE,
    NOW,
    P_GPUS,
    P_JOB,
    PART,
    RESERVED_AT,
    RESERVED_FOR,
    SAVED,
    SHADOW_S,
    SOONEST_S,
    SPACE,
    TILL_S,
    USABLE,
    Int32s,
    Int64s,
    World,
)


@jit
def reserve(world: World) -> None:
    """Set the shadow time of the head and keep nodes for it: those that stand first of the ready.

    The head takes the fitting devices of lowest index there. That choice and the choice of nodes
    stay the same while others are started beside it, so the shadow time only ever comes nearer.
    It is NEVER_S, and nothing is kept, where the head cannot start however long it waits. What was
    found before holds until a node gets something back or something starts before the head.
    """
    reg, nodes = world.reg, world.nodes
    head = reg[HEAD]
    if reg[RESERVED_FOR] == head and reg[RESERVED_AT] == reg[FREED]:
        return
    reg[RESERVED_FOR] = head
    reg[RESERVED_AT] = reg[FREED]
    kind, count = world.runs[KIND, head], world.runs[GANG, head]
    if reg[KNOWN_KIND] != kind:
        reg[KNOWN_KIND] = kind
        nodes[KNOWN_AT] = NONE
    for i in range(reg[KEPT]):
        nodes[HELD, nodes[HELD_NODE, i]] = 0
    reg[KEPT] = 0
    reg[SHADOW_S] = NEVER_S
    found = 0
    for node in range(nodes.shape[1]):
        bound = nodes[SOONEST_S, count - 1] if found == count else NEVER_S
        at_s = known_soonest(world, node, kind, bound)
        if at_s < bound:
            found = keep_smallest(nodes, found, count, at_s)
    if found < count:
        return
    reg[SHADOW_S] = nodes[SOONEST_S, count - 1]
    for node in range(nodes.shape[1]):
        if known_soonest(world, node, kind, reg[SHADOW_S] + 1) <= reg[SHADOW_S]:
            keep(world, node, kind)
            if reg[KEPT] == count:
                break


@jit
def keep_smallest(nodes: Int64s, found: int, count: int, at_s: int) -> int:
    """Keep the `count` smallest moments in order in SOONEST_S; how many there are now."""
    place = found - 1 if found == count else found
    while place > 0 and nodes[SOONEST_S, place - 1] > at_s:
        nodes[SOONEST_S, place] = nodes[SOONEST_S, place - 1]
        place -= 1
    nodes[SOONEST_S, place] = at_s
    return min(found + 1, count)


@jit
def known_soonest(world: World, node: int, kind: int, bound: int) -> int:
    """The same as `soonest`, looked at again only if the node changed or `bound` is later."""
    nodes = world.nodes
    if nodes[KNOWN_AT, node] == nodes[CHANGES, node]:
        if nodes[KNOWN_S, node] >= bound:
            return NEVER_S
        if nodes[KNOWN_FULLY, node]:
            return int(nodes[KNOWN_S, node])
    at_s = soonest(world, node, kind, bound)
    nodes[KNOWN_S, node] = min(at_s, bound)
    nodes[KNOWN_FULLY, node] = at_s < bound
    nodes[KNOWN_AT, node] = nodes[CHANGES, node]
    return at_s


@jit
def soonest(world: World, node: int, kind: int, bound: int) -> int:
    """When a kind fits on a node if its runs end at their limits; NEVER_S if not before `bound`."""
    nodes, room, gpu, kinds = world.nodes, world.room, world.gpu, world.kinds
    runs, parts = world.runs, world.parts
    if fits(nodes, room, gpu, kinds, LEFT, node, kind):
        return int(world.reg[NOW])
    part = nodes[PART, node]
    if part == NONE or runs[TILL_S, parts[P_JOB, part]] >= bound or not room[LEFT, USABLE, node]:
        return NEVER_S
    want, milli = kinds[K_GPUS, kind], kinds[K_MILLI, kind]
    if room[ALL, FREE, node] < want * milli:
        return NEVER_S
    if want > 0 and not kinds[K_ACCEPTS + nodes[MODEL, node], kind]:
        return NEVER_S
    copy_layer(room, gpu, SPACE, LEFT, node)
    while part != NONE:
        job = parts[P_JOB, part]
        if runs[TILL_S, job] >= bound:
            return NEVER_S
        add_to(room, gpu, kinds, SPACE, node, runs[KIND, job], parts[P_GPUS, part], 1)
        if fits(nodes, room, gpu, kinds, SPACE, node, kind):
            return int(runs[TILL_S, job])
        part = parts[AFTER, part]
    return NEVER_S


@jit
def keep(world: World, node: int, kind: int) -> None:
    """Keep a node: write down what it has left at the shadow time beside the head."""
    reg, nodes, room, gpu, kinds = world.reg, world.nodes, world.room, world.gpu, world.kinds
    runs, parts = world.runs, world.parts
    nodes[HELD_NODE, reg[KEPT]] = node
    nodes[HELD, node] = 1
    reg[KEPT] += 1
    copy_layer(room, gpu, HOLD, LEFT, node)
    part = nodes[PART, node]
    while part != NONE and runs[TILL_S, parts[P_JOB, part]] <= reg[SHADOW_S]:
        add_to(room, gpu, kinds, HOLD, node, runs[KIND, parts[P_JOB, part]], parts[P_GPUS, part], 1)
        part = parts[AFTER, part]
    room[HOLD, CPU, node] -= kinds[K_CPU, kind]
    room[HOLD, MEMORY, node] -= kinds[K_MEMORY, kind]
    want = kinds[K_GPUS, kind]
    for g in range(gpu.shape[2]):
        if want > 0 and gpu[HOLD, node, g] >= kinds[K_MILLI, kind]:
            gpu[HOLD, node, g] -= kinds[K_MILLI, kind]
            want -= 1


@jit
def set_aside(nodes: Int64s, room: Int64s, gpu: Int32s, kept: int) -> None:
    """Leave of the kept nodes only what the head will leave there; `put_back` undoes it."""
    for i in range(kept):
        node = nodes[HELD_NODE, i]
        copy_layer(room, gpu, SAVED, LEFT, node)
        lower_to(room, gpu, LEFT, HOLD, node)
        nodes[CHANGES, node] += 1


@jit
def put_back(nodes: Int64s, room: Int64s, gpu: Int32s, kept: int) -> None:
    """Undo `set_aside`."""
    for i in range(kept):
        node = nodes[HELD_NODE, i]
        copy_layer(room, gpu, LEFT, SAVED, node)
        nodes[CHANGES, node] += 1
