"""Random states of the lab's cluster, each made anew from its seed: what runs, waits and is held.

The GPUs are filled in one order, and then some of these jobs are ended, which leaves holes of every
size; some are pinned to their nodes, and some may not be started again. Nothing ends by itself
while a state is looked at.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.lab.daemons import LabError, until
from tests.lab.slurm import SlurmLab

GPUS = {"h01": 8, "h02": 8, "h03": 8, "h04": 8, "a01": 4, "a02": 4}
ACCOUNTS = {"lab_alice": ("ml",), "lab_bob": ("ml", "bio"), "lab_carol": ("bio",)}
CALM_S = 2.2
"""The lab's Slurm looks at its whole queue every 2 s."""

_SCRIPT = b"#!/bin/sh\nexec sleep 900\n"


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a state: who submits it, and the options of sbatch.

    One that is `busy` is to run at once; one that `ends` is ended before anybody waits.
    """

    user: str
    options: tuple[str, ...]
    busy: bool
    ends: bool = False


@dataclass(slots=True)
class State:
    """The jobs of one seed."""

    seed: int
    jobs: list[Job] = field(default_factory=list)

    def make(self, lab: SlurmLab) -> dict[str, Job]:
        """Submit the jobs, and wait until Slurm has looked at all of them; job id -> job."""
        made: dict[str, Job] = {}
        for job in (j for j in self.jobs if j.busy):
            made[lab.submit(*job.options, user=job.user, script=_SCRIPT)] = job
        _wait(lambda: not _unlooked(lab, made), "the busy jobs to run")
        ends = [name for name, job in made.items() if job.ends]
        if ends:
            lab.run(["scancel", "--quiet", *ends])
        made = {name: job for name, job in made.items() if not job.ends}
        for job in (j for j in self.jobs if not j.busy):
            made[lab.submit(*job.options, user=job.user, script=_SCRIPT)] = job
        _wait(lambda: not _unlooked(lab, made) and not _completing(lab), "Slurm to look at all")
        self._calm(lab)
        return made

    def _calm(self, lab: SlurmLab) -> None:
        """Wait until one look of Slurm at its queue has started nothing more."""
        last, since_s = _rows(lab), time.monotonic()

        def calm() -> bool:
            nonlocal last, since_s
            rows = _rows(lab)
            if {n: s for n, (s, _) in rows.items()} != {n: s for n, (s, _) in last.items()}:
                last, since_s = rows, time.monotonic()
            return time.monotonic() - since_s >= CALM_S

        _wait(calm, "the cluster to be calm")


def _wait(condition: Callable[[], bool], what: str) -> None:
    """Wait for it for a while: a job that finds no room after all only waits like the others."""
    with contextlib.suppress(LabError):
        until(condition, 12, what, 0.2)


def _rows(lab: SlurmLab) -> dict[str, tuple[str, str]]:
    """Job id -> state and reason; of an array, its waiting range."""
    shown = lab.run(["squeue", "--noheader", "-o", "%F|%T|%r"]).stdout.decode()
    rows = (line.split("|") for line in shown.splitlines())
    return {name: (state, reason) for name, state, reason in rows}


def _unlooked(lab: SlurmLab, made: Mapping[str, Job]) -> bool:
    rows = _rows(lab)
    return any(rows.get(name, ("PENDING", "None")) == ("PENDING", "None") for name in made)


def _completing(lab: SlurmLab) -> bool:
    return any(s == "COMPLETING" for s, _ in _rows(lab).values())


def state(seed: int) -> State:
    """The state of a seed: always the same."""
    dice = random.Random(seed)
    made = State(seed)
    free = dict(GPUS)
    ending = dice.uniform(0.15, 0.6)
    while sum(free.values()) > 2:
        node = dice.choice([n for n, left in free.items() if left])
        gpus = min(free[node], dice.choice((1, 1, 1, 2, 2, 3, 4, 8)))
        free[node] -= gpus
        pinned = dice.random() < 0.2
        small = node.startswith("a")
        queue = dice.choice(["gpu", "a100"] if small else ["gpu", "h100"])
        job = _job(dice, queue, gpus, ("-w", node) if pinned else (), busy=True)
        made.jobs.append(replace(job, ends=dice.random() < (ending / 4 if small else ending)))
    for _ in range(dice.randint(4, 12)):
        queue = dice.choice(("a100", "a100", "a100", "h100", "h100", "gpu", "short"))
        sizes = (1, 2, 2, 3, 4) if queue == "a100" else (1, 4, 5, 6, 7, 8, 8)
        extra: list[str] = []
        if dice.random() < 0.15:
            extra += ["-N", "2"]
        if dice.random() < 0.1:
            extra += ["--hold"]
        if dice.random() < 0.1:
            extra += ["--array=0-2"]
        if dice.random() < 0.05:
            extra += ["--begin=now+2hours"]
        made.jobs.append(_job(dice, queue, dice.choice(sizes), tuple(extra), busy=False))
    return made


def _job(dice: random.Random, queue: str, gpus: int, extra: tuple[str, ...], *, busy: bool) -> Job:
    user = dice.choice(tuple(ACCOUNTS))
    minutes = dice.choice((20, 25, 30)) if queue == "short" else dice.choice((20, 60, 240, 1440))
    requeue = "--requeue" if dice.random() < 0.6 else "--no-requeue"
    options = (
        f"--partition={queue}",
        f"--account={dice.choice(ACCOUNTS[user])}",
        f"--gres=gpu:{gpus}",
        f"--cpus-per-task={dice.choice((1, 1, 2, 4))}",
        "--mem=1G",
        f"--time={minutes}",
        requeue,
        *extra,
    )
    return Job(user, options, busy)
