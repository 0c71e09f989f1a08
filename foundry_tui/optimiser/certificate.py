"""How good a plan is, what bounds it, and what is not proven: in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.optimiser import measures
from foundry_tui.optimiser.arrays import Board
from foundry_tui.optimiser.goal import Goal
from foundry_tui.optimiser.look import Look
from foundry_tui.optimiser.placing import Start
from foundry_tui.optimiser.refine import Found
from foundry_tui.optimiser.result import Measures
from foundry_tui.optimiser.room import Passage
from scheduler_sim.fragmentation import Mix

ROOM = (
    "that no other running runs would make better room: the bound counts what room is made for as "
    "started"
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Objective and bound in the unit of the goal, where the bound is from, what is not proven."""

    objective: float | None
    bound: float | None
    bound_kind: str | None
    status: str
    unproven: tuple[str, ...]


def certify(
    goal: Goal,
    looks: Mapping[str, Look],
    kept: Mapping[str, Sequence[Start]],
    after: Measures,
    boards: Mapping[str, Board],
    mixes: Mapping[str, Mix | None],
    rooms: Mapping[str, Sequence[Passage]],
) -> Certificate:
    """The certificate of the plan that makes the `kept` starts of the looks and the passages.

    What passages start is added to objective and bound alike: which are best nobody proves.
    """
    cut = any(len(kept.get(name, ())) < len(one.starts) for name, one in looks.items())
    slacks = [one.slack for one in looks.values()]
    slack = None if None in slacks else sum(s for s in slacks if s is not None) / WHOLE_MILLI
    if goal.by_fragmentation:
        objective = after["fragmentation_gpus"]
        whole = objective
        if cut:
            all_starts = {name: one.starts for name, one in looks.items()}
            whole = measures.after(after, boards, mixes, all_starts)["fragmentation_gpus"]
        bound = None if whole is None or slack is None else max(0.0, whole - slack)
    else:
        objective = sum(one.worth(kept.get(name, ())) for name, one in looks.items())
        most = sum(one.worth(one.starts) for one in looks.values())
        more = sum(looks[name].worth([p.start]) for name, made in rooms.items() for p in made)
        bound = None if slack is None else most + slack + more
        objective += more
    kinds = dict.fromkeys(one.bound_kind for one in looks.values() if one.slack)
    if not kinds:
        kinds = dict.fromkeys(one.bound_kind for one in looks.values())
    return Certificate(
        objective=objective,
        bound=bound,
        bound_kind="; ".join(kinds) if kinds and bound is not None else None,
        status=_status(looks, cut=cut),
        unproven=(*_unproven(looks, cut=cut), *((ROOM,) if rooms else ())),
    )


def _status(looks: Mapping[str, Look], *, cut: bool) -> str:
    if all(one.proven for one in looks.values()):
        return "heuristic" if cut else "optimal"
    if not any(one.searched for one in looks.values()):
        return "heuristic"
    better = any(one.improved for one in looks.values())
    return "time limit" if better or cut else "bound only"


def _unproven(looks: Mapping[str, Look], *, cut: bool) -> list[str]:
    words = [f"{name}: {one.ended}" for name, one in looks.items() if one.ended is not None]
    if cut:
        words.append("that the moves which were kept are the best ones of so few")
    if looks:
        words.append(
            "that the places kept for runs which have to wait are the best ones: what starts now "
            "is chosen beside them"
        )
    return words


def step(found: Found, goal: Goal) -> str:
    """One step of the search, for whoever waits for it."""
    searches = "1 exact search" if found.searches == 1 else f"{found.searches} exact searches"
    after = f"after {searches}, on up to {found.places} nodes"
    if not found.searches:
        after = "before the first exact search"
    if goal.by_fragmentation:
        return after
    most = "" if found.bound is None else f" of at most {found.bound / WHOLE_MILLI:.2f}"
    return f"{found.objective / WHOLE_MILLI:.2f}{most} {goal.name} {after}"
