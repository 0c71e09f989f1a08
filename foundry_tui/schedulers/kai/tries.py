"""When the pods of a workload held what: the tries of a scheduler that keeps no accounting.

A pod holds its GPUs from its start on its node until its last container has ended; a container that
is started again within its pod changes nothing. A pod that takes the place of a failed one begins
a new try. As long as the same pods hold GPUs there is one piece: tries of one workload never
overlap, so that what they held adds up.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from foundry_tui.schedulers.kai.nouns import ends_of, time_of
from foundry_tui.schedulers.kai.objects import Pod
from foundry_tui.schedulers.kai.workloads import holds

TOGETHER = timedelta(seconds=60)
"""The pods of a gang are bound as one; that their nodes tell of it some seconds apart is no change.
"""


@dataclass(frozen=True, slots=True)
class Stay:
    """A pod on its node in `start <= t < end`; without an end it is still there."""

    pod: Pod
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A time in which the same pods held what they hold; `left` are those that ended with it.

    `number` counts the tries: the pieces of one follow each other without a gap. `first` is
    whether the try begins with it.
    """

    pods: tuple[Pod, ...]
    start: datetime
    end: datetime | None
    left: tuple[Pod, ...]
    number: int
    first: bool


def stays(pods: Iterable[Pod]) -> tuple[list[Stay], list[Pod]]:
    """The stays by their start, and the pods that ended without telling when."""
    found, untold = [], []
    for pod in pods:
        start = time_of(pod.status.start_time)
        if not pod.spec.node_name or start is None:
            continue
        if holds(pod):
            found.append(Stay(pod, start, None))
            continue
        ends = [t for e in ends_of(pod) if (t := time_of(e.finished_at)) is not None]
        if ends:
            found.append(Stay(pod, start, max(start, *ends)))
        else:
            untold.append(pod)
    return sorted(found, key=lambda s: (s.start, s.pod.metadata.uid)), untold


def pieces(found: Sequence[Stay]) -> list[Piece]:
    """The pieces of all tries, in the order of time; they never overlap."""
    made: list[Piece] = []
    for number, together in enumerate(_tries(found)):
        marks = sorted({s.start for s in together} | {s.end for s in together if s.end is not None})
        borders: list[tuple[datetime, datetime | None]] = [
            *itertools.pairwise(marks),
            (marks[-1], None),
        ]
        for start, end in borders:
            here = [s for s in together if s.start <= start and (s.end is None or s.end > start)]
            if here:
                left = tuple(s.pod for s in here if s.end is not None and s.end == end)
                pods = tuple(s.pod for s in here)
                made.append(Piece(pods, start, end, left, number, start == marks[0]))
    return made


def _tries(found: Sequence[Stay]) -> list[list[Stay]]:
    """The stays in groups without a gap between them; of a gang all begin with the first."""
    groups: list[list[Stay]] = []
    until: datetime | None = None
    gone: datetime | None = None
    for stay in found:
        if not groups or (until is not None and stay.start >= until):
            groups.append([stay])
            until = gone = stay.end
            continue
        first = groups[-1][0].start
        bound = stay.start - first <= TOGETHER and (gone is None or stay.start < gone)
        groups[-1].append(replace(stay, start=first) if bound else stay)
        until = None if until is None or stay.end is None else max(until, stay.end)
        ends = [e for e in (gone, stay.end) if e is not None]
        gone = min(ends, default=None)
    return groups
