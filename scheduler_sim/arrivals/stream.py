"""The arrival list of one experiment: which pods come, in which order, and which node wins a tie.

As published for FGD: the trace is shuffled, then pods are drawn from it again until the next one
would ask for more than `inflate` times the GPUs of the cluster; nothing ever leaves. Only
`random.Random(seed).random()` is drawn from, whose numbers are the same in every version of Python
on every machine. The order of the trace's own pods and of the nodes does not depend on `inflate`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.arrivals.trace import Trace, TraceError

INFLATE = 1.3
"""Requested GPUs over those of the cluster in the published experiment."""

MOST_ARRIVALS = 5_000_000
"""A list that would be longer fills the memory; the published traces make some ten thousand."""


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """The arrivals in order.

    `kinds` is the row in `trace.kinds` and `pods` the row in `trace.pods` of each arrival. `rank`
    is the position of each of `trace.nodes` in the order that breaks ties: the lower wins.
    """

    kinds: NDArray[np.int32]
    pods: NDArray[np.int32]
    rank: NDArray[np.int32]
    seed: int = 0
    inflate: float = INFLATE

    @property
    def order(self) -> NDArray[np.int32]:
        """The rows of `trace.nodes` in the order that breaks ties; the inverse of `rank`."""
        return np.argsort(self.rank).astype(np.int32)


def stream(trace: Trace, seed: int, inflate: float = INFLATE) -> Stream:
    """The arrivals of one seed.

    Where the trace itself asks for more than the target, pods are taken from the end of the
    shuffled list until it does not, which is to remove them at random.

    Raises:
        ValueError: `inflate` is not a positive number.
        TraceError: no pod asks for a GPU, or so few that drawing pods would hardly ever end.
    """
    if not 0 < inflate < float("inf"):
        raise ValueError(f"inflate: must be a positive number, got {inflate}")
    milli = [kind.total_milli for kind in trace.kinds]
    if not any(milli):
        raise TraceError("num_gpu: no pod of the trace asks for a GPU")
    # the decimal as it is written: 1.3 is not 1.3000000000000000444
    target = int(Fraction(str(inflate)) * trace.capacity_milli)
    generator = random.Random(seed)
    kind_of = trace.kind_of.tolist()
    expected = target * len(kind_of) // sum(milli[kind] for kind in kind_of)
    if expected > MOST_ARRIVALS:
        raise TraceError(
            f"num_gpu, gpu_milli: {len(kind_of)} pods ask for so little GPU that about {expected} "
            f"arrivals would be drawn; at most {MOST_ARRIVALS} are possible"
        )
    pods = _shuffled(len(trace.pods), generator)
    rank = _shuffled(len(trace.nodes), generator)
    asked = sum(milli[kind_of[pod]] for pod in pods)
    while asked > target:
        asked -= milli[kind_of[pods.pop()]]
    while True:
        pod = int(generator.random() * len(kind_of))
        asked += milli[kind_of[pod]]
        if asked > target:
            break
        pods.append(pod)
    arrived = np.array(pods, dtype=np.int32)
    kinds = trace.kind_of[arrived]
    return Stream(kinds, arrived, np.array(rank, dtype=np.int32), seed, inflate)


def _shuffled(count: int, generator: random.Random) -> list[int]:
    """A random permutation of 0..count-1 (Fisher and Yates)."""
    row = list(range(count))
    for i in range(count - 1, 0, -1):
        j = int(generator.random() * (i + 1))
        row[i], row[j] = row[j], row[i]
    return row
