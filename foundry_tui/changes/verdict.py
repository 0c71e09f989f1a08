"""The verdict on an applied plan: each promise, what was measured, and whether it was kept.

What counts as kept:

- start: as many tasks as the move starts began within `starts_within_s` after its last step.
- node: they began on exactly the nodes of the move's placement; tasks of an array on some of them.
- waits (p50, p90, and the means of users, accounts and queues): over what waited when the plan was
  applied, counted from then; at most `WORSE` or one scheduling interval above what was promised,
  whichever is more. A task that does not start within the horizon counts with it.
- GPUs allocated: the mean until the horizon is at most `WORSE` below what was promised.
- GPUs stranded: at the first look after the promised starts, at most `WORSE` or half a GPU above;
  undecided where others have started by then, of which the prediction of that moment knows nothing.

Nothing is decided from what was not seen: a run that its user cancelled or holds, a source that was
silent, a look that came too late leave a promise open, and with the horizon undecided for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from foundry_tui.changes.begun import CLOCK, Said, began, place_words, tasks_of
from foundry_tui.changes.waited import Bounds, Waited, mean, percentile
from foundry_tui.estate.observed import Applied, Look, Observations
from foundry_tui.estate.plan import Move, Plan, Prediction, WaitChange
from foundry_tui.estate.verdict import Kept, Verdict

WORSE = 0.1
"""By so much of what was promised it may turn out worse."""

INTERVAL_S = 60.0
"""A scheduler looks at its queue so often at least (Slurm's `sched_interval`)."""

GAP_S = 900.0
"""What was allocated between two looks that lie further apart is not known."""

AFTER_S = 120.0
"""What is stranded is measured within so many seconds after the promised starts."""

SLACK_GPUS = 0.5

LEAST_HORIZON_S = 3600.0
"""A plan without a prediction is looked at for so long."""


def horizon_of(plan: Plan) -> float:
    """For how many seconds after it was applied a plan is looked at."""
    if plan.prediction is not None:
        return plan.prediction.horizon_s
    return max([LEAST_HORIZON_S, *(m.starts_within_s or 0.0 for m in plan.moves)])


def judge(
    plan: Plan,
    applied_at: datetime,
    applied_moves: Sequence[Applied],
    observations: Observations,
    now: datetime,
    horizon_s: float,
    *,
    interval_s: float = INTERVAL_S,
) -> Verdict:
    """What became of the promises of a plan, as far as it was seen until `now`.

    `interval_s` is how long the scheduler may take to look at its queue again. Looks are in the
    order of their time. More of them never decide otherwise what fewer have decided.
    """
    by_move = {one.move: one for one in applied_moves}
    carried = [m for m in plan.moves if m.steps]
    undone_at = [one.undone_at for one in applied_moves if one.undone_at is not None]
    undone = bool(applied_moves) and len(undone_at) == len(applied_moves)
    over = now >= applied_at + timedelta(seconds=horizon_s)
    found: list[tuple[Kept, bool]] = []
    for move in carried:
        found += _of_move(move, by_move, carried, observations.looks)
    if plan.prediction is not None:
        whole = _Whole(
            plan, plan.prediction, applied_at, applied_moves, observations, horizon_s, interval_s
        )
        left = [m.id for m in carried if m.id not in by_move]
        if left:
            words = f"{len(left)} of {len(carried)} moves were not applied"
            found += [(replace(kept, why=words), True) for kept in whole.promised()]
        else:
            until = min(undone_at, default=None)
            found += whole.judged(until, over=over)
    open_ = [kept for kept, final in found if not final]
    closed = undone or over or not open_
    promises = tuple(
        kept if final or not closed else replace(kept, why=_closed(kept, undone=undone))
        for kept, final in found
    )
    return Verdict(
        plan=plan.id,
        applied_at=applied_at,
        judged_at=now,
        closed=closed,
        promises=promises,
        undone=undone,
        moves=len(carried),
        moves_done=sum(m.id in by_move for m in carried),
    )


def settled(earlier: Verdict | None, found: Verdict) -> Verdict:
    """The verdict found now, with what an earlier one decided from looks that were not all kept."""
    if earlier is None:
        return found
    known = {(p.what, p.move): p for p in earlier.promises if p.kept is not None}
    promises = tuple(known.get((p.what, p.move), p) for p in found.promises)
    return replace(found, promises=promises, closed=found.closed or earlier.closed)


def _of_move(
    move: Move, by_move: dict[str, Applied], carried: Sequence[Move], looks: Sequence[Look]
) -> list[tuple[Kept, bool]]:
    """The promises of one move; with each, whether it stays as it is."""
    timed = move.starts_within_s is not None
    placed = timed and bool(move.placement)
    applied = by_move.get(move.id)
    if not timed:
        return []
    if applied is None:
        said = place = Said(None, why="the move was not applied", final=True)
    else:
        sisters = [m for m in carried if m.target == move.target and m.id in by_move]
        said, place = began(move, applied, [m for m in sisters if m.starts_within_s], looks)
    made = [_kept(move, "start", move.starts_within_s, "s", said)]
    if placed:
        made.append(_kept(move, "node", place_words(move), "", place))
    return made


def _kept(
    move: Move, what: str, promised: float | str | None, unit: str, said: Said
) -> tuple[Kept, bool]:
    kept = Kept(
        what=what,
        promised=promised,
        measured=said.measured,
        kept=said.kept,
        unit=unit,
        move=move.id,
        rule=move.rule,
        why=said.why,
    )
    return kept, said.final


def _closed(kept: Kept, *, undone: bool) -> str:
    if undone:
        return "the plan was taken back"
    return kept.why or "it was not seen within the horizon"


class _Whole:
    """The promises of the whole plan."""

    def __init__(
        self,
        plan: Plan,
        told: Prediction,
        applied_at: datetime,
        applied: Sequence[Applied],
        observations: Observations,
        horizon_s: float,
        interval_s: float,
    ) -> None:
        self.plan, self.told, self.at, self.applied = plan, told, applied_at, applied
        self.seen, self.horizon_s, self.interval_s = observations, horizon_s, interval_s

    def promised(self) -> list[Kept]:
        """The promises, nothing of them measured."""
        told = self.told
        made = [
            _open("wait_p50_s", told.wait_p50_with_s, "s"),
            _open("wait_p90_s", told.wait_p90_with_s, "s"),
            _open("gpus_allocated", told.allocated_with, "GPUs"),
            _open("stranded_gpus", told.stranded_with_gpus, "GPUs"),
        ]
        made += [_open(_of_change(c), c.with_s, "s") for c in told.changes]
        return [kept for kept in made if kept.promised is not None]

    def judged(self, until: datetime | None, *, over: bool) -> list[tuple[Kept, bool]]:
        """The promises as far as they are decided; nothing from `until` on is looked at."""
        looks = [look for look in self.seen.looks if until is None or look.at < until]
        waits = self._waits(looks)
        changes = {_of_change(c): c for c in self.told.changes}
        found = []
        for kept in self.promised():
            if kept.what == "gpus_allocated":
                said = self._allocated(looks, over=over)
            elif kept.what == "stranded_gpus":
                said = self._stranded(looks)
            elif isinstance(waits, str):
                said = Said(None, why=waits)
            else:
                said = self._waited(waits, kept, changes.get(kept.what))
            final = said.final or until is not None
            why = said.why if said.final or until is None else "a move was taken back"
            made = replace(kept, measured=said.measured, kept=said.kept, why=why)
            found.append((made, final))
        return found

    def _waits(self, looks: Sequence[Look]) -> Waited | str:
        """How long they waited, or why that cannot be compared with the prediction."""
        if self.seen.waiters is None:
            return "nobody looked at who waited when the plan was applied"
        waited = Waited.of(self.seen.waiters, self.at, self.horizon_s, looks)
        if waited.tasks != self.told.runs or not waited.tasks:
            return (
                f"{waited.tasks} tasks waited when it was applied, {self.told.runs} were reckoned"
            )
        return waited

    def _waited(self, waited: Waited, kept: Kept, change: WaitChange | None) -> Said:
        bounds = waited.bounds(change.kind, change.name) if change else waited.bounds()
        if change is not None and len(bounds) != change.runs:
            words = f"{len(bounds)} of its tasks waited when it was applied, {change.runs} were"
            return Said(None, why=f"{words} reckoned")
        if change is not None:
            found = mean(bounds)
        else:
            found = percentile(bounds, 0.5 if kept.what == "wait_p50_s" else 0.9)
        assert isinstance(kept.promised, float | int)
        return self._bounded(found, kept.promised, waited)

    def _bounded(self, found: Bounds, promised: float, waited: Waited) -> Said:
        low, high = found
        most = promised + max(WORSE * promised, self.interval_s)
        if low > most:
            return Said(False, low, None if low == high else "at least: not all started", True)
        if high <= most:
            return Said(True, high, None if low == high else "at most: not all started", True)
        return Said(None, why=f"{waited.started} of {waited.tasks} tasks have started")

    def _allocated(self, looks: Sequence[Look], *, over: bool) -> Said:
        """The mean until the horizon, which is decided only then."""
        least = self.told.allocated_with * (1 - WORSE)
        if not over:
            return Said(None, why="it is a mean until the horizon")
        low, high, covered_s = 0.0, 0.0, 0.0
        ends = self.at + timedelta(seconds=self.horizon_s)
        total = max((k.gpus_total for k in looks if k.gpus_total is not None), default=None)
        if total is None:
            return Said(None, why="no look told how many GPUs there are")
        for one, other in pairwise(looks):
            span_s = (min(other.at, ends) - max(one.at, self.at)).total_seconds()
            if one.gpus_allocated is None or span_s <= 0:
                continue
            if (other.at - one.at).total_seconds() <= GAP_S:
                low += one.gpus_allocated * span_s
                covered_s += span_s
        high = low + total * max(0.0, self.horizon_s - covered_s)
        low, high = low / self.horizon_s, high / self.horizon_s
        if low >= least:
            return Said(True, low, _covered(covered_s, self.horizon_s, "at least"), True)
        if high < least:
            return Said(False, high, _covered(covered_s, self.horizon_s, "at most"), True)
        return Said(None, why=_covered(covered_s, self.horizon_s, "undecided"), final=True)

    def _stranded(self, looks: Sequence[Look]) -> Said:
        """At the first look after all promised starts, or after the time for them was over."""
        promised = self.told.stranded_with_gpus or 0.0
        for number, look in enumerate(looks):
            after_at = self._after(looks[: number + 1])
            if after_at is None or look.at < after_at:
                continue
            if (look.at - after_at).total_seconds() > AFTER_S:
                return Said(None, why="the first look afterwards came too late", final=True)
            if look.newer_gpus:
                words = f"{look.newer_gpus:g} GPUs are held by others that have come since"
                return Said(None, why=words, final=True)
            if others := self._others(looks[: number + 1]):
                words = f"{others} runs that the plan does not move have started since"
                return Said(None, why=words, final=True)
            if look.stranded_gpus is None:
                return Said(None, why="a source did not answer then", final=True)
            kept = look.stranded_gpus <= promised + max(WORSE * promised, SLACK_GPUS)
            return Said(kept, look.stranded_gpus, final=True)
        return Said(None, why="not all promised starts have been seen")

    def _others(self, looks: Sequence[Look]) -> int:
        """How many runs have started that are none of the plan's: it strands what they took."""
        mine = {family for one in self.applied for family in one.families}
        runs = (run for look in looks for run in look.runs if run.family not in mine)
        return len({r.id for r in runs if r.started_at is not None and r.started_at >= self.at})

    def _after(self, looks: Sequence[Look]) -> datetime | None:
        """When the last promised start had been, or was due; None while one of them may come."""
        by_id = {m.id: m for m in self.plan.moves}
        at = max((one.done_at for one in self.applied), default=self.at)
        pending: list[datetime] = []
        for one in self.applied:
            move = by_id.get(one.move)
            if move is None or move.starts_within_s is None:
                continue
            starts = _starts(looks, one)
            if len(starts) >= tasks_of(move):
                at = max(at, starts[tasks_of(move) - 1])
            else:
                pending.append(one.done_at + timedelta(seconds=move.starts_within_s))
        last = max(pending, default=None)
        return at if last is None else max(at, last)


def _starts(looks: Iterable[Look], applied: Applied) -> list[datetime]:
    """When runs of a move started after it was begun, in order."""
    found: dict[str, datetime] = {}
    for look in looks:
        for run in look.runs:
            at = run.started_at
            if at is not None and run.family in applied.families and at >= applied.begun_at - CLOCK:
                found.setdefault(run.id, at)
    return sorted(found.values())


def _open(what: str, promised: float | None, unit: str) -> Kept:
    return Kept(what=what, promised=promised, measured=None, kept=None, unit=unit)


def _of_change(change: WaitChange) -> str:
    return f"wait_s of {change.kind} {change.name}"


def _covered(covered_s: float, horizon_s: float, words: str) -> str | None:
    share = min(1.0, covered_s / horizon_s)
    return None if share > 0.999 else f"{words}: seen for {share:.0%} of the time"
