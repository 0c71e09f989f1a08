"""Devices of one place: which could take a share, and the patterns of shares that fit on one.

With a variable for how many devices of a node hold each pattern, equal devices need not be told
apart, and the linear relaxation of a program is far tighter than with one variable for each task on
each device (Gilmore and Gomory, Operations Research 9(6), 1961).
"""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.optimiser.problem import Option, Place

MOST_PATTERNS = 1500
"""Of one device; above that the program would get slower, not faster."""

Pattern = tuple[int, ...]
"""How many shares of each size, in the order of the sizes."""


def patterns(sizes: Sequence[tuple[int, int]], capacity: int) -> list[Pattern] | None:
    """The sets of shares to which none can be added; None if they are more than `MOST_PATTERNS`.

    `sizes` are pairs of thousandths and how many shares of that size there are at most, the
    largest first. A set that holds nothing is left out.
    """
    found: list[Pattern] = []

    def extend(n: int, left: int, taken: list[int]) -> bool:
        if n == len(sizes):
            full = all(
                size > left or t == most for (size, most), t in zip(sizes, taken, strict=True)
            )
            if full and any(taken):
                found.append(tuple(taken))
            return len(found) <= MOST_PATTERNS
        size, most = sizes[n]
        return all(
            extend(n + 1, left - count * size, [*taken, count])
            for count in range(min(most, left // size), -1, -1)
        )

    return found if extend(0, capacity, []) else None


def alike(lefts: Sequence[int]) -> dict[int, list[int]]:
    """Positions of the devices of a place by what is left of them."""
    found: dict[int, list[int]] = {}
    for g, left in enumerate(lefts):
        found.setdefault(left, []).append(g)
    return found


def most_left(left: dict[int, int], count: int) -> tuple[int, ...]:
    """The `count` keys of which most is left, each used once; lowest key on ties."""
    chosen = sorted(sorted(left, key=lambda key: (-left[key], key))[:count])
    for key in chosen:
        left[key] -= 1
    for key in [key for key, n in left.items() if not n]:
        del left[key]
    return tuple(chosen)


def devices_for(place: Place, option: Option, levels: int) -> list[int]:
    """Positions that could take a task's share at each of its levels."""
    if option.profile is not None or not option.gpus:
        return []
    seen: Sequence[tuple[int, ...]] = [level.gpus for level in place.levels[:levels]]
    return [g for g, lefts in enumerate(zip(*seen, strict=True)) if min(lefts) >= option.gpu_milli]


def room(place: Place, option: Option, devices: int, count: int) -> int:
    """So many tasks of an option at most on a place that is otherwise as it is."""
    level, most = place.levels[0], count
    if option.cpu_milli:
        most = min(most, level.cpu_milli // option.cpu_milli)
    if option.memory_mib:
        most = min(most, level.memory_mib // option.memory_mib)
    if option.profile is not None:
        most = min(most, place.instances.get(option.profile, 0) // max(1, option.gpus))
    elif option.gpus:
        each = WHOLE_MILLI // option.gpu_milli
        most = min(most, devices * each // option.gpus) if devices >= option.gpus else 0
    return most
