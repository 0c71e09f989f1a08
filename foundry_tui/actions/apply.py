"""Applying a plan: what it would do here and now, what stands in its way, and doing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from foundry_tui.actions import permitted, verdicts
from foundry_tui.actions.act import may_change
from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.obstacles import (
    Earlier,
    approval,
    changed_since,
    differing,
    intact,
    missing,
    other_plan,
    plans,
    tampered,
    touched,
)
from foundry_tui.actions.site import Site, utc_now
from foundry_tui.changes import apply as applying
from foundry_tui.changes import planfile
from foundry_tui.changes.carrier import Applied as Applied
from foundry_tui.changes.carrier import Carrier
from foundry_tui.changes.foreign import foreign
from foundry_tui.changes.steps import (
    Step,
    applied_at,
    history,
    spelled_out,
    told,
)
from foundry_tui.changes.turn import LOCK, Busy, turn
from foundry_tui.estate.actrecords import targets
from foundry_tui.estate.passages import whole
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.precondition import Value, observed, source_of
from foundry_tui.estate.snapshot import Snapshot, find_run
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.store.journal import JournalError, Purpose

MOST_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan that is ready to be applied, or why it is not.

    `moves` are those that were chosen and have steps; `steps` are theirs, spelled out. `broken`
    tells what has changed since the plan was made, `refused` what else stands in the way: rights,
    policy, limits, another cluster. `needs_approval` says who has to agree before. `count` is how
    many targets are touched, each task of an array for itself: the number that is typed to confirm.
    `irreversible` names the steps that nothing takes back. `applied` is when all of it was carried
    out already, by the changes in `before`.
    """

    plan: Plan
    moves: tuple[Move, ...]
    steps: tuple[Step, ...]
    data: bytes
    broken: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    needs_approval: str | None = None
    approved_by: tuple[str, ...] = ()
    count: int = 0
    irreversible: tuple[str, ...] = ()
    applied: datetime | None = None
    before: tuple[str, ...] = ()

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Every reason why nothing of it may be sent."""
        wanted = () if self.needs_approval is None else (self.needs_approval,)
        return (*self.broken, *self.refused, *wanted)

    @property
    def digest(self) -> str:
        """What is agreed to."""
        return planfile.digest(self.plan)


def read_plan(path: Path) -> tuple[Plan, bytes]:
    """A plan from its file, and the file's bytes.

    Raises:
        WrongUse: it cannot be read, or is no plan; names the field.
    """
    try:
        with path.open("rb") as file:
            data = file.read(planfile.MOST_BYTES + 1)
        return planfile.read(data), data
    except OSError as error:
        raise WrongUse(f"{path}: {error.strerror or error}") from error
    except planfile.PlanError as error:
        raise WrongUse(f"{path}: {error}") from error


def prepare(
    site: Site,
    plan: Plan,
    data: bytes | None,
    snapshot: Snapshot,
    *,
    only: tuple[str, ...] = (),
) -> Prepared:
    """A plan held against the estate as it is now: nothing is sent.

    `data` is the plan's file, None for one that is in no file. `only` names moves by id, or by
    their number in the plan.

    Raises:
        NothingMatched: no move of it sends anything.
        WrongUse: `only` names a move that is not there, or there is nobody to ask.
        SourceMissing: a source did not answer just now, so nothing could be sent to it.
        ActionError: the journal cannot be read.
    """
    moves = chosen(plan, only)
    if site.saved is not None:
        raise WrongUse("a saved estate (--estate) has no scheduler to change; see diff-plan")
    for source in dict.fromkeys(source_of(move.target) for move in moves):
        for one in snapshot.sources:
            if one.name == source and not one.usable:
                raise SourceMissing(f"nothing was sent: {source} is {one.state}: {one.reason}")
    try:
        known = history(site.journal.changes(), plan.id)
        steps = spelled_out(site.schedulers, moves, snapshot.runs, known)
    except JournalError as error:
        raise ActionError(str(error)) from error
    except SchedulerError as error:
        raise SourceMissing(f"nothing was sent: {error}") from error
    todo = [step for step in steps if step.done is None]
    before = tuple(step.done.change.id for step in steps if step.done is not None)
    data = data if data is not None else planfile.write(plan)
    made = Prepared(plan=plan, moves=moves, steps=steps, data=data, before=before)
    other = other_plan(site, plan)
    damaged = tampered(site)
    if not todo and not other and not damaged:
        when = applied_at(done.done for done in steps if done.done is not None)
        return replace(made, applied=when)
    judged = permitted.judged(site, plan, moves, snapshot)
    refused = [
        *foreign(plan, moves, snapshot),
        *damaged,
        *other,
        *missing(plan, moves, known),
        *differing(steps),
        *judged.refusals,
        # What is not allowed anyway needs no second reason.
        *(
            f"{step.name}: {step.refusal}"
            for step in todo
            if step.refusal is not None
            and not any(words.startswith(f"{step.move.id}: ") for words in judged.refusals)
        ),
    ]
    return replace(
        made,
        **approval(site, plan, judged.approvals, judged.why),
        broken=changed_since(snapshot, steps, known),
        refused=tuple(dict.fromkeys(refused)),
        count=touched(todo, snapshot),
        irreversible=tuple(f"{step.name}: {told(step.act)}" for step in todo if step.irreversible),
    )


def chosen(plan: Plan, only: Iterable[str]) -> tuple[Move, ...]:
    """The moves that are to be carried out; without a choice all that send anything.

    What goes together comes along: a run that made room must not stay held.

    Raises:
        WrongUse: a name that no move has, or a move that sends nothing.
        NothingMatched: the plan has no move that sends anything.
    """
    wanted = tuple(only)
    if not wanted:
        moves = tuple(move for move in plan.moves if move.steps)
        if not moves:
            raise NothingMatched(f"plan {plan.id}: none of its moves sends anything")
        return moves
    by_name = {str(number): move for number, move in enumerate(plan.moves, start=1)}
    by_name |= {move.id: move for move in plan.moves}
    for name in wanted:
        if name not in by_name:
            known = ", ".join(move.id for move in plan.moves[:10])
            raise WrongUse(f"--only {name!a}: the plan has no such move; it has {known}")
        if not by_name[name].steps:
            move = by_name[name]
            raise WrongUse(f"--only {name}: {move.action} asks people and sends nothing")
    picked = whole(plan.moves, {by_name[name].id for name in wanted})
    return tuple(move for move in plan.moves if move.id in picked)


def carry_out(
    site: Site,
    prepared: Prepared,
    *,
    until: datetime | None = None,
    why: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    pause: Callable[[float], object] = time.sleep,
) -> Applied:
    """Carry out what was prepared; it ends early at the first surprise, and says where.

    `until` is when it is to be taken back by itself. Applied again, a plan goes on where it ended.

    Raises:
        ActionError: something stands in the way, another applies just now, or nothing can be kept.
        SourceMissing: there is nothing here to change.
    """
    may_change(site, "apply")
    if prepared.applied is not None:
        return Applied(
            plan_id=prepared.plan.id, before=prepared.before, applied_at=prepared.applied
        )
    if prepared.obstacles:
        raise ActionError(f"nothing was sent: {'; '.join(prepared.obstacles[:MOST_TOLD])}")
    if until is not None and until <= site.clock():
        raise WrongUse(f"until {until.isoformat()}: that is over already")
    purpose = Purpose(
        plan=prepared.plan.id,
        why=why,
        until=until,
        approved_by=prepared.approved_by,
    )
    carrier = carrier_of(site, progress=progress, stop=stop, pause=pause)
    try:
        with turn_of(site, f"apply of plan {prepared.plan.id}"):
            intact(site)
            plans(site).keep(prepared.plan.id, prepared.data)
            if not prepared.before:
                verdicts.begin(site, prepared.plan)
            applied = applying.carry_out(carrier, prepared.plan.id, prepared.steps, purpose)
    except JournalError as error:
        raise ActionError(f"nothing was sent, because the journal failed: {error}") from error
    except OSError as error:
        raise ActionError(
            f"nothing was sent: {error.filename or 'the plan'} cannot be kept: "
            f"{error.strerror or error}"
        ) from error
    site.hurry()
    return applied


def compared(
    plan: Plan, snapshot: Snapshot
) -> tuple[tuple[tuple[Move, dict[str, Value], tuple[str, ...]], ...], tuple[str, ...]]:
    """Each move with its values now and what is broken; and what is wrong with the whole plan.

    Needs no scheduler to ask, so a saved estate serves too.
    """
    earlier = Earlier()
    found = []
    for move in plan.moves:
        found.append((move, observed(snapshot, move), earlier.broken(snapshot, move)))
        earlier.add(move.steps)
    return tuple(found), foreign(plan, plan.moves, snapshot)


def now_of(snapshot: Snapshot, moves: Iterable[Move]) -> dict[str, dict[str, Value]]:
    """Move id -> the values of its target as they are now."""
    return {move.id: observed(snapshot, move) for move in moves}


def one_own(site: Site, prepared: Prepared, snapshot: Snapshot) -> bool:
    """Whether it touches a single run of the current user."""
    names = {one for step in prepared.steps if step.done is None for one in targets(step.act)}
    run = find_run(snapshot.runs, names.pop()) if len(names) == 1 else None
    return run is not None and run.count == 1 and run.user == site.user(run.source)


def carrier_of(
    site: Site,
    *,
    progress: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    pause: Callable[[float], object] = time.sleep,
) -> Carrier:
    """What carrying out needs, from the site: each source is read by itself, and anew."""
    return Carrier(
        actors=site.schedulers,
        journal=site.journal,
        look=lambda source: site.scheduler(source).snapshot(),
        clock=site.clock,
        monotonic=time.monotonic,
        pause=pause,
        progress=progress,
        stop=stop,
    )


@contextmanager
def turn_of(site: Site, what: str) -> Iterator[None]:
    """The right to apply, which one process at a time has: of this user's, or of the host's.

    Raises:
        ActionError: another has it, and who that is; or a lock cannot be had.
    """
    shared = permitted.policy_of(site).lock
    with ExitStack() as held:
        path = site.state / LOCK
        try:
            held.enter_context(turn(path, what, utc_now))
            if shared is not None:
                path = shared
                held.enter_context(turn(path, what, utc_now, shared=True))
        except Busy as error:
            raise ActionError(str(error)) from error
        except OSError as error:
            words = f"{path} cannot be locked: {error.strerror or error}"
            if path == shared:
                words += "; root makes it, for all who apply, or takes `lock` out of the policy"
            raise ActionError(f"nothing was sent: {words}") from error
        yield
