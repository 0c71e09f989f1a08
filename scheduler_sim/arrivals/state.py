"""The cluster as one table of integers, which both forms of the published policies work on.

One table and not an array per quantity, because handing many arrays to a compiled function costs
more than to score a node, and because what is known of a node then lies together in memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.arrivals.arrays import KindArrays, NodeArrays
from scheduler_sim.cluster import WHOLE_MILLI

Ints = NDArray[np.int64]

MODEL, GPUS, CPU, MEMORY, GPU_SUM, MOST, FREE, TAGS, STRANDED, GPU0 = range(10)
"""Columns of a node: index of its GPU model, number of GPUs, thousandths of a core and MiB left,
GPU left in all and on the GPU that has most, whole GPUs left, a bit per sort of pod it holds (0:
shares, k: k GPUs), N F of `stranding`, and from GPU0 on what each GPU has left."""

ASK_GPUS, ASK_MILLI, ASK_CPU, ASK_MEMORY, ASK_TAG, ASK_SLOT = range(6)
"""Columns of a kind of pod: what it asks for, its bit in TAGS (0 without GPUs), and the row it owns
of the score cache (0: none)."""


def node_table(nodes: NodeArrays) -> Ints:
    """The empty cluster: (nodes, 9 + GPU columns). STRANDED is not known yet."""
    table = np.zeros((nodes.gpus.size, GPU0 + nodes.gpu_left.shape[1]), dtype=np.int64)
    table[:, MODEL], table[:, GPUS] = nodes.model, nodes.gpus
    table[:, CPU], table[:, MEMORY] = nodes.cpu_left, nodes.memory_left
    table[:, GPU_SUM] = nodes.gpu_left.sum(axis=1)
    table[:, MOST] = nodes.gpu_left.max(axis=1)
    table[:, FREE] = (nodes.gpu_left == WHOLE_MILLI).sum(axis=1)
    table[:, GPU0:] = nodes.gpu_left
    return table


def ask_table(kinds: KindArrays, arrivals: NDArray[np.int32]) -> Ints:
    """The kinds of pod: (kinds, 6). Those that arrive more than once own a row of the cache."""
    table = np.empty((kinds.gpus.size, 6), dtype=np.int64)
    table[:, ASK_GPUS], table[:, ASK_MILLI] = kinds.gpus, kinds.milli
    table[:, ASK_CPU], table[:, ASK_MEMORY] = kinds.cpu, kinds.memory
    # a pod with more GPUs than a node can have is placed nowhere and leaves no tag
    bit = np.where(kinds.milli < WHOLE_MILLI, 0, np.minimum(kinds.gpus, 62))
    table[:, ASK_TAG] = np.where(kinds.gpus > 0, np.int64(1) << bit.astype(np.int64), 0)
    again = np.bincount(arrivals, minlength=kinds.gpus.size) > 1
    table[:, ASK_SLOT] = np.where(again, np.cumsum(again), 0)
    return table
