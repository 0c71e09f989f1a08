"""What a bound is asked about, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shape:
    """What one part of a run asks of one node: `gpus` devices, `gpu_milli` of each."""

    gpus: int
    gpu_milli: int
    cpu_milli: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Order:
    """`count` equal runs, each of `parts` parts of one shape, each worth `value` when started.

    `forced` of them have to be started whatever that costs.

    Raises:
        ValueError: a negative number, more forced than there are, or a value that is no number.
    """

    shape: int
    value: float
    count: int
    forced: int = 0
    parts: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.value < float("inf"):
            raise ValueError(f"value: at least 0 and finite, got {self.value}")
        if not 0 <= self.forced <= self.count:
            raise ValueError(f"forced: 0..{self.count} (the count), got {self.forced}")
        if self.parts < 1:
            raise ValueError(f"parts: at least 1, got {self.parts}")


@dataclass(frozen=True, slots=True)
class NodeClass:
    """Nodes taken as one: `bins` are (thousandths left, how many such GPUs), the rest are sums."""

    bins: tuple[tuple[int, int], ...]
    cpu_milli: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Problem:
    """`room` (shapes, classes): so many parts of a shape fit there at most, if nothing else does.

    0 where the shape may not go. Never more than is asked for, so that it stays small.
    """

    shapes: tuple[Shape, ...]
    orders: tuple[Order, ...]
    classes: tuple[NodeClass, ...]
    room: Ints

    def __post_init__(self) -> None:
        if self.room.shape != (len(self.shapes), len(self.classes)):
            raise ValueError(
                f"room: {len(self.shapes)} shapes and {len(self.classes)} classes, "
                f"got {self.room.shape}"
            )


@dataclass(frozen=True, slots=True)
class Prices:
    """What things are worth here, in the unit of the orders' values: shadow prices of the program.

    `shape_cost` (shapes,) is what one part takes away from others, `cpu` (classes,) the price of a
    thousandth of a core, `memory` (classes,) of a MiB, `slot` (classes, sizes) of a place for one
    share of `sizes_milli[j]` thousandths, and `gpu` one price per bin of each class, in their
    order.
    """

    sizes_milli: tuple[int, ...]
    shape_cost: Floats
    slot: Floats
    cpu: Floats
    memory: Floats
    gpu: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """No schedule is worth more than `most`.

    `most` is None where the forced orders cannot all be started, which is then proven
    (`feasible` False). `feasible` is None where time ended before it was known whether fractions of
    runs could meet them, and `proven` is False where time ended before `most` was as low as this
    program gets; `reached` is what
    fractions of runs are known to reach, None for not known.
    """

    most: float | None
    reached: float | None
    feasible: bool | None
    proven: bool
    rounds: int
    patterns: int
    prices: Prices
