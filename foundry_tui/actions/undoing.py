"""Taking back a change or a whole plan: what it would do now, and doing it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from foundry_tui.actions import permitted
from foundry_tui.actions.act import may_change
from foundry_tui.actions.apply import carrier_of, turn_of
from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.obstacles import intact
from foundry_tui.actions.site import Site
from foundry_tui.changes import carry, taking, undo
from foundry_tui.changes.carrier import Applied, Surprise
from foundry_tui.changes.steps import taken_back as taken_back
from foundry_tui.changes.undo import Back, Taking
from foundry_tui.estate.actrecords import targets
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.jobs.amounts import duration_s
from foundry_tui.store.journal import JournalError


def lasting(text: str) -> timedelta:
    """How long a change is to last: `4h`, `1d12h`, `90m`.

    Raises:
        WrongUse: anything else.
    """
    try:
        return timedelta(seconds=duration_s(text))
    except ValueError as error:
        raise WrongUse(f"--for {text!a}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What takes a change or a plan back, spelled out.

    `count` is how many targets are touched, each task of an array for itself: the number that is
    typed to confirm. `one_own` says that it is a single run of the current user. `loss_gpu_s` are
    the GPU-seconds of work that a requeue throws away; None when that is not known.
    """

    taking: Taking
    count: int
    one_own: bool = False
    loss_gpu_s: float | None = None

    @property
    def backs(self) -> tuple[Back, ...]:
        """The acts, in the order in which they are sent."""
        return self.taking.backs

    @property
    def left(self) -> tuple[str, ...]:
        """What is left as it is, and why."""
        return self.taking.left


def prepare(site: Site, wanted: str, snapshot: Snapshot, *, requeue: bool = False) -> Prepared:
    """What takes a change, or every change of a plan, back now. Nothing is sent.

    Raises:
        NothingMatched: the journal knows no change or plan of this id.
        ActionError: it cannot be taken back: it was already, changed nothing, does not stand any
            more, or may not be; or the journal that may have known it has lost lines.
        SourceMissing: a source did not answer just now.
    """
    may_change(site, "undo")
    try:
        records = site.journal.changes()
        chosen = undo.chosen(records, wanted)
    except undo.NotThere as error:
        intact(site)  # else it may be on a line that was lost
        raise NothingMatched(str(error)) from error
    except (carry.ChangeError, JournalError) as error:
        raise ActionError(str(error)) from error
    for source in dict.fromkeys(record.source for record in chosen):
        for one in snapshot.sources:
            if one.name == source and not one.usable:
                raise SourceMissing(f"nothing was sent: {source} is {one.state}: {one.reason}")
    carrier = carrier_of(site)
    try:
        found = taking.take_back(carrier, records, chosen, snapshot, name=wanted, requeue=requeue)
    except Surprise as error:
        kind = SourceMissing if error.silent else ActionError
        raise kind(f"nothing was sent: {error}") from error
    except ValueError as error:
        raise ActionError(f"{wanted}: the journal's record of it is not understood: {error}") from (
            error
        )
    if not found.backs:
        told = "; ".join((*found.left, *found.irreversible)) or "it was taken back already"
        raise ActionError(told if not found.left else f"{wanted} is not taken back: {told}")
    for back in found.backs:
        if (words := permitted.refusal(site, back.act, snapshot)) is not None:
            raise ActionError(f"{wanted} is not taken back: {words}")
    tasks = {run.id: run for run in snapshot.runs}
    names = tuple(dict.fromkeys(one for back in found.backs for one in targets(back.act)))
    losses = [back.loss_gpu_s for back in found.backs if back.loss_gpu_s]
    return Prepared(
        taking=found,
        count=sum(tasks[name].count if name in tasks else 1 for name in names),
        one_own=len(names) == 1
        and names[0] in tasks
        and tasks[names[0]].count == 1
        and tasks[names[0]].user == site.user(tasks[names[0]].source),
        loss_gpu_s=sum(losses) if losses else None,
    )


def carry_out(
    site: Site,
    prepared: Prepared,
    *,
    why: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    pause: Callable[[float], object] = time.sleep,
) -> Applied:
    """Take it back, one act at a time; it ends early at the first surprise, and says where.

    Raises:
        ActionError: another applies just now, it was taken back meanwhile, or nothing can be kept.
        SourceMissing: there is nothing here to change.
    """
    may_change(site, "undo")
    carrier = carrier_of(site, progress=progress, stop=stop, pause=pause)
    try:
        with turn_of(site, f"undo of {prepared.taking.id}"):
            intact(site)
            back = taken_back(site.journal.changes())
            for one in prepared.backs:
                if one.record is not None and one.record.change.id in back:
                    by = back[one.record.change.id]
                    raise ActionError(f"{one.record.change.id} was already taken back by {by}")
            applied = taking.carry_back(carrier, prepared.taking, why)
    except JournalError as error:
        raise ActionError(f"nothing was sent, because the journal failed: {error}") from error
    site.hurry()
    return applied
