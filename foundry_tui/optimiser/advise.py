"""Advice: which waiting runs could start where, and which GPUs are held and not used.

Waiting runs are looked at in the scheduler's own order and placed by fragmentation gradient or by
best fit: valid, explained, and quickly there. Then an exact search makes the plan better for as
long as it may, and says how far from the best it can be at most. Nothing that runs is touched for
that. Beside it stands room: few running runs that move so that a large one starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from foundry_tui.estate.plan import Move, NotProposed, Plan, Target
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.verdict import RuleRecord
from foundry_tui.optimiser.goal import GOALS
from foundry_tui.optimiser.result import Refused, gap, plan_id

if TYPE_CHECKING:
    from foundry_tui.optimiser.arrays import Board
    from foundry_tui.optimiser.fractions import Known
    from foundry_tui.optimiser.look import Look
    from foundry_tui.optimiser.placing import Start
    from foundry_tui.optimiser.room import Passage

POLICIES = ("best", "fgd", "best_fit")

_NOTHING: Refused = {}
_UNMEASURED: Mapping[str, Known] = {}
_UNFORESEEN = "what it does to the waiting: with a time limit of 0 nothing is predicted"
_CUT = "left out by the asked number of moves"


def advise(
    snapshot: Snapshot,
    *,
    rights_by_source: Mapping[str, Rights],
    now: datetime,
    idle_util_pct: float,
    idle_after_s: float,
    policy: str = "best",
    objective: str = "start",
    time_limit_s: float = 0.0,
    limit: int | None = None,
    refused: Refused = _NOTHING,
    room: bool = True,
    trust: Sequence[RuleRecord] = (),
    known: Mapping[str, Known] = _UNMEASURED,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Plan:
    """A plan of at most `limit` moves for the estate as it was seen.

    `policy` is one of `POLICIES`, `objective` one of `OBJECTIVES` (see `goal`). After the look by
    the policy an exact search runs for at most `time_limit_s`; with 0 there is none, and nothing
    is predicted. A GPU is
    called idle at `idle_util_pct` percent or less for `idle_after_s` seconds. `refused` are nodes
    that the scheduler itself would not give to a run (`verify.refusals`): they are not proposed
    again. Without `room` no running run is moved for a waiting one; nobody is where the objective
    is to disturb nobody, or to strand least. `trust` is how well each rule kept its promises
    (`trust.weighed`), `known` what was measured of runs, by id: whoever waits for a whole GPU and
    could live on a share is told. `cancelled` ends the search early, `progress` is told in words
    how far it is. `clock` gives seconds and is read for `solve_s` only.

    The waiting range of an array becomes one move for each set of nodes: the tasks that go there,
    each with a placement of its own.

    Raises:
        ValueError: an unknown policy or objective, a limit or a time limit below 0; names the
            argument.
    """
    _check(policy, objective, time_limit_s, limit)
    # These need numpy, which a face that only lists runs should not pay for.
    from foundry_tui.optimiser import (
        arrays,
        assumptions,
        certificate,
        idle,
        measures,
        roommoves,
        shrink,
    )
    from foundry_tui.optimiser import room as making_room
    from foundry_tui.optimiser.foresee import foresee
    from foundry_tui.optimiser.look import look
    from foundry_tui.optimiser.moves import by_nodes, move
    from foundry_tui.optimiser.trust import weighed

    began_s, goal = clock(), GOALS[objective]
    names = dict.fromkeys([n.source for n in snapshot.nodes] + [r.source for r in snapshot.runs])
    boards: dict[str, Board] = {}
    left: list[NotProposed] = []
    for name in names:
        nodes, left_out = arrays.sift(snapshot, name)
        if nodes:
            boards[name] = arrays.build(snapshot, name, nodes)
        for out in left_out:
            target = Target("node", f"{name}/{out.node.name}")
            left.append(NotProposed(target, f"left out of the plan: {out.why}"))
    mixes = {name: measures.mix_of(r for r in snapshot.runs if r.source == name) for name in boards}
    starts: dict[str, list[Start]] = {}
    looks: dict[str, Look] = {}
    moves: list[Move] = []
    left_s = time_limit_s
    for place, name in enumerate(names):
        why = _unfit(snapshot, name, boards)
        if why is not None:
            left += _all_waiting(snapshot, name, why)
            continue
        board, rights = boards[name], rights_by_source.get(name)
        found = looks[name] = look(
            snapshot,
            board,
            mixes[name],
            policy=policy,
            goal=goal,
            rights=rights,
            now=now,
            refused=refused,
            # Time that one source does not need is left to those after it.
            time_limit_s=left_s / (len(names) - place),
            cancelled=cancelled,
            progress=lambda step: progress(certificate.step(step, goal)),
        )
        left_s = max(0.0, left_s - found.search_s)
        left += [NotProposed(Target("run", run.id), words) for run, words in found.waits]
        groups = by_nodes(found.starts)
        most = len(groups) if limit is None else limit - len(moves)
        for group in groups[most:]:
            words = f"could start now, {_CUT}: {group[0].why}"
            left.append(NotProposed(Target("run", group[0].demand.run.id), words))
        moves += [move(board, group, rights, now, found.worth(group)) for group in groups[:most]]
        starts[name] = [start for group in groups[:most] for start in group]
    rooms: dict[str, list[Passage]] = {}
    for name, found in looks.items() if room and goal.moves_running else ():
        rights = rights_by_source.get(name)
        for passage in making_room.find(snapshot, found, starts[name], rights, now):
            made = roommoves.moves(boards[name], passage, rights, now, found.worth([passage.start]))
            if limit is None or len(moves) + len(made) <= limit:
                moves += made
                rooms.setdefault(name, []).append(passage)
                left = [n for n in left if n.target.id != passage.run.id]
    resting = idle.find(snapshot, now, util_pct=idle_util_pct, after_s=idle_after_s)
    starting = {m.target.id for m in moves}
    reviews = [
        m
        for m in (shrink.moves(snapshot, known, rights_by_source, now) if known else ())
        if m.target.id not in starting
    ]
    reviews += idle.moves(resting, snapshot, now)
    most = len(reviews) if limit is None else limit - len(moves)
    left += [NotProposed(m.target, f"{_CUT}: {m.why}") for m in reviews[most:]]
    moves = _numbered(weighed(_numbered(moves + reviews[:most]), trust))
    before = measures.before(snapshot, boards, mixes, len(resting.gpus))
    after = measures.after(before, boards, mixes, starts, rooms)
    proof = certificate.certify(goal, looks, starts, after, boards, mixes, rooms)
    prediction = None
    if time_limit_s:
        prediction = foresee(snapshot, looks, starts, rooms, (before, after), now, cancelled)
    placed = [start for found_here in starts.values() for start in found_here]
    return Plan(
        id=plan_id(snapshot.estate_id, now, moves),
        generated_at=now,
        estate_id=snapshot.estate_id,
        objective_name=goal.name,
        objective=proof.objective,
        bound=proof.bound,
        gap=gap(proof.objective, proof.bound),
        status=proof.status,
        solve_s=clock() - began_s,
        moves=tuple(moves),
        before=before,
        after=after,
        assumptions=(
            *assumptions.of_goal(goal),
            *assumptions.stated(snapshot, placed, moves, resting, rights_by_source),
            *assumptions.of_room(rooms),
        ),
        not_proposed=tuple(left),
        sense=goal.sense,
        bound_kind=proof.bound_kind,
        unproven=proof.unproven if time_limit_s else (*proof.unproven, _UNFORESEEN),
        prediction=prediction,
        seen={name: snapshot.source_id(name) for name in names},
    )


def _numbered(moves: Sequence[Move]) -> list[Move]:
    return [replace(move, id=f"m{n}") for n, move in enumerate(moves, start=1)]


def _check(policy: str, objective: str, time_limit_s: float, limit: int | None) -> None:
    if policy not in POLICIES:
        raise ValueError(f"policy: one of {', '.join(POLICIES)}, got {policy!r}")
    if objective not in GOALS:
        raise ValueError(f"objective: one of {', '.join(GOALS)}, got {objective!r}")
    if not 0 <= time_limit_s < float("inf"):
        raise ValueError(f"time_limit_s: 0 or more seconds, got {time_limit_s:g}")
    if limit is not None and limit < 0:
        raise ValueError(f"limit: at least 0 moves, got {limit}")


def _unfit(snapshot: Snapshot, source: str, boards: Mapping[str, Board]) -> str | None:
    """Why nothing can be advised for a source; None when something can."""
    for known in snapshot.sources:
        if known.name == source and not known.usable:
            return f"{source} is {known.state}: what was seen of it may no longer hold"
    return None if source in boards else f"no node of {source} takes new runs, as far as is known"


def _all_waiting(snapshot: Snapshot, source: str, why: str) -> Iterator[NotProposed]:
    for run in snapshot.runs:
        if run.source == source and run.state is RunState.PENDING:
            yield NotProposed(Target("run", run.id), why)
