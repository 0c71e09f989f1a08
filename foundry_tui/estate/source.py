"""A source: one connection that the estate is read from, and how well it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SourceState(StrEnum):
    """How far the data of a source can be trusted now."""

    OK = "ok"
    SLOW = "slow"
    STALE = "stale"
    DOWN = "down"
    DENIED = "denied"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One connection: a Slurm cluster, a Run:ai tenant, a telemetry feed.

    `read_at` is when the data shown was read (UTC), None when nothing was ever read.
    `reason` says in one line why the state is not `ok`, or what the reader should know.
    """

    name: str
    kind: str
    state: SourceState
    read_at: datetime | None = None
    reason: str | None = None

    def age_s(self, now: datetime) -> float | None:
        """Seconds since the data was read; None when it never was."""
        return None if self.read_at is None else max(0.0, (now - self.read_at).total_seconds())

    @property
    def usable(self) -> bool:
        """Whether the data was read just now, so that an act may rely on it."""
        return self.state in (SourceState.OK, SourceState.SLOW)
