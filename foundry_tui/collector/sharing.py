"""One collector per user, or per host: who reads, who is told, and what to do when he falls silent.

Every process that goes on reading (the screens, `--watch`, `foundry collect`) tries to lead its
user's others. The leader reads and publishes; the others follow what is published. Where a
collector serves the whole host and tells everything, nobody else reads at all. A leader that holds
the lock and gives no sign of life is passed over: then each reads for itself, and says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from foundry_tui.collector.collect import DEADLINE_S, Collector
from foundry_tui.collector.following import followed, measured_of, nothing
from foundry_tui.collector.lead import Lead
from foundry_tui.collector.publish import Board, Measured, Standing, Untrusted, boot_id
from foundry_tui.collector.record import Recorder
from foundry_tui.collector.service import PUBLIC, Hidden
from foundry_tui.collector.sweep import STEP_S
from foundry_tui.collector.telling import Telling
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source

LOOK_S = 2.0
"""How often a process looks whether there is news, and whether it is to lead now."""

BEAT_S = 8.0
"""A leader gives a sign of life this often at least."""

HUNG_S = 30.0
"""A leader without a sign of life for so long hangs: a reading of all sources takes half of it."""

START_S = 10.0
"""A leader that has just begun has so long to publish for the first time."""


class Role(StrEnum):
    """Where this process has its data from."""

    ALONE = "alone"
    LEADER = "leader"
    FOLLOWER = "follower"
    VIEWER = "viewer"


@dataclass(slots=True)
class Sharing:
    """The reading of this process, alone or together with others.

    `board` and `lead` are those of the user's own collector, None where there is no folder for
    them; `shared` finds the board of the host's collector and whose it is. `estate` tells what is
    read here, `where` by what some sources are (as in `Standing`). `hidden` gives what is not for
    everybody, in a collector that serves all; without it everything is published. Only a process
    that `stays` leads or follows; another asks the schedulers itself and takes the readings from
    who has just swept.
    """

    collector: Collector
    clock: Callable[[], datetime]
    estate: str
    board: Board | None = None
    lead: Lead | None = None
    shared: Callable[[], tuple[Board | None, str]] | None = None
    recorder: Recorder | None = None
    hidden: Callable[[], Mapping[str, Hidden]] | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    monotonic: Callable[[], float] = time.monotonic
    stays: bool = False
    role: Role = field(init=False, default=Role.ALONE)
    why: str | None = field(init=False, default=None)
    _told: Standing | None = field(init=False, default=None)
    _from: Board | None = field(init=False, default=None)
    _stamp: tuple[object, ...] = field(init=False, default=())
    _waiting_since: float | None = field(init=False, default=None)
    _beat_at: float = field(init=False, default=-math.inf)
    _sources: tuple[Source, ...] = field(init=False, default=())
    _telling: Telling = field(init=False, default_factory=Telling)
    _direct: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.collector.idle = lambda: self.recorder.idle if self.recorder is not None else ()

    # -- reading

    def collect(self, *, patience_s: float | None = None, measured: bool = True) -> Snapshot:
        """The estate now, read here or by who collects; never raises for a source.

        Who does not stay need not have it `measured`.
        """
        if not self.stays:
            given = self._swept() if measured else Measured()
            return self.collector.collect(patience_s=patience_s, given=given)
        self._decide()
        if self.role in (Role.FOLLOWER, Role.VIEWER):
            return self._followed(patience_s)
        given = None if self.role is Role.LEADER and self.hidden else self._service_swept()
        whole = self.collector.collect(patience_s=patience_s, given=given)
        if self.role is Role.LEADER:
            self._publish(whole.sources, whole)
        if self.recorder is not None and (self.role is Role.LEADER or self.lead is None):
            self.recorder.offer(whole, self.collector.swept)
        return whole

    def hurry(self) -> None:
        """Let the schedulers be read again soon, by this process itself: after an act."""
        self.collector.hurry()
        self._direct = True

    def stirred(self) -> bool:
        """Whether there is news, or another has to lead now; looked at every `LOOK_S`."""
        if not self.stays:
            return False
        before, told = self.role, self._told
        self._decide()
        if self.role is not before:
            return True
        if self.role is Role.LEADER and self.monotonic() - self._beat_at >= BEAT_S:
            self._publish(self._sources, None)
        if self.role in (Role.LEADER, Role.ALONE):
            sweeps = self.collector.sweeps
            return sweeps is not None and sweeps.ended != self.collector.swept
        if self._from is None:
            return False
        fresh = told is None or self._told is None or told.sources != self._told.sources
        return fresh or self._from.stamp(self._names) != self._stamp

    def waits_s(self) -> dict[str, float]:
        """Source -> seconds until it is asked again."""
        if self.role in (Role.FOLLOWER, Role.VIEWER) and not self._direct:
            return dict.fromkeys(self._names, self.collector.interval_s)
        return self.collector.waits_s()

    def wait_s(self) -> float:
        """Seconds until this process itself has something to do."""
        if self.role not in (Role.FOLLOWER, Role.VIEWER):
            return self.collector.wait_s()
        if self._direct:
            return min(self.collector.waits_s().values(), default=LOOK_S)
        if self._told is None or self._from is None:
            return LOOK_S
        return max(LOOK_S, HUNG_S - self._from.age_s(self._told))

    def words(self) -> str | None:
        """Who collects, when it is not this process; None when there is nothing to say."""
        if self.role is Role.LEADER or not self.stays:
            return None
        told, board = self._told, self._from  # another thread may change them
        if told is None or board is None:
            return self.why
        who, age_s = told.leader, board.age_s(told)
        if self.role is Role.VIEWER:
            return f"shared by {who.user}@{who.host}, {age_s:.0f} s ago"
        return f"collected by your pid {who.pid}, {age_s:.0f} s ago"

    @property
    def host(self) -> Board | None:
        """The board of the host's collector where the data of this process is from there."""
        if self.stays:
            return self._from if self.role is Role.VIEWER else None
        served = self._served()
        return None if served is None else served[0]

    def resign(self) -> None:
        """Let another lead: this process is about to stand still, or to end."""
        if self.lead is not None and self.lead.held:
            self._leave()
        elif self.recorder is not None:
            self.recorder.close()

    # -- deciding

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(r.name for r in self.collector.readers)

    def _decide(self) -> None:
        self.role = self._role()

    def _role(self) -> Role:
        if (served := self._served()) is not None:
            if self.lead is not None and self.lead.held:
                self._leave()
            self._from, self._told = served
            self.why = None
            return Role.VIEWER
        if self.lead is None or self.board is None:
            self._from = self._told = None
            return Role.ALONE
        held = self.lead.held
        if self.lead.take():
            self._from = self._told = self._waiting_since = self.why = None
            if not held:
                self.board.sweep()
                self._publish(self._sources or self._kept_sources(), None)
            return Role.LEADER
        if self.lead.problem is not None:
            self._from = self._told = None
            self.why = f"nobody collects for all: {self.lead.problem}"
            return Role.ALONE
        self._from = self.board
        return self._following(self.board)

    def _following(self, board: Board) -> Role:
        """What to do while another holds the lock."""
        told, why = None, None
        try:
            told = board.standing()
        except Untrusted as error:
            why = str(error)
        if told is not None and told.estate != self.estate:
            words = f"your pid {told.leader.pid} collects with another configuration"
            return self._passed_over(f"{words}: this one reads for itself")
        if told is not None and board.age_s(told) < HUNG_S:
            self._told, self._waiting_since, self.why = told, None, None
            return Role.FOLLOWER
        holder = self.lead.holder() if self.lead is not None else None
        hangs = told is not None and holder is not None and holder.pid == told.leader.pid
        now = self.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        if not hangs and why is None and now - self._waiting_since < START_S:
            self._told, self.why = None, "another process of yours begins to collect"
            return Role.FOLLOWER
        pid = holder.pid if holder is not None else "?"
        return self._passed_over(
            why or f"your pid {pid} collects and gives no sign of life: this one reads for itself"
        )

    def _passed_over(self, why: str) -> Role:
        self._from = self._told = None
        self.why = why
        return Role.ALONE

    def _served(self) -> tuple[Board, Standing] | None:
        """The board of the host's collector, when it lives and tells of all that is read here."""
        if self.shared is None or self.hidden is not None:
            return None
        board, _ = self.shared()
        if board is None:
            return None
        with suppress(Untrusted):
            told = board.standing()
            if told is None or board.age_s(told) >= HUNG_S or not self._names:
                return None
            if all(self._told_of(board, told, name) for name in self._names):
                return board, told
        return None

    def _told_of(self, board: Board, told: Standing, name: str) -> bool:
        """Whether this source is published, and is no other one of the same name."""
        mine, theirs = self.where.get(name), told.where.get(name)
        same = mine is None or theirs is None or mine == theirs
        return same and name in told.shared and board.part(name) is not None

    def _leave(self) -> None:
        if self.recorder is not None:
            self.recorder.close()
        if self.lead is not None:
            self.lead.release()

    # -- telling

    def _publish(self, sources: tuple[Source, ...], estate: Snapshot | None) -> None:
        """Tell the others; a disk that is full costs them, not this process.

        Without an `estate` it is a sign of life alone.
        """
        board, me = self.board, self.lead.me if self.lead is not None else None
        if board is None or me is None:
            return
        self._sources, self._beat_at = sources, self.monotonic()
        standing = Standing(
            at=self.clock(),
            boot=boot_id(),
            monotonic_s=self.monotonic(),
            leader=me,
            estate=self.estate,
            sources=sources,
            shared=self._names,
            where=self.where,
            history=self.recorder.problem if self.recorder else "it is off",
        )
        measured = None if estate is None else self.collector.measured
        with suppress(OSError):
            if self.hidden is None:
                board.publish(standing, measured, estate)
                return
            hidden = {**dict.fromkeys(self._names, PUBLIC), **self.hidden()}
            parts = {name: self.collector.last(name) for name in self._names}
            self._telling.publish(board, standing, measured, estate, parts, hidden)

    def _kept_sources(self) -> tuple[Source, ...]:
        before = self.collector.before()
        return before.sources if before is not None else ()

    # -- following

    def _followed(self, patience_s: float | None) -> Snapshot:
        board, told = self._from, self._told
        if self._direct:
            self._direct = False
            self.collector.read(DEADLINE_S)
        if board is not None and told is not None:
            self._stamp = board.stamp(self._names)
            return followed(board, told, self.collector, self.clock())
        if (before := self.collector.before()) is not None or patience_s is not None:
            return before or nothing(self.collector, self.clock())
        return self.collector.collect()  # who has no patience needs an answer

    def _service_swept(self) -> Measured | None:
        """The readings of the host's collector, when it has just swept."""
        if self.shared is None:
            return None
        board, _ = self.shared()
        return None if board is None else measured_of(board, 2 * STEP_S)

    def _swept(self) -> Measured | None:
        """Readings that somebody else has just made."""
        if self.collector.sweeps is None:
            return None
        if (served := self._service_swept()) is not None or self.board is None:
            return served
        with suppress(Untrusted):
            told = self.board.standing()
            if told is not None and told.estate == self.estate:
                return measured_of(self.board, 2 * STEP_S)
        return None
