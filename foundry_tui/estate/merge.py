"""Merging: the parts that sources gave become one estate. Pure, so that it can be tested whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from foundry_tui.estate import idle, mig, use
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.matched import Key, Matched, RunUse
from foundry_tui.estate.node import Node
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.run import Attribution, Run
from foundry_tui.estate.snapshot import Snapshot


def merge(
    parts: Sequence[Snapshot],
    now: datetime,
    *,
    matched: Matched | None = None,
    idle_marks: Mapping[Key, datetime] | None = None,
    idle_pct: float = idle.IDLE_PCT,
) -> Snapshot:
    """One estate from the parts of several sources, with readings applied to their GPUs.

    Args:
        parts: what the sources gave. Ids stay unique because each carries its source.
        now: the time of the whole.
        matched: which reading belongs to what, from a match over the same parts.
        idle_marks: when GPUs fell idle, as the history knows it.
        idle_pct: up to which utilisation they count as idle there.

    A run's and a node's utilisation are means over all of their GPUs, a node's without those that
    are lost; where one of these is not known they stay as their source told them.
    """
    gpus = tuple(g for p in parts for g in p.gpus)
    runs = tuple(r for p in parts for r in p.runs)
    if matched is not None:
        gpus = tuple(_applied(g, matched) for g in gpus)
        uses = matched.by_run
    else:
        uses = use.by_run((g, use.on_device(g, g.util_pct, None)) for g in gpus)
    if idle_marks:
        gpus = _with_idle(gpus, runs, idle_marks, idle_pct)
    by_node: dict[tuple[str, str], list[Gpu]] = {}
    for gpu in gpus:
        by_node.setdefault((gpu.source, gpu.node), []).append(gpu)
    partial = tuple(w for p in parts for w in p.partial)
    return Snapshot(
        generated_at=now,
        sources=tuple(s for p in parts for s in p.sources),
        nodes=tuple(_with_util(n, by_node, matched) for p in parts for n in p.nodes),
        gpus=gpus,
        queues=tuple(q for p in parts for q in p.queues),
        runs=tuple(_run_util(r, uses.get(r.id)) for r in runs),
        partial=partial if matched is None else (*partial, *matched.remarks),
    )


def measured(gpu: Gpu, reading: Reading, note: str | None = None) -> Gpu:
    """The GPU with a whole reading in the place of all that was told of its work.

    A reading that failed gives its reason and its faults: the values of the scheduler's own stand.
    """
    how = reading.reason or reading.how
    how = f"{how}; {note}" if note else how
    if not tells(reading):
        return replace(gpu, faults=reading.faults, how=how, measured_by=reading.source)
    return replace(
        gpu,
        uuid=reading.uuid or gpu.uuid,
        minor=reading.minor if reading.minor is not None else gpu.minor,
        model=gpu.model or reading.model,
        slices=mig.measured(gpu.slices, reading.instances) if gpu.slices else (),
        util_pct=reading.util_pct,
        util_max_pct=reading.util_max_pct,
        mem_used_bytes=reading.mem_used_bytes,
        mem_total_bytes=reading.mem_total_bytes or gpu.mem_total_bytes,
        power_w=reading.power_w,
        energy_mj=reading.energy_mj,
        temp_c=reading.temp_c,
        sm_clock_mhz=reading.sm_clock_mhz,
        sm_active_pct=reading.sm_active_pct,
        tensor_active_pct=reading.tensor_active_pct,
        dram_active_pct=reading.dram_active_pct,
        faults=reading.faults,
        measured_by=reading.source,
        how=how,
        read_at=reading.read_at,
    )


def tells(reading: Reading) -> bool:
    """Whether a reading has any value of what its GPU does."""
    return (
        reading.util_pct is not None
        or reading.mem_used_bytes is not None
        or reading.power_w is not None
        or reading.temp_c is not None
        or reading.sm_active_pct is not None
        or bool(reading.instances)
    )


def _applied(gpu: Gpu, matched: Matched) -> Gpu:
    key = (gpu.source, gpu.node, gpu.index)
    reading, note = matched.by_gpu.get(key), matched.notes.get(key)
    if reading is not None:
        return measured(gpu, reading, note)
    return gpu if note is None else replace(gpu, how=note)


def _with_idle(
    gpus: Sequence[Gpu], runs: Sequence[Run], marks: Mapping[Key, datetime], idle_pct: float
) -> tuple[Gpu, ...]:
    started = {run.id: run.started_at for run in runs}
    return tuple(
        replace(g, idle_since=idle.of(g, mark, started, idle_pct))
        if (mark := marks.get((g.source, g.node, g.index))) is not None and g.idle_since is None
        else g
        for g in gpus
    )


def _with_util(
    node: Node, by_node: Mapping[tuple[str, str], list[Gpu]], matched: Matched | None
) -> Node:
    place = (node.source, node.name)
    gpus = by_node.get(place, [])
    if (told := use.on_node(node, gpus)) is not None:
        return told
    util = matched.by_node.get(place) if matched is not None else None
    return node if util is None else replace(node, gpu_util_pct=util)


def _run_util(run: Run, found: RunUse | None) -> Run:
    """The run with what it does; a mere split gives way to what its own source told."""
    if found is None or not use.holds_all_known(run):
        return run
    if found.how is Attribution.JOINT and run.gpu_util_pct is not None:
        return run
    return replace(run, gpu_util_pct=found.util_pct, gpu_util_how=found.how)
