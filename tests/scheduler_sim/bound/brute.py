"""The best that can be placed, by trying everything: for a handful of runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from scheduler_sim.bound.live import Waiting
from scheduler_sim.cluster import Cluster, Request

State = tuple[tuple[tuple[int, ...], int, int], ...]
"""Of each node what its GPUs, its CPU and its memory have left."""


def best(cluster: Cluster, waiting: list[Waiting], must: tuple[bool, ...] = ()) -> float | None:
    """The most value that can start now; None when those of `must` cannot all start."""
    runs = [(i, w) for i, w in enumerate(waiting) for _ in range(w.count)]
    reached: dict[State, float] = {_state(cluster): 0.0}
    for i, run in runs:
        forced = bool(must) and must[i]
        found: dict[State, float] = {}
        for state, value in reached.items():
            if not forced:
                found[state] = max(found.get(state, 0.0), value)
            for after in _placings(cluster, state, run, run.nodes):
                found[after] = max(found.get(after, 0.0), value + run.value)
        reached = found
    return max(reached.values(), default=None)


def _state(cluster: Cluster) -> State:
    return tuple(
        (tuple(cluster.gpu_left[n].tolist()), int(cluster.cpu_left[n]), int(cluster.memory_left[n]))
        for n in range(len(cluster.nodes))
    )


def _placings(cluster: Cluster, state: State, run: Waiting, parts: int) -> set[State]:
    if not parts:
        return {state}
    found: set[State] = set()
    for node in range(len(state)):
        if run.allowed is None or run.allowed[node]:
            for after in _on_node(cluster, state, node, run.request):
                found |= _placings(cluster, after, run, parts - 1)
    return found


def _on_node(cluster: Cluster, state: State, node: int, request: Request) -> Iterator[State]:
    left, cpu, memory = state[node]
    model = cluster.nodes[node].model
    if not cluster.usable[node] or cpu < request.cpu_milli or memory < request.memory_mib:
        return
    if request.gpus and request.models and model not in request.models:
        return
    fitting = [g for g, milli in enumerate(left) if milli >= request.gpu_milli]
    for chosen in combinations(fitting, request.gpus):
        gpus = tuple(m - request.gpu_milli * (g in chosen) for g, m in enumerate(left))
        after = gpus, cpu - request.cpu_milli, memory - request.memory_mib
        yield (*state[:node], after, *state[node + 1 :])
