"""Carrying a plan out: move by move, step by step, and no further than the first surprise.

Right before a move its source is read again and its precondition compared (compare, then set).
Right before a step its command is spelled out again and compared with the one that was agreed to.
Then the journal, the sending, the reading back. So a program that is killed at any point leaves
whole steps and at most one that is open, and the same plan goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from foundry_tui.changes import carry
from foundry_tui.changes.steps import DONE, UNSETTLED, Step, acts_in, history, runs_of, told
from foundry_tui.estate.actrecords import targets
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    Change,
    Preview,
    Receipt,
    ReceiptStatus,
    Requeue,
    Resubmit,
)
from foundry_tui.estate.plan import Move
from foundry_tui.estate.precondition import broken, changed_by, source_of
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.estate.snapshot import Snapshot, find_run
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

    def carry_out(self, plan_id: str, steps: Sequence[Step], purpose: Purpose) -> Applied:
        """Carry out the steps of a plan that were agreed to, in their order.

        `purpose` is that of the plan as a whole. What an earlier time did already is left alone.

        Raises:
            JournalError: the journal cannot be read; nothing was sent.
        """
        moves = list(dict.fromkeys(step.move.id for step in steps))
        known = history(self.journal.changes(), plan_id)
        for number, move_id in enumerate(moves):
            mine = [step for step in steps if step.move.id == move_id]
            before = acts_in(known, *DONE)
            before += [step.act for step in steps if step.move.id in moves[:number]]
            self.progress(f"{move_id} ({number + 1} of {len(moves)})")
            try:
                if self.stop():
                    raise Surprise("stopped, as asked; nothing of it was sent")
                self._move(mine, before, known, purpose)
            except Surprise as error:
                return self._applied(
                    plan_id,
                    stopped=f"{move_id}: {error}",
                    left=tuple(moves[number:]),
                    silent=error.silent,
                )
        return self._applied(plan_id)

    def _applied(self, plan_id: str, **more: object) -> Applied:
        made = Applied(plan_id=plan_id, changes=tuple(self.changes))
        return replace(made, **more)  # type: ignore[arg-type]

    def _move(
        self,
        steps: Sequence[Step],
        before: Iterable[Act],
        known: Mapping[tuple[str, int], Record],
        purpose: Purpose,
    ) -> None:
        move, source = steps[0].move, source_of(steps[0].move.target)
        records = {step.index: known.get((move.id, step.index)) for step in steps}
        done = [s for s in steps if (r := records[s.index]) and r.change.status in DONE]
        todo = [step for step in steps if step not in done]
        if not todo:
            self.progress(f"{move.id}: carried out already")
            return
        if not done and move.awaits is not None:
            self._await(move.awaits)
        seen = self.read(source)
        first = todo[0]
        if (record := records[first.index]) is not None and record.change.status in UNSETTLED:
            if self._settled(first, record, seen):
                todo.pop(0)
                done.append(first)
            if not todo:
                return
        self._compare(move, seen, [*before, *(step.act for step in done)])
        for place, step in enumerate(todo):
            if place and self.stop():
                raise Surprise(f"stopped before {step.name}, as asked")
            if place:
                seen = self.after(todo[place - 1].act, source)
            self._send(step, seen, replace(purpose, move=move.id, step=step.index))

    def _compare(self, move: Move, seen: Snapshot, acts: Iterable[Act]) -> None:
        """Refuse a move whose precondition is broken by anything but the plan itself."""
        mine = [act for act in acts if move.target.id in targets(act)]
        changed = frozenset[str]().union(*(changed_by(act) for act in mine))
        if any(isinstance(act, Resubmit) for act in mine):
            return  # the run that it was about is another one by now
        if words := broken(seen, move, changed=changed):
            raise Surprise(f"changed since the plan was made: {'; '.join(words)}")

    def _send(self, step: Step, seen: Snapshot, purpose: Purpose) -> None:
        """Spell the step out again, compare it with what was agreed to, and carry it out."""
        preview = self.agreed(step.act, seen, step.token, step.commands)
        change = self.sent(preview, step.token, purpose)
        self.progress(f"{step.name}: {told(step.act)}: done ({change.id})")

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
            preview = carry.preview(actor, act, _runs(act, seen), token)
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

    def _await(self, run_id: str) -> None:
        """Wait until a run is running that this move gives way to."""

        def runs() -> bool:
            run = find_run(self.read(run_id.partition("/")[0]).runs, run_id)
            if run is None or run.state not in LIVE:
                how = "is gone" if run is None else f"has ended ({run.state.value})"
                raise Surprise(f"{safe(run_id)}, which has to be running first, {how}")
            return run.state in (RunState.RUNNING, RunState.COMPLETING)

        if not runs():
            self.wait(f"{safe(run_id)} to be running", runs, self.await_s)

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

    def _settled(self, step: Step, record: Record, seen: Snapshot) -> bool:
        """Whether a step that was broken off had arrived, as its scheduler shows.

        What did not arrive is sent again by who asks, as far as it does no harm twice.
        """
        if carry.at_work(record):
            raise Surprise(f"{record.change.id} is being sent by pid {record.who.pid} just now")
        if isinstance(step.act, Resubmit):
            return self._found(step, step.act, record, seen)
        receipts = self.reached(step.act, seen, record.token or step.token)
        if receipts is not None and not self._unprovable(record, seen):
            self._finish(record, "done", receipts)
            self.progress(f"{step.name}: had arrived ({record.change.id})")
            return True
        if isinstance(step.act, Requeue):
            for run in _runs(step.act, seen):
                if run.started_at and record.change.at and run.started_at > record.change.at:
                    words = safe("it was requeued and has started again")
                    self._finish(record, "done", _receipts(record, ReceiptStatus.DONE, words))
                    return True
            if carry.young(record, self.clock()):
                raise Surprise(
                    f"{record.change.id} may still be on its way: try again in two minutes"
                )
        words = safe("the program ended in the middle, and it had not arrived; it is sent again")
        self._finish(record, "not_sent", _receipts(record, ReceiptStatus.REFUSED, words))
        return False

    def _found(self, step: Step, act: Resubmit, record: Record, seen: Snapshot) -> bool:
        """The same for an act that makes a run: it is found by its token, and never made twice."""
        try:
            native = self.actor(act.source).find_submitted(record.token or "")
        except SchedulerError as error:
            raise Surprise(str(error), silent=True) from error
        if native is None:
            if carry.young(record, self.clock()):
                raise Surprise(
                    f"{record.change.id} may still be on its way: try again in two minutes"
                )
            words = safe("the program ended before anything was sent")
            self._finish(record, "not_sent", _receipts(record, ReceiptStatus.REFUSED, words))
            return False
        old = tuple(run.id for run in _runs(act, seen) if run.state in LIVE)
        if old:
            # The new run is there, and the old one still waits: that half is left to be done.
            end = Cancel(source=act.source, runs=old)
            why = Purpose(why=f"the second half of {record.change.id}")
            self.sent(self.agreed(end, seen, "", ()), "", why)
        words = safe(f"found by its token as {native}")
        self._finish(record, "done", _receipts(record, ReceiptStatus.DONE, words))
        return True

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
            preview = carry.preview(actor, act, _runs(act, seen), token)
            asked = tuple(
                Receipt(target=i.target, status=ReceiptStatus.ACCEPTED, before=i.before)
                for i in preview.items
            )
            return actor.read_back(preview, asked)
        except SchedulerError as error:
            raise Surprise(str(error), silent=True) from error
        except (carry.ChangeError, ValueError) as error:
            raise Surprise(str(error)) from error

    def _unprovable(self, record: Record, seen: Snapshot) -> bool:
        """Whether its scheduler would call the old values reached too: then it proves nothing."""
        from foundry_tui.estate.actrecords import act_of

        if record.inverse is None:
            return False
        return self.reached(act_of(record.inverse), seen, "") is not None

    def settle(self, record: Record, receipts: tuple[Receipt, ...]) -> None:
        """Record that a change that was broken off had arrived.

        Raises:
            Surprise: the journal cannot take it.
        """
        self._finish(record, "done", receipts)

    def _finish(self, record: Record, status: str, receipts: tuple[Receipt, ...]) -> None:
        try:
            self.journal.finish(record.change.id, status, receipts)
        except JournalError as error:
            raise Surprise(str(error)) from error
        if status == "done":
            self.changes.append(replace(record.change, status=status, receipts=receipts))


def _runs(act: Act, seen: Snapshot) -> tuple[Run, ...]:
    return runs_of(act, {run.id: run for run in seen.runs})


def _waits(act: Requeue, seen: Snapshot) -> bool:
    return all(run.state is RunState.PENDING for run in _runs(act, seen))


def _receipts(record: Record, status: ReceiptStatus, words: str) -> tuple[Receipt, ...]:
    return tuple(
        Receipt(target=safe(item), status=status, message=safe(words)) for item in record.items
    )


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
