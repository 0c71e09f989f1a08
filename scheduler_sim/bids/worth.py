"""What the rest of a GPU is worth to the runs that are expected, at each price of a core.

Let runs of shape i come with probability p(i), be worth v(i) and need c(i) cores. A GPU with r
left, in a place where a core costs k, sees b of them before something has to be taken. It takes
the one that is worth most there, and what is left then is worth what it is worth:

    U(k, r) = E[ max over b runs drawn by p of  max(0, v(i) - k c(i) + U(k, r - m(i))) ]

(runs that do not fit count as nothing). With the runs sorted by that sum y(1) >= y(2) >= ..., and
P(j) the probability of one of the first j, the maximum of b draws is the j-th with probability
(1 - P(j-1))^b - (1 - P(j))^b. With b = 1 this is the mean over the mix; with b without end it is
the knapsack that a linear program prices, in which a rare run that happens to fit counts as if
it were always at hand. The truth lies between, and b is the one thing to choose (`stages`).

A node is worth the least that its resources can be had for, over the prices of a core:

    W = min over k of  k C + sum over its GPUs of U(k, r)

which is high only where both cores and GPUs find takers. All in integers: thousandths of a GPU
times `SCALE`, probabilities in 2^-30, so that every machine gets the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.cluster import WHOLE_MILLI

if TYPE_CHECKING:
    from scheduler_sim.bids.shapes import Shapes

Ints = NDArray[np.int64]

SCALE = 100
"""Units of worth in one thousandth of a GPU."""

BITS = 30
ONE = 1 << BITS
"""Probability 1."""

CPU_PRICES: Ints = np.array(
    [0, *(round(SCALE * 2 ** (half / 2)) for half in range(18))], dtype=np.int64
)
"""Prices of a core that are tried, in units of worth: 0, and 1 to 362 thousandths of a GPU."""


def worth_tables(
    shapes: Shapes,
    values: Ints,
    choice: int,
    prices: Ints = CPU_PRICES,
    *,
    compiled: bool = False,
) -> Ints:
    """U for every model, price of a core and multiple of `shapes.unit`: (models, prices, levels).

    `values` is (shapes,) in units of worth; `choice` is b. Models that accept the same shapes are
    worked out once. `compiled` loops give the same as numpy, for those who have numba loaded.

    Raises:
        ValueError: `choice` is below 1.
    """
    if choice < 1:
        raise ValueError(f"choice: at least one run to choose from, got {choice}")
    one = np.flatnonzero(shapes.gpus == 1)
    levels = WHOLE_MILLI // shapes.unit + 1
    alike, model_of = np.unique(shapes.accepts[one], axis=1, return_inverse=True)
    tables = np.zeros((alike.shape[1], prices.size, levels), dtype=np.int64)
    net = values[one] - prices[:, None] * shapes.cpu[one] // 1000
    size, seen = shapes.milli[one] // shapes.unit, shapes.seen[one]
    fill = _fill
    if compiled:
        from scheduler_sim.bids.loops import fill
    for row, accepted in enumerate(alike.T):
        fill(size[accepted], net[:, accepted], seen[accepted], shapes.total, choice, tables[row])
    return tables[model_of.reshape(-1)]


def _fill(size: Ints, net: Ints, seen: Ints, total: int, choice: int, table: Ints) -> None:
    """Fill one model's (prices, levels) from the smallest rest of a GPU up."""
    for level in range(1, table.shape[1]):
        fit = np.flatnonzero(size <= level)
        gain = np.maximum(net[:, fit] + table[:, level - size[fit]], 0)
        order = np.argsort(-gain, axis=1)
        better = np.cumsum(seen[fit][order], axis=1)
        below = _powers(((total - better) << BITS) // total, choice)
        above = np.concatenate([np.full((len(net), 1), ONE), below[:, :-1]], axis=1)
        mean = ((above - below) * np.take_along_axis(gain, order, axis=1)).sum(axis=1) >> BITS
        table[:, level] = np.maximum(mean, table[:, level - 1])


def _powers(base: Ints, exponent: int) -> Ints:
    result = np.full_like(base, ONE)
    while exponent:
        if exponent & 1:
            result = (result * base) >> BITS
        base = (base * base) >> BITS
        exponent >>= 1
    return result
