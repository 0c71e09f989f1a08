"""The worth of what is left of a GPU, written slowly and plainly: one price, one rest at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TypeVar

ONE = 2**30

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Ask:
    """A shape on one GPU model: its share in thousandths, what it is worth there, its count."""

    milli: int
    net: int
    seen: int


def exact(asks: Sequence[Ask], total: int, choice: int, unit: int) -> list[Fraction]:
    """U of every multiple of the unit: the mean over every sequence of `choice` draws there is."""
    found: list[Fraction] = [Fraction(0)]
    for rest in range(unit, 1001, unit):
        drawn = [(Fraction(total - sum(a.seen for a in asks), total), Fraction(0))]
        for ask in asks:
            gain = Fraction(0)
            if ask.milli <= rest:
                gain = max(gain, ask.net + found[(rest - ask.milli) // unit])
            drawn.append((Fraction(ask.seen, total), gain))
        mean = Fraction(0)
        for draws in product(drawn, repeat=choice):
            chance = Fraction(1)
            for probability, _ in draws:
                chance *= probability
            mean += chance * max(gain for _, gain in draws)
        found.append(mean)
    return found


def formula(asks: Sequence[Ask], total: int, choice: int, unit: int) -> list[float]:
    """The same by the closed form, in floating point."""
    found = [0.0]
    for rest in range(unit, 1001, unit):
        gains = sorted(_gains(asks, found, rest, unit), reverse=True)
        mean, better = 0.0, 0
        for gain, seen in gains:
            above = (1 - better / total) ** choice
            better += seen
            mean += (above - (1 - better / total) ** choice) * gain
        found.append(mean)
    return found


def whole_numbers(asks: Sequence[Ask], total: int, choice: int, unit: int) -> list[int]:
    """The rule to the bit: probabilities in 2^-30, everything cut, never less for more room."""
    found = [0]
    for rest in range(unit, 1001, unit):
        gains = sorted(_gains(asks, found, rest, unit), reverse=True)
        mean, better = 0, 0
        for gain, seen in gains:
            above = power((total - better) * ONE // total, choice)
            better += seen
            mean += (above - power((total - better) * ONE // total, choice)) * gain
        found.append(max(mean // ONE, found[-1]))
    return found


def power(base: int, exponent: int) -> int:
    """base^exponent in 2^-30: the product of its squares, from the smallest, each cut."""
    squares = [base]
    while len(squares) < exponent.bit_length():
        squares.append(squares[-1] * squares[-1] // ONE)
    result = ONE
    for place, square in enumerate(squares):
        if exponent >> place & 1:
            result = result * square // ONE
    return result


def knapsack(asks: Sequence[Ask], unit: int) -> list[int]:
    """The most that fits, each shape as often as one likes."""
    found = [0]
    for rest in range(unit, 1001, unit):
        can = [ask.net + found[(rest - ask.milli) // unit] for ask in asks if ask.milli <= rest]
        found.append(max([found[-1], *can]))
    return found


def _gains(
    asks: Sequence[Ask], found: Sequence[Number], rest: int, unit: int
) -> list[tuple[Number, int]]:
    """What each shape that fits brings, where that is more than nothing, and its count."""
    found_there = [
        (ask.net + found[(rest - ask.milli) // unit], ask.seen) for ask in asks if ask.milli <= rest
    ]
    return [(gain, seen) for gain, seen in found_there if gain > 0]
