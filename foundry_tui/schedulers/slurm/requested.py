"""What the options of a batch script ask for: GPUs, cores, memory, nodes and time, as totals."""

from __future__ import annotations

import re

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.run import Request
from foundry_tui.schedulers.slurm.directives import HETJOB, DirectiveError, quoted, time_limit_s
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.tres import SHARES, UNITS, Gres

_NUMBER = re.compile(r"[0-9]{1,9}")
_NODES = re.compile(r"([0-9]{1,9})([kKmM]?)(?:[-,:][0-9kKmM,:-]*)?")
_MEMORY = re.compile(r"([0-9]{1,12})(?:([kKmMgGtT])[bB]?)?")
_GRES = re.compile(
    r"(?:gres[:/])?([^:=/,()\s]+)(?:[:/]([^:=,()\s]*[^0-9:=,()\s][^:=,()\s]*))?"
    r"(?:[:=]([0-9]{1,9})([kKmMgGtTpP]?))?"
)
_MIG = re.compile(r"[0-9]+g\.[0-9]+gb", re.IGNORECASE)


def request_of(options: dict[str, str]) -> Request:
    """What a job with these options asks for, as totals over its nodes.

    Of a range of nodes the smallest number counts; without `--nodes` the fewest that the other
    options allow. `--mem=0` (all of a node), `--exclusive` (whole nodes) and limits of a partition
    are not in the options, so what they add is not counted. A share (shard, MPS) is one device per
    node, its thousandths are None, because only the node tells what a shard is worth; so it is for
    MIG profiles.

    Raises:
        DirectiveError: a value of another form, or a heterogeneous job, whose parts differ.
    """
    if HETJOB in options:
        raise DirectiveError("hetjob: the components of the job ask for different things")
    per_job = _gpus(options, "gpus")
    per_node = _gpus(options, "gpus-per-node")
    per_task = _gpus(options, "gpus-per-task") or _devices(options, "tres-per-task")
    on_node = per_node or _devices(options, "gres")
    on_socket = _gpus(options, "gpus-per-socket")
    nodes = _nodes(options, _total(per_job), _total(per_node))
    tasks = _tasks(options, nodes, _total(per_job), _total(per_task))
    sockets = nodes * _number(options, "sockets-per-node", 1)
    wanted = ((per_job, 1), (on_node, nodes), (per_task, tasks), (on_socket, sockets))
    gpus, times = next((pair for pair in wanted if pair[0]), ((), 1))
    shared = any(item.name != "gpu" for item in gpus)
    count = times * _total(gpus) + (nodes if shared else 0)
    models = {item.model for item in gpus if item.model}
    model = models.pop() if len(models) == 1 else None
    mig = _MIG.search(model or "")
    cpus = tasks * _number(options, "cpus-per-task", 1)
    if "cpus-per-gpu" in options:
        cpus = count * _number(options, "cpus-per-gpu", 1)
    return Request(
        gpu_count=count,
        gpu_milli=None if shared or mig else WHOLE_MILLI * count,
        gpu_model=(model[: mig.start()].rstrip("_.") or None) if model and mig else model,
        mig_profile=mig[0].lower() if mig else None,
        nodes=nodes,
        cpu_milli=1000 * cpus,
        memory_bytes=_memory(options, nodes, cpus, count),
        time_limit_s=_limit(options.get("time")),
    )


def _nodes(options: dict[str, str], gpus: int, gpus_per_node: int) -> int:
    text = options.get("nodes")
    if text is not None:
        match = _NODES.fullmatch(text)
        if match is None:
            raise DirectiveError(f"--nodes: {quoted(text)} is no number of nodes")
        return max(1, int(match[1]) * (UNITS[match[2].upper()] if match[2] else 1))
    least = [1]
    hosts = options.get("nodelist", "")
    if hosts and "/" not in hosts:  # with a slash it is a file that lists the hosts
        try:
            least.append(len(expand(hosts)))
        except (ValueError, RecursionError) as error:
            raise DirectiveError(f"--nodelist: {error}") from error
    if per_node := _number(options, "ntasks-per-node", 0):
        least.append(-(-_number(options, "ntasks", 1) // per_node))
    if gpus_per_node:
        least.append(-(-gpus // gpus_per_node))
    return max(least)


def _tasks(options: dict[str, str], nodes: int, gpus: int, gpus_per_task: int) -> int:
    if "ntasks" in options:
        return max(1, _number(options, "ntasks", 1))
    if "ntasks-per-node" in options:
        return nodes * max(1, _number(options, "ntasks-per-node", 1))
    if gpus and "ntasks-per-gpu" in options:
        return max(1, gpus * _number(options, "ntasks-per-gpu", 1))
    if gpus and gpus_per_task:
        return max(1, gpus // gpus_per_task)
    return nodes


def _memory(options: dict[str, str], nodes: int, cpus: int, gpus: int) -> int | None:
    for name, times in (("mem", nodes), ("mem-per-cpu", cpus), ("mem-per-gpu", gpus)):
        if name in options:
            match = _MEMORY.fullmatch(options[name])
            if match is None:
                text = quoted(options[name])
                raise DirectiveError(f"--{name}: {text} is no size, such as 4000 or 16G")
            return times * int(match[1]) * UNITS[(match[2] or "M").upper()] or None
    return None


def _limit(text: str | None) -> int | None:
    """Slurm counts whole minutes, and a limit of 0 asks for none."""
    try:
        seconds = time_limit_s(text) if text is not None else None
    except ValueError as error:
        raise DirectiveError(f"--{error}") from error
    return -(-seconds // 60) * 60 if seconds else None


def _gpus(options: dict[str, str], name: str) -> tuple[Gres, ...]:
    """`4`, `h100:4` or `h100:2,a100:1`."""
    if name not in options:
        return ()
    return tuple(_gres(name, f"gpu:{part}") for part in options[name].split(","))


def _devices(options: dict[str, str], name: str) -> tuple[Gres, ...]:
    """The GPUs, shards and MPS units in `gpu:h100:2,nic:1`; what else stands there is left out."""
    text = options.get(name, "")
    if not text or text.casefold() == "none":
        return ()
    found = (_gres(name, part) for part in text.split(","))
    return tuple(item for item in found if item.name in SHARES)


def _gres(option: str, text: str) -> Gres:
    match = _GRES.fullmatch(text)
    if match is None:
        raise DirectiveError(f"--{option}: {quoted(text)} is no resource, such as gpu:h100:2")
    name, model, number, unit = match.groups()
    return Gres(name, model, int(number or 1) * UNITS[(unit or "").upper()])


def _total(items: tuple[Gres, ...]) -> int:
    return sum(item.count for item in items if item.name == "gpu")


def _number(options: dict[str, str], name: str, default: int) -> int:
    text = options.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise DirectiveError(f"--{name}: {quoted(text)} is no number")
    return int(text)
