"""How many parts of each kind a node has place for, were it to take nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scheduler_sim.bound.model import Ints
from scheduler_sim.cluster import Cluster, Request


def alone(cluster: Cluster, requests: Sequence[Request], most: Ints) -> Ints:
    """(requests, nodes): 0 where a request does not fit now, never more than `most` (requests,)."""
    room = np.zeros((len(requests), len(cluster.nodes)), dtype=np.int64)
    by_gpus: dict[tuple[int, int], Ints] = {}
    for row, request in enumerate(requests):
        places = np.full(len(cluster.nodes), most[row])
        if request.gpus:
            key = request.gpus, request.gpu_milli
            if key not in by_gpus:
                by_gpus[key] = _places(cluster, *key)
            np.minimum(places, by_gpus[key], out=places)
        if request.cpu_milli:
            np.minimum(places, cluster.cpu_left // request.cpu_milli, out=places)
        if request.memory_mib:
            np.minimum(places, cluster.memory_left // request.memory_mib, out=places)
        usable = cluster.usable
        if request.gpus and request.models:
            usable = usable & cluster.accepting(request.models)
        room[row] = np.where(usable, np.maximum(places, 0), 0)
    return room


def _places(cluster: Cluster, gpus: int, milli: int) -> Ints:
    """By the GPUs: parts need `gpus` different ones, so that there may be room for fewer."""
    each = (cluster.gpu_left // milli).astype(np.int64)
    enough = (each > 0).sum(axis=1) >= gpus
    places: Ints = np.where(enough, each.sum(axis=1) // gpus, 0)
    return places
