"""Directives that ask for amounts. What they come to together is worked out in `amounts`."""

from __future__ import annotations

from foundry_tui.migration.amounts import Amounts
from foundry_tui.migration.draft import Draft
from foundry_tui.migration.nouns import Class
from foundry_tui.migration.script import Given

_GPU_MILLI = 1000
_GB = 10**9
_MPS_WHOLE = 100
"""Slurm's default: 100 units of MPS are a GPU."""


def nodes(draft: Draft, given: Given) -> None:
    found = draft.amounts
    if found.most is None:
        draft.fields["nodes"] = found.nodes
        return draft.say(given, f"nodes: {found.nodes}", "a pod for each node", Class.OK)
    draft.fields["nodes"] = found.nodes
    why = "Slurm gives as many as are free; here the fewest, unless torchrun starts the processes"
    return draft.say(given, f"nodes: {found.nodes}", why, Class.APPROXIMATED)


def implied_nodes(draft: Draft) -> None:
    """Nodes that other options ask for, such as 16 tasks with 8 on each node."""
    if draft.amounts.nodes > 1 and "nodes" not in draft.options:
        count = draft.fields["nodes"] = draft.amounts.nodes
        why = "no option says how many: the fewest that tasks, GPUs and hosts allow"
        draft.tell(None, "nodes", "", f"nodes: {count}", why, Class.APPROXIMATED)


def gpus(draft: Draft, given: Given) -> None:
    found = draft.amounts
    if found.mixed or found.models:
        wanted = "whole GPUs and a share" if found.mixed else " and ".join(found.models)
        why = f"{wanted} for one job: a pod has GPUs of one kind; make a run of each"
        return draft.say(given, "nothing", why, Class.MANUAL, keep=True, blocks=True)
    if given.name in found.uneven:
        _gpus(draft, found)
        why = f"they do not divide by {found.nodes} nodes: every pod gets the larger number"
        return draft.say(given, f"gpus: {found.gpus}", why, Class.APPROXIMATED, keep=True)
    if found.share is not None:
        return _share(draft, given, *found.share)
    if found.mig is not None:
        draft.fields["gpus"] = found.gpus
        size = int(found.mig.partition(".")[2].removesuffix("gb"))
        draft.fields["gpu_memory_bytes"] = size * _GB
        why = "a part of a GPU with as much memory; which MIG profile, the cluster decides"
        became = f"gpus: {found.gpus}, gpu_memory: {size}G"
        return draft.say(given, became, why, Class.APPROXIMATED, keep=True)
    if found.foreign:
        _gpus(draft, found)
        why = f"there is no counterpart of {', '.join(found.foreign)}"
        became = "nothing" if found.gpus is None else f"gpus: {found.gpus}"
        return draft.say(given, became, why, Class.LOST, keep=True)
    _gpus(draft, found)
    became = f"gpus: {found.gpus or 0}" + (f", gpu_model: {found.model}" if found.model else "")
    if found.model and "partition" not in draft.options:
        why = "the model is chosen by a node pool, and no partition names one"
        return draft.say(given, became, why, Class.MANUAL)
    if found.model:
        why = "on each node; the model is that of the node pool: see that it has no other"
        return draft.say(given, became, why, Class.TABLE)
    return draft.say(given, became, "on each node", Class.OK)


def _gpus(draft: Draft, found: Amounts) -> None:
    draft.fields["gpus"] = found.gpus
    if found.model and found.gpus:
        draft.fields["gpu_model"] = found.model


def _share(draft: Draft, given: Given, kind: str, count: int) -> None:
    whole = _MPS_WHOLE if kind == "mps" else draft.tables.shards_per_gpu
    if whole is None:
        why = "how much of a GPU a shard is, the site knows: give `shards_per_gpu` in the tables"
        return draft.say(given, "nothing", why, Class.MANUAL, keep=True, blocks=True)
    milli = max(1, min(_GPU_MILLI, count * _GPU_MILLI // whole))
    draft.fields["gpus"] = 1
    draft.fields["gpu_share_milli"] = milli
    why = (
        "Slurm shares the time of the GPU, a fraction keeps its memory apart"
        if kind == "shard"
        else "a share of the GPU's threads becomes one of its memory and time"
    )
    became = f"gpus: 1, gpu_share: {milli / _GPU_MILLI:g}"
    return draft.say(given, became, why, Class.APPROXIMATED, keep=True)


def tasks(draft: Draft, given: Given) -> None:
    found = draft.amounts
    became = f"{found.tasks} on each node"
    if given.name in found.uneven:
        why = f"they do not divide by {found.nodes} nodes: every pod starts the larger number"
        return draft.say(given, became, why, Class.APPROXIMATED)
    if given.name == "ntasks" and found.ntasks > 1 and found.nodes == 1 and _free(draft):
        why = "Slurm may spread them over nodes; here one pod has all: else say --nodes"
        return draft.say(given, became, why, Class.APPROXIMATED)
    if found.tasks == 1:
        return draft.say(given, became, "one process in each pod", Class.OK)
    why = "processes of one pod: how they are started follows from the program"
    return draft.say(given, became, why, Class.OK)


def _free(draft: Draft) -> bool:
    return "nodes" not in draft.options and "ntasks-per-node" not in draft.options


def cpus(draft: Draft, given: Given) -> None:
    found = draft.amounts
    draft.fields["cpu_milli"] = found.cpu_milli
    shown = "nothing" if found.cpu_milli is None else f"cpus: {found.cpu_milli // 1000}"
    return draft.say(given, shown, "of all tasks of a node together", Class.OK)


def memory(draft: Draft, given: Given) -> None:
    found = draft.amounts
    if found.memory_bytes is None:
        why = "all the memory of a node: a pod has to say how much, else it gets the default"
        return draft.say(given, "nothing", why, Class.APPROXIMATED, keep=True)
    draft.fields["memory_bytes"] = found.memory_bytes
    became = f"memory: {found.memory_bytes // (1 << 20)}Mi"
    why = "on each node; Slurm ends what takes more, here it is what is kept for the pod"
    return draft.say(given, became, why, Class.OK)


def exclusive(draft: Draft, given: Given) -> None:
    if given.value in ("user", "mcs"):
        why = "who shares a node with whom cannot be said"
        return draft.say(given, "dropped", why, Class.LOST, keep=True)
    why = "a node of one's own is not promised; ask for all of its GPUs, then nobody shares them"
    return draft.say(given, "options.slurm", why, Class.APPROXIMATED, keep=True)


def scratch(draft: Draft, given: Given) -> None:
    why = "a pod writes to the disk of its node too, but no size is kept for it"
    return draft.say(given, "options.slurm", why, Class.APPROXIMATED, keep=True)
