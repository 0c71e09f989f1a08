"""How much idle GPU share the expected runs cannot use: the measure F of FGD.

For a node with shares r left, R their sum, and a typical run i that asks m of each of n devices
and c of CPU, the stranded share is

    F(i) = R                          if i asks for no GPU, CPU or model do not fit, or fewer than
                                      n devices have r >= m (memory is not looked at)
         = sum of the r below m       otherwise

and F is the mean over typical runs, weighted by how often each was seen. Source: Weng et al.,
"Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent",
USENIX ATC 2023. Here the weights stay integer counts, so that F times their sum is an exact integer
and the same on every machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.cluster import Cluster, Request

Ints = NDArray[np.int64]

SHARE_PCT = 95
"""Typical runs are the most frequent kinds that together make up this share of all."""


@dataclass(frozen=True, slots=True)
class Mix:
    """The typical runs and how often each was seen.

    Raises:
        ValueError: empty, of unequal lengths, or a count below 1.
    """

    requests: tuple[Request, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.requests or len(self.requests) != len(self.counts):
            raise ValueError(f"counts: {len(self.counts)} for {len(self.requests)} typical runs")
        if min(self.counts) < 1:
            raise ValueError("counts: each typical run was seen at least once")

    @property
    def total(self) -> int:
        """The sum of the counts: F times this is an integer."""
        return sum(self.counts)


def typical(requests: Iterable[Request], share_pct: int = SHARE_PCT) -> Mix:
    """The most frequent kinds of request that together reach `share_pct` percent of all.

    Memory is left out of what makes a kind. Kinds of equal frequency are taken in the order of
    their numbers.

    Raises:
        ValueError: there are no requests, or the share is not within 1..100.
    """
    if not 1 <= share_pct <= 100:
        raise ValueError(f"share_pct: 1..100, got {share_pct}")
    seen = Counter((r.cpu_milli, r.gpu_milli, r.gpus, r.models) for r in requests)
    total = sum(seen.values())
    if not total:
        raise ValueError("requests: none were given, so none is typical")
    kinds, counts, reached = [], [], 0
    for (cpu_milli, gpu_milli, gpus, models), count in sorted(
        seen.items(), key=lambda kind: (-kind[1], kind[0])
    ):
        kinds.append(Request(gpus, gpu_milli, cpu_milli, 0, models))
        counts.append(count)
        reached += count
        if 100 * reached >= share_pct * total:
            break
    return Mix(tuple(kinds), tuple(counts))


class Measure:
    """F for the nodes of one cluster and one mix, vectorised over nodes and typical runs."""

    __slots__ = ("_accepted", "_counts", "_cpu", "_gpus", "_milli", "total")

    def __init__(self, cluster: Cluster, mix: Mix) -> None:
        self.total = mix.total
        self._counts = np.array(mix.counts, dtype=np.int64)
        self._cpu = np.array([r.cpu_milli for r in mix.requests], dtype=np.int64)
        self._gpus = np.array([r.gpus for r in mix.requests], dtype=np.int64)
        self._milli = np.array([r.gpu_milli for r in mix.requests], dtype=np.int32)
        accepted = [[not r.models or m in r.models for r in mix.requests] for m in cluster.models]
        self._accepted = np.array(accepted, dtype=np.bool_)

    def of(self, gpu_left: NDArray[np.int32], cpu_left: Ints, model: NDArray[np.intp]) -> Ints:
        """F times the sum of the counts for each row; (rows, GPUs), (rows,), (rows,) -> (rows,)."""
        fits = gpu_left[:, :, None] >= self._milli
        usable = (self._gpus > 0) & (cpu_left[:, None] >= self._cpu) & self._accepted[model]
        usable &= fits.sum(axis=1) >= self._gpus
        left = gpu_left.sum(axis=1, dtype=np.int64)
        useful = np.where(fits, gpu_left[:, :, None], 0).sum(axis=1, dtype=np.int64)
        served: Ints = np.where(usable, useful, 0) @ self._counts
        stranded: Ints = left * self.total - served
        return stranded


def fragmentation(cluster: Cluster, mix: Mix) -> Ints:
    """F times `mix.total` for every node, in thousandths of a GPU times counts."""
    return Measure(cluster, mix).of(cluster.gpu_left, cluster.cpu_left, cluster.model)


def score_thresholds(total: int) -> Ints:
    """The falls of F times `total` at which FGD's score reaches 1, 2, ... 99.

    The score is int(100 / (1 + exp(-fall / 1000))) with the fall in thousandths of a GPU, so it
    reaches k where fall >= 1000 ln(k / (100 - k)). In decimal arithmetic, because the last bit of
    a binary logarithm differs between machines.
    """
    with localcontext() as context:
        context.prec = 40
        exact = [1000 * total * (Decimal(k) / (100 - k)).ln() for k in range(1, 100)]
        return np.array([int(x.to_integral_value("ROUND_CEILING")) for x in exact], dtype=np.int64)
