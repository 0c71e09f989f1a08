"""What the compiled loops of the simulation work on: plain arrays, grouped by what they describe.

Why a few wide arrays and not objects: the loops are compiled where numba is installed and run as
they are where it is not, both must see the same numbers, and every array handed from one compiled
function to the next costs time at each call. So what describes one thing is the rows of one array,
and the names below are the numbers of the rows. Every amount is an integer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Int8s = NDArray[np.int8]

NONE = -1
"""No job, no node, no part, not yet."""

NEVER_S = 1 << 60
"""A moment that does not come."""

# What became of a run.
WAITING, RUNNING, DONE, KILLED, FAILED, IMPOSSIBLE = range(6)

# The order of the queue, and who may start before whom.
BY_RANK, BY_FAIR_SHARE = range(2)
STRICT, EASY, CONSERVATIVE = range(3)

# How a node is chosen.
FIRST_FIT, BEST_FIT, FGD, OUTSIDE = range(4)

# Where `advance` stopped.
FINISHED, FAULT, ASK, PLAN, PAUSE = range(5)

# The numbers of `reg`.
(
    NOW,
    UNTIL,
    NEXT_JOB,  # row of the next arrival
    NEXT_FAULT_S,
    RUNNING_NOW,  # how many ends are in the heap
    ORDER,
    RULE,
    POLICY,
    CHANGED,  # something happened that asks for a pass
    IN_PASS,
    PASS,  # number of the pass
    SEGMENT,  # position of the cursor's pair among those of the pass
    SEGMENTS,  # how many segments the pass goes through
    CURSOR,  # the next rank to look at
    HEAD,  # the first job that found no room, NONE before that
    HEAD_BEFORE,  # the head of the last pass
    SHADOW_S,  # when the head can start at the latest
    RESERVED_FOR,  # the head that the shadow time is for, NONE where it does not hold any more
    RESERVED_AT,  # FREED when it was found
    KNOWN_KIND,  # the kind that KNOWN_S is about
    KEPT,  # how many nodes are kept for the head
    LONG,  # whether the job asked about would still run at the shadow time
    FREED,  # how often a node got something back
    FREED_BEFORE,  # the same at the end of the last pass
    FIRST_NEW,  # rank of the first arrival since the last pass
    ASKED,  # the job that an outside placer is asked about
    STEPS,  # events since the last pause
    LEFT,  # jobs that are neither finished nor impossible
    USED_AT_S,  # until when usage was counted
    STEP_S,  # length of one step of decay
    NEXT_PLAN_S,  # the next planned start
    REGISTERS,
) = range(32)

RING = 4096
"""So many of the last nodes that got something back are remembered."""

WORD = 32
"""Bits used of each word of the set of waiting ranks."""

# Layers of `room` and `gpu`: what is left now, what there is in all, what is left during the whole
# of a window of time, what will be left beside the head, what was set aside, and working space.
LEFT, ALL, WINDOW, HOLD, SAVED, SPACE, LAYERS = range(7)

# Fields of a layer of `room`; FREE is the sum of the layer's `gpu` over the devices of a node.
CPU, MEMORY, FREE, USABLE, AMOUNTS = range(5)

# Rows of `nodes`.
(
    MODEL,
    CHANGES,  # how often the node changed: `Cluster.changes`
    PART,  # the first of the parts that run or are planned on it
    FREED_AT,  # FREED after it last got something back
    HELD,  # whether it is kept for the head
    HELD_NODE,  # the kept nodes, one after the other
    SOONEST_S,  # the smallest moments found, in order
    KNOWN_S,  # when the kind of the head fits there, or a moment before which it does not
    KNOWN_AT,  # CHANGES when that was found
    KNOWN_FULLY,  # whether it is the moment itself
    PICK_NODE,  # the nodes found for one job, best first
    PICK_GPUS,  # and their devices as bit masks
    PICK_SCORE,
    NODE_ROWS,
) = range(14)

# Rows of `kinds` and `typical`; from ACCEPTS on one for each GPU model, 1 if it will do.
K_GPUS, K_MILLI, K_CPU, K_MEMORY, K_WEIGHT, K_ACCEPTS = range(6)

# Rows of `runs`.
(
    SUBMIT_S,
    DURATION_S,
    LIMIT_S,
    GANG,
    KIND,
    SHAPE,  # number of the (kind, gang size)
    PAIR,  # number of the (account, user)
    CHARGE,  # what a second of it costs its account
    START_S,
    END_S,
    TILL_S,  # when it ends at the latest, as plans see it
    STATE,
    PROMISED_S,
    FIRST_PART,  # its parts are from here to where those of the next begin
    RANK,
    JOB_AT,  # the job of each rank
    PLAN_S,  # conservative backfill: its start as planned, or as it was
    MADE,  # FREED when its plan was last looked at
    HEAP_S,  # a heap of the running jobs by their true ends
    HEAP_JOB,
    RUN_ROWS,
) = range(21)

# Rows of `parts`: one node's share of a run, with links to others on that node.
P_NODE, P_GPUS, P_JOB, AFTER, BEFORE, PART_ROWS = range(6)

# Rows of `memo`, by shape: FREED when it was last seen to find no room, and the pass in which it
# found none outside of what is kept for the head.
FULL, BARRED, MEMO_ROWS = range(3)

# Rows of `pairs` and, the first two, of `accounts`: decayed use in charge-seconds, what is added
# each second, the account, how many jobs wait, the pairs of the pass in order, the first rank.
USED, RATE, ACCOUNT, IN_PAIR, LINE, FIRST_RANK, PAIR_ROWS = range(7)

# Layers of `scores`: for which state of the node, the score, and the device.
S_SEEN, S_SCORE, S_GPU, SCORE_LAYERS = range(4)


class World(NamedTuple):
    """The whole state of one simulation.

    `room` is (layers, amounts, nodes), `gpu` (layers, nodes, devices), `words` the set of waiting
    ranks and `level` where each of its summaries begins, `ring` the last nodes that got something
    back. The rest is (rows, things); runs and pairs have one more column than there are of them.
    `typical`, `thresholds`, `owner` (which kind a row of `scores` belongs to) and `scores` (layers,
    rows, nodes) serve FGD, and are next to empty under another policy.
    """

    reg: Int64s
    nodes: Int64s
    room: Int64s
    gpu: Int32s
    kinds: Int64s
    runs: Int64s
    parts: Int64s
    words: Int64s
    level: Int64s
    memo: Int64s
    ring: Int64s
    pairs: Int64s
    accounts: Int64s
    typical: Int64s
    thresholds: Int64s
    owner: Int64s
    scores: Int32s
