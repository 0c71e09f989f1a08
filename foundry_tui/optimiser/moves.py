"""Starts become moves: what to change, what must still hold then, and what it gains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.plan import Move, Target
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run
from foundry_tui.optimiser import steps
from foundry_tui.optimiser.arrays import Board
from foundry_tui.optimiser.placing import Start


def by_nodes(starts: Sequence[Start]) -> list[list[Start]]:
    """Starts of one run on the same nodes and in the same queue together, in order.

    A node list names the nodes of every task it is set for, so tasks of an array that go to
    different nodes are different moves.
    """
    groups: dict[tuple[str, str | None, tuple[int, ...]], list[Start]] = {}
    for start in starts:
        rows = tuple(row for row, _ in start.parts)
        groups.setdefault((start.demand.run.id, start.queue, rows), []).append(start)
    return list(groups.values())


def move(
    board: Board, group: Sequence[Start], rights: Rights | None, now: datetime, worth: float
) -> Move:
    """One group of `by_nodes` as a move; its id is given when all moves are known.

    `worth` is what its tasks are worth together, in weighted GPUs.

    It displaces nothing: what would delay a run that comes first is not proposed at all.
    The owner has to agree where the run would change its queue, or where the user of these rights
    may not change it.
    """
    first = group[0]
    run, queue = first.demand.run, first.queue
    ours = rights is not None and rights.may_change(run.user, run.account)
    limit_s, gpu_milli = run.request.time_limit_s, len(group) * first.demand.gpu_milli
    tasks = f"{len(group)} tasks; of the first: " if len(group) > 1 else ""
    rows = [row for row, _ in first.parts]
    acts, nothing = steps.start(run, [board.nodes[row].name for row in rows], queue)
    pins = [f"nodelist={','.join(first.demand.names)}"] if run.scheduler == "slurm" else []
    back = " ".join(pins if queue is None else [f"queue={run.queue}", *pins])
    why = tasks + first.why + (f"; {nothing}" if nothing else "")
    return Move(
        id="",
        target=Target("run", run.id),
        action="start" if queue is None else "move_queue",
        placement=tuple(
            board.placement(row, gpus, known=s.demand.profile is None)
            for s in group
            for row, gpus in s.parts
        ),
        gpu_milli=gpu_milli,
        queue=queue,
        precondition={**seen(run), **free_on(board, rows)},
        inverse=back if acts else None,
        gain=None if limit_s is None else gpu_milli / WHOLE_MILLI * limit_s / 3600,
        cost=0.0,
        risk="low" if queue is None else "medium",
        owner=None if queue is None and ours else run.user,
        why=why,
        starts_at=now,
        worth=worth,
        steps=acts,
        starts_within_s=steps.START_WITHIN_S,
        rule="start" if queue is None else "queue",
    )


def seen(run: Run) -> dict[str, str | int | float | None]:
    """The values of a run that must still hold when its move is made (`estate.precondition`)."""
    return {
        "state": str(run.state),
        "reason": run.reason,
        "queue": run.queue,
        "tasks": run.count,
        "held": run.held,
    }


def free_on(board: Board, rows: Sequence[int]) -> dict[str, str | int | float | None]:
    """The thousandths of GPU that are free on nodes, as the keys of a precondition."""
    return {
        f"gpu_milli_free on {board.nodes[row].name}": int(board.cluster.gpu_left[row].sum())
        for row in rows
    }
