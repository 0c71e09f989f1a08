"""A passage as moves: one for the run that starts, one for each run that makes room for it.

The first move ends the others and starts the waiting run. Those after it wait until that run is
running (`awaits`), and start the others again where they fit: so none of them can take its old
place. `estate.passages` keeps such moves together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.plan import Move, Target
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run
from foundry_tui.optimiser import steps
from foundry_tui.optimiser.arrays import Board
from foundry_tui.optimiser.movable import Movable, guarded
from foundry_tui.optimiser.moves import free_on, seen
from foundry_tui.optimiser.room import Passage
from foundry_tui.optimiser.words import Part

RULE = "room"
MAKE_ROOM = "make_room"
RESTART = "restart"


def moves(
    board: Board, passage: Passage, rights: Rights | None, now: datetime, worth: float
) -> list[Move]:
    """The moves of a passage in their order; ids are given when all moves are known."""
    run, found = passage.run, passage.relocation
    others = [one.run for one, _ in found.moved]
    nodes = [board.nodes[row].name for row, _ in found.parts]
    names = ", ".join(one.native_id for one in others)
    slurm = run.scheduler == "slurm"
    unpin = "nodelist= for the run that started; " if slurm else ""
    unknown = found.lost_h is None or passage.gain_h is None
    first = Move(
        id="",
        target=Target("run", run.id),
        action=MAKE_ROOM,
        placement=tuple(board.placement(row, gpus) for row, gpus in found.parts),
        gpu_milli=passage.start.demand.gpu_milli,
        precondition={**seen(run), **_beside(board, passage)},
        inverse=f"{unpin}the work of {names} since its start is not brought back",
        gain=passage.gain_h,
        cost=found.lost_h,
        risk="high" if unknown or any(map(guarded, others)) else "medium",
        owner=_owners([run, *others] if _others_run(run, rights) else others, rights),
        why=passage.start.why,
        displaces=tuple(one.id for one in others),
        starts_at=now,
        worth=worth,
        steps=steps.make_room(run, nodes, others),
        irreversible=True,
        starts_within_s=steps.ROOM_WITHIN_S,
        rule=RULE,
    )
    return [first, *(_again(board, run, one, part, rights) for one, part in found.moved)]


def _beside(board: Board, passage: Passage) -> dict[str, str | int | float | None]:
    """What must be free on its nodes beside what the others leave there."""
    leaves: dict[int, int] = {}
    for one, _ in passage.relocation.moved:
        leaves[one.row] = leaves.get(one.row, 0) + one.gpu_milli
    each = passage.start.demand.request.total_milli
    return {
        f"gpu_milli_free on {board.nodes[row].name}": max(0, each - leaves.get(row, 0))
        for row, _ in passage.relocation.parts
    }


def _again(board: Board, first: Run, one: Movable, part: Part, rights: Rights | None) -> Move:
    run, (row, gpus) = one.run, part
    node = board.nodes[row].name
    slurm = run.scheduler == "slurm"
    stopped = "held" if slurm else "suspended"
    inverse = "hold" if slurm else "suspend"
    pinned = (
        f"; it stays pinned to {node}" if slurm else f"; {node} has room, the scheduler chooses"
    )
    return Move(
        id="",
        target=Target("run", run.id),
        action=RESTART,
        placement=(board.placement(row, gpus),),
        gpu_milli=one.gpu_milli,
        precondition={
            **seen(run),
            "nodes": board.nodes[one.row].name,
            **free_on(board, [row]),
        },
        inverse=f"{inverse} it again before it starts",
        gain=0.0,
        cost=0.0,
        risk="low",
        owner=_owners([run], rights),
        why=(
            f"it made room for {first.native_id} on {board.nodes[one.row].name} and is {stopped} "
            f"until that one runs; then it starts again on {node}{pinned}"
            + ("; it is not preemptible: its owner decides" if guarded(run) else "")
        ),
        steps=steps.again(run, [node]),
        awaits=first.id,
        starts_within_s=steps.AGAIN_WITHIN_S,
        rule=RULE,
    )


def _others_run(run: Run, rights: Rights | None) -> bool:
    return rights is None or not rights.may_change(run.user, run.account)


def _owners(runs: Sequence[Run], rights: Rights | None) -> str | None:
    """The users of these runs other than whoever asks, each once, with commas between.

    Who may change a run asks its owner no less: the work of it is lost.
    """
    me = None if rights is None else rights.user
    users = [one.user for one in runs if me is None or one.user != me]
    return ",".join(dict.fromkeys(user or "an unknown user" for user in users)) or None
