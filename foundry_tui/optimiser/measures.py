"""The measures of a plan: the same ones of the estate without and with its moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.arrays import Board
from foundry_tui.optimiser.demand import per_node
from foundry_tui.optimiser.placing import Start
from foundry_tui.optimiser.relocate import make
from foundry_tui.optimiser.result import Measures, shifted
from foundry_tui.optimiser.room import Passage
from scheduler_sim.cluster import Cluster, Request
from scheduler_sim.fragmentation import Mix, fragmentation, typical

NO_ROOMS: Mapping[str, Sequence[Passage]] = {}

MOST_TASKS = 100
"""An array counts at most this many times in the mix, so that one sweep does not become it."""

MOST_KINDS = 40
"""The most frequent kinds of request that the mix keeps; the time of a plan grows with them."""


def mix_of(runs: Iterable[Run]) -> Mix | None:
    """What the runs of one source typically ask for on one node; None when none can be told.

    Waiting and running runs count alike. A running run counts without a GPU model: the scheduler
    tells which one it got, not whether it asked for it.
    """
    requests = list(_requests(runs))
    if not requests:
        return None
    mix = typical(requests)
    return Mix(mix.requests[:MOST_KINDS], mix.counts[:MOST_KINDS])


def _requests(runs: Iterable[Run]) -> Iterator[Request]:
    for run in runs:
        request = per_node(run.request, run.scheduler) if run.state in LIVE else ""
        if isinstance(request, str):
            continue
        if run.state is not RunState.PENDING and request.models:
            request = Request(
                request.gpus, request.gpu_milli, request.cpu_milli, request.memory_mib
            )
        yield from repeat(request, max(1, run.request.nodes) * min(run.count, MOST_TASKS))


def before(
    snapshot: Snapshot,
    boards: Mapping[str, Board],
    mixes: Mapping[str, Mix | None],
    idle_gpus: int,
) -> Measures:
    """GPUs and runs of the estate as it is; boards and mixes by source.

    A GPU with unknown tenants counts as allocated. `gpus_free` are those on nodes that take new
    runs; `fragmentation_gpus` is what of them the present requests could not use on average (F of
    FGD, in GPUs).
    """
    listed: dict[tuple[str, str], int] = {}
    taken = 0
    for gpu in snapshot.gpus:
        key = gpu.source, gpu.node
        listed[key] = listed.get(key, 0) + 1
        taken += WHOLE_MILLI if gpu.milli_allocated is None else gpu.milli_allocated
    total = sum(listed.values())
    for node in snapshot.nodes:
        if (node.source, node.name) not in listed:
            total += node.gpu_count
            taken += node.gpu_milli_allocated or 0
    waiting = [r for r in snapshot.runs if r.state is RunState.PENDING]
    return {
        "gpus_total": float(total),
        "gpus_allocated": taken / WHOLE_MILLI,
        "gpus_free": sum(int(b.cluster.gpu_left.sum()) for b in boards.values()) / WHOLE_MILLI,
        "waiting_runs": float(sum(r.count for r in waiting)),
        "waiting_gpus": sum((r.request.gpu_milli or 0) * r.count for r in waiting) / WHOLE_MILLI,
        "fragmentation_gpus": _stranded({k: b.cluster for k, b in boards.items()}, mixes),
        "gpus_idle_allocated": float(idle_gpus),
    }


def after(
    measures: Measures,
    boards: Mapping[str, Board],
    mixes: Mapping[str, Mix | None],
    starts: Mapping[str, Sequence[Start]],
    rooms: Mapping[str, Sequence[Passage]] = NO_ROOMS,
) -> Measures:
    """The same measures once the starts and the passages (by source) have happened."""
    clusters = {}
    for source, board in boards.items():
        cluster = clusters[source] = board.cluster.copy()
        for start in starts.get(source, ()):
            for row, positions in start.parts:
                cluster.place(row, positions, start.demand.request)
        for passage in rooms.get(source, ()):
            make(cluster, passage.relocation, passage.start.demand.request)
    found = [start for here in starts.values() for start in here]
    found += [passage.start for here in rooms.values() for passage in here]
    gpus = sum(s.demand.gpu_milli for s in found) / WHOLE_MILLI
    asked = sum(s.demand.run.request.gpu_milli or 0 for s in found) / WHOLE_MILLI
    return {
        **shifted(measures, gpus, asked, len(found)),
        "gpus_free": sum(int(c.gpu_left.sum()) for c in clusters.values()) / WHOLE_MILLI,
        "fragmentation_gpus": _stranded(clusters, mixes),
    }


def _stranded(clusters: Mapping[str, Cluster], mixes: Mapping[str, Mix | None]) -> float | None:
    known = [(c, m) for k, c in clusters.items() if (m := mixes[k]) is not None]
    if not known:
        return None
    return sum(int(fragmentation(c, m).sum()) / (WHOLE_MILLI * m.total) for c, m in known)
