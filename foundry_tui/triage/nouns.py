"""The nouns of triage: a rule of the site, what is judged by it, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from foundry_tui.estate.fractions import ShareAdvice
from foundry_tui.estate.run import LIVE
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.usage import UsageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a site. `kind` is the function that judges, `name` what the site calls it.

    idle: without work for at least `hours`. low_use: less than `pct` busy on average, over at least
    `part` of the time limit. walltime: used less than `pct` of the time limit, in at least `runs`
    runs of one user in one queue. cpus: more than `pct` of the CPUs that are a GPU's share of its
    node. fragments: on more nodes than its GPUs need. half: at most `pct` of a GPU is enough. What
    a kind does not name it does not use.

    A mean counts only where at least `seen_pct` of the time was measured. `queues` limits the rule
    to these partitions or projects, `exempt` leaves these users out.
    """

    name: str
    kind: str
    pct: float = 0.0
    hours: float = 0.0
    part: float = 0.0
    runs: int = 1
    seen_pct: float = 50.0
    queues: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()
    act: str = "none"
    notify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One try of a run with what its GPUs did within the window.

    `elapsed_s` are all seconds of work of the try, None where they are not known. The others are
    GPU-hours within the window: `held_h` is None where the GPUs are not told; of them `seen_h` were
    measured, `idle_h` were without any work, and `busy_h` is utilisation times the time seen.
    """

    record: UsageRecord
    elapsed_s: float | None
    held_h: float | None
    seen_h: float
    idle_h: float
    busy_h: float

    @property
    def run_id(self) -> str:
        """The id of the run in the estate."""
        return f"{self.record.source}/{self.record.native_id}"

    @property
    def live(self) -> bool:
        """Whether it still runs or waits."""
        return self.record.state in LIVE and self.record.ended_at is None

    @property
    def queue(self) -> str | None:
        """The partition or project; a project's runs are charged to it."""
        return self.record.queue

    @property
    def seen_pct(self) -> float | None:
        """How much of the held GPU-hours was measured; None of none."""
        return 100 * self.seen_h / self.held_h if self.held_h else None

    @property
    def busy_pct(self) -> float | None:
        """Mean utilisation of the time that was measured; None where nothing was."""
        return 100 * self.busy_h / self.seen_h if self.seen_h > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the rules look at: the estate now, the tries of a window, and advice on shares.

    `live` are the tries of what runs now, by the id of the run; `rules.judge` fills it in.
    """

    snapshot: Snapshot
    tries: Sequence[Try] = ()
    shares: Sequence[ShareAdvice] = ()
    now: datetime
    live: Mapping[str, Try] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a rule found.

    `run` is the run, or `source/queue` where the finding is about a user's habit there (`runs` of
    them). `gpu_hours` are at stake, None where that cannot be told; `stake` says what they are.
    `evidence` is what was measured and against what. `advice` is what the owner could do.
    """

    rule: str
    kind: str
    run: str
    user: str | None
    account: str | None
    queue: str | None
    live: bool
    gpu_milli: int | None
    since: datetime | None
    gpu_hours: float | None
    stake: str
    evidence: str
    advice: str
    runs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one rule found, the most GPU-hours first; `unjudged` runs could not be judged, and why.

    A run without readings is unjudged: what nobody saw is never taken for idle.
    """

    rule: Rule
    findings: tuple[Finding, ...]
    unjudged: int = 0
    why: str | None = None

    @property
    def gpu_hours(self) -> float | None:
        """The sum of what is known to be at stake; None where nothing is."""
        known = [f.gpu_hours for f in self.findings if f.gpu_hours is not None]
        return sum(known) if known else None
