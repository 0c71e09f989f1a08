"""Which pod of a node holds which of its GPUs.

The API tells the node of a pod and how much it was given, not the devices. They are known where
the pod's own metrics name them, and where only one way of seating all pods agrees with what the
node's metrics say is allocated on each GPU. Otherwise they stay unknown: a guess would be wrong
half of the time, and the screens show it as a fact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from foundry_tui.estate.gpu import WHOLE_MILLI, Share, Tenant

TOLERANCE_MILLI = 15
"""Metrics and requests are rounded differently."""

MAX_STEPS = 2000
MAX_WAYS = 64
"""Caps of the search: a node on which more is possible is unknown anyway."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One pod on a node: `devices` GPUs with `milli` of each; `told` are their indices if known."""

    pod: str
    run: str
    devices: int
    milli: int | None
    told: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Paired:
    """Tenants per GPU index, None where they are not known; the GPUs of each run that are certain.

    `unsure` are the pods whose metrics would help.
    """

    tenants: tuple[tuple[Tenant, ...] | None, ...]
    gpus: Mapping[str, tuple[int, ...] | None]
    unsure: tuple[str, ...] = ()


def pair(gpu_count: int, seats: Sequence[Seat], allocated: Mapping[int, int]) -> Paired:
    """Seat all pods of one node.

    Args:
        gpu_count: GPUs of the node.
        seats: its pods that hold GPUs.
        allocated: index -> thousandths that the node's metrics call allocated; empty: not told.
    """
    ways: list[tuple[tuple[Tenant, ...], ...]] = []
    if allocated or _settled(gpu_count, seats):
        ways = _Ways(gpu_count, seats, allocated).found() or _Ways(gpu_count, seats, {}).found()
    if not ways:
        unsure = tuple(s.pod for s in seats if s.told is None)
        return Paired((None,) * gpu_count, dict.fromkeys(s.run for s in seats), unsure)
    certain = tuple(
        held
        if all(way[index] == held for way in ways) and _explains(held, allocated.get(index))
        else None
        for index, held in enumerate(ways[0])
    )
    gpus: dict[str, tuple[int, ...] | None] = {}
    for seat in seats:
        places = {
            tuple(i for i, tenants in enumerate(way) if any(t.run == seat.run for t in tenants))
            for way in ways
        }
        gpus[seat.run] = places.pop() if len(places) == 1 else None
    unsure = tuple(s.pod for s in seats if s.told is None and gpus[s.run] is None)
    return Paired(certain, gpus, unsure)


def _settled(gpu_count: int, seats: Sequence[Seat]) -> bool:
    """Whether the places may be known without metrics: a search is in vain on most nodes else."""
    if any(s.told is not None for s in seats):
        return True
    full = sum(s.devices for s in seats) == gpu_count
    return not seats or (full and len({s.run for s in seats}) == 1)


def _explains(held: tuple[Tenant, ...], told: int | None) -> bool:
    """Whether the tenants are all: what is allocated beyond them is held by somebody unseen."""
    return told is None or sum(t.milli for t in held) >= told - TOLERANCE_MILLI


class _Ways:
    """Search for every way of seating the pods, up to a cap."""

    def __init__(self, gpu_count: int, seats: Sequence[Seat], allocated: Mapping[int, int]) -> None:
        self.count, self.allocated = gpu_count, allocated
        self.used = [0] * gpu_count
        self.seats = sorted(seats, key=lambda s: (s.told is None, -(s.milli or 0), s.run, s.pod))
        self.chosen: list[tuple[int, ...]] = []
        self.ways: dict[tuple[tuple[Tenant, ...], ...], None] = {}
        self.steps = 0

    def found(self) -> list[tuple[tuple[Tenant, ...], ...]]:
        """Each way as tenants per GPU; nothing when there is none, or when there are too many."""
        if any(s.milli is None or s.devices > self.count for s in self.seats):
            return []
        # 15 pods that do not fit together must not take for ever.
        whole = self._search(0)
        return list(self.ways) if whole else []

    def _search(self, number: int) -> bool:
        self.steps += 1
        if self.steps > MAX_STEPS or len(self.ways) > MAX_WAYS:
            return False
        if number == len(self.seats):
            if all(
                self.used[i] >= told - TOLERANCE_MILLI
                for i, told in self.allocated.items()
                if i < self.count
            ):
                self.ways[self._tenants()] = None
            return True
        seat = self.seats[number]
        return all(self._seated(number, seat, indices) for indices in self._choices(number, seat))

    def _choices(self, number: int, seat: Seat) -> list[tuple[int, ...]]:
        if seat.told is not None:
            known = all(i < self.count and self._fits(i, seat.milli or 0) for i in seat.told)
            return [seat.told] if known else []
        free = [i for i in range(self.count) if self._fits(i, seat.milli or 0)]
        # Pods of one run that ask for the same may change places: one order is enough.
        before = self.seats[number - 1] if number else None
        least: tuple[int, ...] = ()
        if before is not None and (before.run, before.devices, before.milli, before.told) == (
            *(seat.run, seat.devices, seat.milli),
            None,
        ):
            least = self.chosen[-1]
        return [c for c in combinations(free, seat.devices) if c >= least]

    def _fits(self, index: int, milli: int) -> bool:
        most = min(WHOLE_MILLI, self.allocated.get(index, WHOLE_MILLI) + TOLERANCE_MILLI)
        return self.used[index] + milli <= max(most, 0)

    def _seated(self, number: int, seat: Seat, indices: tuple[int, ...]) -> bool:
        for index in indices:
            self.used[index] += seat.milli or 0
        self.chosen.append(indices)
        done = self._search(number + 1)
        self.chosen.pop()
        for index in indices:
            self.used[index] -= seat.milli or 0
        return done

    def _tenants(self) -> tuple[tuple[Tenant, ...], ...]:
        found: list[dict[str, int]] = [{} for _ in range(self.count)]
        for seat, indices in zip(self.seats, self.chosen, strict=True):
            for index in indices:
                found[index][seat.run] = found[index].get(seat.run, 0) + (seat.milli or 0)
        return tuple(
            tuple(
                Tenant(run, milli, Share.WHOLE if milli >= WHOLE_MILLI else Share.FRACTION)
                for run, milli in sorted(held.items())
            )
            for held in found
        )
