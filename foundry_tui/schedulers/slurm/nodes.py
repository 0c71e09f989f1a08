"""Nodes and their GPUs from `scontrol --details show nodes`, the GPUs filled with their tenants.

The node's own list of used devices (`GresUsed`) is held against the jobs': a device that is in use
by no job this user may see has unknown tenants, not none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu, Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.slurm.jobs import moment
from foundry_tui.schedulers.slurm.rows import Held
from foundry_tui.schedulers.slurm.tres import (
    SHARES,
    Worth,
    count,
    parse_gres,
    parse_tres,
    size_bytes,
)

BUSY = frozenset({"MIXED", "ALLOCATED", "COMPLETING"})
BASE = {
    "IDLE": NodeState.IDLE,
    "MIXED": NodeState.MIXED,
    "ALLOCATED": NodeState.ALLOCATED,
    "COMPLETING": NodeState.MIXED,
    "RESERVED": NodeState.RESERVED,
    "DOWN": NodeState.DOWN,
    "ERROR": NodeState.DOWN,
    "FUTURE": NodeState.DOWN,
}
GONE = frozenset(
    {"DOWN", "NOT_RESPONDING", "POWERED_DOWN", "POWERING_DOWN", "POWER_DOWN", "INVALID_REG"}
)

_FIELD = re.compile(r"(?:^| )([A-Za-z]+)=(\S*)")
_REASON = re.compile(r" Reason=(.*?)(?: \[(\S+)@(\S+)\])?(?=$| [A-Z][A-Za-z]*=)")
HIDDEN = "in use by a run that this user may not see, or that Slurm did not tell of"


class RawNode:
    """One line of `scontrol show nodes`: its words, with the gres already parsed."""

    __slots__ = ("gres", "line", "name", "used", "words", "worth")

    def __init__(self, line: str) -> None:
        self.line = line
        self.words: dict[str, str] = {}
        for key, value in _FIELD.findall(line):
            self.words.setdefault(key, value)
        self.name = self.words["NodeName"]
        self.gres = parse_gres(self.words.get("Gres", ""))
        self.used = parse_gres(self.words.get("GresUsed", ""))
        self.worth = Worth.of(self.gres)


def parse_nodes(text: str) -> tuple[RawNode, ...]:
    """The lines of `scontrol -d -o show nodes`."""
    return tuple(RawNode(line) for line in text.split("\n") if line.startswith("NodeName="))


def state(raw: RawNode) -> NodeState:
    """One word for Slurm's base state and flags: an administrative state wins."""
    words = raw.words.get("State", "UNKNOWN").replace("*", "+NOT_RESPONDING")
    flags = {w.rstrip("~#%$@^-!*") for w in words.split("+")}
    base = words.split("+")[0].rstrip("~#%$@^-!*")
    if flags & GONE:
        return NodeState.DOWN
    if flags & {"DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING"}:
        return NodeState.DRAINING if base in BUSY else NodeState.DRAINED
    if flags & {"MAINT", "MAINTENANCE"}:
        return NodeState.MAINTENANCE
    if "RESERVED" in flags:
        return NodeState.RESERVED
    return BASE.get(base, NodeState.UNKNOWN)


def to_node(raw: RawNode, source: str, read_at: datetime) -> Node:
    """The noun of one line."""
    words = raw.words
    total = parse_tres(words.get("CfgTRES", ""))
    gpus = [g for g in raw.gres if g.name == "gpu"]
    models = sorted({g.model for g in gpus if g.model})
    reason, _, since = to_reason(raw)
    cpus = words.get("CPUEfctv") or words.get("CPUTot") or ""
    allocated = words.get("CPUAlloc") or ""
    return Node(
        name=safe(raw.name),
        source=source,
        state=state(raw),
        gpu_model=safe("+".join(models)) if models else None,
        gpu_count=sum(g.count for g in gpus) or count(total, "gpu"),
        gpu_milli_allocated=used_milli(raw),
        cpu_milli=1000 * int(cpus) if cpus.isdigit() else None,
        cpu_milli_allocated=1000 * int(allocated) if allocated.isdigit() else None,
        memory_bytes=size_bytes(words.get("RealMemory")),
        memory_bytes_allocated=size_bytes(words.get("AllocMem")),
        features=tuple(
            f for f in safe(words.get("AvailableFeatures", "")).split(",") if f and f != "(null)"
        ),
        queues=tuple(q for q in safe(words.get("Partitions", "")).split(",") if q),
        reason=safe(reason) if reason else None,
        reason_since=moment(since),
        read_at=read_at,
    )


def to_reason(raw: RawNode) -> tuple[str, str, str]:
    """Why a node is drained or down, who set it and when, as Slurm has them; empty when unset."""
    found = _REASON.search(raw.line)
    return (found[1] or "", found[2] or "", found[3] or "") if found else ("", "", "")


def used_milli(raw: RawNode) -> int | None:
    """Thousandths of GPU that are allocated on a node; None where a share's worth is unknown."""
    used, total = parse_tres(raw.words.get("AllocTRES", "")), 0
    for name in SHARES:
        amount = count(used, name)
        part = raw.worth.milli(name, amount) if amount else 0
        if part is None:
            return None
        total += part
    return total


def to_gpus(
    raw: RawNode, held: Mapping[int, list[Tenant]], source: str, read_at: datetime
) -> Iterator[Gpu]:
    """The node's GPUs with the tenants that the jobs named."""
    in_use = {i for g in raw.used if g.count for i in g.indices or ()}
    index = 0
    for gres in raw.gres:
        if gres.name != "gpu":
            continue
        for _ in range(gres.count):
            tenants = held.get(index, [])
            hidden = index in in_use and not tenants
            yield Gpu(
                node=safe(raw.name),
                index=index,
                source=source,
                model=safe(gres.model) if gres.model else None,
                tenants=None if hidden else tuple(tenants),
                how=HIDDEN if hidden else None,
                read_at=read_at,
            )
            index += 1


def tenants(
    held: Iterable[tuple[str, tuple[Held, ...]]], worth: Mapping[str, Worth]
) -> dict[str, dict[int, list[Tenant]]]:
    """Per node and device index the tenants, from (run id, what it holds) pairs.

    A gres on several devices is split evenly, the remainder on the first. What Slurm names no
    index for is left to the node's own figure.
    """
    found: dict[str, dict[int, list[Tenant]]] = {}
    for run, items in held:
        for item in items:
            amount = worth.get(item.node, Worth()).milli(item.name, item.count)
            if not item.indices or amount is None:
                continue
            each, rest = divmod(amount, len(item.indices))
            for place, index in enumerate(item.indices):
                milli = min(WHOLE_MILLI, each + (rest if place == 0 else 0))
                share = SHARES.get(item.name, Share.WHOLE)
                found.setdefault(item.node, {}).setdefault(index, []).append(
                    Tenant(run, milli, share)
                )
    return found
