"""Looking at applied plans with every reading, until each of their promises is decided.

The reading that is there anyway is looked at; only for a run that has vanished from it the
accounting is asked, at most once a minute. Nothing is changed but the user's own notes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from foundry_tui.changes import application
from foundry_tui.changes.verdict import horizon_of, judge, settled
from foundry_tui.collector.looking import look_at, told_by, waiters
from foundry_tui.estate.observed import Applied, Observations, family, known
from foundry_tui.estate.plan import Plan
from foundry_tui.estate.run import LIVE
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import UsageRecord, Window
from foundry_tui.estate.verdict import Verdict
from foundry_tui.schedulers.ports import SchedulerError, SchedulerReader
from foundry_tui.store.journal import Journal
from foundry_tui.store.plans import Plans
from foundry_tui.store.verdicts import Verdicts, worth_keeping

if TYPE_CHECKING:
    from foundry_tui.store.journal import Record

ACCOUNTING_S = 60.0
"""The accounting of a source is asked at most once in so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A plan as it was applied last."""

    plan: Plan
    at: datetime
    moves: tuple[Applied, ...]


@dataclass(slots=True, kw_only=True)
class Judge:
    """Looks at the open plans of one user.

    `read` makes a plan of its kept bytes. `failed` tells why the last pass could not be done.
    """

    plans: Plans
    verdicts: Verdicts
    journal: Journal
    readers: Mapping[str, SchedulerReader]
    clock: Callable[[], datetime]
    read: Callable[[bytes], Plan]
    monotonic: Callable[[], float] = time.monotonic
    failed: SafeText | None = None
    _busy: threading.Thread | None = field(init=False, default=None)
    _asked_at: dict[str, float] = field(init=False, default_factory=dict)
    _closed: set[tuple[str, datetime]] = field(init=False, default_factory=set)
    _journal: tuple[object, tuple[Application, ...]] | None = field(init=False, default=None)

    def offer(self, snapshot: Snapshot) -> threading.Thread | None:
        """Start a pass over this reading unless one is at work; returns its thread."""
        if self._busy is not None and self._busy.is_alive():
            return None
        # A daemon thread: an accounting that hangs must not keep the program from ending.
        self._busy = threading.Thread(
            target=self._run, args=(snapshot,), name="verdicts", daemon=True
        )
        self._busy.start()
        return self._busy

    def _run(self, snapshot: Snapshot) -> None:
        try:
            if not self.still_open():
                return
            with self.verdicts.writer() as mine:
                if mine:
                    self.look(snapshot)
            self.failed = None
        except Exception as error:  # whatever it is, the screens go on
            self.failed = safe(f"looking at applied plans: {error}", max_cells=400)

    def look(self, snapshot: Snapshot) -> tuple[Verdict, ...]:
        """Look at every open plan and judge it; the caller holds the lock of the writer.

        Raises:
            VerdictError, JournalError: looks cannot be kept, or the journal cannot be read.
        """
        return tuple(self.one(found, snapshot) for found in self.still_open())

    def still_open(self) -> tuple[Application, ...]:
        """The applied plans that are not closed.

        Raises:
            VerdictError, JournalError: what is kept cannot be read.
        """
        return tuple(found for found in self.applications() if not self._is_closed(found))

    def applications(self) -> tuple[Application, ...]:
        """Every plan of which at least one move was carried out and that is still kept.

        Raises:
            JournalError: the journal cannot be read.
        """
        try:
            info = self.journal.path.stat()
        except OSError:
            return ()
        stamp = info.st_mtime_ns, info.st_size, info.st_ino
        if self._journal is None or self._journal[0] != stamp:
            self._journal = stamp, self._applications(self.journal.changes())
        return self._journal[1]

    def one(self, found: Application, snapshot: Snapshot, *, keep: bool = True) -> Verdict:
        """Look at one plan and judge it. Without `keep` nothing is written.

        Raises:
            VerdictError: looks cannot be read or kept.
        """
        plan, name = found.plan, found.plan.id
        seen = self.verdicts.observations(name, found.at)
        if seen.waiters is None:
            seen = replace(seen, waiters=waiters(snapshot, plan))
            if keep:
                self.verdicts.opened(name, found.at, seen.waiters or ())
        earlier = self.verdicts.latest(name, found.at)
        before = known(seen.looks)
        stranded = earlier is None or any(
            p.what == "stranded_gpus" and p.kept is None for p in earlier.promises
        )
        families = {w.family for w in seen.waiters or ()}
        families |= {key for one in found.moves for key in one.families}
        look = look_at(snapshot, plan, families, before, stranded=stranded)
        lost = _lost(found, seen, snapshot, look.silent)
        look = replace(look, runs=(*told_by(self._accounting(lost, found, seen), lost), *look.runs))
        last_at = seen.looks[-1].at if seen.looks else None
        if last_at is None or look.at > last_at:
            seen = replace(seen, looks=(*seen.looks, look))
            if keep and worth_keeping(look, last_at, found.at):
                self.verdicts.looked(name, found.at, look)
        verdict = judge(plan, found.at, found.moves, seen, self.clock(), horizon_of(plan))
        verdict = settled(earlier, verdict)
        if keep and (earlier is None or _says(earlier) != _says(verdict)):
            self.verdicts.judged(verdict)
        return verdict

    def _is_closed(self, found: Application) -> bool:
        key = found.plan.id, found.at
        if key not in self._closed:
            verdict = self.verdicts.latest(*key)
            if verdict is not None and verdict.closed:
                self._closed.add(key)
        return key in self._closed

    def _applications(self, records: tuple[Record, ...]) -> tuple[Application, ...]:
        back = application.undone(records)
        found = []
        for plan_id, steps in application.by_plan(records).items():
            data = None
            with suppress(OSError):
                data = self.plans.load(plan_id)
            if data is None:
                continue
            with suppress(ValueError):
                plan = self.read(data)
                moves = application.applied(plan, steps, back)
                if moves:
                    at = min(one.begun_at for one in moves)
                    found.append(Application(plan=plan, at=at, moves=moves))
        return tuple(sorted(found, key=lambda one: one.at))

    def _accounting(
        self, lost: set[str], found: Application, seen: Observations
    ) -> list[UsageRecord]:
        """What the accounting tells of runs that no reading tells of any more."""
        told: list[UsageRecord] = []
        owner = {w.family: w.user for w in seen.waiters or ()}
        since = min(found.at, found.plan.generated_at) - timedelta(seconds=60)
        for source in sorted({run.partition("/")[0] for run in lost}):
            reader, now_s = self.readers.get(source), self.monotonic()
            early = now_s - self._asked_at.get(source, float("-inf")) < ACCOUNTING_S
            if reader is None or early:
                continue
            self._asked_at[source] = now_s
            window = Window(since, max(since, self.clock() + timedelta(seconds=60)))
            here = [owner.get(run) for run in lost if run.startswith(f"{source}/")]
            users = tuple(sorted({user for user in here if user is not None}))
            with suppress(SchedulerError):
                told += reader.accounting(window, users=users if None not in here else None).records
        return told


def _lost(
    found: Application, seen: Observations, snapshot: Snapshot, silent: Iterable[str]
) -> set[str]:
    """The runs of interest of which no reading tells any more, nor how they ended."""
    last = {run.id: run for look in seen.looks for run in look.runs}
    ended = {run.family for run in last.values() if run.state not in LIVE}
    began = {run.family for run in last.values() if run.started_at is not None}
    mine = {key for one in found.moves for key in one.families}
    mine |= {w.family for w in seen.waiters or () if w.family not in began}
    here = {family(run) for run in snapshot.runs}
    quiet = set(silent)
    return {run for run in mine - here - ended if run.partition("/")[0] not in quiet}


def _says(verdict: Verdict) -> tuple[object, ...]:
    """What of a verdict is worth being kept again."""
    decided = tuple((p.what, p.move, p.kept) for p in verdict.promises)
    return decided, verdict.closed, verdict.undone
