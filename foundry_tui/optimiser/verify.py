"""A plan held against the scheduler itself: what to ask it for each move, and what its answers do.

Pure: whoever has the adapter asks, with `what_if` as the changes of its estimate. What a source
does not tell (licenses, excluded nodes, which nodes offer shares) shows in the answers; `refusals`
takes them into the next round of advice, and `checked` into the plan that is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.plan import Move, NotProposed, Plan
from foundry_tui.optimiser.result import Measures, Refused, gap, plan_id, shifted

Answers = Mapping[str, datetime | str | None]
"""Move id -> when the scheduler would start the run, why it would not, or None: it told neither."""

_NOTHING: Refused = {}

SOON = timedelta(seconds=60)
"""An answer within this time means now."""


def what_if(move: Move) -> tuple[tuple[str, str], ...] | None:
    """The changes to ask the scheduler's estimate about, in the words of `ChangeRun.fields`.

    None for a move that starts nothing, and for one that first makes room: the scheduler would
    answer for the nodes as they are, not as they will be.
    """
    if move.action not in ("start", "move_queue"):
        return None
    nodes = ",".join(dict.fromkeys(p.node for p in move.placement))
    queue = (("queue", move.queue),) if move.queue is not None else ()
    return (*queue, ("nodelist", nodes))


def refusals(plan: Plan, answers: Answers, known: Refused = _NOTHING) -> Refused:
    """The nodes that the scheduler refused, with those of earlier rounds (`known`)."""
    found = dict(known)
    for move in plan.moves:
        if isinstance(answers.get(move.id), str):
            nodes = (*found.get(move.target.id, ()), *(p.node for p in move.placement))
            found[move.target.id] = tuple(dict.fromkeys(nodes))
    return found


def checked(plan: Plan, answers: Answers) -> Plan:
    """The plan without what the scheduler refuses, the rest with the starts that it told.

    A move that was not asked about stays as it is.

    A late start is no refusal. Slurm's `--test-only` finds the first moment at which the run fits
    beside the running work, and then adds the CPU time of every waiting run of the partition with
    the same or a higher priority, divided by the partition's CPUs, wherever those runs could go
    and whatever they wait for (job_start_data in Slurm's job_scheduler.c).
    """
    kept: list[Move] = []
    dropped: list[tuple[Move, str]] = []
    late = 0
    for move in plan.moves:
        answer = answers.get(move.id, move.starts_at)
        if isinstance(answer, str):
            dropped.append((move, answer))
        else:
            kept.append(replace(move, starts_at=answer))
            late += answer is not None and answer > plan.generated_at + SOON
    if late:
        words = (
            f"{late} moves have a free place now, but the scheduler's own estimate is later: it "
            "reckons roughly with every waiting run of the queue that comes first"
        )
        plan = replace(plan, assumptions=(*plan.assumptions, words))
    if not dropped:
        return replace(plan, moves=tuple(kept))
    after = _without(plan.after, [move for move, _ in dropped])
    lost = [move.worth for move, _ in dropped]
    objective = None
    if plan.sense == "max" and plan.objective is not None:
        objective = max(0.0, plan.objective - sum(worth or 0.0 for worth in lost))
    return replace(
        plan,
        id=plan_id(plan.estate_id, plan.generated_at, kept),
        moves=tuple(kept),
        after=after,
        objective=objective,
        gap=gap(objective, plan.bound),
        status="time limit" if plan.status == "optimal" else plan.status,
        unproven=(*plan.unproven, "how good the plan is without the moves that were dropped"),
        assumptions=(
            *plan.assumptions,
            f"{len(dropped)} moves were dropped on the scheduler's word; the fragmentation that "
            "the others leave was not reckoned again",
        ),
        not_proposed=(
            *plan.not_proposed,
            *(
                NotProposed(m.target, f"the scheduler refuses it: {answer} (proposed was: {m.why})")
                for m, answer in dropped
            ),
        ),
    )


def _tasks(move: Move) -> int:
    """How many tasks it starts: all of them on the same nodes."""
    return max(1, len(move.placement) // max(1, len({p.node for p in move.placement})))


def _without(after: Measures, dropped: Sequence[Move]) -> Measures:
    """The measures after the plan, without the starts of the dropped moves."""
    gpus = sum(m.gpu_milli or 0 for m in dropped) / WHOLE_MILLI
    tasks = sum(_tasks(m) for m in dropped)
    return {**shifted(after, -gpus, -gpus, -tasks), "fragmentation_gpus": None}
