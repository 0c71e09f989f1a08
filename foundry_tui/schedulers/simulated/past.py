"""What the simulated estate looked like before now: its history, as if somebody had recorded it.

The same seed and the same acts give the same past, whenever it is asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.schedulers.simulated import nouns
from foundry_tui.schedulers.simulated.live import Live
from foundry_tui.schedulers.simulated.source import SimulatedSource

STEP = timedelta(minutes=1)
WHOLE_MINUTES = 5
"""GPUs are looked at every `STEP`; nodes, queues and runs when the minute is a multiple of this,
and in any minute in which a run has taken a GPU."""

S = TypeVar("S", bound=SimulatedSource)


class _Then(Live):
    """A cluster at a second that is set, instead of the clock's."""

    def __init__(self, live: Live) -> None:
        super().__init__(live.source, live.spec, live.seed, live.log, live.clock)
        self.at_s = live.spec.start_s

    def _now_s(self) -> int:
        return self.at_s


def past(
    sources: Sequence[SimulatedSource], since: datetime, until: datetime
) -> Iterator[Snapshot]:
    """The estate at every whole minute from `since` to before `until`."""
    then = [_at_will(source) for source in sources]
    moment = since.replace(second=0, microsecond=0) + STEP
    parts: list[Snapshot] = []
    while moment < until:
        for _, live in then:
            live.at_s = live.second(moment)
        now = [_measured(source, part) for (source, _), part in zip(then, parts, strict=False)]
        if not parts or moment.minute % WHOLE_MINUTES == 0 or any(map(_has_strangers, now)):
            now = [source.snapshot() for source, _ in then]
        parts = now
        yield _together(parts, moment)
        moment += STEP


def _at_will(source: S) -> tuple[S, _Then]:
    other, live = copy.copy(source), _Then(source.live)
    other.live = live
    return other, live


def _measured(source: SimulatedSource, part: Snapshot) -> Snapshot:
    """The last whole look with the GPUs as they are now."""
    live = source.live
    gpus = nouns.gpus(live.engine(), source.name, live.at, source.id_of, source.share)
    return replace(part, gpus=gpus)


def _has_strangers(part: Snapshot) -> bool:
    """Whether a GPU is held by a run that did not run at the last whole look."""
    running = {run.id for run in part.runs if run.started_at is not None}
    return any(run not in running for gpu in part.gpus for run in gpu.runs)


def _together(parts: Sequence[Snapshot], moment: datetime) -> Snapshot:
    return Snapshot(
        generated_at=moment,
        sources=tuple(replace(s, read_at=moment) for p in parts for s in p.sources),
        nodes=tuple(n for p in parts for n in p.nodes),
        gpus=tuple(g for p in parts for g in p.gpus),
        queues=tuple(q for p in parts for q in p.queues),
        runs=tuple(r for p in parts for r in p.runs),
    )
