"""The arrays of a simulation from nodes and runs."""

from __future__ import annotations

from itertools import chain, repeat

import numpy as np

from scheduler_sim.cluster import Cluster, Request
from scheduler_sim.fragmentation import Mix, score_thresholds, typical
from scheduler_sim.queues.jobs import Jobs
from scheduler_sim.queues.state import (
    ACCOUNT,
    AMOUNTS,
    ASKED,
    BY_FAIR_SHARE,
    CHANGES,
    CHARGE,
    CPU,
    DURATION_S,
    END_S,
    FGD,
    FIRST_NEW,
    FIRST_PART,
    FIRST_RANK,
    FREE,
    GANG,
    HEAD_BEFORE,
    IMPOSSIBLE,
    JOB_AT,
    K_ACCEPTS,
    K_CPU,
    K_GPUS,
    K_MEMORY,
    K_MILLI,
    K_WEIGHT,
    KIND,
    KNOWN_KIND,
    LAYERS,
    LEFT,
    LIMIT_S,
    MADE,
    MEMO_ROWS,
    MEMORY,
    MODEL,
    NEVER_S,
    NEXT_FAULT_S,
    NEXT_PLAN_S,
    NODE_ROWS,
    NONE,
    ORDER,
    P_JOB,
    PAIR,
    PAIR_ROWS,
    PART,
    PART_ROWS,
    PLAN_S,
    POLICY,
    PROMISED_S,
    RANK,
    REGISTERS,
    RESERVED_FOR,
    RING,
    RULE,
    RUN_ROWS,
    SCORE_LAYERS,
    SHAPE,
    START_S,
    STATE,
    STEP_S,
    SUBMIT_S,
    UNTIL,
    USABLE,
    WAITING,
    Int32s,
    Int64s,
    World,
)
from scheduler_sim.queues.usage import STEPS_OF_HALF_LIFE
from scheduler_sim.queues.waiting import levels

MOST_TYPICAL = 256
"""Of the typical runs so many of the most frequent are looked at."""

MOST_SCORES = 1 << 23
"""So many scores of FGD are remembered; kinds beyond that share their places."""

MOST_GPUS = 62
"""The devices of a node are the bits of one number."""


def world(
    cluster: Cluster,
    jobs: Jobs,
    *,
    order: int,
    rule: int,
    policy: int,
    by_priority: bool,
    half_life_s: int,
    until_s: int | None,
) -> World:
    """The state before the first event. It shares the arrays of `cluster` and changes them.

    Raises:
        ValueError: a node has more than 62 GPUs.
    """
    width = cluster.gpu_left.shape[1]
    if width > MOST_GPUS:
        raise ValueError(f"gpus: at most {MOST_GPUS} on a node, got {width}")
    count = len(jobs)
    reg = np.zeros(REGISTERS, dtype=np.int64)
    reg[[ORDER, RULE, POLICY]] = order, rule, policy
    reg[[NEXT_FAULT_S, NEXT_PLAN_S, FIRST_NEW]] = NEVER_S
    reg[[HEAD_BEFORE, RESERVED_FOR, KNOWN_KIND, ASKED]] = NONE
    reg[UNTIL] = NEVER_S - 1 if until_s is None else until_s
    reg[STEP_S] = max(1, half_life_s // STEPS_OF_HALF_LIFE)
    nodes, room, gpu = _nodes(cluster)
    kinds = _kinds(jobs.kinds, cluster)
    runs, pairs = _runs(jobs, kinds, cluster, order == BY_FAIR_SHARE, by_priority)
    gangs = np.diff(runs[FIRST_PART])
    parts = np.full((PART_ROWS, int(gangs.sum())), NONE, dtype=np.int64)
    parts[P_JOB] = np.repeat(np.arange(count), gangs)
    words, level = levels(count)
    typical, thresholds, rows = _typical(cluster, jobs, policy)
    return World(
        reg,
        nodes,
        room,
        gpu,
        kinds,
        runs,
        parts,
        words,
        level,
        np.full((MEMO_ROWS, int(runs[SHAPE].max()) + 1), NONE, dtype=np.int64),
        np.zeros(RING, dtype=np.int64),
        pairs,
        np.zeros((PAIR_ROWS, max(1, len(jobs.accounts))), dtype=np.int64),
        typical,
        thresholds,
        np.full(rows, NONE, dtype=np.int64),
        np.zeros((SCORE_LAYERS, rows, len(cluster.nodes)), dtype=np.int32),
    )


def mix_of(jobs: Jobs) -> Mix:
    """The typical runs among all that are submitted, by how many there are of each kind.

    Raises:
        ValueError: there are no runs.
    """
    seen = np.bincount(jobs.kind, minlength=len(jobs.kinds)).tolist()
    mix = typical(chain.from_iterable(map(repeat, jobs.kinds, seen)))
    return Mix(mix.requests[:MOST_TYPICAL], mix.counts[:MOST_TYPICAL])


def _nodes(cluster: Cluster) -> tuple[Int64s, Int64s, Int32s]:
    """Rows, amounts and devices of the nodes; the cluster lives in them from here on."""
    count, width = cluster.gpu_left.shape
    gpu = np.zeros((LAYERS, count, width), dtype=np.int32)
    room = np.zeros((LAYERS, AMOUNTS, count), dtype=np.int64)
    nodes = np.zeros((NODE_ROWS, count), dtype=np.int64)
    gpu[:] = cluster.gpu_left
    room[:, CPU] = cluster.cpu_left
    room[:, MEMORY] = cluster.memory_left
    room[:, FREE] = cluster.gpu_left.sum(axis=1, dtype=np.int64)
    room[:, USABLE] = 1
    nodes[MODEL] = cluster.model
    nodes[PART] = NONE
    cluster.gpu_left, cluster.cpu_left = gpu[LEFT], room[LEFT, CPU]
    cluster.memory_left, cluster.changes = room[LEFT, MEMORY], nodes[CHANGES]
    return nodes, room, gpu


def _kinds(requests: tuple[Request, ...], cluster: Cluster) -> Int64s:
    kinds = np.ones((K_ACCEPTS + len(cluster.models), len(requests)), dtype=np.int64)
    kinds[K_GPUS] = [r.gpus for r in requests]
    kinds[K_MILLI] = [r.gpu_milli for r in requests]
    kinds[K_CPU] = [r.cpu_milli for r in requests]
    kinds[K_MEMORY] = [r.memory_mib for r in requests]
    for i, model in enumerate(cluster.models):
        kinds[K_ACCEPTS + i] = [not r.models or model in r.models for r in requests]
    return kinds


def _hosts(kinds: Int64s, cluster: Cluster) -> Int64s:
    """On how many nodes of the empty cluster each kind fits."""
    hosts = np.zeros(kinds.shape[1], dtype=np.int64)
    bought = np.stack(
        [cluster.gpu_count, cluster.cpu_left, cluster.memory_left, cluster.model], axis=1
    )
    classes, counts = np.unique(bought, axis=0, return_counts=True)
    for (gpus, cpu, memory, model), count in zip(classes.tolist(), counts.tolist(), strict=True):
        fit = (kinds[K_CPU] <= cpu) & (kinds[K_MEMORY] <= memory)
        accepts = kinds[K_ACCEPTS + model] == 1
        fit &= (kinds[K_GPUS] == 0) | ((kinds[K_GPUS] <= gpus) & accepts)
        hosts += fit * count
    return hosts


def _runs(
    jobs: Jobs, kinds: Int64s, cluster: Cluster, by_pair: bool, by_priority: bool
) -> tuple[Int64s, Int64s]:
    """The runs, and the pairs of account and user."""
    count = len(jobs)
    possible = _hosts(kinds, cluster)[jobs.kind] >= jobs.nodes
    runs = np.zeros((RUN_ROWS, count + 1), dtype=np.int64)
    for row, column in (
        (SUBMIT_S, jobs.submit_s),
        (DURATION_S, jobs.duration_s),
        (LIMIT_S, jobs.limit_s),
        (GANG, jobs.nodes),
        (KIND, jobs.kind),
    ):
        runs[row, :count] = column
    for row in (START_S, END_S, PROMISED_S, PLAN_S, MADE):
        runs[row] = NONE
    runs[STATE, :count] = np.where(possible, WAITING, IMPOSSIBLE)
    runs[FIRST_PART, 1:] = np.cumsum(np.where(possible, jobs.nodes, 0))
    shape = (jobs.kind.astype(np.int64) << 32) + jobs.nodes
    runs[SHAPE, :count] = np.unique(shape, return_inverse=True)[1]
    runs[CHARGE, :count] = _charges(jobs, cluster)[jobs.kind] * jobs.nodes
    payer = (jobs.account.astype(np.int64) << 32) + jobs.user
    who, runs[PAIR, :count] = np.unique(payer, return_inverse=True)
    pairs = np.zeros((PAIR_ROWS, len(who) + 1), dtype=np.int64)
    pairs[ACCOUNT, :-1] = who >> 32
    rank_by = runs[PAIR, :count] if by_pair else -jobs.priority if by_priority else jobs.submit_s
    job_at = np.argsort(rank_by, kind="stable")
    runs[JOB_AT, :count] = job_at
    runs[RANK, job_at] = np.arange(count)
    if by_pair:
        pairs[FIRST_RANK] = np.searchsorted(rank_by[job_at], np.arange(len(who) + 1))
    return runs, pairs


def _charges(jobs: Jobs, cluster: Cluster) -> Int64s:
    """What a second of each kind costs: the larger of its parts of all GPUs and of all CPUs.

    In thousandths of a GPU; in thousandths of a core where the cluster has no GPU.
    """
    gpu_total = int(cluster.gpu_left.sum(dtype=np.int64))
    cpu_total = int(cluster.cpu_left.sum())
    price = gpu_total or cpu_total
    each = [max(r.total_milli, r.cpu_milli * price // max(1, cpu_total)) for r in jobs.kinds]
    return np.array(each, dtype=np.int64)


def _typical(cluster: Cluster, jobs: Jobs, policy: int) -> tuple[Int64s, Int64s, int]:
    """The typical runs of FGD, its thresholds, and for how many kinds scores are remembered."""
    if policy != FGD or not len(jobs):
        return _kinds((), cluster), np.zeros(0, dtype=np.int64), 1
    mix = mix_of(jobs)
    typical = _kinds(mix.requests, cluster)
    typical[K_WEIGHT] = mix.counts
    rows = max(1, min(len(jobs.kinds), MOST_SCORES // len(cluster.nodes)))
    return typical, score_thresholds(mix.total), rows
