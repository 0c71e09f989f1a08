"""Whether a run fits on a node, taking its share there, and giving it back."""

from __future__ import annotations

from scheduler_sim.kernels import jit
from scheduler_sim.queues.state import (
    AFTER,
    BEFORE,
    CHANGES,
    CPU,
    FREE,
    FREED,
    FREED_AT,
    FULL,
    GANG,
    K_ACCEPTS,
    K_CPU,
    K_GPUS,
    K_MEMORY,
    K_MILLI,
    KIND,
    LEFT,
    MEMORY,
    MODEL,
    NONE,
    P_JOB,
    P_NODE,
    PART,
    RING,
    SHAPE,
    TILL_S,
    USABLE,
    Int32s,
    Int64s,
    World,
)


@jit
def fits(
    nodes: Int64s, room: Int64s, gpu: Int32s, kinds: Int64s, layer: int, node: int, kind: int
) -> bool:
    """Usable, CPU, memory, model and enough devices with the share left: `Cluster.fits`."""
    if room[layer, CPU, node] < kinds[K_CPU, kind]:
        return False
    if room[layer, MEMORY, node] < kinds[K_MEMORY, kind] or not room[layer, USABLE, node]:
        return False
    want, milli = kinds[K_GPUS, kind], kinds[K_MILLI, kind]
    if want == 0:
        return True
    if room[layer, FREE, node] < want * milli or not kinds[K_ACCEPTS + nodes[MODEL, node], kind]:
        return False
    for g in range(gpu.shape[2]):
        if gpu[layer, node, g] >= milli:
            want -= 1
            if want == 0:
                return True
    return False


@jit
def take(
    nodes: Int64s,
    room: Int64s,
    gpu: Int32s,
    kinds: Int64s,
    node: int,
    kind: int,
    gpus: int,
    sign: int,
) -> None:
    """Take a share of a node (`sign` 1) or give it back (-1); `gpus` is the mask of devices."""
    nodes[CHANGES, node] += 1
    add_to(room, gpu, kinds, LEFT, node, kind, gpus, -sign)


@jit
def add_to(
    room: Int64s, gpu: Int32s, kinds: Int64s, layer: int, node: int, kind: int, gpus: int, sign: int
) -> None:
    """Add a kind's share (`sign` 1) to a layer of a node, or take it away (-1)."""
    room[layer, CPU, node] += sign * kinds[K_CPU, kind]
    room[layer, MEMORY, node] += sign * kinds[K_MEMORY, kind]
    room[layer, FREE, node] += sign * kinds[K_GPUS, kind] * kinds[K_MILLI, kind]
    g = 0
    while gpus >> g:
        if gpus >> g & 1:
            gpu[layer, node, g] += sign * kinds[K_MILLI, kind]
        g += 1


@jit
def copy_layer(room: Int64s, gpu: Int32s, to: int, layer: int, node: int) -> None:
    """What one layer says of a node is what another says."""
    for amount in range(room.shape[1]):
        room[to, amount, node] = room[layer, amount, node]
    for g in range(gpu.shape[2]):
        gpu[to, node, g] = gpu[layer, node, g]


@jit
def lower_to(room: Int64s, gpu: Int32s, to: int, layer: int, node: int) -> None:
    """Of a node one layer says no more than another, amount by amount and device by device."""
    room[to, CPU, node] = min(room[to, CPU, node], room[layer, CPU, node])
    room[to, MEMORY, node] = min(room[to, MEMORY, node], room[layer, MEMORY, node])
    free = 0
    for g in range(gpu.shape[2]):
        gpu[to, node, g] = min(gpu[to, node, g], gpu[layer, node, g])
        free += gpu[to, node, g]
    room[to, FREE, node] = free


@jit
def link(nodes: Int64s, runs: Int64s, parts: Int64s, part: int) -> None:
    """Put a part on its node's list, which is in order of the latest ends."""
    node, till_s = parts[P_NODE, part], runs[TILL_S, parts[P_JOB, part]]
    before, after = NONE, nodes[PART, node]
    while after != NONE and runs[TILL_S, parts[P_JOB, after]] <= till_s:
        before, after = after, parts[AFTER, after]
    parts[BEFORE, part], parts[AFTER, part] = before, after
    if before == NONE:
        nodes[PART, node] = part
    else:
        parts[AFTER, before] = part
    if after != NONE:
        parts[BEFORE, after] = part


@jit
def unlink(nodes: Int64s, parts: Int64s, part: int) -> None:
    """Take a part off its node's list."""
    before, after = parts[BEFORE, part], parts[AFTER, part]
    if before == NONE:
        nodes[PART, parts[P_NODE, part]] = after
    else:
        parts[AFTER, before] = after
    if after != NONE:
        parts[BEFORE, after] = before


@jit
def note_freed(reg: Int64s, nodes: Int64s, ring: Int64s, node: int) -> None:
    """Remember that a node got something back."""
    ring[reg[FREED] % RING] = node
    reg[FREED] += 1
    nodes[FREED_AT, node] = reg[FREED]


@jit
def is_full(world: World, job: int) -> bool:
    """Whether a run is known to find no room: nodes only fill up until one gets something back.

    Of a single-node run only the nodes that got something back since it last found no room have to
    be looked at. False means that it is not known.
    """
    freed, kind, shape = world.reg[FREED], world.runs[KIND, job], world.runs[SHAPE, job]
    mark = world.memo[FULL, shape]
    if mark == freed:
        return True
    if mark == NONE or world.runs[GANG, job] != 1 or freed - mark > RING:
        return False
    for i in range(mark, freed):
        if fits(world.nodes, world.room, world.gpu, world.kinds, LEFT, world.ring[i % RING], kind):
            world.memo[FULL, shape] = NONE
            return False
    world.memo[FULL, shape] = freed
    return True
