"""Which runs to put together, two by two, so that sharing gains most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler_sim.fractions.pairs import Load, Pair, share

EXACT = 14
"""Up to so many runs every matching is looked at."""

Edge = tuple[int, int]
"""Rows of two runs, the lower first."""

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Matching:
    """Pairs without a common run, best first; `exact` says that no other matching gains more."""

    pairs: tuple[Pair, ...]
    exact: bool

    @property
    def gain(self) -> float:
        """GPUs' worth of throughput that the pairs add."""
        return sum(pair.gain for pair in self.pairs)


def match(loads: Sequence[Load], device_bytes: int, *, promise: float | None = None) -> Matching:
    """Put runs together on GPUs with `device_bytes` of memory so that most is gained.

    Up to 14 runs the answer is exact. Beyond, the best pair is taken again and again, and then two
    pairs are crossed while that gains.

    Raises:
        ValueError: two runs of one name, no device memory, or a promise outside (0, 1).
    """
    if len({load.name for load in loads}) != len(loads):
        raise ValueError("loads: two runs have one name")
    found = {
        (i, j): share(loads[i], loads[j], device_bytes, promise=promise)
        for i in range(len(loads))
        for j in range(i + 1, len(loads))
    }
    gains = {key: pair.gain for key, pair in found.items() if pair.gain > 0}
    exact = len(loads) <= EXACT
    chosen = _exact(len(loads), gains) if exact else _crossed(_greedy(len(loads), gains), gains)
    pairs = sorted((found[key] for key in chosen), key=lambda p: (-p.gain, p.first, p.second))
    return Matching(tuple(pairs), exact)


def _exact(count: int, gains: dict[Edge, float]) -> list[Edge]:
    """The best matching: the lowest run that is left stays alone or takes each partner in turn."""
    known: dict[int, tuple[float, tuple[Edge, ...]]] = {}

    def best(used: int) -> tuple[float, tuple[Edge, ...]]:
        if used == (1 << count) - 1:
            return 0.0, ()
        if used not in known:
            first = next(i for i in range(count) if not used >> i & 1)
            answer = best(used | 1 << first)
            for second in range(first + 1, count):
                gain = gains.get((first, second))
                if gain is not None and not used >> second & 1:
                    rest, edges = best(used | 1 << first | 1 << second)
                    if gain + rest > answer[0]:
                        answer = gain + rest, ((first, second), *edges)
            known[used] = answer
        return known[used]

    return list(best(0)[1])


def _greedy(count: int, gains: dict[Edge, float]) -> list[Edge]:
    """The best edge again and again; whoever is left over is put in pairs that gain nothing."""
    chosen: list[Edge] = []
    used: set[int] = set()
    for edge in sorted(gains, key=lambda e: (-gains[e], e)):
        if used.isdisjoint(edge):
            chosen.append(edge)
            used.update(edge)
    alone = [i for i in range(count) if i not in used]
    return chosen + list(zip(alone[::2], alone[1::2], strict=False))


def _crossed(chosen: list[Edge], gains: dict[Edge, float]) -> list[Edge]:
    """Exchange the partners of two pairs while that gains; only pairs that gain are kept."""
    better = True
    while better:
        better = False
        for a in range(len(chosen)):
            for b in range(a + 1, len(chosen)):
                (i, j), (k, m) = chosen[a], chosen[b]
                now = gains.get(chosen[a], 0.0) + gains.get(chosen[b], 0.0)
                for new in ((_edge(i, k), _edge(j, m)), (_edge(i, m), _edge(j, k))):
                    if sum(gains.get(edge, 0.0) for edge in new) > now + _ROUNDING:
                        chosen[a], chosen[b] = new
                        better = True
                        break
    return [edge for edge in chosen if edge in gains]


def _edge(one: int, other: int) -> Edge:
    return min(one, other), max(one, other)
