"""Advice: which waiting runs could start where, and which GPUs are held and not used.

Waiting runs are looked at in the scheduler's own order and placed by fragmentation gradient or by
best fit. The plan is a heuristic: valid, explained, not proven best. Nothing that runs is touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from foundry_tui.estate.plan import Move, NotProposed, Plan, Target
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.result import OBJECTIVE, Refused, bound, gap, plan_id

if TYPE_CHECKING:
    from foundry_tui.optimiser.arrays import Board
    from foundry_tui.optimiser.placing import Placing, Start
    from scheduler_sim.fragmentation import Mix

POLICIES = ("fgd", "best_fit")

_NOTHING: Refused = {}
_CUT = "left out by the asked number of moves"


def advise(
    snapshot: Snapshot,
    *,
    rights_by_source: Mapping[str, Rights],
    now: datetime,
    idle_util_pct: float,
    idle_after_s: float,
    policy: str = "fgd",
    limit: int | None = None,
    refused: Refused = _NOTHING,
    clock: Callable[[], float] = time.monotonic,
) -> Plan:
    """A plan of at most `limit` moves for the estate as it was seen.

    `policy` is fgd or best_fit. A GPU is called idle at `idle_util_pct` percent or less for
    `idle_after_s` seconds. `refused` are nodes that the scheduler itself would not give to a run
    (`verify.refusals`): they are not proposed again. `clock` gives seconds and is read for
    `solve_s` only: the rest of the plan depends on nothing but the other arguments.

    The waiting range of an array becomes one move for each set of nodes: the tasks that go there,
    each with a placement of its own.

    Raises:
        ValueError: an unknown policy, or a limit below 0; names the argument.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy: one of {', '.join(POLICIES)}, got {policy!r}")
    if limit is not None and limit < 0:
        raise ValueError(f"limit: at least 0 moves, got {limit}")
    # These need numpy, which a face that only lists runs should not pay for.
    from foundry_tui.optimiser import arrays, assumptions, idle, measures
    from foundry_tui.optimiser.moves import by_nodes, move

    began_s = clock()
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
    moves: list[Move] = []
    for name in names:
        why = _unfit(snapshot, name, boards)
        if why is not None:
            left += _all_waiting(snapshot, name, why)
            continue
        board, rights = boards[name], rights_by_source.get(name)
        found = _place(snapshot, board, mixes[name], policy, rights, now, refused)
        left += [NotProposed(Target("run", run.id), words) for run, words in found.waits]
        groups = by_nodes(found.starts)
        room = len(groups) if limit is None else limit - len(moves)
        for group in groups[room:]:
            words = f"could start now, {_CUT}: {group[0].why}"
            left.append(NotProposed(Target("run", group[0].demand.run.id), words))
        moves += [move(board, group, rights, now) for group in groups[:room]]
        starts[name] = [start for group in groups[:room] for start in group]
    resting = idle.find(snapshot, now, util_pct=idle_util_pct, after_s=idle_after_s)
    reviews = idle.moves(resting, snapshot, now)
    room = len(reviews) if limit is None else limit - len(moves)
    left += [NotProposed(m.target, f"{_CUT}: {m.why}") for m in reviews[room:]]
    moves = [replace(m, id=f"m{n}") for n, m in enumerate(moves + reviews[:room], start=1)]
    before = measures.before(snapshot, boards, mixes, len(resting.gpus))
    after = measures.after(before, boards, mixes, starts)
    placed = [start for found_here in starts.values() for start in found_here]
    objective, most = after["gpus_allocated"], bound(before)
    return Plan(
        id=plan_id(snapshot.estate_id, now, moves),
        generated_at=now,
        estate_id=snapshot.estate_id,
        objective_name=OBJECTIVE,
        objective=objective,
        bound=most,
        gap=gap(objective, most),
        status="heuristic",
        solve_s=clock() - began_s,
        moves=tuple(moves),
        before=before,
        after=after,
        assumptions=assumptions.stated(snapshot, placed, moves, resting, rights_by_source),
        not_proposed=tuple(left),
    )


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


def _place(
    snapshot: Snapshot,
    board: Board,
    mix: Mix | None,
    policy: str,
    rights: Rights | None,
    now: datetime,
    refused: Refused,
) -> Placing:
    """One look at the waiting runs of the board's source."""
    from foundry_tui.optimiser import queues
    from foundry_tui.optimiser.arrays import PARTITION, endings
    from foundry_tui.optimiser.demand import demand, in_order, running_tasks
    from foundry_tui.optimiser.limits import Headroom
    from foundry_tui.optimiser.placing import Placing
    from foundry_tui.optimiser.timeline import Timeline

    runs = [r for r in snapshot.runs if r.source == board.source]
    known = [q for q in snapshot.queues if q.source == board.source]
    active = running_tasks(runs)
    line = Timeline(board, endings(board, snapshot), now)
    placing = Placing(board, line, policy, mix, Headroom(known, rights, runs))
    for run in in_order(runs, {q.name: q.priority or 0 for q in known if q.kind == PARTITION}):
        needs = demand(run, now, active, refused.get(run.id, ()))
        if isinstance(needs, str):
            placing.waits.append((run, needs))
        else:
            placing.look_at(needs, queues.asked(run, known), queues.others(run, known, rights))
    return placing
