"""Why a run should go where it is proposed, and why another waits: plain words with numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.optimiser.arrays import Board
from foundry_tui.optimiser.demand import Demand
from scheduler_sim.cluster import Cluster, Mask

Part = tuple[int, tuple[int, ...]]
"""Row of a node and positions of its GPUs."""


def moment(at_s: float) -> str:
    """Seconds of the epoch as a time to read."""
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M} UTC"


def gpus(count: int) -> str:
    """`1 GPU`, `3 GPUs`."""
    return f"{count} GPU" if count == 1 else f"{count} GPUs"


def fit(board: Board, left: Cluster, demand: Demand, parts: Sequence[Part], allowed: Mask) -> str:
    """What the place has left, what the run takes and what stays; `left` is the state before."""
    names = [board.nodes[row].name for row, _ in parts]
    need = demand.request.gpus
    if demand.profile is not None:
        return f"{', '.join(names)} has {demand.instances} free MIG instances {demand.profile}"
    if not need:
        row = parts[0][0]
        cores, gib = left.cpu_left[row] / 1000, left.memory_left[row] / 1024
        return (
            f"{', '.join(names)} has {cores:g} cores and {gib:.4g} GiB left, and it asks for no GPU"
        )
    if len(parts) > 1:
        here = f"{', '.join(names)} each have room for {gpus(need)}"
    elif demand.share:
        row, (position, *_) = parts[0]
        index, has = board.gpus[row][position], int(left.gpu_left[row, position])
        rest = has - demand.request.gpu_milli
        after = f"{rest} stay" if rest else "after this the GPU is full"
        here = (
            f"GPU {index} of {names[0]} has {has} of {WHOLE_MILLI} thousandths left and it takes "
            f"{demand.request.gpu_milli}: {after}"
        )
    else:
        here = _whole(left, parts[0][0], names[0], need)
    return here + _elsewhere(board, left, parts, allowed)


def _whole(left: Cluster, row: int, name: str, need: int) -> str:
    milli = left.gpu_left[row]
    free = int((milli == WHOLE_MILLI).sum())
    if free > need:
        return f"{name} has {gpus(free)} left and it takes {need}: {free - need} stay free there"
    parts = int(((milli > 0) & (milli < WHOLE_MILLI)).sum())
    after = "no whole GPU stays free there" if parts else "after this the node is full"
    return f"{name} has exactly {gpus(free)} left: {after}"


def _elsewhere(board: Board, left: Cluster, parts: Sequence[Part], allowed: Mask) -> str:
    """The widest gap that stays on another node that the run could have used."""
    free = np.where(allowed, (left.gpu_left == WHOLE_MILLI).sum(axis=1), 0)
    free[[row for row, _ in parts]] = 0
    row = int(free.argmax())
    if not free[row]:
        return ""
    noun = "whole GPU stays" if free[row] == 1 else "whole GPUs stay"
    return f", and {free[row]} {noun} free on {board.nodes[row].name}"


def change(asked: str, queue: str, asked_at_s: float | None) -> str:
    """Why another queue is proposed."""
    wait = "" if asked_at_s is None else f" before {moment(asked_at_s)}, by the time limits"
    return f"{asked} has no room for it{wait}; {queue} has now; owner must agree; "


def waiting(at_s: float, names: Sequence[str]) -> str:
    """When a run that fits nowhere now could start."""
    return (
        f"at the earliest {moment(at_s)} on {', '.join(names)}, when work there reaches its "
        "time limits"
    )
