"""Which nodes a run takes: first fit, best fit, or least fragmentation (FGD).

The scores are those of `scheduler_sim.policies`, as loops over single numbers. Gangs take the nodes
with the best scores, all different; ties go to the node that stands first.
"""

from __future__ import annotations

from scheduler_sim.cluster import WHOLE_MILLI
from scheduler_sim.kernels import jit
from scheduler_sim.queues.rooms import fits
from scheduler_sim.queues.state import (
    BEST_FIT,
    CHANGES,
    CPU,
    FGD,
    FIRST_FIT,
    FREE,
    K_ACCEPTS,
    K_CPU,
    K_GPUS,
    K_MEMORY,
    K_MILLI,
    K_WEIGHT,
    MEMORY,
    MODEL,
    NONE,
    PICK_GPUS,
    PICK_NODE,
    PICK_SCORE,
    S_GPU,
    S_SCORE,
    S_SEEN,
    Int32s,
    Int64s,
    World,
)


@jit
def choose(world: World, layer: int, policy: int, kind: int, count: int) -> int:
    """Up to `count` different nodes on which the kind fits in a layer; how many were found.

    They are the first in PICK_NODE and PICK_GPUS.
    """
    nodes, room, gpu, kinds = world.nodes, world.room, world.gpu, world.kinds
    row, found, points, worst = 0, 0, 0, 0
    if policy == FGD:
        row = kind % len(world.owner)
        if world.owner[row] != kind:
            world.owner[row] = kind
            world.scores[S_SEEN, row] = NONE
    cpu, memory = kinds[K_CPU, kind], kinds[K_MEMORY, kind]
    milli = kinds[K_GPUS, kind] * kinds[K_MILLI, kind]
    cpu_left, memory_left, free = room[layer, CPU], room[layer, MEMORY], room[layer, FREE]
    for node in range(nodes.shape[1]):
        # Most nodes are ruled out by these few numbers, which is where the time goes.
        if cpu_left[node] < cpu or free[node] < milli or memory_left[node] < memory:
            continue
        if policy == BEST_FIT:
            points = fullness(cpu_left[node] - cpu, free[node] - milli)
            if found == count and points <= worst:
                continue
        if not fits(nodes, room, gpu, kinds, layer, node, kind):
            continue
        if policy == FGD:
            if world.scores[S_SEEN, row, node] != nodes[CHANGES, node]:
                gradient(world, layer, row, node, kind)
            points = int(world.scores[S_SCORE, row, node])
        found = insert(nodes, found, count, node, points)
        worst = int(nodes[PICK_SCORE, found - 1])
        if policy == FIRST_FIT and found == count:
            break
    for k in range(found):
        node = nodes[PICK_NODE, k]
        if policy == FGD and kinds[K_GPUS, kind] == 1 and kinds[K_MILLI, kind] < WHOLE_MILLI:
            nodes[PICK_GPUS, k] = 1 << int(world.scores[S_GPU, row, node])
        else:
            nodes[PICK_GPUS, k] = fullest(
                gpu, layer, node, kinds[K_GPUS, kind], kinds[K_MILLI, kind]
            )
    return found


@jit
def insert(nodes: Int64s, found: int, count: int, node: int, points: int) -> int:
    """Keep the `count` best in order, nodes coming in their own order; how many there are now."""
    if found == count:
        if points <= nodes[PICK_SCORE, found - 1]:
            return found
        found -= 1
    place = found
    while place > 0 and nodes[PICK_SCORE, place - 1] < points:
        nodes[PICK_SCORE, place] = nodes[PICK_SCORE, place - 1]
        nodes[PICK_NODE, place] = nodes[PICK_NODE, place - 1]
        place -= 1
    nodes[PICK_SCORE, place] = points
    nodes[PICK_NODE, place] = node
    return found + 1


@jit
def fullest(gpu: Int32s, layer: int, node: int, want: int, milli: int) -> int:
    """Mask of the devices that have least left and still fit, lowest index on ties."""
    taken = 0
    for _ in range(want):
        best, least = NONE, 0
        for g in range(gpu.shape[2]):
            left = gpu[layer, node, g]
            if left >= milli and not taken >> g & 1 and (best == NONE or left < least):
                best, least = g, left
        taken |= 1 << best
    return taken


@jit
def fullness(cpu_after: int, gpu_after: int) -> int:
    """The score of best fit by what would be left: see `policies.best_fit`."""
    points = 256_000 - cpu_after - 16 * gpu_after
    if points >= 0:
        return int(points // 2_560)
    return int(-(-points // 2_560))


@jit
def gradient(world: World, layer: int, row: int, node: int, kind: int) -> None:
    """Remember FGD's score and device for a kind that fits on a node: see `policies.Fgd`."""
    nodes, gpu, scores, kinds = world.nodes, world.gpu, world.scores, world.kinds
    typical, model = world.typical, nodes[MODEL, node]
    cpu = world.room[layer, CPU, node]
    cpu_after = cpu - kinds[K_CPU, kind]
    want, milli = kinds[K_GPUS, kind], kinds[K_MILLI, kind]
    before = stranded(typical, gpu, layer, node, cpu, model, 0, 0)
    best, device = NONE, 0
    if want == 1 and milli < WHOLE_MILLI:
        for g in range(gpu.shape[2]):
            if gpu[layer, node, g] >= milli:
                after = stranded(typical, gpu, layer, node, cpu_after, model, 1 << g, milli)
                points = passed(world.thresholds, before - after)
                if points > best:
                    best, device = points, g
    else:
        taken = fullest(gpu, layer, node, want, milli)
        after = stranded(typical, gpu, layer, node, cpu_after, model, taken, milli)
        best = passed(world.thresholds, before - after)
    scores[S_SEEN, row, node] = nodes[CHANGES, node]
    scores[S_SCORE, row, node] = best
    scores[S_GPU, row, node] = device


@jit
def stranded(
    typical: Int64s,
    gpu: Int32s,
    layer: int,
    node: int,
    cpu: int,
    model: int,
    taken: int,
    milli: int,
) -> int:
    """F times the sum of the counts for a node after `milli` was taken of some devices."""
    total = 0
    for i in range(typical.shape[1]):
        useful, fitting, left_all = 0, 0, 0
        for g in range(gpu.shape[2]):
            left = int(gpu[layer, node, g])
            if taken >> g & 1:
                left -= milli
            left_all += left
            if left >= typical[K_MILLI, i]:
                fitting += 1
                useful += left
        if (
            typical[K_GPUS, i] == 0
            or cpu < typical[K_CPU, i]
            or fitting < typical[K_GPUS, i]
            or not typical[K_ACCEPTS + model, i]
        ):
            useful = 0
        total += (left_all - useful) * typical[K_WEIGHT, i]
    return total


@jit
def passed(thresholds: Int64s, fall: int) -> int:
    """How many thresholds the fall has reached: the score 0..99."""
    low, high = 0, len(thresholds)
    while low < high:
        middle = (low + high) // 2
        if thresholds[middle] <= fall:
            low = middle + 1
        else:
            high = middle
    return low
