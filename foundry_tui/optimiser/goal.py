"""What a plan is for: its objectives, and how good a plan is by each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """An objective: its name in a plan, whether much or little of it is good, what it means.

    With `keep_starts` nobody is passed over: what the scheduler's order would start has to start.
    Without `others` no run changes its queue. With `moves_running` running runs may be moved to
    make room.
    """

    name: str
    sense: str
    words: str
    keep_starts: bool = False
    others: bool = True
    by_fragmentation: bool = False
    moves_running: bool = False


GOALS = {
    "start": Goal(
        "weighted GPUs started",
        "max",
        "the plan starts the waiting work that is worth most, also where another run comes first "
        "in the scheduler's order; a change of queue costs 0.001 of a GPU",
        moves_running=True,
    ),
    "strand": Goal(
        "stranded GPUs",
        "min",
        "the plan leaves as few GPUs as it can that the present mix of requests could not use (F "
        "of FGD)",
        by_fragmentation=True,
    ),
    "disturb": Goal(
        "weighted GPUs started, nobody disturbed",
        "max",
        "no run changes its queue and nobody is passed over: whatever the scheduler's order would "
        "start does start",
        keep_starts=True,
        others=False,
    ),
}
"""Objectives by the word that chooses them."""

OBJECTIVES = tuple(GOALS)
