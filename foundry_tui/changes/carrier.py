"""What carrying out needs of the world: reading anew, spelling out, sending, and reading back.

Everything here ends in a `Surprise` when something is not as it was agreed to. Who catches it sends
nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from foundry_tui.changes import carry
from foundry_tui.changes.steps import runs_of
from foundry_tui.estate.acts import Act, Change, Preview, Receipt, ReceiptStatus, Requeue
from foundry_tui.estate.reached import reached
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerActor, SchedulerError, Unavailable
from foundry_tui.store.journal import Journal, JournalError, Purpose, Record

AWAIT_S = 900.0
"""Seconds for which a run is waited for that has to run before the next move."""

SETTLE_S = 60.0
"""Seconds for which a run that was requeued may take to wait again."""

POLL_S = 5.0
"""How often a source is read while something is waited for."""


class Surprise(Exception):
    """Something is not as it was agreed to: nothing more is sent."""

    def __init__(self, words: str, *, silent: bool = False) -> None:
        super().__init__(words)
        self.silent = silent
        """Whether the source did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a plan. `stopped` says why it ended early; None when all of it was done.

    `left` are the moves that were not wholly carried out. `changes` are those of this time alone;
    what an earlier time did is `before`, with its `applied_at`. `silent` says that it was stopped
    by a source that does not answer.
    """

    plan_id: str
    changes: tuple[Change, ...] = ()
    stopped: str | None = None
    left: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    applied_at: datetime | None = None
    silent: bool = False


@dataclass(slots=True, kw_only=True)
class Carrier:
    """What carrying out needs of the world.

    `look` reads one source anew. `pause` waits so many seconds; `stop` says that nothing more is to
    be begun. `progress` is told what is done, and what is waited for.
    """

    actors: Mapping[str, SchedulerActor]
    journal: Journal
    look: Callable[[str], Snapshot]
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    pause: Callable[[float], object]
    progress: Callable[[str], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False
    await_s: float = AWAIT_S
    poll_s: float = POLL_S
    changes: list[Change] = field(default_factory=list)

    def agreed(
        self, act: Act, seen: Snapshot, token: str, commands: tuple[tuple[str, ...], ...]
    ) -> Preview:
        """An act spelled out now, as it was when it was agreed to.

        `commands` are those that were agreed to; empty ones could not be known then.

        Raises:
            Surprise: it is refused, would be sent otherwise, or the source does not answer.
        """
        actor = self.actor(act.source)
        try:
            preview = carry.preview(actor, act, seen_runs(act, seen), token)
        except SchedulerError as error:
            raise Surprise(str(error), silent=isinstance(error, Unavailable)) from error
        except (carry.ChangeError, ValueError) as error:
            raise Surprise(str(error)) from error
        if preview.refused:
            item = preview.refused[0]
            raise Surprise(f"{safe(item.target)} is refused: {item.refusal}")
        now = tuple(item.command for item in preview.items)
        if any(commands) and now != commands:
            raise Surprise(
                "what would be sent is not what was agreed to: "
                f"{safe(' '.join(commands[0]))!r} then, {safe(' '.join(now[0]))!r} now"
            )
        return preview

    def sent(
        self, preview: Preview, token: str, purpose: Purpose, undoes: str | None = None
    ) -> Change:
        """Journal, send and read back; what came of it is kept in `changes` too.

        Raises:
            Surprise: the journal could not take it, no answer came, or not all of it was done.
        """
        try:
            change = carry.carry_out(
                self.actor(preview.act.source),
                self.journal,
                preview,
                token,
                clock=self.clock,
                undoes=undoes,
                purpose=purpose,
            )
        except carry.NotRecorded as error:
            self.changes.append(error.change)
            raise Surprise(str(error)) from error
        except JournalError as error:
            raise Surprise(f"nothing was sent, because the journal failed: {error}") from error
        except Unavailable as error:
            raise Surprise(f"nothing was sent: {error}", silent=True) from error
        self.changes.append(change)
        if change.status != "done":
            raise Surprise(_unexpected(change))
        return change

    def actor(self, source: str) -> SchedulerActor:
        """The source to send to.

        Raises:
            Surprise: it is not here.
        """
        if source not in self.actors:
            raise Surprise(f"{source} is not here", silent=True)
        return self.actors[source]

    def read(self, source: str) -> Snapshot:
        """The source as it is now.

        Raises:
            Surprise: it does not answer.
        """
        self.actor(source)
        try:
            return self.look(source)
        except SchedulerError as error:
            raise Surprise(f"{source} cannot be read: {error}", silent=True) from error

    def wait(self, words: str, done: Callable[[], bool], limit_s: float) -> None:
        """Ask again and again until it is done.

        Raises:
            Surprise: it took too long, or was to be stopped.
        """
        until = self.monotonic() + limit_s
        self.progress(f"waiting for {words}")
        while not done():
            if self.stop():
                raise Surprise(f"stopped while waiting for {words}, as asked")
            if self.monotonic() >= until:
                raise Surprise(f"{words}: not so within {limit_s:g} s")
            self.pause(min(self.poll_s, max(0.0, until - self.monotonic())))

    def after(self, act: Act, source: str) -> Snapshot:
        """The source after a step, once it shows what the next one builds upon.

        Raises:
            Surprise: it does not answer, or does not come to show it.
        """
        seen = self.read(source)
        if not isinstance(act, Requeue):
            return seen

        def waits() -> bool:
            nonlocal seen
            seen = self.read(source)
            return _waits(act, seen)

        if not _waits(act, seen):
            self.wait(f"{', '.join(act.runs[:3])} to wait again", waits, SETTLE_S)
        return seen

    def reached(self, act: Act, seen: Snapshot, token: str) -> tuple[Receipt, ...] | None:
        """The receipts that prove that an act's effect stands; None when it does not.

        Raises:
            Surprise: the source does not answer.
        """
        read = self.shown(act, seen, token)
        return read if read and all(r.status is ReceiptStatus.DONE for r in read) else None

    def shown(self, act: Act, seen: Snapshot, token: str = "") -> tuple[Receipt, ...]:
        """Per target whether the scheduler shows an act's effect now (`done`). Nothing is sent.

        Raises:
            Surprise: the source does not answer.
        """
        actor = self.actor(act.source)
        try:
            preview = carry.preview(actor, act, seen_runs(act, seen), token)
            known = _as_seen(preview, seen)
            open_ = replace(preview, items=tuple(i for i in preview.items if i.target not in known))
            asked = tuple(
                Receipt(target=i.target, status=ReceiptStatus.ACCEPTED, before=i.before)
                for i in open_.items
            )
            return (*(actor.read_back(open_, asked) if asked else ()), *known.values())
        except SchedulerError as error:
            raise Surprise(str(error), silent=True) from error
        except (carry.ChangeError, ValueError) as error:
            raise Surprise(str(error)) from error

    def finish(self, record: Record, status: str, receipts: tuple[Receipt, ...]) -> None:
        """Record what came of a change that was broken off.

        Raises:
            Surprise: the journal cannot take it.
        """
        try:
            self.journal.finish(record.change.id, status, receipts)
        except JournalError as error:
            raise Surprise(str(error)) from error
        if status == "done":
            self.changes.append(replace(record.change, status=status, receipts=receipts))


def _as_seen(preview: Preview, seen: Snapshot) -> dict[str, Receipt]:
    """Receipts of items without a command of which the snapshot tells whether their effect stands.

    What wants what is there already has nothing to send, and on some schedulers nothing to prove.
    """
    found = {}
    for item in preview.items:
        stands = None if item.command else reached(preview.act, item.target, seen)
        if stands is not None:
            status = ReceiptStatus.DONE if stands else ReceiptStatus.UNCHANGED
            found[item.target] = Receipt(target=item.target, status=status, message=item.refusal)
    return found


def seen_runs(act: Act, seen: Snapshot) -> tuple[Run, ...]:
    """The runs that an act names, as a snapshot shows them."""
    return runs_of(act, {run.id: run for run in seen.runs})


def _waits(act: Requeue, seen: Snapshot) -> bool:
    return all(run.state is RunState.PENDING for run in seen_runs(act, seen))


def _unexpected(change: Change) -> str:
    """What came of a change that is not what was asked for, in words."""
    good = (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED)
    bad = [receipt for receipt in change.receipts if receipt.status not in good]
    words = "; ".join(
        f"{safe(r.target)} {r.status.value}" + (f": {r.message}" if r.message else "")
        for r in bad[:3]
    )
    done = len(change.receipts) - len(bad)
    some = f", {done} of {len(change.receipts)} done" if done else ""
    return f"{change.id} is {change.status}{some} ({words})"
