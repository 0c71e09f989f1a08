"""The measure F of stranded GPU share as tables, so that a node costs one look-up per GPU.

In `scheduler_sim.fragmentation` every typical pod is held against every GPU. Traces know only two
sorts of pod with GPUs: those that ask m <= 1000 of one, and those that ask n whole ones. A GPU
with r left serves a pod of the first sort where r >= m, whatever the other GPUs look like, and f
free GPUs serve one of the second sort where f >= n. So with the sum of counts N, R left in all,

    N F = N R - sum over GPUs of r shared[r] - 1000 f whole[f]

where `shared` and `whole` are the counts of the typical pods served, which depend on the node only
through its model and through how many of the typical CPU requests it still covers.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.arrivals.arrays import LEAST_WIDTH, model_names
from scheduler_sim.arrivals.trace import Trace, TraceError
from scheduler_sim.cluster import WHOLE_MILLI
from scheduler_sim.fragmentation import Mix, score_thresholds, typical

MOST_CELLS = 1 << 24
"""Largest table, in numbers: 128 MiB."""


class Stranding(NamedTuple):
    """Tables of one mix of typical pods on one cluster.

    `cpu_steps` are the typical CPU requests in rising order; a node covers the first c of them.
    `level` is (1001,): the column of `shared` for a GPU with so much left. `shared` is (models,
    c, levels), `whole` (models, c, free GPUs). `thresholds` are the falls of N F at which FGD's
    score reaches 1, 2, ... 99, and `total` is N.
    """

    cpu_steps: NDArray[np.int64]
    level: NDArray[np.int32]
    shared: NDArray[np.int64]
    whole: NDArray[np.int64]
    thresholds: NDArray[np.int64]
    total: int


def typical_pods(trace: Trace) -> Mix:
    """The most frequent kinds of the trace, before inflation, that make up 95 % of its pods."""
    return typical(trace.kinds[row] for row in trace.kind_of.tolist())


def stranding(trace: Trace, mix: Mix) -> Stranding:
    """The tables of this mix on the cluster of the trace.

    Raises:
        ValueError: a typical pod asks for a share of several GPUs.
        TraceError: the typical pods have so many different sizes that the tables would not fit
            into memory.
    """
    names = model_names(trace)
    width = max(LEAST_WIDTH, *(node.gpus for node in trace.nodes))
    asking = [(r, count) for r, count in zip(mix.requests, mix.counts, strict=True) if r.gpus]
    steps = sorted({r.cpu_milli for r, _ in asking})
    shares = sorted({r.gpu_milli for r, _ in asking if r.gpus == 1})
    if len(names) * len(steps) * max(width, len(shares)) > MOST_CELLS:
        raise TraceError(
            f"cpu_milli, gpu_milli: {len(steps)} typical CPU requests, {len(shares)} shares and "
            f"{len(names)} GPU models are too many to measure fragmentation; round the requests"
        )
    shared = np.zeros((len(names), len(steps) + 1, len(shares) + 1), dtype=np.int64)
    whole = np.zeros((len(names), len(steps) + 1, width + 1), dtype=np.int64)
    covering = {cpu_milli: covered for covered, cpu_milli in enumerate(steps, 1)}
    column = {milli: level for level, milli in enumerate(shares, 1)}
    for request, count in asking:
        models = [not request.models or name in request.models for name in names]
        if request.gpus > 1 and request.gpu_milli < WHOLE_MILLI:
            raise ValueError("gpu_milli: a typical pod asks for a share of several GPUs")
        if request.gpus == 1:
            shared[models, covering[request.cpu_milli], column[request.gpu_milli]] += count
        elif request.gpus <= width:
            whole[models, covering[request.cpu_milli], request.gpus] += count
    return Stranding(
        cpu_steps=np.array(steps, dtype=np.int64),
        level=np.searchsorted(shares, np.arange(WHOLE_MILLI + 1), side="right").astype(np.int32),
        shared=shared.cumsum(axis=1).cumsum(axis=2),  # whoever has more serves the smaller too
        whole=whole.cumsum(axis=1).cumsum(axis=2),
        thresholds=_thresholds(mix.total),
        total=mix.total,
    )


@functools.lru_cache(maxsize=64)
def _thresholds(total: int) -> NDArray[np.int64]:
    """Kept, because 99 logarithms cost as much as to place a thousand pods."""
    return score_thresholds(total)
