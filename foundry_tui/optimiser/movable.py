"""Running runs that may be moved elsewhere to make room: which, what they hold, what that loses.

A run is moved by starting it again, so its work since its start is lost, or since its last
checkpoint, of which no scheduler knows. So a run is only moved where the scheduler itself was told
that it may be started again, on Slurm by `Requeue`, or where whoever may change it can stop it and
start it again: on KAI and Run:ai by suspending it. What is not preemptible is left alone by those
schedulers, so that only its owner's word moves it: such a move is called a high risk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.arrays import Board, Where
from foundry_tui.optimiser.demand import groups, per_node
from scheduler_sim.cluster import Mask, Request

Shares = tuple[tuple[int, int], ...]
"""Pairs of GPU position and thousandths."""

SUSPENDABLE = frozenset(
    {"Job", "JobSet", "RayJob", "PyTorchJob", "TFJob", "XGBoostJob", "JAXJob", "MPIJob"}
)
"""Kinds of workload that Kubernetes can stop and start again."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Movable:
    """A run on one node (`row`), the devices that it holds there and what it asks for again.

    `allowed` are the rows on which it could be: others, and its own where it
    has a share of a device. `lost_h` are the GPU-hours since its start,
    None where that is not known.
    """

    run: Run
    row: int
    gpus: Shares
    request: Request
    allowed: Mask
    lost_h: float | None

    @property
    def gpu_milli(self) -> int:
        """Thousandths of GPU that it holds."""
        return sum(milli for _, milli in self.gpus)


def movables(board: Board, snapshot: Snapshot, now: datetime) -> list[Movable]:
    """The runs of the board's source that may be moved, in the order of the snapshot.

    Left out are runs on several nodes and tasks of arrays, what holds MIG instances, on Slurm
    everything but whole GPUs, and whatever is not known to the last GPU.
    """
    rows = {node.name: row for row, node in enumerate(board.nodes)}
    held = _held(board, snapshot, rows)
    found = []
    for run in snapshot.runs:
        if run.source != board.source or run.state is not RunState.RUNNING or not may_move(run):
            continue
        row = rows.get(run.placement[0].node) if len(run.placement) == 1 else None
        if row is None or run.request.nodes != 1:
            continue
        gpus = held.get((run.id, row), ())
        request = per_node(run.request, run.scheduler)
        if isinstance(request, str) or not _tells(request, gpus):
            continue
        allowed = _elsewhere(board, run, row)
        if allowed is not None:
            # The scheduler tells which model it got, and not whether another would do.
            model = board.cluster.nodes[row].model
            found.append(
                Movable(
                    run=run,
                    row=row,
                    gpus=gpus,
                    request=replace(request, models=(model,) if model else ()),
                    allowed=allowed,
                    lost_h=lost_h(run, now),
                )
            )
    return found


def may_move(run: Run) -> bool:
    """Whether its scheduler was told that the run may be started again, and can be asked to."""
    words: Mapping[str, str] = run.native or {}
    if run.array is not None:
        return False
    if run.scheduler == "slurm":
        whole = run.request.milli_per_gpu == WHOLE_MILLI
        bound = any(words.get(key) for key in ("required_nodes", "reservation", "truncated"))
        return words.get("requeue") == "1" and whole and not bound
    if words.get("suspend_supported") == "false":
        return False
    if words.get("pods_wanted", "1") != "1":
        return False
    return run.scheduler != "kai" or words.get("kind") in SUSPENDABLE


def guarded(run: Run) -> bool:
    """Whether its scheduler was told that nobody may stop it for another run."""
    return run.scheduler != "slurm" and (run.native or {}).get("preemptible") != "true"


def lost_h(run: Run, now: datetime) -> float | None:
    """GPU-hours of work since the run's start; None where start or share is not known."""
    if run.started_at is None or run.request.gpu_milli is None:
        return None
    ran_s = max(0.0, (now - run.started_at).total_seconds())
    return ran_s / 3600 * run.request.gpu_milli / WHOLE_MILLI


def _held(
    board: Board, snapshot: Snapshot, rows: Mapping[str, int]
) -> dict[tuple[str, int], Shares]:
    """(run, row) -> what it holds there. Devices that are cut into MIG instances are left out."""
    found: dict[tuple[str, int], Shares] = {}
    for gpu in snapshot.gpus:
        row = rows.get(gpu.node)
        if gpu.source != board.source or row is None or gpu.partitioned:
            continue
        position = board.gpus[row].index(gpu.index)
        for tenant in gpu.tenants or ():
            key = tenant.run, row
            found[key] = (*found.get(key, ()), (position, tenant.milli))
    return found


def _tells(request: Request, gpus: Shares) -> bool:
    """Whether the run holds just what it asks for, so that leaving gives that much back."""
    return 0 < len(gpus) == request.gpus and all(m == request.gpu_milli for _, m in gpus)


def _elsewhere(board: Board, run: Run, row: int) -> Mask | None:
    """The other rows that would do for the run; None where that cannot be told.

    Projects have no nodes of their own: there, a run stays in the node pools that it is in.
    """
    words = run.native or {}
    features = groups(words.get("features", "")) if run.scheduler == "slurm" else ()
    if features is None or not run.queues:
        return None
    share = 0 < (run.request.milli_per_gpu or 0) < WHOLE_MILLI
    allowed = board.allowed(Where(run.queues[:1], features, share=share)).copy()
    if run.scheduler != "slurm" and board.nodes[row].queues:
        allowed &= board.in_pools(board.nodes[row].queues)
    # A share that leaves its device may be packed onto another one of the same node.
    allowed[row] = (run.request.milli_per_gpu or WHOLE_MILLI) < WHOLE_MILLI
    return allowed
