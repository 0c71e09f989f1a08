"""The event loop: ends, faults, arrivals, then one pass over the queue, second after second.

At one moment everything that ends is taken first, then faults, then arrivals; then a pass starts
what the discipline lets start. `advance` is one flat loop, so that it can stop where a caller has
to act (a fault, an outside placer, plans to be made, a pause) and go on from there.
"""

from __future__ import annotations

from scheduler_sim.kernels import jit
from scheduler_sim.queues.choice import choose
from scheduler_sim.queues.easy import put_back, reserve, set_aside
from scheduler_sim.queues.rooms import add_to, is_full, link, note_freed, take, unlink
from scheduler_sim.queues.state import (
    ASK,
    ASKED,
    BARRED,
    BY_FAIR_SHARE,
    BY_RANK,
    CHANGED,
    CHARGE,
    CONSERVATIVE,
    CURSOR,
    DONE,
    DURATION_S,
    EASY,
    END_S,
    FAULT,
    FINISHED,
    FIRST_FIT,
    FIRST_NEW,
    FIRST_PART,
    FIRST_RANK,
    FREED,
    FREED_BEFORE,
    FULL,
    GANG,
    HEAD,
    HEAD_BEFORE,
    HEAP_S,
    HELD,
    HOLD,
    IN_PAIR,
    IN_PASS,
    JOB_AT,
    KEPT,
    KILLED,
    KIND,
    LEFT,
    LIMIT_S,
    LINE,
    LONG,
    NEVER_S,
    NEXT_FAULT_S,
    NEXT_JOB,
    NEXT_PLAN_S,
    NONE,
    NOW,
    ORDER,
    OUTSIDE,
    P_GPUS,
    P_NODE,
    PAIR,
    PASS,
    PAUSE,
    PICK_GPUS,
    PICK_NODE,
    PLAN,
    PLAN_S,
    POLICY,
    PROMISED_S,
    RANK,
    RESERVED_FOR,
    RULE,
    RUNNING,
    RUNNING_NOW,
    SEGMENT,
    SEGMENTS,
    SHADOW_S,
    SHAPE,
    START_S,
    STATE,
    STEPS,
    STRICT,
    SUBMIT_S,
    TILL_S,
    UNTIL,
    WAITING,
    Int64s,
    World,
)
from scheduler_sim.queues.usage import charge, count_use, line_up
from scheduler_sim.queues.waiting import add, following, pop, push, remove

STEPS_A_TURN = 100_000
"""Events between two pauses, in which the caller can show progress or be interrupted."""


@jit
def advance(world: World, answer: int) -> int:
    """Go on until everything ended, or the caller has to act; says which.

    After ASK `answer` is how many nodes the outside placer wrote into `pick` for the job asked
    about; it must be its whole gang or 0.
    """
    reg = world.reg
    if reg[ASKED] != NONE:
        job = reg[ASKED]
        reg[ASKED] = NONE
        settle(world, job, answer, True)
    while True:
        if not reg[IN_PASS]:
            if not reg[CHANGED]:
                now_s = next_time(world)
                if now_s > reg[UNTIL]:
                    return FINISHED
                reg[NOW] = now_s
                reg[CHANGED] = 1
                if reg[ORDER] == BY_FAIR_SHARE:
                    count_use(world)
            while reg[RUNNING_NOW] > 0 and world.runs[HEAP_S, 0] <= reg[NOW]:
                job = pop(world.runs, reg[RUNNING_NOW])
                reg[RUNNING_NOW] -= 1
                late = world.runs[DURATION_S, job] > world.runs[LIMIT_S, job]
                stop(world, job, KILLED if late else DONE)
            if reg[NEXT_FAULT_S] <= reg[NOW]:
                return FAULT
            arrive(world)
            reg[CHANGED] = 0
            begin_pass(world)
            if reg[RULE] == CONSERVATIVE:
                return PLAN
        job = candidate(world)
        if job == NONE:
            end_pass(world)
            if reg[STEPS] >= STEPS_A_TURN:
                reg[STEPS] = 0
                return PAUSE
            continue
        if reg[LONG]:
            set_aside(world.nodes, world.room, world.gpu, reg[KEPT])
        kind, count = world.runs[KIND, job], int(world.runs[GANG, job])
        outside = reg[POLICY] == OUTSIDE
        policy = FIRST_FIT if outside else reg[POLICY]
        found = choose(world, LEFT, policy, kind, count)
        if outside and found == count:
            reg[ASKED] = job
            return ASK
        settle(world, job, found, False)


@jit
def next_time(world: World) -> int:
    """When something happens next; NEVER_S if nothing does."""
    reg, runs = world.reg, world.runs
    now_s = min(reg[NEXT_FAULT_S], reg[NEXT_PLAN_S])
    while reg[NEXT_JOB] < runs.shape[1] - 1 and runs[STATE, reg[NEXT_JOB]] != WAITING:
        reg[NEXT_JOB] += 1
    if reg[NEXT_JOB] < runs.shape[1] - 1:
        now_s = min(now_s, runs[SUBMIT_S, reg[NEXT_JOB]])
    if reg[RUNNING_NOW] > 0:
        now_s = min(now_s, world.runs[HEAP_S, 0])
    return int(now_s)


@jit
def arrive(world: World) -> None:
    """Let the runs that are submitted by now join the queue; impossible ones never do."""
    reg, runs = world.reg, world.runs
    while reg[NEXT_JOB] < runs.shape[1] - 1 and runs[SUBMIT_S, reg[NEXT_JOB]] <= reg[NOW]:
        job = reg[NEXT_JOB]
        reg[NEXT_JOB] += 1
        if runs[STATE, job] == WAITING:
            join(world, job)


@jit
def join(world: World, job: int) -> None:
    """Put a run into the queue at its rank."""
    reg, runs = world.reg, world.runs
    rank = int(runs[RANK, job])
    add(world.words, world.level, rank)
    world.pairs[IN_PAIR, world.runs[PAIR, job]] += 1
    reg[FIRST_NEW] = min(reg[FIRST_NEW], rank)
    reg[STEPS] += 1


@jit
def begin_pass(world: World) -> None:
    """Set the cursor to the first run that could start now.

    If nothing was given back since the last pass and the order is fixed, what waited then cannot
    start now: only the runs that came since have to be looked at, unless one ranks before the head.
    """
    reg, runs = world.reg, world.runs
    reg[IN_PASS] = 1
    reg[PASS] += 1
    reg[HEAD] = NONE
    reg[SEGMENT] = 0
    reg[SEGMENTS] = 1
    reg[CURSOR] = 0
    if reg[ORDER] == BY_FAIR_SHARE:
        line_up(world)
        if reg[SEGMENTS] > 0:
            reg[CURSOR] = world.pairs[FIRST_RANK, world.pairs[LINE, 0]]
    elif (
        reg[RULE] == EASY
        and reg[HEAD_BEFORE] != NONE
        and reg[FREED] == reg[FREED_BEFORE]
        and reg[POLICY] != OUTSIDE
        and runs[RANK, reg[HEAD_BEFORE]] < reg[FIRST_NEW]
    ):
        reg[HEAD] = reg[HEAD_BEFORE]
        reg[CURSOR] = min(reg[FIRST_NEW], runs.shape[1] - 1)


@jit
def end_pass(world: World) -> None:
    """Remember what the next pass need not look at again."""
    reg = world.reg
    reg[IN_PASS] = 0
    reg[HEAD_BEFORE] = reg[HEAD]
    reg[FREED_BEFORE] = reg[FREED]
    reg[FIRST_NEW] = NEVER_S


@jit
def next_rank(reg: Int64s, pairs: Int64s, words: Int64s, level: Int64s) -> int:
    """The next waiting rank in the order of the queue, NONE at its end."""
    while reg[SEGMENT] < reg[SEGMENTS]:
        rank = following(words, level, reg[CURSOR])
        if rank != NONE and (
            reg[ORDER] == BY_RANK or rank < pairs[FIRST_RANK, pairs[LINE, reg[SEGMENT]] + 1]
        ):
            reg[CURSOR] = rank + 1
            return rank
        reg[SEGMENT] += 1
        if reg[SEGMENT] < reg[SEGMENTS]:
            reg[CURSOR] = pairs[FIRST_RANK, pairs[LINE, reg[SEGMENT]]]
    return NONE


@jit
def candidate(world: World) -> int:
    """The next run that may start if nodes are found for it; NONE when the pass is over."""
    reg, runs, memo = world.reg, world.runs, world.memo
    reg[LONG] = 0
    while True:
        if reg[RULE] == STRICT and reg[HEAD] != NONE:
            return NONE
        rank = next_rank(reg, world.pairs, world.words, world.level)
        if rank == NONE:
            return NONE
        job = int(runs[JOB_AT, rank])
        if reg[RULE] == CONSERVATIVE:
            if world.runs[PLAN_S, job] == reg[NOW]:
                start(world, job)
            continue
        if reg[HEAD] != NONE:
            # Most of a long queue is passed over by these two, which is where the time goes.
            if memo[FULL, runs[SHAPE, job]] == reg[FREED]:
                continue
            late = reg[NOW] + runs[LIMIT_S, job] > reg[SHADOW_S]
            if late and memo[BARRED, runs[SHAPE, job]] == reg[PASS]:
                continue
        if is_full(world, job):
            if reg[HEAD] == NONE:
                lead(world, job)
            continue
        if reg[HEAD] == NONE:
            return job
        reserve(world)
        if reg[NOW] + runs[LIMIT_S, job] <= reg[SHADOW_S]:
            return job
        reg[LONG] = 1
        return job


@jit
def settle(world: World, job: int, found: int, asked: bool) -> None:
    """Start a run on the nodes found, or remember that there were too few.

    What an outside placer refused (`asked`) may fit all the same, so that is not remembered.
    """
    reg, runs = world.reg, world.runs
    if reg[LONG]:
        put_back(world.nodes, world.room, world.gpu, reg[KEPT])
    if found == runs[GANG, job]:
        place(world, job)
        return
    if not asked and reg[LONG]:
        world.memo[BARRED, runs[SHAPE, job]] = reg[PASS]
    elif not asked:
        world.memo[FULL, runs[SHAPE, job]] = reg[FREED]
    if reg[HEAD] == NONE:
        lead(world, job)


@jit
def lead(world: World, job: int) -> None:
    """A run is the first that finds no room; with backfill it gets its promise at once."""
    reg, runs = world.reg, world.runs
    reg[HEAD] = job
    if reg[RULE] == EASY and runs[PROMISED_S, job] == NONE:
        reserve(world)
        if reg[SHADOW_S] != NEVER_S:
            runs[PROMISED_S, job] = reg[SHADOW_S]


@jit
def place(world: World, job: int) -> None:
    """Write the nodes found into the run's parts and start it."""
    reg, runs, parts = world.reg, world.runs, world.parts
    first = runs[FIRST_PART, job]
    if reg[HEAD] == NONE:
        reg[RESERVED_FOR] = NONE
    runs[TILL_S, job] = reg[NOW] + runs[LIMIT_S, job]
    for k in range(runs[GANG, job]):
        node, gpus = world.nodes[PICK_NODE, k], world.nodes[PICK_GPUS, k]
        parts[P_NODE, first + k], parts[P_GPUS, first + k] = node, gpus
        link(world.nodes, runs, parts, first + k)
        if reg[LONG] and world.nodes[HELD, node]:
            add_to(world.room, world.gpu, world.kinds, HOLD, node, runs[KIND, job], gpus, -1)
    start(world, job)


@jit
def start(world: World, job: int) -> None:
    """A waiting run starts on its parts, which are on the nodes' lists already."""
    reg, runs, parts = world.reg, world.runs, world.parts
    runs[START_S, job] = reg[NOW]
    runs[END_S, job] = reg[NOW] + min(runs[DURATION_S, job], runs[LIMIT_S, job])
    runs[STATE, job] = RUNNING
    for part in range(runs[FIRST_PART, job], runs[FIRST_PART, job + 1]):
        take(
            world.nodes,
            world.room,
            world.gpu,
            world.kinds,
            parts[P_NODE, part],
            runs[KIND, job],
            parts[P_GPUS, part],
            1,
        )
    push(runs, reg[RUNNING_NOW], runs[END_S, job], job)
    reg[RUNNING_NOW] += 1
    remove(world.words, world.level, runs[RANK, job])
    world.pairs[IN_PAIR, runs[PAIR, job]] -= 1
    charge(world.pairs, world.accounts, runs[PAIR, job], runs[CHARGE, job])
    reg[STEPS] += 1


@jit
def stop(world: World, job: int, state: int) -> None:
    """A run that is no longer among the ends gives everything back."""
    runs, parts = world.runs, world.parts
    runs[STATE, job] = state
    for part in range(runs[FIRST_PART, job], runs[FIRST_PART, job + 1]):
        node = parts[P_NODE, part]
        unlink(world.nodes, parts, part)
        take(
            world.nodes,
            world.room,
            world.gpu,
            world.kinds,
            node,
            runs[KIND, job],
            parts[P_GPUS, part],
            -1,
        )
        note_freed(world.reg, world.nodes, world.ring, node)
    charge(world.pairs, world.accounts, runs[PAIR, job], -runs[CHARGE, job])
    world.reg[STEPS] += 1
