"""How long the runs waited that a plan found waiting: between which bounds, as far as it was seen.

Each task has a lower and an upper bound of its wait. A look can only narrow them, so that what the
bounds decide is never decided otherwise by a later look. A task that was cancelled before it
started, that somebody holds, or of which nobody saw how it ended, keeps its bounds, and so
decides nothing by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from foundry_tui.estate.observed import Look, RunSeen, Waiter
from foundry_tui.estate.run import RunState

Bounds = tuple[float, float]


@dataclass(slots=True)
class _Tasks:
    """The tasks of one run: waits that are known, and what the others waited at least.

    `waiting` are the tasks that stand under each id that waits now.
    """

    waiter: Waiter
    known: dict[str, float] = field(default_factory=dict)
    least: list[float] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.least = [0.0] * self.waiter.count

    def waited(self, wait_s: float) -> None:
        """What waits had waited so long: it is those that have waited longest, as is known."""
        for i in range(max(0, len(self.least) - sum(self.waiting.values())), len(self.least)):
            self.least[i] = max(self.least[i], wait_s)

    def started(self, run: str, wait_s: float) -> None:
        """One of them started: of those that may have, the one that has waited longest."""
        if run in self.known or not self.least:
            return
        place = max((i for i, s in enumerate(self.least) if s <= wait_s), default=None)
        if place is None:
            wait_s, place = self.least[0], 0
        del self.least[place]
        self.known[run] = wait_s


@dataclass(slots=True)
class Waited:
    """The waits of the runs that waited at `since`, in seconds, at most `horizon_s` of each.

    What started before `since` waited 0 s. A run with a moment of its own (`Waiter.since`) counts
    from that one, and only once it has started anew.
    """

    since: datetime
    horizon_s: float
    _of: dict[str, _Tasks] = field(init=False, default_factory=dict)
    _told_at: dict[str, datetime] = field(init=False, default_factory=dict)
    _in: dict[str, str] = field(init=False, default_factory=dict)

    @classmethod
    def of(
        cls, waiters: Iterable[Waiter], since: datetime, horizon_s: float, looks: Iterable[Look]
    ) -> Waited:
        """What these looks tell of how long these waited."""
        made = cls(since, horizon_s)
        for waiter in waiters:
            made._of[waiter.family] = _Tasks(waiter)
        for look in looks:
            made._saw(look)
        for family, tasks in made._of.items():
            made._waits_on(family, tasks)
        return made

    @property
    def tasks(self) -> int:
        """How many tasks waited."""
        return sum(each.waiter.count for each in self._of.values())

    @property
    def started(self) -> int:
        """How many of them are known to have started."""
        return sum(len(each.known) for each in self._of.values())

    def _saw(self, look: Look) -> None:
        sources = {family.partition("/")[0] for family in self._of} - set(look.silent)
        news: dict[str, list[RunSeen]] = {}
        for run in look.runs:
            if run.family in self._of:
                news.setdefault(run.family, []).append(run)
        left = {run_id: self._in[run_id] for run_id in look.gone if run_id in self._in}
        for family in left.values():
            news.setdefault(family, [])
        for family in news:
            self._waits_on(family, self._of[family])  # until the look before: then it changed
        for run_id, family in left.items():
            self._of[family].waiting.pop(run_id, None)
        for family, runs in news.items():
            tasks = self._of[family]
            for run in runs:
                tasks.waiting.pop(run.id, None)
                anew = tasks.waiter.since is None or run.state is RunState.PENDING
                anew = anew or (run.started_at or self.since) >= self.since
                if not anew:
                    continue
                if run.started_at is not None:
                    tasks.started(run.id, self._wait_s(run.started_at, tasks.waiter))
                elif run.state is RunState.PENDING and not run.held:
                    tasks.waiting[run.id] = run.count
                    self._in[run.id] = family
        self._told_at |= dict.fromkeys(sources, look.at)

    def _waits_on(self, family: str, tasks: _Tasks) -> None:
        told_at = self._told_at.get(family.partition("/")[0])
        if told_at is not None:
            tasks.waited(self._wait_s(told_at, tasks.waiter))

    def bounds(self, kind: str | None = None, name: str | None = None) -> list[Bounds]:
        """The bounds of each task, or of those of one user, account or queue (`kind`)."""
        found: list[Bounds] = []
        for each in self._of.values():
            if kind is None or _is_of(each.waiter, kind, name):
                found += [(s, s) for s in each.known.values()]
                found += [(s, self.horizon_s) for s in each.least]
        return found

    def _wait_s(self, at: datetime, waiter: Waiter) -> float:
        since = waiter.since or self.since
        return min(self.horizon_s, max(0.0, (at - since).total_seconds()))


def _is_of(waiter: Waiter, kind: str, name: str | None) -> bool:
    if kind == "queue":
        return waiter.queue == name or name in (waiter.queue or "").split(",")
    return {"user": waiter.user, "account": waiter.account}.get(kind) == name


def percentile(bounds: Sequence[Bounds], share: float) -> Bounds:
    """Between which bounds a percentile lies (`share` 0..1), of at least one task.

    Linear between neighbours, as numpy does by default.
    """
    return (
        _at([low for low, _ in bounds], share),
        _at([high for _, high in bounds], share),
    )


def mean(bounds: Sequence[Bounds]) -> Bounds:
    """Between which bounds the mean lies, of at least one task."""
    return (
        sum(low for low, _ in bounds) / len(bounds),
        sum(high for _, high in bounds) / len(bounds),
    )


def _at(values: list[float], share: float) -> float:
    values.sort()
    place = share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)
