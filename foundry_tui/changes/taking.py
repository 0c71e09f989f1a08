"""How a change or a plan is taken back now: sorted out, spelled out, and sent.

What takes a change back is sent only where the estate still shows what the change set (compare,
then set): whatever somebody else has changed since is left alone, and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from foundry_tui.changes import carry
from foundry_tui.changes.carrier import Applied, Carrier, Surprise
from foundry_tui.changes.steps import UNSETTLED, expected, runs_of, told
from foundry_tui.changes.undo import (
    Back,
    Taking,
    asked_of,
    changed,
    inverse_of,
    narrowed,
)
from foundry_tui.estate.actrecords import targets
from foundry_tui.estate.acts import (
    INVERSES,
    Act,
    ChangeRun,
    Hold,
    Preview,
    PreviewItem,
    ReceiptStatus,
    Release,
    Requeue,
    Resubmit,
    Suspend,
    kind,
)
from foundry_tui.estate.run import HOLDING, LIVE, Run
from foundry_tui.estate.snapshot import Snapshot, find_run
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerError, Unavailable
from foundry_tui.store.journal import Purpose, Record


def take_back(
    carrier: Carrier,
    records: Sequence[Record],
    wanted: Sequence[Record],
    seen: Snapshot,
    *,
    name: str,
    requeue: bool = False,
) -> Taking:
    """How these changes (latest first) can be taken back now, spelled out; nothing is sent.

    With `requeue` a run that has started since is put back into the queue, held, its fields are
    set back, and it is held in the end where it was before.

    Raises:
        Surprise: a source does not answer.
    """
    taker = _Taker(carrier=carrier, records=records, seen=seen, requeue=requeue)
    for record in wanted:
        taker.one(record)
    if requeue:
        taker.let_go(wanted)
    else:
        taker.offer()
    backs, idle = _without_round_trips(taker.backs)
    taker.left += idle
    return Taking(
        id=name,
        backs=backs,
        left=tuple(dict.fromkeys(taker.left)),
        irreversible=tuple(taker.lost),
        started=tuple(taker.started),
    )


def _without_round_trips(backs: Sequence[Back]) -> tuple[tuple[Back, ...], list[str]]:
    """The acts without pairs that only stop a run and start it again, and what is said of those.

    A run that was stopped and started again is where it was: to do the same backwards would cost
    its work once more and change nothing.
    """
    kept = list(backs)
    told: list[str] = []
    for first in backs:
        names = set(targets(first.act))
        mine = [b for b in backs if names & set(targets(b.act))]
        if len(mine) == 2 and mine[0] is first and _going_on(first.act) == mine[1].act:
            kept = [b for b in kept if b not in mine]
            told += [f"{safe(one)} was stopped and goes on: left as it is" for one in names]
    return tuple(kept), sorted(told)


def _going_on(act: Act) -> Act | None:
    """What lets runs go on that this act would stop; None for other acts."""
    if not isinstance(act, Hold | Suspend):
        return None
    return INVERSES[kind(act)](source=act.source, runs=act.runs)


def carry_back(carrier: Carrier, taking: Taking, why: str | None) -> Applied:
    """Send what takes something back, one act at a time; it ends at the first surprise."""
    looked: set[str] = set()
    for number, back in enumerate(taking.backs):
        carrier.progress(f"{back.name} ({number + 1} of {len(taking.backs)})")
        try:
            if carrier.stop():
                raise Surprise("stopped, as asked; nothing of it was sent")
            source = back.act.source
            before = taking.backs[number - 1].act if number else None
            if before is not None and before.source == source:
                seen = carrier.after(before, source)
            else:
                seen = carrier.read(source)
            if back.record is None:
                purpose = Purpose(why=f"to take back {taking.id}")
            else:
                fresh = [one for one in targets(back.act) if one not in looked]
                if gone := _gone(carrier, back.record, fresh, seen):
                    raise Surprise("; ".join(f"{one} was changed meanwhile" for one in gone))
                purpose = replace(back.record.purpose, why=why, until=None, approved_by=())
            looked.update(targets(back.act))
            preview = carrier.agreed(back.act, seen, back.token, back.commands)
            undoes = None if back.record is None else back.record.change.id
            carrier.sent(preview, back.token, purpose, undoes)
        except Surprise as error:
            return Applied(
                plan_id=taking.id,
                changes=tuple(carrier.changes),
                stopped=f"{back.name}: {error}",
                left=tuple(one.name for one in taking.backs[number:]),
                silent=error.silent,
            )
    return Applied(plan_id=taking.id, changes=tuple(carrier.changes))


@dataclass(slots=True, kw_only=True)
class _Taker:
    """Goes through the changes, the latest first, and sorts out what can be taken back.

    Of every target only the latest change has to stand still: those before it stand again once it
    is taken back. A target that is `stuck` stays as it is, with all that was changed on it.
    """

    carrier: Carrier
    records: Sequence[Record]
    seen: Snapshot
    requeue: bool
    backs: list[Back] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    stuck: set[str] = field(default_factory=set)
    looked: set[str] = field(default_factory=set)
    runs: dict[str, Run] = field(init=False)

    def __post_init__(self) -> None:
        self.runs = {run.id: run for run in self.seen.runs}

    def one(self, record: Record) -> None:
        """Take one change in."""
        act, asked = inverse_of(record), asked_of(record)
        if isinstance(asked, Requeue):
            self.lost.append(f"{record.change.id}: the work that {told(asked)} ended is lost")
        elif act is None or asked is None:
            self.lost.append(
                f"{record.change.id} is a {record.change.act}, which cannot be taken back"
            )
        if act is None or asked is None:
            return
        if record.change.status == "part":
            act = narrowed(act, changed(record)) or act
        names = [one for one in targets(act) if one not in self.stuck]
        on_runs = hasattr(act, "runs") and not isinstance(act, Resubmit)
        if on_runs:
            names = [one for one in names if self._lives(one)]
        names = self._standing(record, act, names)
        if on_runs and isinstance(asked, ChangeRun | Hold | Release | Requeue):
            names = [one for one in names if self._waits(one)]
        if isinstance(act, Hold):
            names = [one for one in names if one not in self.started]  # its requeue holds it
        act = narrowed(act, names)
        if act is not None:
            self._add(act, record)

    def let_go(self, wanted: Sequence[Record]) -> None:
        """Release the runs that were requeued, but for those that were held before all of it."""
        for run_id in self.started:
            holds = [
                isinstance(asked, Release)
                for asked in map(asked_of, reversed(wanted))
                if isinstance(asked, Hold | Release | Requeue) and run_id in asked.runs
            ]
            released = any(
                isinstance(back.act, Release) and run_id in back.act.runs for back in self.backs
            )
            if not released and not (holds and holds[0]):
                self._add(Release(source=run_id.partition("/")[0], runs=(run_id,)), None)

    def offer(self) -> None:
        """Say what it would cost to take back what has started since."""
        for run_id in self.started:
            act = Requeue(source=run_id.partition("/")[0], runs=(run_id,), hold=True)
            item = next(iter(self._preview(act).items), None)
            lost = None if item is None else item.loss_gpu_s
            cost = "its work so far" if lost is None else f"{lost / 3600:.1f} GPU-hours of its work"
            self.left.append(
                f"{run_id} has started meanwhile, so its fields cannot be set back; --requeue puts "
                f"it back into the queue and costs {cost}"
            )

    def _lives(self, run_id: str) -> bool:
        """Whether there is a run left of which anything could be set back."""
        run = find_run(self.seen.runs, run_id)
        if run is not None and run.state in LIVE:
            return True
        how = "is not there any more" if run is None else f"has ended ({run.state.value})"
        self.left.append(f"{run_id} {how}: nothing of it can be set back")
        self.stuck.add(run_id)
        return False

    def _waits(self, run_id: str) -> bool:
        """Whether a run waits, as it has to for its fields to be set back, or is made to."""
        run = find_run(self.seen.runs, run_id)
        if run is None or run.state not in HOLDING:
            return True
        if run_id not in self.started:
            self.started.append(run_id)
            if self.requeue:
                self._add(Requeue(source=run.source, runs=(run_id,), hold=True), None)
        if not self.requeue:
            self.stuck.add(run_id)
        return self.requeue

    def _standing(self, record: Record, act: Act, names: list[str]) -> list[str]:
        """Those of the targets on which a change still stands, or will when its turn comes."""
        fresh = [one for one in names if one not in self.looked]
        gone = _gone(self.carrier, record, fresh, self.seen)
        if not gone:
            self.looked.update(names)
            return names
        kept = [one for one in names if one not in gone]
        if record.change.status in UNSETTLED:
            self.left.append(f"{record.change.id} had not arrived: there is nothing to take back")
            return kept
        if not kept and self._had_arrived(record, act):
            return []
        self.looked.update(kept)
        self.stuck.update(gone)
        asked = asked_of(record)
        for one in gone:
            self.left.append(
                f"{safe(one)} no longer shows what {record.change.id} set "
                f"({told(asked) if asked is not None else record.change.act}): "
                f"{self._who(record, one)}"
            )
        return kept

    def _had_arrived(self, record: Record, act: Act) -> bool:
        """Whether an undo that was broken off had taken the change back; then it is settled."""
        for later in self.records:
            if later.change.undoes != record.change.id or later.change.status not in UNSETTLED:
                continue
            receipts = self.carrier.reached(act, self.seen, "")
            if receipts is not None and not carry.at_work(later):
                self.carrier.finish(later, "done", receipts)
                return True
        return False

    def _who(self, record: Record, name: str) -> str:
        """Who changed a target after this change, as far as the journal knows."""
        place = self.records.index(record)
        for later in reversed(self.records[place + 1 :]):
            if name in changed(later):
                return f"{later.change.id} of {later.who.user} has changed it since"
        return "somebody else has changed it since, or the scheduler itself"

    def _add(self, act: Act, record: Record | None) -> None:
        """Spell an act out and put it at the end of what takes back."""
        back = Back(act=act, token=carry.new_token(), record=record)
        first = not any(set(targets(act)) & set(targets(b.act)) for b in self.backs)
        preview = self._preview(act, back.token)
        if preview.refused and first:
            item = preview.refused[0]
            self.left.append(f"{safe(item.target)} is refused: {item.refusal}")
            self.stuck.update(targets(act))
            return
        losses = [item.loss_gpu_s for item in preview.items if item.loss_gpu_s is not None]
        commands = tuple(item.command for item in preview.items)
        self.backs.append(
            replace(back, commands=commands, loss_gpu_s=sum(losses) if losses else None)
        )
        self.runs = expected(self.runs, act)

    def _preview(self, act: Act, token: str = "") -> Preview:
        actor = self.carrier.actor(act.source)
        try:
            return carry.preview(actor, act, runs_of(act, self.runs), token)
        except SchedulerError as error:
            raise Surprise(str(error), silent=isinstance(error, Unavailable)) from error
        except (carry.ChangeError, ValueError) as error:
            refusal = safe(str(error), max_cells=400)
            items = (PreviewItem(target=", ".join(targets(act)), command=(), refusal=refusal),)
            return Preview(act=act, items=items)


def _gone(
    carrier: Carrier, record: Record, names: Sequence[str], seen: Snapshot
) -> tuple[str, ...]:
    """The targets on which a change no longer stands, as its scheduler shows."""
    asked = asked_of(record)
    if isinstance(asked, Requeue):
        asked = Hold(source=asked.source, runs=asked.runs)  # what is left of it to be taken back
    probe = None if asked is None or not names else narrowed(asked, names)
    if probe is None or isinstance(probe, Resubmit):
        return ()
    shown = carrier.shown(probe, seen)
    good = {r.target for r in shown if r.status is ReceiptStatus.DONE}
    return tuple(one for one in names if one not in good and one.partition("/")[2] not in good)
