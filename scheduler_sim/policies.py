"""Placement policies: which node, and which of its GPUs, for one request.

Scores are integers, the highest wins, and ties go to the node that stands first in the cluster.
Both policies are those of Weng et al. (USENIX ATC 2023); no floating-point number decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.cluster import WHOLE_MILLI, Cluster, Mask, Request
from scheduler_sim.fragmentation import Measure, Mix, score_thresholds

_BEYOND = 2 * WHOLE_MILLI
_NOWHERE = -(1 << 30)


@dataclass(frozen=True, slots=True)
class Choice:
    """Where to place a request: row of the node, indices of its GPUs, and the score that won."""

    node: int
    gpus: tuple[int, ...]
    score: int


def fullest_gpus(cluster: Cluster, node: int, request: Request) -> tuple[int, ...]:
    """The GPUs that have least left and still fit, lowest index on ties; sorted by index.

    For whole devices these are the free ones of lowest index. The request must fit on the node.
    """
    left = cluster.gpu_left[node].tolist()
    fitting = sorted((milli, g) for g, milli in enumerate(left) if milli >= request.gpu_milli)
    return tuple(sorted(g for _, g in fitting[: request.gpus]))


def best_fit(cluster: Cluster, request: Request, allowed: Mask | None = None) -> Choice | None:
    """The node that would be fullest afterwards, None if the request fits on none.

    The score is int(100 (1 - (cpu / 128,000 + gpu / 8,000) / 2)) with the CPU and GPU thousandths
    left afterwards; in integers (256,000 - cpu - 16 gpu) / 2,560, cut towards 0. (The published
    rescaling to 0..100 keeps the order and its ties at the top, so it is left out.)
    """
    fit = cluster.feasible(request)
    if allowed is not None:
        fit &= allowed
    if not fit.any():
        return None
    gpu = cluster.gpu_left.sum(axis=1, dtype=np.int64) - request.total_milli
    points = 256_000 - (cluster.cpu_left - request.cpu_milli) - 16 * gpu
    score = np.where(points >= 0, points // 2_560, -(-points // 2_560))
    node = int(np.where(fit, score, _NOWHERE).argmax())
    return Choice(node, fullest_gpus(cluster, node, request), int(score[node]))


class Fgd:
    """Fragmentation gradient descent: the placement that strands least GPU share.

    The score is int(100 / (1 + exp(-(F before - F after) / 1000))); a share of one device tries
    every GPU that fits, any other request takes the fullest that fit. Scores of a request are
    remembered, and only nodes that changed since are looked at again.
    """

    __slots__ = ("_cluster", "_known", "_measure", "_thresholds")

    def __init__(self, cluster: Cluster, mix: Mix) -> None:
        self._cluster = cluster
        self._measure = Measure(cluster, mix)
        self._thresholds = score_thresholds(mix.total)
        self._known: dict[Request, _Scores] = {}

    def choose(self, request: Request, allowed: Mask | None = None) -> Choice | None:
        """Where the request goes now, None if it fits on none of the allowed nodes."""
        scores = self._fresh(request).score
        if allowed is not None:
            scores = np.where(allowed, scores, -1)
        node = int(scores.argmax())
        if scores[node] < 0:
            return None
        if request.gpus == 1 and request.gpu_milli < WHOLE_MILLI:
            gpus: tuple[int, ...] = (int(self._known[request].gpu[node]),)
        else:
            gpus = fullest_gpus(self._cluster, node, request)
        return Choice(node, gpus, int(scores[node]))

    def _fresh(self, request: Request) -> _Scores:
        cluster, known = self._cluster, self._known.get(request)
        if known is None:
            known = self._known[request] = _Scores(len(cluster.nodes))
        stale = np.flatnonzero(known.seen != cluster.changes)
        if stale.size:
            known.seen[stale] = cluster.changes[stale]
            known.score[stale] = -1
            rows = stale[cluster.feasible(request)[stale]]
            if rows.size:
                known.score[rows], known.gpu[rows] = self._score(rows, request)
        return known

    def _score(
        self, rows: NDArray[np.intp], request: Request
    ) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Score and best GPU of each row; every row must be feasible."""
        cluster = self._cluster
        left, cpu, model = cluster.gpu_left[rows], cluster.cpu_left[rows], cluster.model[rows]
        before = self._measure.of(left, cpu, model)
        cpu_after = cpu - request.cpu_milli
        if request.gpus != 1 or request.gpu_milli == WHOLE_MILLI:
            order = np.argsort(
                np.where(left >= request.gpu_milli, left, _BEYOND), axis=1, kind="stable"
            )
            taken = np.take_along_axis(left, order[:, : request.gpus], axis=1)
            np.put_along_axis(left, order[:, : request.gpus], taken - request.gpu_milli, axis=1)
            after = self._measure.of(left, cpu_after, model)
            return self._points(before - after), np.zeros(rows.size, dtype=np.intp)
        width = left.shape[1]
        each = left[:, None, :] - request.gpu_milli * np.eye(width, dtype=np.int32)
        after = self._measure.of(
            np.maximum(each, 0).reshape(-1, width),
            np.repeat(cpu_after, width),
            np.repeat(model, width),
        ).reshape(-1, width)
        points = self._points(before[:, None] - after)
        points = np.where(left >= request.gpu_milli, points, -1)
        gpu = points.argmax(axis=1)
        return np.take_along_axis(points, gpu[:, None], axis=1)[:, 0], gpu

    def _points(self, fall: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self._thresholds, fall, side="right")


class _Scores:
    """What is known of one request: score (-1: does not fit) and best GPU of each node."""

    __slots__ = ("gpu", "score", "seen")

    def __init__(self, nodes: int) -> None:
        self.score = np.full(nodes, -1, dtype=np.int64)
        self.gpu = np.zeros(nodes, dtype=np.intp)
        self.seen = np.full(nodes, -1, dtype=np.int64)
