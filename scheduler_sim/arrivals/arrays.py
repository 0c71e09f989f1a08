"""Nodes and kinds of pod as arrays, for loops over them.

Named tuples, because compiled code takes those and not data classes. Nodes are in the order that
breaks ties, so that the first of equals is the one to take.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.arrivals.stream import Stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.cluster import WHOLE_MILLI

LEAST_WIDTH = 8
"""GPU columns of the node arrays, also where no node has that many."""


class NodeArrays(NamedTuple):
    """What every node has left; rows are nodes in tie-break order.

    `gpu_left` is (nodes, 8 or more), 0 where a node has no such device, in thousandths; `cpu_left`
    in thousandths of a core, `memory_left` in MiB, `model` an index into `model_names`, `gpus` the
    number of devices: (nodes,).
    """

    gpu_left: NDArray[np.int32]
    cpu_left: NDArray[np.int64]
    memory_left: NDArray[np.int64]
    model: NDArray[np.int32]
    gpus: NDArray[np.int32]


class KindArrays(NamedTuple):
    """What each of `trace.kinds` asks for: GPUs, thousandths of each, thousandths of a core, MiB.

    `accepts` is (kinds, models): whether it may run on a node of that model.
    """

    gpus: NDArray[np.int32]
    milli: NDArray[np.int32]
    cpu: NDArray[np.int64]
    memory: NDArray[np.int64]
    accepts: NDArray[np.bool_]


def model_names(trace: Trace) -> tuple[str, ...]:
    """The GPU models of the cluster in the order of `NodeArrays.model`."""
    return tuple(sorted({node.model for node in trace.nodes}))


def node_arrays(trace: Trace, stream: Stream) -> NodeArrays:
    """The empty cluster in the tie-break order of this stream."""
    names = model_names(trace)
    nodes = [trace.nodes[row] for row in stream.order.tolist()]
    gpus = np.array([node.gpus for node in nodes], dtype=np.int32)
    width = max(LEAST_WIDTH, int(gpus.max()))
    left = np.where(np.arange(width) < gpus[:, None], WHOLE_MILLI, 0).astype(np.int32)
    return NodeArrays(
        gpu_left=left,
        cpu_left=np.array([node.cpu_milli for node in nodes], dtype=np.int64),
        memory_left=np.array([node.memory_mib for node in nodes], dtype=np.int64),
        model=np.array([names.index(node.model) for node in nodes], dtype=np.int32),
        gpus=gpus,
    )


def kind_arrays(trace: Trace) -> KindArrays:
    """The kinds of a trace; the same for every stream of it."""
    names = model_names(trace)
    accepts = [[not kind.models or name in kind.models for name in names] for kind in trace.kinds]
    return KindArrays(
        gpus=np.array([kind.gpus for kind in trace.kinds], dtype=np.int32),
        milli=np.array([kind.gpu_milli for kind in trace.kinds], dtype=np.int32),
        cpu=np.array([kind.cpu_milli for kind in trace.kinds], dtype=np.int64),
        memory=np.array([kind.memory_mib for kind in trace.kinds], dtype=np.int64),
        accepts=np.array(accepts, dtype=np.bool_),
    )
