"""One value for a run out of a metric's curve: the last, the least, the greatest, or smoothed.

Where the server samples a long history (320 points of 100,000), least and greatest are those of
the sample and of the last value: an extreme between two sampled steps is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from foundry_tui.estate.tracked import Point
from foundry_tui.experiments.nouns import Reduce

ALPHA = 0.1
"""Weight of the newest value of a smoothed curve, from above 0 to 1; 1 smooths nothing."""


def reduced(
    how: Reduce, curve: Sequence[Point], *, last: Point | None = None, alpha: float = ALPHA
) -> float | None:
    """The value that stands for the run; None when it has none.

    `last` is the latest value of the run's metric, which counts beside the curve's points. Least,
    greatest and smoothed leave NaN and infinities out; the last value is told as it is.
    """
    if how is Reduce.LAST:
        point = last or max(curve, key=_order, default=None)
        return None if point is None else point.value
    points = [*curve, last] if last is not None and last not in curve else list(curve)
    if how is Reduce.SMOOTH:
        line = smoothed(points, alpha)
        return line[-1].value if line else None
    values = [point.value for point in points if math.isfinite(point.value)]
    if not values:
        return None
    return min(values) if how is Reduce.MIN else max(values)


def smoothed(points: Sequence[Point], alpha: float = ALPHA) -> tuple[Point, ...]:
    """The curve as an exponential moving average, in the order of the steps.

    Each point is alpha of itself and the rest of what came before, divided by 1 - (1 - alpha)^n so
    that the start is not drawn to zero (Kingma and Ba, Adam, ICLR 2015, section 3). What is no
    finite number is left out.

    Raises:
        ValueError: alpha is not above 0 and at most 1.
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha {alpha}: the weight of the newest value is above 0 and at most 1")
    line: list[Point] = []
    mean, weight = 0.0, 0.0
    for point in sorted(points, key=_order):
        if not math.isfinite(point.value):
            continue
        # The debiased mean kept as such: the sums of huge values would overflow.
        weight = alpha + (1 - alpha) * weight
        share = alpha / weight
        mean = share * point.value + (1 - share) * mean
        line.append(Point(point.step, point.at, mean))
    return tuple(line)


def _order(point: Point) -> tuple[int, float]:
    return (point.step, point.at.timestamp())
