"""What the options of a script come to on each node: GPUs, tasks, cores, memory. Pure.

Slurm counts for the job, for a node, for a task or for a GPU; a job spec counts for a node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from foundry_tui.schedulers.slurm.directives import DirectiveError
from foundry_tui.schedulers.slurm.requested import request_of

GPU_OPTIONS = (
    "gpus",
    "gpus-per-node",
    "gpus-per-task",
    "gpus-per-socket",
    "gres",
    "tres-per-task",
)
CPU_OPTIONS = ("cpus-per-task", "cpus-per-gpu", "ntasks", "ntasks-per-node")
MEMORY_OPTIONS = ("mem", "mem-per-cpu", "mem-per-gpu")
SHARES = ("shard", "mps")

_MIB = 1 << 20
_RANGE = re.compile(r"([0-9]+)-([0-9]+)")
_SHARE = re.compile(r"(?:gres[:/])?(shard|mps)[:/](?:[^:,]*[^0-9:,][^:,]*[:/])?([0-9]{1,9})")
_FOREIGN = re.compile(r"(?:gres[:/])?([^:=,]+)")
_DEVICE = re.compile(r"(?:^|,)(?:gres[:/])?gpu(?:[:=/](?:([A-Za-z][^:=,]*)|[^,]*))?")
_MODEL = re.compile(r"(?:^|,)([A-Za-z][^:,]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Amounts on each node; None is not said.

    `most` is the upper end of a range of nodes. `uneven` names the options that do not divide by
    the nodes. `share` is how many shards, or how much per cent of MPS, of one GPU are wanted;
    `mixed` says that whole GPUs are asked for beside it. `foreign` are generic resources that are
    no GPUs; `models` are those that are named, where they are several.
    """

    nodes: int = 1
    most: int | None = None
    tasks: int = 1
    gpus: int | None = None
    model: str | None = None
    mig: str | None = None
    share: tuple[str, int] | None = None
    mixed: bool = False
    foreign: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    cpu_milli: int | None = None
    memory_bytes: int | None = None
    uneven: tuple[str, ...] = ()

    @property
    def ntasks(self) -> int:
        """How many tasks there are in all."""
        return self.nodes * self.tasks


def amounts(options: Mapping[str, str]) -> Amounts:
    """What the options of a script come to.

    Raises:
        DirectiveError: a value that sbatch would not take.
    """
    asked = request_of(dict(options))
    nodes = asked.nodes or 1
    uneven: list[str] = []
    share = _SHARE.search(options.get("gres", ""))
    gpus = _gpus(options, asked.gpu_count or 0, nodes, uneven) if share is None else 1
    cpu_milli = None
    if _said(options, CPU_OPTIONS) or "ntasks-per-gpu" in options:
        cpu_milli = -(-(asked.cpu_milli or 0) // nodes // 1000) * 1000 or None
    memory = asked.memory_bytes
    found = _RANGE.fullmatch(options.get("nodes", ""))
    most = int(found[2]) if found is not None and int(found[2]) > nodes else None
    return Amounts(
        nodes=nodes,
        most=most,
        tasks=_tasks(options, nodes, gpus or 0, uneven),
        gpus=gpus,
        model=asked.gpu_model,
        mig=asked.mig_profile,
        share=(share[1], int(share[2])) if share is not None else None,
        mixed=share is not None and _whole(options),
        foreign=_foreign(options),
        models=_models(options),
        cpu_milli=cpu_milli,
        memory_bytes=None if not memory else -(-memory // nodes // _MIB) * _MIB,
        uneven=tuple(uneven),
    )


def _said(options: Mapping[str, str], names: tuple[str, ...]) -> bool:
    return any(name in options for name in names)


def _gpus(options: Mapping[str, str], total: int, nodes: int, uneven: list[str]) -> int | None:
    if not _said(options, GPU_OPTIONS):
        return None
    named = [name for name in GPU_OPTIONS if name in options]
    only_others = named == ["gres"] and total == 0 and options["gres"].casefold() != "none"
    if only_others and "gpu" not in options["gres"]:
        return None
    if total % nodes:
        uneven += named[:1]
    return -(-total // nodes)


def _tasks(options: Mapping[str, str], nodes: int, gpus: int, uneven: list[str]) -> int:
    if "ntasks-per-node" in options:
        return max(1, _number(options, "ntasks-per-node"))
    if "ntasks" in options:
        total = max(1, _number(options, "ntasks"))
        if total % nodes:
            uneven.append("ntasks")
        return -(-total // nodes)
    if "ntasks-per-gpu" in options and gpus:
        return max(1, gpus * _number(options, "ntasks-per-gpu"))
    return 1


def _number(options: Mapping[str, str], name: str) -> int:
    text = options[name]
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise DirectiveError(f"--{name}: {text[:60]!r} is no number")
    return int(text)


def _whole(options: Mapping[str, str]) -> bool:
    """Whether GPUs are asked for that are no shares."""
    named = _said(options, tuple(name for name in GPU_OPTIONS if name != "gres"))
    return named or _DEVICE.search(options.get("gres", "")) is not None


def _models(options: Mapping[str, str]) -> tuple[str, ...]:
    """The models of GPUs that the options name, where they are more than one."""
    named: dict[str, None] = {}
    for name in GPU_OPTIONS:
        form = _DEVICE if name in ("gres", "tres-per-task") else _MODEL
        named |= dict.fromkeys(model for model in form.findall(options.get(name, "")) if model)
    return tuple(named) if len(named) > 1 else ()


def _foreign(options: Mapping[str, str]) -> tuple[str, ...]:
    """Generic resources other than GPUs and their parts."""
    parts = [part for part in options.get("gres", "").split(",") if part]
    names = [found[1] for part in parts if (found := _FOREIGN.match(part)) is not None]
    return tuple(n for n in names if n not in ("gpu", *SHARES) and n.casefold() != "none")
