"""The simulated queue against a real Slurm: the same runs start in the same order and time.

200 runs of `sleep` with 1 or 2 GPUs come in four bursts, each once the one before has started
whole, to a partition of 4 nodes with 8 GPUs that holds about 21 of them at once. What Slurm made
of them is read from its accounting by the reader that sites use, and the simulation gets just
that: seconds of submission, durations, limits, requests, in the order of submission.

Two things of Slurm are not in the simulation, and bound how well they can agree. Its accounting
counts whole seconds, so some ten runs share each start: Kendall's tau-b leaves pairs out that are
tied in one of the orders and corrects for how many those are. And it frees GPUs only some tenths
of a second after a run's end (the node's clean-up, then the next pass of the scheduler), so within
a burst it falls behind the simulation by those, run after run; a new burst begins level.
"""

from __future__ import annotations

import math
import random
import time
from pathlib import Path

import numpy as np

from scheduler_sim.cluster import NodeSpec
from scheduler_sim.history import History, read_history
from scheduler_sim.history.lines import cells, numbered
from scheduler_sim.history.sacct import COMMAND
from scheduler_sim.history.values import moment_s
from scheduler_sim.queues.jobs import Int64s
from scheduler_sim.queues.run import simulate
from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab

RUNS = 200
BURST = 50
SWIFT_S = 4.0
"""Seconds in which a burst is submitted on a machine with nothing else to do, and twice that."""
TRIES = 8
NO_OUTPUT = "--output=/dev/null"
NODES = tuple(NodeSpec(f"h0{i}", 8, "h100", 32_000, 256_000) for i in range(1, 5))
COLUMNS = COMMAND.split()[-1]


def test_runs_start_as_they_did_in_slurm(lab: SlurmLab, tmp_path: Path) -> None:
    dump = tmp_path / "sacct.txt"
    dump.write_bytes(accounting(lab, submit_all(lab)))
    history = read_history(dump)
    assert (history.format, len(history.jobs), history.rejects.count) == ("sacct", RUNS, 0)
    theirs_s = started_s(dump, history)
    ours_s = simulate(NODES, history.jobs, discipline="easy").start_s

    tau = kendall_tau_b(ours_s, theirs_s)
    within = [
        kendall_tau_b(ours_s[first : first + BURST], theirs_s[first : first + BURST])
        for first in range(0, RUNS, BURST)
    ]
    difference_s = float(np.median(np.abs(ours_s - theirs_s)))
    seen = f"tau {tau:.3f}, in each burst {np.round(within, 2)}, median {difference_s} s"
    print(seen)
    waited = np.mean(theirs_s - history.jobs.submit_s > 1)
    assert waited > 0.25, f"only {waited:.0%} of the runs waited, so their order proves nothing"
    assert tau >= 0.9, seen
    assert min(within) >= 0.7, seen
    assert difference_s <= 3, seen


def submit_all(lab: SlurmLab) -> list[str]:
    """The ids of the runs, when the last of them has ended.

    On a busy machine all of them are longer, so that a burst still comes faster than it is done.
    """
    draw = random.Random(7)
    times = math.ceil(BURST * submit_s(lab) / SWIFT_S)
    jobs = []
    for run in range(RUNS):
        if run % BURST == 0:
            until(lambda: "PENDING" not in states(lab), 60 * times, "the burst before to start")
        gpus, seconds = 1 + int(2 * draw.random()), times * (1 + int(3 * draw.random()))
        options = ("--partition=h100", f"--gres=gpu:{gpus}", f"--time={times}", NO_OUTPUT)
        jobs.append(lab.submit(*options, script=b"#!/bin/sh\nexec sleep %d\n" % seconds))
    until(lambda: not states(lab), 60 * times, "all runs to have ended", 0.2)
    return jobs


def submit_s(lab: SlurmLab) -> float:
    """How long a submit takes now."""
    begun = time.monotonic()
    tries = [lab.submit("--partition=h100", "--hold", NO_OUTPUT) for _ in range(TRIES)]
    took_s = (time.monotonic() - begun) / TRIES
    lab.run(["scancel", *tries])
    until(lambda: not states(lab), 30, "the tries to be gone")
    return took_s


def states(lab: SlurmLab) -> set[str]:
    return set(lab.run(["squeue", "--noheader", "-o", "%T"]).stdout.decode().split())


def accounting(lab: SlurmLab, jobs: list[str]) -> bytes:
    """The dump of these runs as a site makes it, once the database has all their ends."""
    command = ["env", "TZ=UTC", "sacct", "-a", "-X", "-P", "-j", ",".join(jobs), "-o", COLUMNS]
    until(lambda: lab.run(command).stdout.count(b"|COMPLETED") == RUNS, 30, "the accounting of all")
    return lab.run(command).stdout


def started_s(dump: Path, history: History) -> Int64s:
    """When Slurm started each run of the history, from the same second 0."""
    places = {name: place for place, name in enumerate(COLUMNS.split(","))}
    rows = [cells(line, "|") for _, line in numbered(dump)][1:]
    times = {
        row[places["JobIDRaw"]]: [moment_s(row[places[c]], c) for c in ("Submit", "Start")]
        for row in rows
    }
    zero_s = min(submit_s for submit_s, _ in times.values())
    assert history.jobs.names is not None
    return np.array([times[name][1] - zero_s for name in history.jobs.names], dtype=np.int64)


def kendall_tau_b(one: Int64s, other: Int64s) -> float:
    """Pairs in the same order less pairs in opposite order, by those not tied (Kendall 1945)."""
    a = np.sign(np.subtract.outer(one, one))
    b = np.sign(np.subtract.outer(other, other))
    return float((a * b).sum() / np.sqrt(float((a * a).sum()) * float((b * b).sum())))


def test_tau_b_by_hand() -> None:
    assert kendall_tau_b(np.array([1, 2, 3]), np.array([4, 5, 9])) == 1
    assert kendall_tau_b(np.array([1, 2, 3]), np.array([9, 5, 4])) == -1
    # pairs: one the same, one opposite, one tied in the second order: (1 - 1) / sqrt(3 * 2)
    assert kendall_tau_b(np.array([1, 2, 3]), np.array([4, 5, 4])) == 0
    # 6 pairs: 4 in order, 1 tied in both, 1 tied in the first: 4 / sqrt(4 * 5)
    tied = kendall_tau_b(np.array([1, 1, 2, 2]), np.array([1, 1, 2, 3]))
    assert abs(tied - 4 / np.sqrt(4 * 5)) < 1e-12
