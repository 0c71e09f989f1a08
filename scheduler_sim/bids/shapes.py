"""The mix of runs that is expected: shapes with how often each was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.cluster import WHOLE_MILLI, Request

Ints = NDArray[np.int64]


MOST = 1000
"""Shapes that are told apart: the most frequent ones stand for the mix."""


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Requests without their memory, and how often each was seen; rows in a fixed order.

    `gpus`, `milli` of each, `cpu` in thousandths of a core and `seen` are (shapes,); `accepts` is
    (shapes, models). `unit` divides every share and the whole GPU: worth is known at its multiples.
    """

    gpus: Ints
    milli: Ints
    cpu: Ints
    accepts: NDArray[np.bool_]
    seen: Ints
    unit: int

    @property
    def total(self) -> int:
        """How many runs were seen."""
        return int(self.seen.sum())

    @property
    def mean_milli(self) -> int:
        """Mean GPU thousandths of a run, rounded up, at least 1."""
        asked = int((self.seen * self.gpus * self.milli).sum())
        return max(1, -(-asked // max(1, self.total)))


def shapes(
    requests: Iterable[tuple[Request, int]], models: Sequence[str], grain: int = 1
) -> Shapes:
    """The shapes of these requests, each with how often it was seen, for a cluster of `models`.

    Shares are rounded up to multiples of `grain` thousandths: the coarser, the sooner worth is
    worked out. Of more than `MOST` shapes the most frequent are taken.

    Raises:
        ValueError: nothing was seen, or a count is below 0.
    """
    seen: dict[tuple[int, int, int, tuple[bool, ...]], int] = {}
    for request, count in requests:
        if count < 0:
            raise ValueError(f"count: cannot be below 0, got {count}")
        if not count:
            continue
        accepts = tuple(
            not request.models or not request.gpus or m in request.models for m in models
        )
        milli = min(WHOLE_MILLI, -(-request.gpu_milli // grain) * grain) if request.gpus else 0
        shape = (request.gpus, milli, request.cpu_milli, accepts)
        seen[shape] = seen.get(shape, 0) + count
    if not seen:
        raise ValueError("requests: none were seen, so no mix is known")
    rows = sorted(sorted(seen, key=lambda shape: (-seen[shape], shape))[:MOST])
    return Shapes(
        gpus=np.array([r[0] for r in rows], dtype=np.int64),
        milli=np.array([r[1] for r in rows], dtype=np.int64),
        cpu=np.array([r[2] for r in rows], dtype=np.int64),
        accepts=np.array([r[3] for r in rows], dtype=np.bool_).reshape(len(rows), len(models)),
        seen=np.array([seen[r] for r in rows], dtype=np.int64),
        unit=gcd(WHOLE_MILLI, *(r[1] for r in rows)),
    )
