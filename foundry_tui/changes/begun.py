"""Whether the runs of a move started in time, and where: the promises of one move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from foundry_tui.estate.acts import Requeue
from foundry_tui.estate.observed import Applied, Look, RunSeen
from foundry_tui.estate.plan import Move
from foundry_tui.estate.run import GOES_ON, HOLDING, RunState

CLOCK = timedelta(seconds=2)
"""Schedulers tell times to the second, and their clock need not be quite this one."""


@dataclass(frozen=True, slots=True)
class Said:
    """What became of one promise: kept, broken, or neither; `final` says that it stays so."""

    kept: bool | None
    measured: float | str | None = None
    why: str | None = None
    final: bool = False


def tasks_of(move: Move) -> int:
    """How many tasks a move starts."""
    told = (move.precondition or {}).get("tasks")
    return max(1, told) if isinstance(told, int) else 1


def began(
    move: Move, applied: Applied, sisters: Sequence[Move], looks: Iterable[Look]
) -> tuple[Said, Said]:
    """What became of the promises of start and of nodes.

    `sisters` are the applied moves of the same run, this one too: of an array several may start
    tasks on other nodes each. Looks are taken one after the other, and what one of them decides no
    later one decides otherwise.
    """
    seen = _Seen(move, applied, sum(tasks_of(m) for m in sisters))
    start, place = Said(None, why="no look yet"), Said(None, why="no look yet")
    for look in looks:
        if applied.undone_at is not None and look.at >= applied.undone_at:
            gone = Said(None, why="the move was taken back", final=True)
            return (start if start.final else gone), (place if place.final else gone)
        seen.saw(look)
        if not start.final:
            start = seen.in_time()
        if not place.final:
            place = seen.in_place()
        if start.final and place.final:
            break
    return start, place


@dataclass(slots=True)
class _Seen:
    """The runs of one move as far as they were seen."""

    move: Move
    applied: Applied
    needed: int
    _starts: dict[str, datetime] = field(init=False, default_factory=dict)
    _nodes: dict[str, frozenset[str]] = field(init=False, default_factory=dict)
    _now: dict[str, RunSeen] = field(init=False, default_factory=dict)
    _at: datetime | None = field(init=False, default=None)

    def saw(self, look: Look) -> None:
        """Take one look into account."""
        for run_id in look.gone:
            self._now.pop(run_id, None)
        for run in look.runs:
            if run.family not in self.applied.families:
                continue
            self._now[run.id] = run
            if run.started_at is None or run.started_at < self.applied.begun_at - CLOCK:
                continue
            began_at = self._starts.setdefault(run.id, run.started_at)
            if began_at == run.started_at and run.nodes:
                self._nodes.setdefault(run.id, run.nodes)
        if not any(f.partition("/")[0] in look.silent for f in self.applied.families):
            self._at = look.at

    def in_time(self) -> Said:
        """The promise of a start within so many seconds."""
        within_s = self.move.starts_within_s
        if within_s is None:
            return Said(None, why="no time was promised", final=True)
        until = self.applied.done_at + timedelta(seconds=within_s) + CLOCK
        last = self._last_start()
        if last is not None:
            took_s = max(0.0, (last - self.applied.done_at).total_seconds())
            kept = last <= until
            return Said(kept, took_s, None if kept else "it started later", final=True)
        why = self._never()
        if why is not None:
            return Said(None, why=why, final=True)
        at = self._at
        if at is None or at <= until:
            return Said(None, why="it has not started yet" if self._now else "it was not seen yet")
        waits = [run for run in self._now.values() if run.state is RunState.PENDING]
        if any(run.held for run in waits):
            return Said(None, why="it is held: somebody keeps it from starting")
        stays = [run for run in self._now.values() if run.state in HOLDING and self._requeues]
        if waits or stays:
            words = "it still waited then" if waits else "it still ran where it was"
            return Said(False, (at - self.applied.done_at).total_seconds(), words, final=True)
        return Said(None, why="nobody saw whether it started in time")

    def in_place(self) -> Said:
        """The promise of nodes."""
        promised = frozenset(p.node for p in self.move.placement)
        last = self._last_start()
        if last is None:
            why = self._never()
            return Said(None, why=why or "it has not started yet", final=why is not None)
        first = sorted(self._starts, key=lambda run: (self._starts[run], run))[: self.needed]
        if any(run not in self._nodes for run in first):
            return Said(None, why="the nodes that it started on are not known")
        here = [run for run in first if self._nodes[run] <= promised]
        if self.needed == 1:
            kept = self._nodes[first[0]] == promised
        else:
            kept = len(here) >= tasks_of(self.move)
        held = frozenset[str]().union(*(self._nodes[run] for run in first))
        return Said(kept, _words(held), None if kept else "it started elsewhere", final=True)

    @property
    def _requeues(self) -> bool:
        return any(isinstance(step, Requeue) for step in self.move.steps)

    def _last_start(self) -> datetime | None:
        """When as many had started as the moves start; None while fewer have."""
        starts = sorted(self._starts.values())
        return starts[self.needed - 1] if len(starts) >= self.needed else None

    def _never(self) -> str | None:
        """Why these runs can decide nothing any more."""
        unstarted = [run for run in self._now.values() if run.id not in self._starts]
        for run in unstarted:
            if run.state in GOES_ON and not (run.state in HOLDING and not self._requeues):
                continue
            if run.state is RunState.UNKNOWN:
                continue
            if run.started_at is not None:
                return "it had started before the move was made"
            return f"it was {run.state.value} before it started"
        return None


def _words(nodes: frozenset[str]) -> str:
    return ",".join(sorted(nodes))


def place_words(move: Move) -> str:
    """The nodes that a move promises, in words."""
    return _words(frozenset(p.node for p in move.placement))
