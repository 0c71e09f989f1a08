"""How much some acts touch: the counts that a policy limits. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from foundry_tui.estate.acts import Act, ChangeNode, ChangeQueue, MoveNode, Submit, kind
from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import LIVE
from foundry_tui.estate.snapshot import Snapshot

_QUOTAS = {"quota_gpus": "quota", "limit_gpus": "limit"}
"""Field of a `ChangeQueue` that is in GPUs -> its name in a sentence."""


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """By how many GPUs one quota or limit changes, and by how many per cent; None: without end."""

    queue: str
    what: str
    gpus: float | None
    pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What acts touch, each thing once.

    `runs` counts each task of an array. `nodes` are `source/name` of those that are drained or
    moved to another pool. `gpus` is what the touched runs hold or ask for and what the touched
    nodes have; None when that of a run is not known. `whole` are the sources of which every node
    is drained or moved, or every live run is touched (of one with more than `FEW_RUNS`).
    """

    acts: frozenset[str]
    runs: int
    nodes: frozenset[str]
    gpus: float | None
    quotas: tuple[QuotaChange, ...]
    whole: tuple[str, ...]


FEW_RUNS = 10
"""All runs of a source with so few may be touched at once: they are a handful."""


def extent(acts: Iterable[Act], snapshot: Snapshot) -> Extent:
    """What these acts touch in the estate as it was last seen."""
    listed = [act for act in acts if not isinstance(act, Submit)]
    named = {run for act in listed for run in getattr(act, "runs", ())}
    runs = [run for run in snapshot.runs if run.id in named]
    on_nodes = [act for act in listed if isinstance(act, ChangeNode | MoveNode)]
    touched = {f"{act.source}/{name}" for act in on_nodes for name in act.nodes}
    taken = frozenset(
        f"{act.source}/{name}"
        for act in on_nodes
        if isinstance(act, MoveNode) or act.state == "drain"
        for name in act.nodes
    )
    milli = [
        None if run.request.gpu_milli is None else run.request.gpu_milli * run.count for run in runs
    ]
    milli += [1000 * n.gpu_count for n in snapshot.nodes if node_id(n) in touched]
    return Extent(
        acts=frozenset(kind(act) for act in listed),
        runs=sum(run.count for run in runs) + len(named - {run.id for run in runs}),
        nodes=taken,
        gpus=None if None in milli else sum(m or 0 for m in milli) / 1000,
        quotas=tuple(
            change
            for act in listed
            if isinstance(act, ChangeQueue)
            for change in _quota_changes(act, snapshot)
        ),
        whole=_whole(snapshot, taken, named),
    )


def node_id(node: Node) -> str:
    """The id of a node among all sources."""
    return f"{node.source}/{node.name}"


def _whole(snapshot: Snapshot, taken: frozenset[str], named: set[str]) -> tuple[str, ...]:
    found = []
    for source in dict.fromkeys(s.name for s in snapshot.sources):
        nodes = [node_id(n) for n in snapshot.nodes if n.source == source]
        if len(nodes) > 1 and taken.issuperset(nodes):
            found.append(f"every node of {source} ({len(nodes)})")
        live = [r for r in snapshot.runs if r.source == source and r.state in LIVE]
        if len(live) > FEW_RUNS and named.issuperset(r.id for r in live):
            found.append(f"every live run of {source} ({len(live)})")
    return tuple(found)


def _quota_changes(act: ChangeQueue, snapshot: Snapshot) -> list[QuotaChange]:
    queue = next(
        (q for q in snapshot.queues if (q.source, q.name) == (act.source, act.queue)), None
    )
    fields = dict(act.fields)
    found = []
    for field, what in _QUOTAS.items():
        if field not in fields:
            continue
        old, new = _old_gpus(queue, what), _gpus(fields[field])
        if "node_pool" in fields and old is not None and new is not None:
            # What is known is the sum over the pools: the change of one is not more than this.
            delta: float | None = max(old, new)
        else:
            delta = None if old is None or new is None else abs(new - old)
        pct = None if delta is None or not old else 100 * delta / old
        if delta == 0:
            pct = 0.0
        found.append(QuotaChange(f"{act.source}/{act.queue}", what, delta, pct))
    return found


def _old_gpus(queue: Queue | None, what: str) -> float | None:
    if queue is None:
        return None
    milli = queue.quota_gpu_milli if what == "quota" else queue.limit_gpu_milli
    return None if milli is None else milli / 1000


def _gpus(text: str) -> float | None:
    """GPUs of a field's value; None for `unlimited` and for what is no number."""
    try:
        return float(text)
    except ValueError:
        return None
