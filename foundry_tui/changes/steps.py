"""The steps of a plan: spelled out one by one, and what the journal knows of each.

A later step is spelled out for the estate as the steps before it will leave it. What a scheduler
would say to it today is no news then: it is asked again when its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from foundry_tui.changes import carry
from foundry_tui.estate.actrecords import act_of, targets
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeRun,
    Hold,
    Preview,
    PreviewItem,
    Release,
    Requeue,
    Resubmit,
    Resume,
    Submit,
    Suspend,
    kind,
)
from foundry_tui.estate.plan import Move
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerActor, SchedulerError
from foundry_tui.store.journal import OPEN, Record

DONE = ("done",)
"""Status of a change that did all that it was to do."""

UNSETTLED = (OPEN, "unknown", carry.FOUND)
"""Statuses of a change of which it is not known whether all of it arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One act of a move, spelled out. Without a `preview` the `refusal` says why there is none.

    `later` says that steps before it change the same target, so that what its scheduler says today
    is not what counts. `done` is the change that carried it out already.
    """

    move: Move
    index: int
    act: Act
    token: str
    preview: Preview | None = None
    refusal: str | None = None
    later: bool = False
    done: Record | None = None

    @property
    def items(self) -> tuple[PreviewItem, ...]:
        """What would be sent, one item per target."""
        return () if self.preview is None else self.preview.items

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The exact commands or requests that are agreed to."""
        return tuple(item.command for item in self.items)

    @property
    def done_by(self) -> str | None:
        """The id of the change that carried it out already."""
        return None if self.done is None else self.done.change.id

    @property
    def irreversible(self) -> bool:
        """Whether nothing takes it back, as far as its scheduler can tell before its turn."""
        if isinstance(self.act, Requeue) or self.preview is None:
            return isinstance(self.act, Requeue)
        # What is refused is not sent, or its scheduler is asked again when its turn comes.
        return self.preview.inverse is None and not self.preview.refused

    @property
    def name(self) -> str:
        """`m3`, or `m3 step 2` where the move has several."""
        return self.move.id + (f" step {self.index + 1}" if len(self.move.steps) > 1 else "")


def spelled_out(
    actors: Mapping[str, SchedulerActor],
    moves: Sequence[Move],
    runs: Iterable[Run],
    known: Mapping[tuple[str, int], Record],
) -> tuple[Step, ...]:
    """Every step of the moves with its exact commands. Nothing is sent.

    `known` is what the journal knows of this plan's steps (`history`).

    Raises:
        SchedulerError: a source does not answer.
    """
    seen = {run.id: run for run in runs}
    touched: set[str] = set()
    found = []
    for move in moves:
        for index, act in enumerate(move.steps):
            record = known.get((move.id, index))
            step = Step(move=move, index=index, act=act, token=carry.new_token())
            if record is not None and record.change.status in DONE:
                found.append(replace(step, done=record))
                continue
            # One that was broken off may have arrived: it is settled before it is sent again.
            open_ = record is not None and record.change.status in UNSETTLED
            step = replace(step, later=open_ or not touched.isdisjoint(targets(act)))
            found.append(_spelled(actors, step, seen))
            seen = expected(seen, act)
            touched.update(targets(act))
    return tuple(found)


def _spelled(actors: Mapping[str, SchedulerActor], step: Step, runs: Mapping[str, Run]) -> Step:
    actor = actors.get(step.act.source)
    if actor is None:
        return replace(step, refusal=f"{step.act.source} is not here")
    try:
        preview = carry.preview(actor, step.act, runs_of(step.act, runs), step.token)
    except SchedulerError:
        raise
    except (carry.ChangeError, ValueError) as error:
        return replace(step, refusal=str(error))
    said = next((item.refusal for item in preview.refused), None)
    return replace(step, preview=preview, refusal=None if step.later else said)


def runs_of(act: Act, runs: Mapping[str, Run]) -> tuple[Run, ...]:
    """The runs that an act names, as far as they are known."""
    return tuple(runs[one] for one in getattr(act, "runs", ()) if one in runs)


def expected(runs: Mapping[str, Run], act: Act) -> dict[str, Run]:
    """The runs as an act will leave them, as far as a later step has to know it."""
    after = dict(runs)
    for run in runs_of(act, runs):
        if isinstance(act, Requeue):
            run = replace(
                run,
                state=RunState.PENDING,
                held=act.hold,
                placement=(),
                started_at=None,
                ends_by=None,
            )
        elif isinstance(act, Hold | Release):
            run = replace(run, held=isinstance(act, Hold))
        elif isinstance(act, ChangeRun):
            run = replace(run, queue=dict(act.fields).get("queue", run.queue))
        elif isinstance(act, Suspend | Resume):
            state = RunState.SUSPENDED if isinstance(act, Suspend) else RunState.RUNNING
            run = replace(run, state=state)
        elif isinstance(act, Cancel | Resubmit):
            run = replace(run, state=RunState.CANCELLED)
        after[run.id] = run
    return after


def history(records: Iterable[Record], plan_id: str) -> dict[tuple[str, int], Record]:
    """(move, step) of a plan -> its latest change that nobody took back since."""
    back = taken_back(records := tuple(records))
    found: dict[tuple[str, int], Record] = {}
    for record in records:
        told = record.purpose
        if told.plan != plan_id or record.change.undoes is not None:
            continue
        if told.move is None or told.step is None:
            continue
        if record.change.id in back:
            found.pop((told.move, told.step), None)
        else:
            found[told.move, told.step] = record
    return found


def taken_back(records: Iterable[Record]) -> dict[str, str]:
    """Id of a change -> the change that took it back."""
    return {
        r.change.undoes: r.change.id
        for r in records
        if r.change.undoes is not None and r.change.status in ("done", "part")
    }


def acts_in(known: Mapping[tuple[str, int], Record], *statuses: str) -> list[Act]:
    """The acts of a plan that have come so far, whichever of its moves they belong to."""
    return [
        act_of(record.asked)
        for record in known.values()
        if record.asked is not None and record.change.status in statuses
    ]


def applied_at(records: Iterable[Record]) -> datetime | None:
    """When the last of these changes was sent; None without any."""
    return max((r.change.at for r in records if r.change.at is not None), default=None)


def told(act: Act) -> str:
    """An act in a few words: `change run lab/17 queue=long`."""
    words = [kind(act).replace("_", " ")]
    names = (act.script_name,) if isinstance(act, Submit) else targets(act)
    words += [*names[:3], *([f"and {len(names) - 3} more"] if len(names) > 3 else [])]
    words += [f"{name}={value}" for name, value in getattr(act, "fields", ())]
    if isinstance(act, Requeue) and act.hold:
        words.append("held")
    for name in ("state", "pool", "reason"):
        if (value := getattr(act, name, None)) is not None:
            words.append(f"{name}={value}")
    return safe(" ".join(words), max_cells=400)
