"""Carrying a plan out: move by move, step by step, and no further than the first surprise.

Right before a move its source is read again and its precondition compared (compare, then set).
Right before a step its command is spelled out again and compared with the one that was agreed to.
Then the journal, the sending, the reading back. So a program that is killed at any point leaves
whole steps and at most one that is open, and the same plan goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from foundry_tui.changes import carry
from foundry_tui.changes.carrier import Applied as Applied
from foundry_tui.changes.carrier import Carrier, Surprise, seen_runs
from foundry_tui.changes.steps import DONE, UNSETTLED, Step, acts_in, history, told
from foundry_tui.estate.actrecords import act_of, targets
from foundry_tui.estate.acts import Act, Cancel, Receipt, ReceiptStatus, Requeue, Resubmit
from foundry_tui.estate.plan import Move
from foundry_tui.estate.precondition import broken, changed_by, source_of
from foundry_tui.estate.run import LIVE, RunState
from foundry_tui.estate.snapshot import Snapshot, find_run
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.store.journal import Purpose, Record


def carry_out(carrier: Carrier, plan_id: str, steps: Sequence[Step], purpose: Purpose) -> Applied:
    """Carry out the steps of a plan that were agreed to, in their order.

    `purpose` is that of the plan as a whole. What an earlier time did already is left alone.

    Raises:
        JournalError: the journal cannot be read; nothing was sent.
    """
    moves = list(dict.fromkeys(step.move.id for step in steps))
    one = _Plan(carrier, history(carrier.journal.changes(), plan_id), purpose)
    for number, move_id in enumerate(moves):
        mine = [step for step in steps if step.move.id == move_id]
        before = acts_in(one.known, *DONE)
        before += [step.act for step in steps if step.move.id in moves[:number]]
        carrier.progress(f"{move_id} ({number + 1} of {len(moves)})")
        try:
            if carrier.stop():
                raise Surprise("stopped, as asked; nothing of it was sent")
            one.move(mine, before)
        except Surprise as error:
            return Applied(
                plan_id=plan_id,
                changes=tuple(carrier.changes),
                stopped=f"{move_id}: {error}",
                left=tuple(moves[number:]),
                silent=error.silent,
            )
    return Applied(plan_id=plan_id, changes=tuple(carrier.changes))


@dataclass(frozen=True, slots=True)
class _Plan:
    """A plan that is being carried out; `known` is what the journal knew of it before."""

    carrier: Carrier
    known: Mapping[tuple[str, int], Record]
    purpose: Purpose

    def move(self, steps: Sequence[Step], before: Iterable[Act]) -> None:
        """Carry one move out, or what is left of it; `before` are the plan's acts until now.

        Raises:
            Surprise: something is not as it was agreed to.
        """
        move, source = steps[0].move, source_of(steps[0].move.target)
        records = {step.index: self.known.get((move.id, step.index)) for step in steps}
        done = [s for s in steps if (r := records[s.index]) and r.change.status in DONE]
        todo = [step for step in steps if step not in done]
        if not todo:
            self.carrier.progress(f"{move.id}: carried out already")
            return
        if not done and move.awaits is not None:
            self._await(move.awaits)
        acts = [*before, *(step.act for step in done)]
        seen = self._seen(todo[0].act, acts, source)
        record = records[todo[0].index]
        if record is not None and record.change.status in UNSETTLED:
            if self._settled(todo[0], record, seen):
                acts.append(todo.pop(0).act)
            if not todo:
                return
        self._compare(move, seen, acts)
        for place, step in enumerate(todo):
            if place and self.carrier.stop():
                raise Surprise(f"stopped before {step.name}, as asked")
            if place:
                seen = self.carrier.after(todo[place - 1].act, source)
            self._send(step, seen, replace(self.purpose, move=move.id, step=step.index))

    def _seen(self, act: Act, before: Iterable[Act], source: str) -> Snapshot:
        """The source now, once it shows a requeue of the same run that came right before."""
        mine = [one for one in before if not set(targets(one)).isdisjoint(targets(act))]
        if mine and isinstance(mine[-1], Requeue) and mine[-1].hold:
            return self.carrier.after(mine[-1], source)
        return self.carrier.read(source)

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
        preview = self.carrier.agreed(step.act, seen, step.token, step.commands)
        change = self.carrier.sent(preview, step.token, purpose)
        self.carrier.progress(f"{step.name}: {told(step.act)}: done ({change.id})")

    def _await(self, run_id: str) -> None:
        """Wait until a run is running that this move gives way to.

        One that has ended, or is gone, is not waited for: nobody has to give way to it any more.
        """

        def runs() -> bool:
            run = find_run(self.carrier.read(run_id.partition("/")[0]).runs, run_id)
            if run is None or run.state not in LIVE:
                how = "is gone" if run is None else f"has ended ({run.state.value})"
                self.carrier.progress(f"{safe(run_id)} {how}: it is not waited for")
                return True
            return run.state in (RunState.RUNNING, RunState.COMPLETING)

        if runs():
            return
        try:
            self.carrier.wait(f"{safe(run_id)} to be running", runs, self.carrier.await_s)
        except Surprise as error:
            raise Surprise(
                f"{error}. What made room for it is stopped until then: apply the plan again to "
                "wait on, or take it back with foundry undo",
                silent=error.silent,
            ) from error

    def _settled(self, step: Step, record: Record, seen: Snapshot) -> bool:
        """Whether a step that was broken off had arrived, as its scheduler shows.

        What did not arrive is sent again by who asks, as far as it does no harm twice. Whoever
        began it held the lock that is held now, so it is not at work any more.
        """
        if isinstance(step.act, Resubmit):
            return self._found(step, step.act, record, seen)
        receipts = self.carrier.reached(step.act, seen, record.token or step.token)
        if receipts is not None and not self._unprovable(record, seen):
            self.carrier.finish(record, "done", receipts)
            self.carrier.progress(f"{step.name}: had arrived ({record.change.id})")
            return True
        if isinstance(step.act, Requeue):
            for run in seen_runs(step.act, seen):
                if run.started_at and record.change.at and run.started_at > record.change.at:
                    words = safe("it was requeued and has started again")
                    self.carrier.finish(
                        record, "done", _receipts(record, ReceiptStatus.DONE, words)
                    )
                    return True
            if carry.young(record, self.carrier.clock()):
                raise Surprise(
                    f"{record.change.id} may still be on its way: try again in two minutes"
                )
        words = safe("the program ended in the middle, and it had not arrived; it is sent again")
        self.carrier.finish(record, "not_sent", _receipts(record, ReceiptStatus.REFUSED, words))
        return False

    def _found(self, step: Step, act: Resubmit, record: Record, seen: Snapshot) -> bool:
        """The same for an act that makes a run: it is found by its token, and never made twice."""
        try:
            native = self.carrier.actor(act.source).find_submitted(record.token or "")
        except SchedulerError as error:
            raise Surprise(str(error), silent=True) from error
        if native is None:
            if carry.young(record, self.carrier.clock()):
                raise Surprise(
                    f"{record.change.id} may still be on its way: try again in two minutes"
                )
            words = safe("the program ended before anything was sent")
            self.carrier.finish(record, "not_sent", _receipts(record, ReceiptStatus.REFUSED, words))
            return False
        old = tuple(run.id for run in seen_runs(act, seen) if run.state in LIVE)
        if old:
            # The new run is there, and the old one still waits: that half is left to be done.
            end = Cancel(source=act.source, runs=old)
            why = Purpose(why=f"the second half of {record.change.id}")
            self.carrier.sent(self.carrier.agreed(end, seen, "", ()), "", why)
        words = safe(f"found by its token as {native}")
        self.carrier.finish(record, "done", _receipts(record, ReceiptStatus.DONE, words))
        return True

    def _unprovable(self, record: Record, seen: Snapshot) -> bool:
        """Whether its scheduler would call the old values reached too: then it proves nothing."""
        if record.inverse is None:
            return False
        return self.carrier.reached(act_of(record.inverse), seen, "") is not None


def _receipts(record: Record, status: ReceiptStatus, words: str) -> tuple[Receipt, ...]:
    return tuple(
        Receipt(target=safe(item), status=status, message=safe(words)) for item in record.items
    )
