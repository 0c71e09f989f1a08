"""Merging: the parts that sources gave become one estate. Pure, so that it can be tested whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from foundry_tui.estate.gpu import Gpu, Reading
from foundry_tui.estate.node import Node
from foundry_tui.estate.run import HOLDING, Run
from foundry_tui.estate.snapshot import Snapshot


def merge(
    parts: Sequence[Snapshot], now: datetime, *, readings: Iterable[Reading] = ()
) -> Snapshot:
    """One estate from the parts of several sources, with readings joined to their GPUs.

    Ids stay unique because each carries its source. Two readings of one GPU are never added up:
    the newer one is taken. A run's and a node's utilisation are means over all of their GPUs; where
    one of these has no reading they stay as their source told them.
    """
    nodes = tuple(n for p in parts for n in p.nodes)
    gpus = joined(nodes, tuple(g for p in parts for g in p.gpus), readings)
    by_node: dict[tuple[str, str], list[Gpu]] = {}
    by_run: dict[str, list[Gpu]] = {}
    for gpu in gpus:
        by_node.setdefault((gpu.source, gpu.node), []).append(gpu)
        for run in gpu.runs:
            by_run.setdefault(run, []).append(gpu)
    return Snapshot(
        generated_at=now,
        sources=tuple(s for p in parts for s in p.sources),
        nodes=tuple(_with_util(n, by_node) for n in nodes),
        gpus=gpus,
        queues=tuple(q for p in parts for q in p.queues),
        runs=tuple(_run_util(r, by_run) for p in parts for r in p.runs),
        partial=tuple(w for p in parts for w in p.partial),
    )


def joined(
    nodes: Iterable[Node], gpus: Sequence[Gpu], readings: Iterable[Reading]
) -> tuple[Gpu, ...]:
    """GPUs with the newest reading of each; readings of GPUs nobody knows are left out.

    A reading carries the host name of its node and knows nothing of schedulers, so that node names
    have to be host names which are unique on the whole site. Where two sources have a node of the
    same name, a reading may belong to either: neither gets it, and `how` says why.
    """
    newest: dict[tuple[str, int], Reading] = {}
    for reading in readings:
        key = (reading.node, reading.index)
        if key not in newest or newest[key].read_at < reading.read_at:
            newest[key] = reading
    if not newest:
        return tuple(gpus)
    sources: dict[str, set[str]] = {}
    places = [(n.name, n.source) for n in nodes] + [(g.node, g.source) for g in gpus]
    for name, source in places:
        sources.setdefault(name, set()).add(source)
    return tuple(_measured(g, newest.get((g.node, g.index)), sorted(sources[g.node])) for g in gpus)


def _measured(gpu: Gpu, reading: Reading | None, sources: Sequence[str]) -> Gpu:
    if reading is None:
        return gpu
    if len(sources) > 1:
        return replace(
            gpu, how=f"not measured: the sources {', '.join(sources)} all have a node {gpu.node}"
        )
    return replace(
        gpu,
        uuid=reading.uuid or gpu.uuid,
        minor=reading.minor if reading.minor is not None else gpu.minor,
        model=gpu.model or reading.model,
        util_pct=reading.util_pct,
        mem_used_bytes=reading.mem_used_bytes,
        mem_total_bytes=reading.mem_total_bytes,
        power_w=reading.power_w,
        temp_c=reading.temp_c,
        how=reading.reason or reading.how,
        read_at=reading.read_at,
    )


def _mean_util(gpus: Sequence[Gpu]) -> float | None:
    values = [g.util_pct for g in gpus if g.util_pct is not None]
    return sum(values) / len(values) if values and len(values) == len(gpus) else None


def _with_util(node: Node, by_node: Mapping[tuple[str, str], list[Gpu]]) -> Node:
    util = _mean_util(by_node.get((node.source, node.name), ()))
    return node if util is None else replace(node, gpu_util_pct=util)


def _run_util(run: Run, by_run: Mapping[str, list[Gpu]]) -> Run:
    if run.state not in HOLDING:
        return run
    gpus = by_run.get(run.id, ())
    # A share's own work cannot be told from the device's figure.
    if any(g.shared for g in gpus):
        return run
    util = _mean_util(gpus)
    return run if util is None else replace(run, gpu_util_pct=util)
