"""What a scheduler's index of a GPU means on its node, and so which reading is of which GPU.

NVML counts by PCI bus. A scheduler counts its list of devices, which may follow the minor numbers
(the N of /dev/nvidiaN) instead, and these are not in the same order on every node. Where nobody
configured it, the processes seen on the GPUs decide: a run that the scheduler gave the indices 0
and 1 can only be seen on the devices with these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.reading import Reading

NVML, MINOR, AUTO = "nvml", "minor", "auto"
WORDS = {NVML: "NVML's order", MINOR: "minor number"}

Sighting = tuple[Reading, Set[int]]
"""A reading on which a run was seen, and the indices that the scheduler gave this run there."""


@dataclass(frozen=True, slots=True)
class Vote:
    """How many sightings agree with a rule and how many speak against it."""

    fits: int
    against: int

    @property
    def score(self) -> int:
        """What the rule is worth."""
        return self.fits - self.against

    @property
    def refuted(self) -> bool:
        """Whether at least as much speaks against the rule as for it."""
        return self.against > 0 and self.against >= self.fits


@dataclass(slots=True)
class Seats:
    """The GPUs of one node with their readings. `notes` say why a GPU has none, or a doubtful one.

    `lost` are indices that their node does not list any more; `missing` says in words why nothing
    could be joined. `refuted`: processes speak against the order that was taken.
    """

    pairs: list[tuple[Gpu, Reading]] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)
    lost: list[Gpu] = field(default_factory=list)
    missing: str | None = None
    refuted: bool = False


def vote(sightings: Sequence[Sighting], rule: str) -> Vote:
    """Count the sightings for and against a rule."""
    if rule == MINOR:
        fits = sum([r.minor in held for r, held in sightings])
    else:
        fits = sum([r.index in held for r, held in sightings])
    return Vote(fits, len(sightings) - fits)


def ambiguous(readings: Sequence[Reading]) -> bool:
    """Whether the two rules differ: all minor numbers are known, and not in NVML's order."""
    minors = [r.minor for r in readings]
    if None in minors or len(set(minors)) < len(minors):
        return False
    return minors != [r.index for r in readings]


def decide(sightings: Sequence[Sighting]) -> str | None:
    """The rule that the sightings speak for; None where they do not tell the two apart."""
    nvml, minor = vote(sightings, NVML).score, vote(sightings, MINOR).score
    return None if nvml == minor else NVML if nvml > minor else MINOR


def by_index(
    gpus: Sequence[Gpu],
    readings: Sequence[Reading],
    sightings: Sequence[Sighting],
    *,
    rule: str,
    certain: bool,
) -> Seats:
    """Join the GPUs of one node to its readings by their index.

    Args:
        gpus: those that the scheduler lists.
        readings: those of the node's devices.
        sightings: what the processes say.
        rule: what the index means, nvml or minor.
        certain: whether somebody who knows it configured the rule.

    Where the node lists other devices than the scheduler does, an index means the same on both
    sides only if a gap shows which device is gone, if the processes agree, or if it was configured.
    """
    seats = Seats()
    told = vote(sightings, rule)
    places = {r.minor if rule == MINOR else r.index: r for r in readings}
    known = {g.index: g for g in gpus}
    if None in places or len(places) < len(readings):
        seats.missing = "the node does not tell the minor number of each GPU"
        return seats
    if places.keys() != known.keys():
        last = max((p for p in places if p is not None), default=0)
        gap = places.keys() <= known.keys() and last >= len(places)
        if not (certain or gap or (told.fits and not told.against)):
            seats.missing = (
                f"the node lists {len(readings)} GPUs and the scheduler {len(gpus)}: "
                "which is which is not known"
            )
            return seats
        if places.keys() <= known.keys() and any(not r.reason for r in readings):
            seats.lost = [g for g in gpus if g.index not in places]
    seats.pairs = [(g, places[g.index]) for g in gpus if g.index in places]
    seats.refuted = told.refuted
    note = f"joined by {WORDS[rule]}, which the processes contradict" if told.refuted else None
    if note is None and rule == MINOR and ambiguous(readings):
        note = f"joined by {WORDS[rule]}"
    if note is not None:
        seats.notes = {g.index: note for g, _ in seats.pairs}
    return seats


def by_runs(
    gpus: Sequence[Gpu], readings: Sequence[Reading], seen: Mapping[int, frozenset[str]]
) -> Seats:
    """Join GPUs that a scheduler only counts: tenants stand on them in an order of no meaning.

    A device on which a run was seen (`seen`: NVML index -> runs) takes the place of one of this
    run's. The rest is only joined where it makes no difference, because all of it is held alike.
    """
    seats = Seats()
    if len(gpus) != len(readings):
        seats.missing = (
            f"the node lists {len(readings)} GPUs and the scheduler {len(gpus)}: "
            "which is which is not known"
        )
        return seats
    free = sorted(gpus, key=lambda g: g.index)
    rest = []
    for reading in sorted(readings, key=lambda r: r.index):
        runs = seen.get(reading.index, frozenset())
        taken = next((g for g in free if runs and not runs.isdisjoint(g.runs)), None)
        if taken is None:
            rest.append(reading)
        else:
            free.remove(taken)
            seats.pairs.append((taken, reading))
    if len({g.tenants for g in free}) == 1:
        seats.pairs += zip(free, rest, strict=True)
    else:
        why = "not measured: which of the node's GPUs this is, its scheduler does not tell"
        seats.notes = {g.index: why for g in free}
    return seats
