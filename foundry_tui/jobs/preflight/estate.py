"""What a spec asks for against what its queue may have and what its nodes are. Pure.

Only what the scheduler can never give fails: a queue that is full makes a run wait, and that is
said. With native `options` beside the fields nobody knows here which of them holds, so a failure
is a warning then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.jobs.amounts import WHOLE_MILLI
from foundry_tui.jobs.preflight.verdict import Check, State, fail, ok, skipped, warn
from foundry_tui.jobs.spec import JobSpec

SLURM = "slurm"
MAX_PARENTS = 16

_PIECES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run asks for of each node, with the fewest nodes; GPUs in thousandths in all.

    `gpu_milli` is None where memory of a GPU is asked for: which part that is depends on the GPU.
    """

    nodes: int
    gpus: int
    gpu_milli: int | None

    @property
    def words(self) -> str:
        """`16 GPUs (2 nodes with 8 each)`."""
        total = _gpus(self.gpu_milli or 0)
        return total if self.nodes == 1 else f"{total} ({self.nodes} nodes with {self.gpus} each)"


def asked(spec: JobSpec) -> Asked:
    """What a spec asks for; each task of an array for itself."""
    part = spec.gpu_share_milli is not None or spec.gpu_memory_bytes is not None
    gpus = spec.gpus if spec.gpus is not None else 1 if part else 0
    nodes = spec.nodes or 1
    milli = nodes * gpus * (spec.gpu_share_milli or WHOLE_MILLI)
    return Asked(nodes, gpus, None if spec.gpu_memory_bytes is not None else milli)


def check(spec: JobSpec, snapshot: Snapshot | None, source: str, kind: str) -> tuple[Check, ...]:
    """The checks of queue and nodes of one source."""
    if snapshot is None:
        return (skipped("queue", "the estate was not read"),)
    here = next((s for s in snapshot.sources if s.name == source), None)
    if here is not None and here.read_at is None:
        return (skipped("queue", f"{source} is {here.state}: {here.reason or 'nothing is known'}"),)
    checks = [*_queue_checks(spec, snapshot, source, kind), *_nodes(spec, snapshot, source, kind)]
    if not spec.native(source, kind):
        return tuple(checks)
    return tuple(_softer(check) for check in checks)


def _softer(check: Check) -> Check:
    if check.state is not State.FAIL:
        return check
    return replace(warn(check.name, f"{check.words}; unless `options` say otherwise"))


def _queue_checks(spec: JobSpec, snapshot: Snapshot, source: str, kind: str) -> tuple[Check, ...]:
    """Of several partitions that a run may start in, the one that suits it best is judged."""
    queues = [q for q in snapshot.queues if q.source == source]
    word = spec.queue.at(source, kind)
    if word is None:
        chosen = [q for q in queues if q.default]
        if not chosen:
            return (skipped("queue", f"none is named; {source} chooses"),)
    else:
        names = word.split(",")
        chosen = [q for q in queues if q.name in names]
        unknown = [name for name in names if name not in {q.name for q in queues}]
        if unknown:
            known = ", ".join(sorted({q.name for q in queues})[:12]) or "none"
            words = f"{', '.join(unknown)} is not among the queues of {source}: {known}"
            return (warn("queue", words), *(_best(spec, chosen, queues, kind) if chosen else ()))
    return _best(spec, chosen, queues, kind)


def _best(
    spec: JobSpec, chosen: Sequence[Queue], queues: Sequence[Queue], kind: str
) -> tuple[Check, ...]:
    found = [_of_queue(spec, queue, queues, kind) for queue in chosen]
    return min(found, key=lambda checks: sum(c.state is State.FAIL for c in checks))


def _of_queue(spec: JobSpec, queue: Queue, queues: Sequence[Queue], kind: str) -> tuple[Check, ...]:
    checks = [_up(queue), _time(spec, queue), _node_count(spec, queue)]
    amounts = [c for one in _line(queue, queues) for c in _amount(spec, one, kind)]
    checks += amounts or [_affordable(spec, queue)]
    return tuple(c for c in checks if c is not None)


def _affordable(spec: JobSpec, queue: Queue) -> Check:
    """Nothing is known that speaks against the amount."""
    bounds = [
        f"{word} {_number(milli)}"
        for word, milli in (("quota", queue.quota_gpu_milli), ("at most", _most(queue)))
        if milli is not None
    ]
    told = f" ({', '.join(bounds)})" if bounds else ""
    return ok("gpus", f"asks for {asked(spec).words} in {queue.name}{told}")


def _most(queue: Queue) -> int | None:
    """What a queue can ever give: its limit, and no more than there is."""
    ends = (queue.limit_gpu_milli, queue.total_gpu_milli)
    return min((n for n in ends if n is not None), default=None)


def _line(queue: Queue, queues: Sequence[Queue]) -> list[Queue]:
    """A queue and those above it."""
    line = [queue]
    while line[-1].parent is not None and len(line) < MAX_PARENTS:
        above = next((q for q in queues if q.name == line[-1].parent and q not in line), None)
        if above is None:
            break
        line.append(above)
    return line


def _up(queue: Queue) -> Check | None:
    if queue.state in ("up", "not listed", "unknown"):
        return None
    return warn("queue", f"{queue.name} is {queue.state}: it may start nothing")


def _time(spec: JobSpec, queue: Queue) -> Check | None:
    if spec.time_limit_s is None or queue.time_limit_s is None:
        return None
    told = f"{_clock(spec.time_limit_s)}, {queue.name} gives at most {_clock(queue.time_limit_s)}"
    if spec.time_limit_s > queue.time_limit_s:
        return fail("time_limit", f"asks for {told}")
    return ok("time_limit", told)


def _node_count(spec: JobSpec, queue: Queue) -> Check | None:
    nodes = spec.nodes or 1
    if queue.max_nodes is None or nodes <= queue.max_nodes:
        return None
    return fail("nodes", f"asks for {nodes} nodes, {queue.name} gives at most {queue.max_nodes}")


def _amount(spec: JobSpec, queue: Queue, kind: str) -> list[Check]:
    """GPUs asked for in all against limit, quota and what there is."""
    wanted = asked(spec)
    if not wanted.gpus:
        return []
    if wanted.gpu_milli is None:
        return [skipped("gpus", "`gpu_memory`: which part of a GPU that is depends on the GPU")]
    milli, held = wanted.gpu_milli, queue.allocated_gpu_milli
    limit, quota, most = queue.limit_gpu_milli, queue.quota_gpu_milli, _most(queue)
    asks = f"asks for {wanted.words}, {queue.name}"
    if most is not None and milli > most:
        has = "may have" if most == limit else "has"
        return [fail("gpus", f"{asks} {has} {_number(most)} at most")]
    told: list[Check] = []
    if spec.preemptible is False and kind != SLURM and quota is not None and milli > quota:
        words = "and what is not preemptible stays within the quota"
        return [fail("gpus", f"{asks} has a quota of {_number(quota)}, {words}")]
    if quota is not None and held is not None and milli + held > quota:
        over = milli + held - quota
        words = f"holds {_number(held)} of its quota of {_number(quota)}"
        told.append(
            warn(
                "gpus", f"{asks} {words}: {_number(min(over, milli))} over, which can be reclaimed"
            )
        )
    elif quota is not None and milli > quota:
        told.append(warn("gpus", f"{asks} has a quota of {_number(quota)}"))
    if limit is not None and held is not None and milli + held > limit:
        words = f"holds {_number(held)} of the {_number(limit)} it may have: it waits for an end"
        told.append(warn("gpus", f"{asks} {words}"))
    most_nodes = spec.nodes_most or 0
    if most is not None and most_nodes * (milli // wanted.nodes) > most:
        words = f"with {most_nodes} nodes it asks for more than the {_number(most)} of {queue.name}"
        told.append(warn("gpus", words))
    return told


def _nodes(spec: JobSpec, snapshot: Snapshot, source: str, kind: str) -> tuple[Check, ...]:
    """What a single node has to have, against those that the run may start on."""
    nodes = [n for n in snapshot.nodes if n.source == source]
    where = source
    place = spec.queue.at(source, kind) if kind == SLURM else spec.node_pool.at(source, kind)
    if place is not None:
        names = set(place.split(","))
        within = [n for n in nodes if names & set(n.queues)]
        if within or kind != SLURM:
            nodes, where = within, place
    if not nodes:
        return (skipped("nodes", f"no node of {where} is known"),)
    wanted, checks = asked(spec), []
    if spec.gpu_model is not None:
        fitting = [n for n in nodes if has_model(n, spec.gpu_model)]
        if not fitting:
            known = ", ".join(sorted({n.gpu_model for n in nodes if n.gpu_model})) or "none known"
            words = f"no node of {where} has {spec.gpu_model} GPUs; there are {known}"
            return (fail("gpu_model", words),)
        nodes, where = fitting, f"{where} with {spec.gpu_model}"
    for check in (
        _each("gpus", wanted.gpus, [n.gpu_count for n in nodes], where, "GPUs", 1),
        _each("cpus", spec.cpu_milli, [n.cpu_milli for n in nodes], where, "cores", 1000),
        _each("memory", spec.memory_bytes, [n.memory_bytes for n in nodes], where, "GB", 10**9),
    ):
        if check is not None:
            checks.append(check)
    return tuple(checks) if checks else (_enough(spec, nodes, where, wanted, kind),)


def _each(
    name: str, wanted: int | None, have: Sequence[int | None], where: str, unit: str, one: int
) -> Check | None:
    """A failure when no node has as much of one thing; None when one does, or it is not known."""
    known = [n for n in have if n is not None]
    if not wanted or len(known) < len(have) or wanted <= max(known):
        return None
    told = f"{wanted / one:,.6g} {unit} on each node"
    return fail(name, f"asks for {told}, the largest node of {where} has {max(known) / one:,.6g}")


def _enough(spec: JobSpec, nodes: Sequence[Node], where: str, wanted: Asked, kind: str) -> Check:
    """Whether as many nodes as are asked for have all of it at once."""
    fitting = [
        n
        for n in nodes
        if n.gpu_count >= wanted.gpus
        and (n.cpu_milli is None or n.cpu_milli >= (spec.cpu_milli or 0))
        and (n.memory_bytes is None or n.memory_bytes >= (spec.memory_bytes or 0))
    ]
    if not fitting:
        return fail("nodes", f"no node of {where} has GPUs, cores and memory as asked all at once")
    nodes_wanted, room = spec.nodes or 1, len(fitting)
    if kind != SLURM and wanted.gpus:  # pods may share a node
        room = sum(n.gpu_count // wanted.gpus for n in fitting)
    if room < nodes_wanted and (kind == SLURM or wanted.gpus):
        words = f"asks for {nodes_wanted} nodes, {where} has room for {room} such at most"
        return fail("nodes", words)
    ready = [n for n in fitting if n.placeable]
    if not ready:
        words = f"all {len(fitting)} nodes of {where} that fit are down or drained: it waits"
        return warn("nodes", words)
    return ok("nodes", f"{len(fitting)} of {len(nodes)} nodes of {where} are large enough")


def has_model(node: Node, model: str) -> bool:
    """Whether a node's GPUs are of a model: `h100` is one of `h100+a100` and `NVIDIA-H100-80GB`."""
    wanted = _PIECES.sub(" ", model.casefold()).strip()
    there = f" {_PIECES.sub(' ', (node.gpu_model or '').casefold())} "
    return bool(wanted) and f" {wanted} " in there


def _gpus(milli: int) -> str:
    return f"{_number(milli)} GPU{'' if milli == WHOLE_MILLI else 's'}"


def _number(milli: int) -> str:
    return f"{milli / WHOLE_MILLI:,.6g}"


def _clock(seconds: int) -> str:
    """`2d`, `1d12h` or `90m`, as a spec has it."""
    parts, rest = [], seconds
    for unit, step in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, step)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"
