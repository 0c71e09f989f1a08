"""Many MIG instances on many GPUs: as few GPUs as possible are opened.

Everything that fits on one GPU is known (a few dozen sets), so the question is a small integer
program over those sets, and its answer is exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler_sim.fractions.mig import Instance, Model, check, place

Counts = tuple[int, ...]
"""How many of each profile of a model, in its order."""

Layout = tuple[Instance, ...]
"""The instances of one GPU, lowest start first."""


@dataclass(frozen=True, slots=True)
class Packed:
    """New instances for each GPU that was there, then for each GPU that was opened."""

    started: tuple[Layout, ...]
    opened: tuple[Layout, ...]


def sets(model: Model, placed: Sequence[Instance] = ()) -> tuple[Counts, ...]:
    """Every set of instances that still fits on a GPU and cannot be extended by another one.

    Raises:
        ValueError: what is there cannot be.
    """
    check(model, placed)
    possible: set[Counts] = set()
    frontier: set[Counts] = {(0,) * len(model.profiles)}
    while frontier:
        possible |= frontier
        frontier = {
            larger
            for counts in frontier
            for larger in _larger(counts)
            if place(model, _names(model, larger), placed) is not None
        }
    largest = (c for c in possible if not any(more in possible for more in _larger(c)))
    return tuple(sorted(largest, reverse=True))


def pack(
    model: Model, wanted: Mapping[str, int], started: Sequence[Sequence[Instance]] = ()
) -> Packed:
    """Places for all wanted instances: on GPUs that are there, and on as few new ones as possible.

    Profiles with media engines are not packed: a GPU has one set of those.

    Raises:
        ValueError: an unknown profile, a negative count, or what is there cannot be.
        RuntimeError: the solver gave no answer.
    """
    known = {p.name for p in model.profiles}
    for name, count in wanted.items():
        if name not in known:
            raise ValueError(f"wanted: {model.name} has {', '.join(sorted(known))}, not {name}")
        if count < 0:
            raise ValueError(f"wanted: {count} of {name}")
    left = Counter(wanted)
    layouts = Counter(tuple(sorted(gpu)) for gpu in started)
    filled: dict[Layout, list[Layout]] = {layout: [] for layout in layouts}
    opened: list[Layout] = []
    choices: list[tuple[Layout | None, Counts]]
    choices = [(layout, counts) for layout in layouts for counts in sets(model, layout)]
    choices += [(None, counts) for counts in sets(model)]
    for (layout, counts), times in zip(choices, _times(model, left, layouts, choices), strict=True):
        for _ in range(times):
            take = Counter(_names(model, counts)) & left
            left -= take
            found = place(model, sorted(take.elements()), layout or ())
            if found:
                (opened if layout is None else filled[layout]).append(tuple(sorted(found)))
    turns = {layout: iter(new) for layout, new in filled.items()}
    return Packed(tuple(next(turns[tuple(sorted(gpu))], ()) for gpu in started), tuple(opened))


def _names(model: Model, counts: Counts) -> list[str]:
    pairs = zip(model.profiles, counts, strict=True)
    return [profile.name for profile, count in pairs for _ in range(count)]


def _larger(counts: Counts) -> list[Counts]:
    """The sets with one more instance."""
    return [(*counts[:i], n + 1, *counts[i + 1 :]) for i, n in enumerate(counts)]


def _times(
    model: Model,
    wanted: Mapping[str, int],
    layouts: Mapping[Layout, int],
    choices: Sequence[tuple[Layout | None, Counts]],
) -> list[int]:
    """How often each choice is used: all that is wanted is covered, least GPUs are opened."""
    import numpy as np
    from scipy.optimize import LinearConstraint, milp

    opens = np.array([layout is None for layout, _ in choices], dtype=np.float64)
    cover = np.array([counts for _, counts in choices], dtype=np.float64).T
    rules = [LinearConstraint(cover, [wanted.get(p.name, 0) for p in model.profiles], np.inf)]
    for layout, there in layouts.items():
        of_it = np.array([[at == layout for at, _ in choices]], dtype=np.float64)
        rules.append(LinearConstraint(of_it, 0, there))
    found = milp(opens, integrality=np.ones(len(choices)), constraints=rules)
    if found.x is None:
        raise RuntimeError(f"the packing of instances has no answer: {found.message}")
    return [round(times) for times in found.x.tolist()]
