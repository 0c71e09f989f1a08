"""What a job spec asks for on each node and in all."""

from __future__ import annotations

from foundry_tui.jobs.spec import JobSpec
from foundry_tui.presenters import units


def totals_lines(spec: JobSpec) -> tuple[str, ...]:
    """A line for one node, and one for the whole job where it is more than one node."""
    each = _amounts(spec, 1)
    nodes = spec.nodes or 1
    most = spec.nodes_most or nodes
    lines = [f"per node: {each}" if most > 1 else f"it asks for: {each}"] if each else []
    if most > 1:
        total = _amounts(spec, nodes)
        words = f"{nodes} nodes" if most == nodes else f"{nodes} to {most} nodes"
        least = " at least" if most != nodes else ""
        lines.append(f"in all: {words}{f' with{least} {total}' if total else ''}")
    gpus = _gpus(spec)
    if gpus > 0 and spec.time_limit_s is not None:
        hours = gpus * (spec.gpu_share_milli or 1000) / 1000 * most * spec.time_limit_s / 3600
        lines.append(
            f"at most {hours:,.1f} GPU-hours in {units.duration(spec.time_limit_s)}"
            + (", each task of the array" if spec.array else "")
        )
    return tuple(lines)


def _amounts(spec: JobSpec, nodes: int) -> str:
    found = []
    if gpus := _gpus(spec):
        part = ""
        if spec.gpu_share_milli is not None and spec.gpu_share_milli < 1000:
            part = f" of {spec.gpu_share_milli / 1000:g} each"
        elif spec.gpu_memory_bytes is not None:
            part = f" with {units.size(spec.gpu_memory_bytes)} each"
        model = f" {spec.gpu_model}" if spec.gpu_model else ""
        found.append(f"{gpus * nodes}{model} GPU{'s' if gpus * nodes != 1 else ''}{part}")
    if spec.cpu_milli is not None:
        cores = spec.cpu_milli * nodes / 1000
        found.append(f"{cores:g} core{'s' if cores != 1 else ''}")
    if spec.memory_bytes is not None:
        found.append(f"{units.size(spec.memory_bytes * nodes)} of memory")
    return ", ".join(found)


def _gpus(spec: JobSpec) -> int:
    part = spec.gpu_share_milli is not None or spec.gpu_memory_bytes is not None
    return spec.gpus if spec.gpus is not None else 1 if part else 0
