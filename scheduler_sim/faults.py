"""When nodes fail, which ones, how, and for how long: a seeded stream."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

_KINDS = (
    ("down", "Not responding"),
    ("drain", "Xid 79: GPU has fallen off the bus"),
    ("drain", "ECC page retirement pending"),
    ("down", "Node unexpectedly rebooted"),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Row of the node, whether it goes `down` or only drains (`drain`), why, and for how long."""

    row: int
    kind: str
    text: str
    repair_s: int


class Faults:
    """Faults of a cluster of `nodes`, one every `every_s` on average, mended after `repair_s`."""

    def __init__(self, nodes: int, *, every_s: int, repair_s: int, seed: int) -> None:
        self._nodes, self._every_s, self._repair_s = nodes, every_s, repair_s
        self._random = Random(seed)

    def gap_s(self) -> int:
        """Seconds until the next fault, at least one."""
        return max(1, int(-self._every_s * math.log(1.0 - self._random.random())))

    def draw(self) -> Fault:
        """The next fault."""
        row = int(self._random.random() * self._nodes)
        kind, text = _KINDS[int(self._random.random() * len(_KINDS))]
        return Fault(row, kind, text, int(self._repair_s * (0.4 + 1.2 * self._random.random())))
