"""What a plan takes for granted, in words and counts, so that a reader can judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foundry_tui.estate.plan import Move
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser import weights
from foundry_tui.optimiser.goal import Goal
from foundry_tui.optimiser.idle import Idle
from foundry_tui.optimiser.placing import Start
from foundry_tui.optimiser.room import Passage


def of_goal(goal: Goal) -> tuple[str, ...]:
    """What the plan is for, and by which weights."""
    return (goal.words,) if goal.by_fragmentation else (goal.words, weights.stated())


def stated(
    snapshot: Snapshot,
    starts: Sequence[Start],
    moves: Sequence[Move],
    resting: Idle,
    rights_by_source: Mapping[str, Rights],
) -> tuple[str, ...]:
    """Every assumption that this plan rests on; those that concern nothing in it are left out."""
    waiting = [r for r in snapshot.runs if r.state is RunState.PENDING]
    shares = sum(s.demand.share for s in starts)
    foreign = {
        s.demand.run.user
        for s in starts
        if s.queue is not None and not _own(s, rights_by_source.get(s.demand.run.source))
    }
    counted = (
        (
            sum(g.tenants is None for g in snapshot.gpus),
            "{} GPUs have unknown tenants and count as full",
        ),
        (
            sum(r.request.cpu_milli is None or r.request.memory_bytes is None for r in waiting),
            "{} waiting records name no CPU or no memory and count as asking for none",
        ),
        (
            sum(r.request.gpu_milli is None for r in waiting),
            "{} waiting records do not tell their share of a GPU and are not in waiting_gpus",
        ),
        (
            sum(m.gain is None for m in moves),
            "{} moves concern runs without a time limit: their gain is not known",
        ),
        (
            shares,
            "{} starts are shares of a GPU: whether a node offers shares, only the scheduler knows",
        ),
        (
            len({s.demand.run.id for s in starts if s.demand.nodes > 1}),
            "{} runs on several nodes start: which nodes stand close together is not known, and "
            "any will do",
        ),
        (
            len(foreign),
            "{} owners of runs that would change the queue have rights that are not known here; "
            "the queue's own rules allow it",
        ),
        (
            resting.unread,
            "{} allocated GPUs have no utilisation reading and are not called idle",
        ),
        (
            resting.undated,
            "{} allocated GPUs show no work, but since when is not known; they are not called idle",
        ),
    )
    return (
        "running work ends at its time limit and not before; without one it never ends",
        "a waiting run that does not fit now keeps the nodes on which it can start soonest, and "
        "what comes after it in the scheduler's order may use them only until then; a run that "
        "waits for something else than room keeps nothing",
        "what the sources do not tell is left to the scheduler: other limits, licences, whether a "
        "run wants its nodes for itself",
        *(text.format(count) for count, text in counted if count),
    )


def of_room(rooms: Mapping[str, Sequence[Passage]]) -> tuple[str, ...]:
    """What the passages rest on; nothing without any."""
    made = [passage for here in rooms.values() for passage in here]
    if not made:
        return ()
    moved = [one.run for passage in made for one, _ in passage.relocation.moved]
    words = [
        f"room for {len(made)} runs is made by starting {len(moved)} again elsewhere: their work "
        "since the start counts as lost, because no scheduler knows of checkpoints",
        "the scheduler was not asked about the nodes that become free: it answers for the nodes as "
        "they are",
    ]
    if any(run.scheduler != "slurm" for run in moved):
        words.append(
            "KAI and Run:ai place runs themselves: where what moves starts again, and that nobody "
            "else takes the room, is not certain"
        )
    return tuple(words)


def _own(start: Start, rights: Rights | None) -> bool:
    return rights is not None and rights.user == start.demand.run.user
