"""One simulation of a queue: the history read, the runs played, what people got out of it.

Loads numpy; the command itself does not.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from scheduler_sim.arrivals.trace import read_nodes
from scheduler_sim.cli.errors import SimError
from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.history import History, read_history
from scheduler_sim.queues.bidding import BidPrices
from scheduler_sim.queues.jobs import LAST_S, NO_LIMIT_S, Jobs
from scheduler_sim.queues.metrics import summary
from scheduler_sim.queues.placers import Placer
from scheduler_sim.queues.run import simulate

PLACED_AS: Final[dict[str, str | type[BidPrices]]] = {
    "firstfit": "first_fit",
    "bestfit": "best_fit",
    "fgd": "fgd",
    "best": BidPrices,
}
"""Names of the command line, and what they are in the simulation."""


@dataclass(frozen=True, slots=True)
class Play:
    """What is played.

    `estimate` is the time limit over the true duration, None for the limits as they are told.
    `load` is how many times as fast as in the history the runs come.
    """

    history: Path
    format: str
    nodes: Path | None
    discipline: str
    placement: str
    seed: int
    estimate: float | None
    load: float


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it: `metrics` by name, and what was read for it.

    `never` runs fit on no set of the nodes; `example` says what one of them asks for.
    """

    metrics: dict[str, Any]
    format: str
    runs: int
    nodes: int
    rejected: int
    never: int
    example: str
    notes: tuple[str, ...]


def play(asked: Play, progress: Callable[[int, int], None] | None = None) -> Played:
    """Play the runs under one discipline and one placement.

    Raises:
        ValueError: a file cannot be used.
        SimError: the history does not tell the nodes, and none were given.
    """
    history = _history(asked.history, asked.format)
    nodes = _nodes(asked.nodes, history)
    jobs = history.jobs
    if asked.estimate is not None:
        limit_s = np.ceil(np.maximum(jobs.duration_s, 1) * asked.estimate)
        jobs = replace(jobs, limit_s=np.minimum(limit_s, NO_LIMIT_S).astype(np.int64))
    if asked.load != 1:
        submit_s = np.minimum(jobs.submit_s / asked.load, LAST_S).astype(np.int64)
        jobs = replace(jobs, submit_s=submit_s)
    _compiled(asked.discipline, asked.placement)
    start = time.process_time()
    outcome = simulate(
        nodes,
        jobs,
        discipline=asked.discipline,
        placement=_placement(asked.placement),
        seed=asked.seed,
        progress=progress,
    )
    cpu_s = time.process_time() - start
    found = asdict(summary(outcome))
    found["runs_per_s"] = len(jobs) / cpu_s if cpu_s > 0 else None
    found["cpu_s"] = cpu_s
    notes = (*history.notes, *history.rejects.lines())
    never = outcome.never.tolist()
    return Played(
        metrics=found,
        format=history.format,
        runs=len(jobs),
        nodes=len(nodes),
        rejected=history.rejects.count,
        never=len(never),
        example=_asks(jobs, never[0]) if never else "",
        notes=notes,
    )


def _placement(name: str) -> str | Placer:
    found = PLACED_AS[name]
    return found if isinstance(found, str) else found()


def _asks(jobs: Jobs, row: int) -> str:
    request = jobs.kinds[jobs.kind[row]]
    gpus = f"{request.gpus} GPUs" if request.gpus != 1 else f"{request.gpu_milli / 1000:g} GPU"
    models = f" of {' or '.join(request.models)}" if request.models else ""
    rest = f"{request.cpu_milli / 1000:g} cores, {request.memory_mib} MiB"
    return f"{gpus}{models}, {rest} on each of {jobs.nodes[row]} nodes"


@functools.cache
def _compiled(discipline: str, placement: str) -> None:
    """Play one run, so that compiling is not in the time of the first simulation."""
    jobs = Jobs.build(submit_s=[0], duration_s=[1], kinds=(Request(gpus=1),))
    node = NodeSpec("n", 1, "", 0, 0)
    simulate([node], jobs, discipline=discipline, placement=_placement(placement))


@functools.lru_cache(maxsize=1)
def _history(path: Path, format: str) -> History:
    return read_history(path, format)


def _nodes(path: Path | None, history: History) -> tuple[NodeSpec, ...]:
    if path is not None:
        return read_nodes(path)
    if history.nodes is None:
        raise SimError(
            f"--nodes: a history of format {history.format} does not tell the nodes; give a list "
            "with the columns sn,cpu_milli,memory_mib,gpu,model"
        )
    return history.nodes
