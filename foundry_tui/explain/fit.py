"""Whether a run fits on nodes: ever, by their hardware, and now, by what is free.

A sketch of the scheduler's own test, enough to name the obstacle with numbers. What it does not
know (sockets, topology, reservations in time) is left to the scheduler's what-if.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.node import Node
from foundry_tui.explain import say
from foundry_tui.explain.case import Case

_FEATURES = re.compile(r"[\w.-]+(?:[&|,][\w.-]+)*")
_HOSTS = re.compile(r"([^,\[\]]+)(?:\[([\d,-]+)\])?(?:,|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a run needs of each of its `nodes`: devices, thousandths per device, CPU and memory.

    `spread` means that the GPUs are asked for the whole run and may lie on any number of nodes;
    `gpus` is then their total.
    """

    nodes: int
    gpus: int
    milli: int
    model: str | None = None
    cpu_milli: int = 0
    memory_bytes: int = 0
    features: str = ""
    required: str = ""
    excluded: str = ""
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """One node against a demand.

    `lacks` says what the node can never give, `closed` why nothing starts on it now, `short` what
    is missing on it now. `free_gpus` counts the devices that could take the share asked for.
    """

    node: Node
    free_gpus: int
    lacks: str | None
    closed: str | None
    short: str | None
    must: bool = False

    @property
    def fits(self) -> bool:
        """Whether one node's part of the run could start here now."""
        return not (self.lacks or self.closed or self.short)


def demand(case: Case) -> Demand:
    """The run's demand; without details the totals are split evenly over its nodes."""
    request = case.run.request
    nodes = max(1, request.nodes)
    spread = bool(case.word("tres_per_job") or case.word("tres_per_task"))
    return Demand(
        nodes=nodes,
        gpus=request.gpu_count if spread else -(-request.gpu_count // nodes),
        milli=min(WHOLE_MILLI, request.milli_per_gpu or (1 if request.gpu_milli is None else 1000)),
        model=request.gpu_model,
        cpu_milli=-(-(request.cpu_milli or 0) // nodes),
        memory_bytes=-(-(request.memory_bytes or 0) // nodes),
        features=case.word("features"),
        required=case.word("required_nodes"),
        excluded=case.word("excluded_nodes"),
        spread=spread,
    )


def rooms(case: Case, nodes: Iterable[Node], wanted: Demand) -> tuple[Room, ...]:
    """Each node against the demand, those with most free GPUs first."""
    every = tuple(nodes)
    insisted = {n.name for n in every if wanted.required and named(wanted.required, n.name)}
    if 0 < len(insisted) < wanted.nodes:
        wanted = replace(wanted, required="")
    else:
        insisted = set()
    source = case.run.source
    groups: dict[str, list[Gpu]] = {}
    for gpu in case.snapshot.gpus:
        if gpu.source == source:
            groups.setdefault(gpu.node, []).append(gpu)
    found = [_room(node, groups.get(node.name), wanted, node.name in insisted) for node in every]
    return tuple(sorted(found, key=lambda r: (-r.free_gpus, r.node.name)))


def _room(node: Node, group: Sequence[Gpu] | None, wanted: Demand, must: bool) -> Room:
    free = free_gpus(node, group, wanted.milli)
    return Room(node, free, _lacks(node, wanted), _closed(node), _short(node, free, wanted), must)


def free_gpus(node: Node, group: Sequence[Gpu] | None, milli: int) -> int:
    """How many devices of the node can each take `milli` thousandths; 0 when that is unknown."""
    if not group:
        return (node.gpu_milli_free or 0) // WHOLE_MILLI
    if milli < WHOLE_MILLI and any(g.partitioned for g in group):
        return 0
    return sum(1 for g in group if not g.partitioned and g.milli_free >= milli)


def _lacks(node: Node, wanted: Demand) -> str | None:
    if wanted.required and not named(wanted.required, node.name):
        return "not in the node list asked for"
    if wanted.excluded and named(wanted.excluded, node.name):
        return "excluded"
    if not offers(node.features, wanted.features):
        return f"no feature {wanted.features}"
    if wanted.gpus and not node.gpu_count:
        return "no GPU"
    models = (node.gpu_model or "").casefold().split("+")
    if wanted.gpus and wanted.model and node.gpu_model and wanted.model.casefold() not in models:
        return f"{node.gpu_model} GPUs, not {wanted.model}"
    if not wanted.spread and node.gpu_count < wanted.gpus:
        return f"{say.counted(node.gpu_count, 'GPU')} of {wanted.gpus}"
    if node.cpu_milli is not None and node.cpu_milli < wanted.cpu_milli:
        return f"{say.counted(node.cpu_milli // 1000, 'CPU')} of {wanted.cpu_milli // 1000}"
    if node.memory_bytes is not None and node.memory_bytes < wanted.memory_bytes:
        return f"{say.size(node.memory_bytes)} of memory, of {say.size(wanted.memory_bytes)}"
    return None


def _closed(node: Node) -> str | None:
    if node.placeable:
        return None
    return f"{node.state.value} ({node.reason})" if node.reason else node.state.value


def _short(node: Node, free: int, wanted: Demand) -> str | None:
    if not wanted.spread and free < wanted.gpus:
        return f"{free} free {'GPU' if free == 1 else 'GPUs'}"
    cpu = (node.cpu_milli or 0) - (node.cpu_milli_allocated or 0)
    if node.cpu_milli is not None and cpu < wanted.cpu_milli:
        return f"{cpu // 1000} free CPUs"
    memory = (node.memory_bytes or 0) - (node.memory_bytes_allocated or 0)
    if node.memory_bytes is not None and memory < wanted.memory_bytes:
        return f"{say.size(max(0, memory))} of free memory"
    return None


def enough(found: Iterable[Room], wanted: Demand, *, now: bool) -> bool:
    """Whether these nodes can take the run: by their hardware, or `now` by what is free."""
    every = tuple(found)
    usable = [r for r in every if (r.fits if now else r.lacks is None)]
    if len(usable) < wanted.nodes or any(r.must and r not in usable for r in every):
        return False
    if not wanted.spread:
        return True
    return sum(r.free_gpus if now else r.node.gpu_count for r in usable) >= wanted.gpus


def roomy(case: Case, found: Iterable[Room], wanted: Demand) -> bool:
    """Whether the run fits now on nodes for which nobody with higher priority waits."""
    left = [
        replace(r, short=r.short or "promised") if r.node.name in case.promised else r
        for r in found
    ]
    return enough(left, wanted, now=True)


def open_rooms(found: Iterable[Room]) -> tuple[Room, ...]:
    """The nodes whose hardware suits and on which runs start."""
    return tuple(r for r in found if r.lacks is None and r.closed is None)


def constraints(wanted: Demand) -> tuple[tuple[str, str, Demand], ...]:
    """The demand without each of its choices of nodes: (field, what is given up, demand)."""
    return tuple(
        (field, what, relaxed)
        for field, text, what, relaxed in (
            (
                "nodelist",
                wanted.required,
                f"the node list {wanted.required}",
                replace(wanted, required=""),
            ),
            (
                "exclude",
                wanted.excluded,
                f"the excluded nodes {wanted.excluded}",
                replace(wanted, excluded=""),
            ),
            (
                "features",
                wanted.features,
                f"the feature {wanted.features}",
                replace(wanted, features=""),
            ),
        )
        if text
    )


def named(hosts: str, node: str) -> bool:
    """Whether a host list (`h[01-03,07],a1`) names the node."""
    for prefix, inside in _HOSTS.findall(hosts):
        if not inside:
            if prefix == node:
                return True
            continue
        number = node.removeprefix(prefix)
        if number == node or not number.isdigit():
            continue
        for piece in inside.split(","):
            first, _, last = piece.partition("-")
            if len(first) == len(number) and int(first) <= int(number) <= int(last or first):
                return True
    return False


def offers(features: Sequence[str], wanted: str) -> bool:
    """Whether a node with these features meets an expression of `&` and `|`.

    Counts and brackets (`[a|b]`, `a*2`) are for the scheduler alone: they are taken as met.
    """
    if not wanted or not _FEATURES.fullmatch(wanted):
        return True
    return any(
        all(word in features for word in re.split("[&,]", part)) for part in wanted.split("|")
    )
