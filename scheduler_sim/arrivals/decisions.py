"""What a policy decided: where each arrival went, and what was moved for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REFUSED = -1
"""The node of an arrival that was placed nowhere; it never comes again."""


@dataclass(frozen=True, slots=True)
class Move:
    """An earlier arrival goes to another place just before arrival `after_arrival` is placed.

    `after_arrival` and `arrival` are rows of the stream, `node` a row in tie-break order, `gpus` a
    bit for each GPU. Moves made for one arrival happen at once: all leave, then all settle.
    """

    after_arrival: int
    arrival: int
    node: int
    gpus: int


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """For each arrival the row of its node in tie-break order (-1: refused) and a bit per GPU.

    `moves` are in the order in which they happen.
    """

    node: NDArray[np.int32]
    gpus: NDArray[np.uint16]
    moves: tuple[Move, ...] = ()
