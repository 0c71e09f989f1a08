"""A simulated estate behind the scheduler ports: one source in Slurm's manners, one in Run:ai's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from foundry_tui.schedulers.simulated.layout import runai_spec, slurm_spec
from foundry_tui.schedulers.simulated.live import Live
from foundry_tui.schedulers.simulated.log import ActsLog
from foundry_tui.schedulers.simulated.runai import RunaiManners
from foundry_tui.schedulers.simulated.slurm import SlurmManners

SEED = 37
NODES = 12
WAITING = 40


def build(
    state: Path | None,
    clock: Callable[[], datetime],
    *,
    nodes: int = NODES,
    waiting: int = WAITING,
    seed: int = SEED,
    admin: bool = False,
) -> tuple[SlurmManners, RunaiManners]:
    """The two sources of one simulated estate; each reads and acts.

    `state` is the folder that keeps the acts, so that the next process finds them; None keeps them
    in memory. `clock` gives aware datetimes; the estate runs faster than it, so ages have to be
    judged by the sources' `now`. Two thirds of `nodes` and of `waiting` are Slurm's. With `admin`
    the user is an administrator of both parts, who may change others' runs, nodes and queues.

    Raises:
        ValueError: fewer than 3 nodes.
    """
    if nodes < 3:
        raise ValueError(f"nodes: at least 3 are needed for two clusters, got {nodes}")
    log = ActsLog(state, clock())
    runai_nodes, runai_waiting = nodes // 3, waiting // 3
    slurm = slurm_spec(nodes - runai_nodes, waiting - runai_waiting)
    runai = runai_spec(runai_nodes, runai_waiting)
    return (
        SlurmManners(Live("sim-slurm", slurm, seed, log, clock), admin=admin),
        RunaiManners(Live("sim-runai", runai, seed, log, clock), admin=admin),
    )
