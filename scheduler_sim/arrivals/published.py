"""The six published policies: Random, DotProd, GpuClustering, GpuPacking, BestFit and FGD.

Weng et al. (USENIX ATC 2023) and the scheduler plugins they compare with. Every score is cut to an
integer before it is compared, the highest wins, and ties go to the first node of the stream's
order. Pods with a share of a GPU go to the fitting GPU that has least left (Random: any; FGD: the
first with the best score), others to the free GPUs of lowest index.
"""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from scheduler_sim import kernels
from scheduler_sim.arrivals import loops, vectors
from scheduler_sim.arrivals.arrays import kind_arrays, node_arrays
from scheduler_sim.arrivals.decisions import Decisions
from scheduler_sim.arrivals.rules import FGD, NAMES, RANDOM
from scheduler_sim.arrivals.state import ASK_SLOT, ask_table, node_table
from scheduler_sim.arrivals.stranding import stranding, typical_pods
from scheduler_sim.arrivals.stream import Stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.cluster import Request
from scheduler_sim.fragmentation import Mix

_NO_MIX = Mix((Request(gpus=1),), (1,))


def decide(trace: Trace, stream: Stream, name: str) -> Decisions:
    """Where a published policy places each arrival; `name` is one of `rules.NAMES`.

    Raises:
        ValueError: there is no published policy of that name.
    """
    if name not in NAMES:
        raise ValueError(f"policy: must be one of {', '.join(NAMES)}, got {name}")
    policy = NAMES.index(name)
    tables = stranding(trace, typical_pods(trace) if policy == FGD else _NO_MIX)
    kinds = kind_arrays(trace)
    asks = ask_table(kinds, stream.kinds)
    form = loops.decide if kernels.FAST else vectors.decide
    node, gpus = form(
        policy,
        int(asks[:, ASK_SLOT].max()) + 1,
        stream.kinds,
        _draws(stream) if policy == RANDOM else np.empty((0, 2), dtype=np.int64),
        node_table(node_arrays(trace, stream)),
        asks,
        kinds.accepts,
        tables,
    )
    return Decisions(node, gpus)


def _draws(stream: Stream) -> NDArray[np.int64]:
    """32 random bits for the node and 32 for the GPU of each arrival, not those of the arrivals."""
    generator = random.Random(stream.seed ^ 0x5EED_0000)
    drawn = [int(generator.random() * (1 << 32)) for _ in range(2 * stream.kinds.size)]
    return np.array(drawn, dtype=np.int64).reshape(-1, 2)
