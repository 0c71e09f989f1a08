"""One simulated cluster at the present moment: the engine, brought up to date by clock and acts.

Simulated time starts with the estate and runs `SPEED` times as fast as the clock. Noun times are
on that faster clock; whoever shows ages has to use it too (`now`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from foundry_tui.schedulers.simulated.layout import USER
from foundry_tui.schedulers.simulated.log import ActsLog, Entry
from scheduler_sim.engine import LiveCluster
from scheduler_sim.jobs import JobSpec
from scheduler_sim.limits import LiveSpec, NodeNote

SPEED = 12
"""Simulated seconds per second of the clock."""


class Live:
    """A cluster whose state follows from the seed, the acts in the log, and the clock."""

    def __init__(
        self,
        source: str,
        spec: LiveSpec,
        seed: int,
        log: ActsLog,
        clock: Callable[[], datetime],
    ) -> None:
        self.source, self.spec, self.log = source, spec, log
        self.seed, self.clock = seed, clock
        self._engine: LiveCluster | None = None
        self._generation = 0
        self._read = 0
        self._last_act_s = 0
        self._outcomes: dict[str, str | None] = {}
        self.weights: dict[str, float] = {}
        """Account -> its part of the surplus, where an act has changed that."""

    def now(self) -> datetime:
        """The present moment on the simulated clock, to the second."""
        return self.at(self._now_s())

    def at(self, second: int) -> datetime:
        """A second of the engine as a moment."""
        return self.log.epoch + timedelta(seconds=second)

    def second(self, moment: datetime) -> int:
        """A moment as a second of the engine."""
        return int((moment - self.log.epoch).total_seconds())

    def engine(self) -> LiveCluster:
        """The cluster as it stands now, with every act of every process in it."""
        self.log.refresh()
        now_s = self._now_s()
        engine = self._engine
        if engine is None or self._generation != self.log.generation or self._too_late(engine):
            engine = self._restart()
        for entry in self.log.entries[self._read :]:
            if entry.source == self.source:
                self._last_act_s = max(self._last_act_s, min(entry.at_s, now_s))
                engine.advance(self._last_act_s)
                self._outcomes[entry.id] = _apply(engine, entry)
                if entry.do == "quota" and entry.weight is not None:
                    self.weights[entry.key] = entry.weight
        self._read = len(self.log.entries)
        engine.advance(now_s)
        return engine

    def act(
        self,
        do: str,
        *,
        key: str = "",
        spec: JobSpec | None = None,
        token: str | None = None,
        delay_s: int = 0,
        quota_milli: int | None = None,
        weight: float | None = None,
        text: str = "",
    ) -> str | None:
        """Write an act to the log and carry it out; its key, None if it had no effect.

        Raises:
            ValueError: the cluster could never serve this; names the field.
        """
        engine = self.engine()
        if spec is not None:
            engine.check(spec)
        entry = Entry(
            id=secrets.token_hex(8),
            at_s=engine.now_s,
            source=self.source,
            do=do,
            key=key,
            spec=spec,
            token=token,
            delay_s=delay_s,
            quota_milli=quota_milli,
            weight=weight,
            text=text,
        )
        self.log.append(entry)
        self.engine()
        return self._outcomes.get(entry.id)

    def _now_s(self) -> int:
        elapsed = self.clock().astimezone(UTC) - self.log.epoch
        return max(0, int(elapsed.total_seconds() * SPEED))

    def _too_late(self, engine: LiveCluster) -> bool:
        """Whether another process acted at a second that this engine has already passed."""
        new = (e for e in self.log.entries[self._read :] if e.source == self.source)
        return any(max(self._last_act_s, e.at_s) < engine.now_s for e in new)

    def _restart(self) -> LiveCluster:
        self._engine = LiveCluster(self.spec, self.seed)
        self._generation, self._read, self._last_act_s = self.log.generation, 0, 0
        self._outcomes.clear()
        self.weights.clear()
        return self._engine


def _apply(engine: LiveCluster, entry: Entry) -> str | None:
    """Carry out one act. An entry that makes no sense here has no effect."""
    key, done = entry.key, False
    try:
        if entry.do == "submit" and entry.spec is not None:
            return engine.submit(entry.spec, entry.token, max(0, entry.delay_s)).key
        if entry.do == "change" and entry.spec is not None:
            done = engine.change(key, entry.spec)
        elif entry.do == "cancel":
            done = engine.cancel(key, max(0, entry.delay_s))
        elif entry.do == "hold":
            done = engine.hold(key)
        elif entry.do == "release":
            done = engine.release(key)
        elif entry.do == "requeue":
            done = engine.requeue(key)
            if done and entry.text == "hold":
                engine.hold(key)
        elif entry.do in ("drain", "resume"):
            done = _set_node(engine, entry)
        elif entry.do == "queue":
            done = engine.set_queue(key, entry.text)
        elif entry.do == "quota":
            done = entry.quota_milli is None or engine.set_quota(key, entry.quota_milli)
    except ValueError:
        return None
    return key if done else None


def _set_node(engine: LiveCluster, entry: Entry) -> bool:
    """Drain a node or resume it; one that is down stays so until it is repaired."""
    rows = [row for row, node in enumerate(engine.spec.nodes) if node.name == entry.key]
    if not rows:
        return False
    note = engine.notes.get(rows[0])
    if (note is not None) == (entry.do == "drain") or (note is not None and note.kind == "down"):
        return False
    drained = NodeNote("drain", entry.text, engine.now_s, USER) if entry.do == "drain" else None
    engine.set_node(rows[0], drained)
    return True
