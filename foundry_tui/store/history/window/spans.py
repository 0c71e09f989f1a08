"""How every GPU stood in a window, second by second: held, idle, drained, down, in maintenance.

The history keeps each of these facts as intervals of its own (who holds it, how its node is, what
is wrong with it). Here they are laid over each other, as steps of numbers over time for many GPUs
at once, since a month of a large site is millions of intervals.

Of a second of a GPU that is in the estate, in this order: where nobody looked, or a source that is
silent could not tell, it is unknown; on a node that is down it is down; where nobody tells who
holds it, it is unknown. Else that part of it is allocated which runs hold, at most all of it, and
the rest is what its node is (`Rest`); a GPU that the driver has lost is down on a sound node too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.text import SafeText
from foundry_tui.store.history.window.sweep import Ints, Sweep, Track


class Rest(IntEnum):
    """What that part of a GPU is which no run holds.

    Of the idle ones, `STRANDED` are on nodes whose CPU or memory is used up, and `UNJUDGED` are
    idle on nodes of which neither is told.
    """

    UNKNOWN = 0
    IDLE = 1
    STRANDED = 2
    UNJUDGED = 3
    DRAINED = 4
    DOWN = 5
    MAINT = 6


IDLE = (Rest.IDLE, Rest.STRANDED, Rest.UNJUDGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One GPU for as long as it was in its place: `since <= t < until`, in unix seconds."""

    gpu: int
    source: SafeText
    node: SafeText
    index: int
    uuid: SafeText | None
    model: SafeText | None
    minor: int | None
    since: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a node was: the model of its GPUs, and the partitions or node pools it stands in."""

    gpu_model: SafeText | None = None
    queues: tuple[SafeText, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Stretches in which nothing changed for a GPU, none longer than a period.

    All of one length, in the order of stays and of time. `stay` is the place among the stays,
    `period` that among the periods, `held_milli` what runs hold of it in thousandths, `rest` the
    `Rest` of what they do not, `kind` the place of its node's kind, 0 where that is not known.
    """

    stay: Ints
    period: Ints
    since: Ints
    until: Ints
    held_milli: Ints
    rest: Ints
    kind: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Everything that was true in a window, loaded.

    `stays` are sorted by source, node, index and time; `kinds` begins with the unknown one.
    """

    start: int
    end: int
    stays: Sequence[Stay]
    kinds: Sequence[Kind]
    _node: Ints = field(repr=False)
    _present: Track = field(repr=False)
    _held: Track = field(repr=False)
    _untold: Track = field(repr=False)
    _lost: Track = field(repr=False)
    _nodes: Track = field(repr=False)
    _kinds: Track = field(repr=False)

    def steps(self, first: int, last: int, edges: Sequence[int]) -> Steps:
        """The stretches of the stays from `first` to before `last`.

        `edges` are the borders of the periods, from the window's start to its end.
        """
        mine = self.stays[first:last]
        gpus = np.array([s.gpu for s in mine], np.int64)
        sweep = Sweep(self.start, self.end)
        every = np.arange(len(mine), dtype=np.int64)
        ones = np.ones(len(mine), np.int64)
        stay = sweep.add(
            every,
            np.array([s.since for s in mine], np.int64),
            np.array([s.until for s in mine], np.int64),
            ones,
        )
        device = [
            sweep.track(t, gpus) for t in (self._present, self._untold, self._held, self._lost)
        ]
        nodes = self._node[first:last]
        node, kind = sweep.track(self._nodes, nodes), sweep.track(self._kinds, nodes)
        inner = np.asarray(edges[1:-1], np.int64)
        cuts = np.repeat(every, len(inner)), np.tile(inner, len(mine))
        found = sweep.run(cuts, (stay, *device, node, kind))
        here, present, untold, held, lost, state, what = found.levels
        rest = np.where((lost > 0) & np.isin(state, IDLE), Rest.DOWN, state)
        down = state == Rest.DOWN
        unseen = (present == 0) | ((untold > 0) & ~down)
        rest[unseen] = Rest.UNKNOWN
        held = np.where(unseen | down, 0, np.clip(held, 0, WHOLE_MILLI))
        period = np.searchsorted(np.asarray(edges, np.int64), found.since, "right") - 1
        keep = (here > 0) & (found.until > found.since)
        return _merged(
            Steps(
                stay=found.owner[keep] + first,
                period=period[keep],
                since=found.since[keep],
                until=found.until[keep],
                held_milli=held[keep],
                rest=rest[keep],
                kind=what[keep],
            )
        )

    def blocks(self, stays: int) -> Iterator[tuple[int, int]]:
        """All stays, so many at a time: what is laid over each other at once stays small."""
        for first in range(0, len(self.stays), stays):
            yield first, min(first + stays, len(self.stays))


def _merged(steps: Steps) -> Steps:
    """Neighbours that differ in nothing as one."""
    if not len(steps.stay):
        return steps
    new = np.ones(len(steps.stay), bool)
    new[1:] = steps.since[1:] != steps.until[:-1]
    for name in ("stay", "period", "held_milli", "rest", "kind"):
        column = getattr(steps, name)
        new[1:] |= column[1:] != column[:-1]
    begins = np.flatnonzero(new)
    ends = np.append(begins[1:], len(new)) - 1
    return Steps(
        stay=steps.stay[begins],
        period=steps.period[begins],
        since=steps.since[begins],
        until=steps.until[ends],
        held_milli=steps.held_milli[begins],
        rest=steps.rest[begins],
        kind=steps.kind[begins],
    )
