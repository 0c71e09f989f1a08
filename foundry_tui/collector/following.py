"""The estate of a process that follows: as another has published it, and what it read itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from foundry_tui.collector.collect import Collector
from foundry_tui.collector.publish import Board, Measured, Standing, Untrusted
from foundry_tui.collector.sweep import KEPT_S
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState

OWN_S = 5.0
"""What was read after the user's own act stands until something newer by so many seconds comes: a
reading may have begun before the act."""


def followed(board: Board, told: Standing, collector: Collector, now: datetime) -> Snapshot:
    """The estate as published; of a source that this process itself has read later, its own."""
    names = tuple(r.name for r in collector.readers)
    estate = board.estate() if set(told.shared) == set(names) else None
    if estate is not None and not any(_own_is_newer(collector, n, estate) for n in names):
        return replace(estate, generated_at=now)
    states = {s.name: s for s in told.sources}
    parts = [
        _part(board.part(r.name), collector, states.get(r.name), told, r.name)
        or Snapshot(generated_at=now, sources=(_unread(r.name, r.kind),))
        for r in collector.readers
    ]
    return collector.join.whole(parts, now, measured_of(board, KEPT_S) or Measured())


def measured_of(board: Board, most_s: float) -> Measured | None:
    """The published readings; None when there are none to believe, or only older ones."""
    try:
        return board.measured(most_s)
    except Untrusted:
        return None


def nothing(collector: Collector, now: datetime) -> Snapshot:
    """The estate before anybody has read it."""
    sources = tuple(_unread(r.name, r.kind) for r in collector.readers)
    return Snapshot(generated_at=now, sources=sources)


def _own_is_newer(collector: Collector, name: str, published: Snapshot) -> bool:
    own = collector.last(name)
    return own is not None and (published.generated_at - own.generated_at).total_seconds() < OWN_S


def _part(
    part: Snapshot | None, collector: Collector, state: Source | None, told: Standing, name: str
) -> Snapshot | None:
    """The newest of a source: what was read here after an act, or what is published."""
    own = collector.last(name)
    if own is not None and (part is None or _own_is_newer(collector, name, part)):
        return own
    if part is None:
        return None if state is None else Snapshot(generated_at=told.at, sources=(state,))
    if state is None or state.usable or part.generated_at > told.at:
        return part
    aged = replace(state, read_at=part.generated_at)
    return replace(part, sources=(aged,), partial=(f"{aged.name}: shown as last read",))


def _unread(name: str, kind: str) -> Source:
    return Source(name=name, kind=kind, state=SourceState.STALE, reason="it is being read now")
