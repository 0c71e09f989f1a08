"""A verdict: what a plan promised, and what was measured after it was applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One promise. `kept` is None while it is not known, or where nothing was promised.

    `what` is start, node, wait_p50_s, wait_p90_s, gpus_allocated, stranded_gpus or one user's,
    account's or queue's wait (`wait_s of user alice`); `unit` is s, GPUs or empty. `promised` and
    `measured` are in that unit, or words where the promise is a place. `move` is the id of the move
    whose promise it is, None for one of the whole plan, and `rule` the rule that made it.
    """

    what: str
    promised: float | str | None
    measured: float | str | None
    kept: bool | None
    unit: str = ""
    move: str | None = None
    rule: str = ""
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one applied plan.

    `closed` says that nothing of it is looked at any more: every promise was decided, or its
    horizon is over. `undone` that the plan was taken back, after which nothing is measured.
    `moves_done` of its `moves` that send anything were carried out; None where that is not known.
    """

    plan: str
    applied_at: datetime
    judged_at: datetime
    closed: bool
    promises: tuple[Kept, ...]
    undone: bool = False
    moves: int | None = None
    moves_done: int | None = None

    @property
    def still_open(self) -> int:
        """How many promises are not decided and may yet be."""
        return 0 if self.closed else sum(p.kept is None for p in self.promises)

    @property
    def counted(self) -> tuple[int, int]:
        """How many promises were kept, of how many that were decided."""
        decided = [p for p in self.promises if p.kept is not None]
        return sum(bool(p.kept) for p in decided), len(decided)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRecord:
    """How well one rule of advice has kept its promises in the past."""

    rule: str
    kept: int
    decided: int

    @property
    def share(self) -> float | None:
        """The kept part of the decided promises, 0..1; None without any."""
        return self.kept / self.decided if self.decided else None
