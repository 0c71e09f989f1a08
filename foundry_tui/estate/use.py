"""What each run does on its GPUs, told apart from the others on them; and what each node does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from foundry_tui.estate.gpu import Gpu, GpuSlice, Share
from foundry_tui.estate.matched import RunUse
from foundry_tui.estate.node import Node
from foundry_tui.estate.run import HOLDING, Attribution, Run

EXPLAINED_PCT = 10.0
"""The driver's figures for processes and for their device differ by so much of themselves."""

_ORDER = (Attribution.WHOLE, Attribution.PROCESS, Attribution.JOINT)
"""How sure a figure is, the surest way first."""

Work = Mapping[str, float | None]
"""Run -> SM utilisation of its processes on one GPU, in percent; None where it is not told."""


def on_device(gpu: Gpu, util_pct: float | None, work: Work | None) -> dict[str, RunUse]:
    """What each tenant does of a GPU that does `util_pct`; their sum is never more than that.

    Args:
        gpu: with its tenants.
        util_pct: of the whole device.
        work: of every run that was seen on it, strangers too; None where nobody looks at processes.

    A run that is alone has the device's figure. Others are told apart by their processes, as long
    as these explain what the device does; a tenant without a process then does nothing. Failing
    that the figure is split by what each holds, and says so.
    """
    tenants = gpu.tenants
    if not tenants:
        return {}
    runs = gpu.runs
    if Share.MIG in [t.share for t in tenants]:
        return on_slices(gpu.slices)
    alone = len(runs) == 1 and (not work or work.keys() == {runs[0]})
    if util_pct is not None and (alone or util_pct == 0.0):
        return {run: RunUse(util_pct, Attribution.WHOLE) for run in runs}
    told = _by_process(runs, util_pct, work) if work is not None else None
    if told is not None:
        return told
    if util_pct is None:
        return {}
    held: dict[str, int] = {}
    for tenant in tenants:
        held[tenant.run] = held.get(tenant.run, 0) + tenant.milli
    total = sum(held.values())
    if not total:
        return {}
    return {r: RunUse(util_pct * m / total, Attribution.JOINT) for r, m in held.items()}


def on_slices(slices: Iterable[GpuSlice]) -> dict[str, RunUse]:
    """What each run does of the MIG instances it holds, in percent of these."""
    found: dict[str, list[float | None]] = {}
    for one in slices:
        if one.run is not None:
            found.setdefault(one.run, []).append(one.util_pct)
    return {
        run: RunUse(sum(known) / len(known), Attribution.WHOLE)
        for run, told in found.items()
        if len(known := [v for v in told if v is not None]) == len(told)
    }


def _by_process(
    runs: Sequence[str], util_pct: float | None, work: Work
) -> dict[str, RunUse] | None:
    known = {run: value for run, value in work.items() if value is not None}
    total = sum(known.values())
    most = 100.0 if util_pct is None else util_pct
    everybody = all(run in known for run in runs)
    explained = util_pct is not None and total >= util_pct - EXPLAINED_PCT
    if len(known) < len(work) or not (everybody or explained):
        return None
    scale = most / total if total > most else 1.0
    return {r: RunUse(known.get(r, 0.0) * scale, Attribution.PROCESS) for r in runs}


def by_run(uses: Iterable[tuple[Gpu, Mapping[str, RunUse]]]) -> dict[str, RunUse]:
    """The mean of each run over all of its GPUs; nothing for a run with one that is unknown."""
    found: dict[str, RunUse | None] = {}
    several: dict[str, list[RunUse | None]] = {}
    for gpu, on_it in uses:
        for run in gpu.runs:
            here = on_it.get(run)
            if run in found:
                several.setdefault(run, [found[run]]).append(here)
            else:
                found[run] = here
    found.update((run, _mean(parts)) for run, parts in several.items())
    return {run: use for run, use in found.items() if use is not None}


def _mean(parts: Sequence[RunUse | None]) -> RunUse | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    weakest = max((part.how for part in known), key=_ORDER.index)
    return RunUse(sum(part.util_pct for part in known) / len(known), weakest)


def holds_all_known(run: Run) -> bool:
    """Whether a run holds GPUs now and the scheduler told all of them."""
    return run.state in HOLDING and all(part.gpus is not None for part in run.placement)


def on_node(node: Node, gpus: Sequence[Gpu]) -> Node | None:
    """The node with the mean of its GPUs, and of how many that is; None where one is not measured.

    A GPU with a grave fault may tell nothing: it is left out instead of hiding the others.
    """
    known = [gpu.util_pct for gpu in gpus if gpu.util_pct is not None]
    mute = sum(gpu.util_pct is None and any(f.grave for f in gpu.faults) for gpu in gpus)
    if not known or len(known) + mute < len(gpus):
        return None
    return replace(node, gpu_util_pct=sum(known) / len(known), gpu_measured_count=len(known))
