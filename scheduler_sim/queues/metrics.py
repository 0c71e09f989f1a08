"""What users and the cluster got out of a simulated queue.

The window of time is from the first submission to the last moment played. Runs that still wait at
its end count with the time they have waited so far, which is less than their true wait: they are
never left out. Runs that can never be hosted have no wait; they are counted on their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.cluster import WHOLE_MILLI, Cluster
from scheduler_sim.fragmentation import Measure
from scheduler_sim.queues.build import mix_of
from scheduler_sim.queues.jobs import Int64s
from scheduler_sim.queues.outcome import Outcome
from scheduler_sim.queues.state import DONE, FAILED, IMPOSSIBLE, KILLED, NONE, RUNNING

Floats = NDArray[np.float64]

BOUND_S = 10
"""Runs shorter than this count as so long in the slowdown (Feitelson et al., JSSPP 1997)."""

MOMENTS = 100
"""At so many evenly spaced moments fragmentation is measured."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and percentiles of a value over runs."""

    mean: float
    p50: float
    p90: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The metrics of one simulation; None where there is nothing to measure.

    `finished` are runs that came to their end, `killed` those among them that were cut off at
    their limit. `restarts` counts starts undone by vanishing nodes, `lost_gpu_h` the work lost with
    them. Utilisation is used over available GPU time, the latter without what vanished.
    `fragmentation_pct` is the idle GPU share that the typical runs cannot use, in percent of all
    GPUs, mean over the window. `fairness` is Jain's index of the users' mean slowdowns: 1 where all
    have the same, 1/n where one of n has all of it.
    """

    runs: int
    finished: int
    killed: int
    failed: int
    unfinished: int
    never: int
    restarts: int
    wait_s: Spread | None
    slowdown: Spread | None
    makespan_s: int | None
    utilisation_pct: float | None
    lost_gpu_h: float
    fragmentation_pct: float | None
    fairness: float | None
    best_user_slowdown: float | None
    worst_user_slowdown: float | None


def summary(outcome: Outcome) -> Summary:
    """All metrics of a simulation."""
    state = outcome.state
    rows = np.flatnonzero(joined(outcome))
    slow = slowdowns(outcome)[rows]
    users = _by_user(outcome, rows, slow)
    window = _window(outcome)
    kind_milli = np.array([r.total_milli for r in outcome.jobs.kinds], dtype=np.float64)
    lost_milli_s = sum(
        kind_milli[outcome.jobs.kind[a.job]] * len(a.parts) * (a.end_s - a.start_s)
        for a in outcome.lost
    )
    return Summary(
        runs=len(outcome.jobs),
        finished=int(((state == DONE) | (state == KILLED)).sum()),
        killed=int((state == KILLED).sum()),
        failed=int((state == FAILED).sum()),
        unfinished=len(outcome.unfinished),
        never=len(outcome.never),
        restarts=len(outcome.lost),
        wait_s=_spread(waits_s(outcome)[rows].astype(np.float64)),
        slowdown=_spread(slow),
        makespan_s=None if window is None else window[1] - window[0],
        utilisation_pct=_utilisation_pct(outcome, float(lost_milli_s)),
        lost_gpu_h=float(lost_milli_s) / WHOLE_MILLI / 3600,
        fragmentation_pct=_mean(fragmentation_pct(outcome)),
        fairness=float(users.sum() ** 2 / (len(users) * (users**2).sum())) if len(users) else None,
        best_user_slowdown=float(users.min()) if len(users) else None,
        worst_user_slowdown=float(users.max()) if len(users) else None,
    )


def joined(outcome: Outcome) -> NDArray[np.bool_]:
    """The runs that joined the queue."""
    in_time = np.less_equal(outcome.jobs.submit_s, outcome.stopped_s)
    return np.not_equal(outcome.state, IMPOSSIBLE) & in_time


def waits_s(outcome: Outcome) -> Int64s:
    """Seconds from submission to the last start; so far, for those that wait."""
    until_s = np.where(outcome.started, outcome.start_s, outcome.stopped_s)
    return np.maximum(until_s - outcome.jobs.submit_s, 0)


def slowdowns(outcome: Outcome) -> Floats:
    """Bounded slowdown: (wait + run) / max(run, 10 s), at least 1."""
    jobs = outcome.jobs
    run_s = np.minimum(jobs.duration_s, jobs.limit_s)
    failed = outcome.state == FAILED
    run_s = np.where(failed, outcome.end_s - outcome.start_s, run_s)
    slow = (waits_s(outcome) + run_s) / np.maximum(run_s, BOUND_S)
    return np.maximum(slow, 1.0)


def used_milli_s(outcome: Outcome) -> float:
    """GPU thousandths times seconds held by the runs, without the starts that were undone."""
    jobs = outcome.jobs
    milli = np.array([r.total_milli for r in jobs.kinds], dtype=np.float64)
    end_s = np.where(outcome.state == RUNNING, outcome.stopped_s, outcome.end_s)
    held = np.where(outcome.started, end_s - outcome.start_s, 0)
    return float((held * milli[jobs.kind] * jobs.nodes).sum()) if len(jobs) else 0.0


def fragmentation_pct(outcome: Outcome, moments: int = MOMENTS) -> Floats:
    """Idle GPU share that typical runs cannot use, in percent of all GPUs.

    At evenly spaced moments. Nodes that are gone have nothing idle. Empty where there are no GPUs,
    no runs or no time.
    """
    window = _window(outcome)
    cluster = Cluster(outcome.nodes)
    total = int(cluster.gpu_left.sum(dtype=np.int64))
    if window is None or window[0] == window[1] or not total:
        return np.zeros(0)
    measure = Measure(cluster, mix_of(outcome.jobs))
    held = _Held(outcome)
    first_s, last_s = window
    found = np.zeros(moments)
    for i in range(moments):
        at_s = first_s + (2 * i + 1) * (last_s - first_s) // (2 * moments)
        gpu, cpu = held.left(cluster, at_s)
        there = np.array([not _gone(outcome, n.name, at_s) for n in outcome.nodes])
        stranded = measure.of(gpu[there], cpu[there], cluster.model[there])
        found[i] = 100.0 * float(stranded.sum()) / measure.total / total
    return found


class _Held:
    """Every share that was ever held: from, till, node, devices and kind."""

    def __init__(self, outcome: Outcome) -> None:
        jobs = outcome.jobs
        parts = np.diff(outcome.first_part)
        job = np.repeat(np.arange(len(jobs)), parts)
        end_s = np.where(outcome.state == RUNNING, outcome.stopped_s + 1, outcome.end_s)
        lost = [(a.job, a.start_s, a.end_s, *part) for a in outcome.lost for part in a.parts]
        old = np.array(lost, dtype=np.int64).reshape(-1, 5)
        self._from_s = np.concatenate([outcome.start_s[job], old[:, 1]])
        self._till_s = np.concatenate([end_s[job], old[:, 2]])
        self._node = np.concatenate([outcome.part_node, old[:, 3]])
        self._gpus = np.concatenate([outcome.part_gpus, old[:, 4]])
        self._kind = jobs.kind[np.concatenate([job, old[:, 0]])]
        self._milli = np.array([r.gpu_milli for r in jobs.kinds], dtype=np.int32)
        self._cpu = np.array([r.cpu_milli for r in jobs.kinds], dtype=np.int64)

    def left(self, cluster: Cluster, at_s: int) -> tuple[NDArray[np.int32], Int64s]:
        """What devices and nodes had left at one moment."""
        now = np.flatnonzero(
            (self._from_s <= at_s) & (self._till_s > at_s) & (self._from_s != NONE)
        )
        node, gpus, kind = self._node[now], self._gpus[now], self._kind[now]
        gpu, cpu = cluster.gpu_left.copy(), cluster.cpu_left.copy()
        np.subtract.at(cpu, node, self._cpu[kind])
        for g in range(gpu.shape[1]):
            on = (gpus >> g & 1).astype(np.bool_)
            np.subtract.at(gpu[:, g], node[on], self._milli[kind[on]])
        return gpu, cpu


def _gone(outcome: Outcome, node: str, at_s: int) -> bool:
    return any(
        f.node == node and f.at_s <= at_s and (f.back_s is None or at_s < f.back_s)
        for f in outcome.faults
    )


def _window(outcome: Outcome) -> tuple[int, int] | None:
    rows = joined(outcome)
    if not rows.any():
        return None
    first_s = int(outcome.jobs.submit_s[rows].min())
    if len(outcome.unfinished):
        return first_s, outcome.stopped_s
    return first_s, int(outcome.end_s[rows].max())


def _utilisation_pct(outcome: Outcome, lost_milli_s: float) -> float | None:
    window = _window(outcome)
    gpus = sum(node.gpus for node in outcome.nodes)
    if window is None or window[0] == window[1] or not gpus:
        return None
    first_s, last_s = window
    available = float(gpus) * (last_s - first_s)
    for node in outcome.nodes:
        available -= node.gpus * _gone_s(outcome, node.name, first_s, last_s)
    if not available:
        return None
    return 100.0 * (used_milli_s(outcome) + lost_milli_s) / WHOLE_MILLI / available


def _gone_s(outcome: Outcome, node: str, first_s: int, last_s: int) -> int:
    """Seconds of the window in which a node was gone, overlapping faults counted once."""
    gone, until_s = 0, first_s
    for fault in sorted((f for f in outcome.faults if f.node == node), key=lambda f: f.at_s):
        from_s = max(until_s, fault.at_s)
        back_s = last_s if fault.back_s is None else min(fault.back_s, last_s)
        if back_s > from_s:
            gone += back_s - from_s
            until_s = back_s
    return gone


def _by_user(outcome: Outcome, rows: NDArray[np.intp], slow: Floats) -> Floats:
    """The mean slowdown of each user that has runs."""
    user = outcome.jobs.user[rows]
    runs = np.bincount(user, minlength=1)
    total = np.bincount(user, weights=slow, minlength=1)
    mean: Floats = total[runs > 0] / runs[runs > 0]
    return mean


def _spread(values: Floats) -> Spread | None:
    if not len(values):
        return None
    p50, p90, p99 = np.percentile(values, (50, 90, 99)).tolist()
    return Spread(float(values.mean()), p50, p90, p99, float(values.max()))


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None
