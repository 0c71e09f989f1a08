"""What a waiting run needs, ready to be placed; or, in words, why no place is looked for.

A run that waits for something else than room (a hold, a time, another run, a limit) is left alone:
no node would make it start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.run import HOLDING, Run, RunState
from foundry_tui.estate.run import Request as Asked
from scheduler_sim.cluster import Request

MIB = 1 << 20

ROOM = re.compile(r"(Resources|Priority|Partition\w*|ReqNodeNotAvail|Nodes_?\w*|NodeDown|None)\b.*")
"""Slurm's words for waiting that another place, or another partition, could end."""

BARRED = re.compile(r"(?i).*(quota|limit|held|suspend|depend|image|secret|invalid).*")
"""In other schedulers' words, whose list is open: waiting that no place would end."""

_THROTTLE = re.compile(r"%(\d+)$")
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Stock:
    """What the devices of a source are, as far as is known.

    `device_bytes` are the sizes of their memories, ascending; `instance_milli` the thousandths of
    a GPU that a MIG instance is, by profile.
    """

    device_bytes: tuple[int, ...] = ()
    instance_milli: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A waiting run as the placement sees it.

    `request` is what it needs on each of `nodes` nodes; `tasks` of its `run.count` may start now.
    `features`, `names`, `refused`, `device_bytes` and `profile` narrow the nodes, as in
    `arrays.Where`. A run that asks for MIG instances asks for no devices: for `instances` of them,
    together `instance_milli` thousandths of a GPU, on each node.
    """

    run: Run
    request: Request
    nodes: int
    tasks: int
    features: tuple[tuple[str, ...], ...] = ()
    names: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    device_bytes: int | None = None
    profile: str | None = None
    instances: int = 0
    instance_milli: int = 0

    @property
    def gpu_milli(self) -> int:
        """Thousandths of GPU of one task, over all its nodes."""
        return self.nodes * (self.request.total_milli + self.instance_milli)

    @property
    def share(self) -> bool:
        """Whether it asks for less than a whole device."""
        return self.request.gpus > 0 and self.request.gpu_milli < WHOLE_MILLI


def in_order(runs: Iterable[Run], tier: Mapping[str, int]) -> list[Run]:
    """Waiting runs as the scheduler looks at them: queue tier, priority, then age.

    `tier` gives the queues' own priorities by name, for the runs of one source.
    """

    def key(run: Run) -> tuple[int, int, float, str]:
        best = max((tier.get(q, 0) for q in run.queues), default=0)
        since = run.submitted_at.timestamp() if run.submitted_at else float("inf")
        return -best, -(run.priority or 0), since, run.id

    return sorted((r for r in runs if r.state is RunState.PENDING), key=key)


def running_tasks(runs: Iterable[Run]) -> dict[str, int]:
    """How many tasks of each array hold resources now; the runs are of one source."""
    found: dict[str, int] = {}
    for run in runs:
        if run.array is not None and run.state in HOLDING:
            found[run.array.job_id] = found.get(run.array.job_id, 0) + run.count
    return found


def demands(
    run: Run,
    now: datetime,
    active: Mapping[str, int],
    stock: Stock,
    refused: tuple[str, ...] = (),
) -> tuple[Demand, ...] | str:
    """What the run needs, or why it is not proposed.

    There are several answers for a run that asks for GPU memory: one for each size of device.
    `active` is from `running_tasks`; `refused` names nodes that the scheduler refuses it.
    """
    other = waits_for(run, now)
    if other is not None:
        return other
    if run.count < 1 or run.request.nodes < 1:
        return f"it asks for {run.count} tasks on {run.request.nodes} nodes, which makes no sense"
    limit_s = run.request.time_limit_s
    if limit_s is not None and limit_s < 1:
        return f"its time limit of {limit_s} s makes no sense"
    tasks = _startable(run, active)
    if tasks < 1:
        return f"its array runs as many tasks at once as it may ({run.array and run.array.tasks})"
    ways = _ways(run, stock)
    if isinstance(ways, str):
        return ways
    words = run.native or {}
    cut = set(words.get("truncated", "").split(",")) & {"features", "required_nodes", "partition"}
    if cut:
        return f"what it asks for was too long to be read whole ({', '.join(sorted(cut))})"
    if words.get("reservation"):
        return f"it runs in the reservation {words['reservation']}, which is not reckoned with"
    features = groups(words.get("features", ""))
    if features is None:
        return f"its constraint {words['features']!r} is beyond what is reckoned with"
    names = tuple(n for n in words.get("required_nodes", "").split(",") if n)
    nodes = run.request.nodes
    if names and (len(names) != nodes or not all(_NAME.fullmatch(n) for n in names)):
        return f"it is bound to the nodes {','.join(names)}"
    return tuple(
        Demand(
            run=run,
            request=way.request,
            nodes=nodes,
            tasks=tasks,
            features=features,
            names=names,
            refused=refused,
            device_bytes=way.device_bytes,
            profile=way.profile,
            instances=way.instances,
            instance_milli=way.instances * stock.instance_milli.get(way.profile or "", 0),
        )
        for way in ways
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """A request on each node, and the devices that it is meant for."""

    request: Request
    device_bytes: int | None = None
    profile: str | None = None
    instances: int = 0


def _ways(run: Run, stock: Stock) -> tuple[_Way, ...] | str:
    asked, nodes = run.request, run.request.nodes
    if asked.mig_profile is not None:
        if asked.gpu_count < 1 or asked.gpu_count % nodes:
            return f"{asked.gpu_count} MIG instances cannot be spread evenly over {nodes} nodes"
        if asked.mig_profile not in stock.instance_milli:
            return f"no node that takes runs is cut into MIG instances {asked.mig_profile}"
        rest = per_node(replace(asked, gpu_count=0, gpu_milli=0, mig_profile=None), run.scheduler)
        if isinstance(rest, str):
            return rest
        return (_Way(rest, profile=asked.mig_profile, instances=asked.gpu_count // nodes),)
    if asked.gpu_memory_bytes is not None and asked.gpu_milli is None:
        return _by_memory(run, stock)
    request = per_node(asked, run.scheduler)
    return request if isinstance(request, str) else (_Way(request),)


def _by_memory(run: Run, stock: Stock) -> tuple[_Way, ...] | str:
    """One way for each size of device that has the memory, the smallest first.

    A share is rounded up to hundredths, as KAI and Run:ai reckon it.
    """
    asked, wanted = run.request, run.request.gpu_memory_bytes or 0
    if wanted < 1 or asked.gpu_count < 1:
        return f"{wanted} bytes of GPU memory on {asked.gpu_count} GPUs make no sense"
    if not stock.device_bytes:
        return "GPU memory is asked for in bytes, and no device's memory is known"
    ways = []
    for size in stock.device_bytes:
        milli = 10 * -(-100 * wanted // size)
        if milli <= WHOLE_MILLI:
            sized = replace(asked, gpu_milli=milli * asked.gpu_count, gpu_memory_bytes=None)
            request = per_node(sized, run.scheduler)
            if isinstance(request, str):
                return request
            ways.append(_Way(request, device_bytes=size))
    most = stock.device_bytes[-1] / (1 << 30)
    return tuple(ways) or f"no device has so much memory: the largest has {most:.4g} GiB"


def waits_for(run: Run, now: datetime) -> str | None:
    """What else than room the run waits for; None when room is all it needs."""
    reason = run.reason or "None"
    if run.held or reason.startswith("JobHeld"):
        return "it is held; release it first"
    if reason.startswith("Dependency") or (
        reason == "None" and (run.native or {}).get("dependency")
    ):
        after = (run.native or {}).get("dependency")
        return f"it waits for other runs ({after or reason})"
    if run.eligible_at is not None and run.eligible_at > now:
        return f"it may not begin before {run.eligible_at:%Y-%m-%d %H:%M} UTC"
    room = ROOM.fullmatch(reason) if run.scheduler == "slurm" else not BARRED.fullmatch(reason)
    return None if room else f"no place would start it: the scheduler's reason is {reason}"


def _startable(run: Run, active: Mapping[str, int]) -> int:
    """How many of the tasks the array's throttle lets start now."""
    throttle = _THROTTLE.search(run.array.tasks) if run.array else None
    if run.array is None or throttle is None:
        return run.count
    most = int(throttle[1])
    return min(run.count, most - active.get(run.array.job_id, 0))


def per_node(asked: Asked, scheduler: str) -> Request | str:
    """The request on each node, or in words why it cannot be reckoned with.

    CPU or memory that a run does not name counts as none.
    """
    for name in ("gpu_count", "gpu_milli", "cpu_milli", "memory_bytes"):
        if (getattr(asked, name) or 0) < 0:
            return f"{name}: it asks for {getattr(asked, name)}, and less than none is nothing"
    if asked.mig_profile is not None or (asked.gpu_memory_bytes and asked.gpu_milli is None):
        return "its part of a GPU depends on the device"
    if asked.gpu_milli and not asked.gpu_count:
        return f"{asked.gpu_milli} thousandths on no GPU is no possible share"
    each = asked.milli_per_gpu
    if asked.gpu_milli is None:
        return "which share of a GPU it asks for is not known"
    nodes = max(1, asked.nodes)
    if asked.gpu_count % nodes:
        return f"{asked.gpu_count} GPUs cannot be spread evenly over {nodes} nodes"
    each = WHOLE_MILLI if each is None else each
    if not 1 <= each <= WHOLE_MILLI:
        return f"{asked.gpu_milli} thousandths on {asked.gpu_count} GPUs is no possible share"
    if scheduler == "slurm" and each < WHOLE_MILLI and asked.gpu_count > nodes:
        return "its share is larger than one GPU, and a share never spans two"
    return Request(
        gpus=asked.gpu_count // nodes,
        gpu_milli=each,
        cpu_milli=-(-(asked.cpu_milli or 0) // nodes),
        memory_mib=-(-(asked.memory_bytes or 0) // (nodes * MIB)),
        models=(asked.gpu_model,) if asked.gpu_model and asked.gpu_count else (),
    )


def groups(constraint: str) -> tuple[tuple[str, ...], ...] | None:
    """A constraint as groups of alternatives; None for what is not plain `a&b` or `a|b`."""
    if not constraint:
        return ()
    if "|" in constraint:
        names = [tuple(constraint.split("|"))]
    else:
        names = [(name,) for name in re.split("[&,]", constraint)]
    plain = all(_NAME.fullmatch(name) for group in names for name in group)
    return tuple(names) if plain else None
