"""A queue's part of the GPUs: what it deserves, borrows and lends, and a sentence on it.

For queues that share one cluster by quota (Run:ai, KAI). A Slurm partition is a set of nodes and
has no part; it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foundry_tui.estate.queue import Queue, tree
from foundry_tui.presenters import units

PARTITION = "partition"
"""The kind of queue that is a set of nodes."""

MOST_NAMES = 2
"""Queues named in a sentence; more are counted."""

Key = tuple[str, str, str]
"""Source, parent (empty at the root) and name: a project may have its department's name."""


@dataclass(frozen=True, slots=True)
class Part:
    """How one queue stands against the others, in thousandths of a GPU.

    `over` is what it holds above its quota; `taken` of that others lend, and `partners` are they.
    `lent` is what of its quota others hold; then those are the partners. `reclaimable` can be
    taken back from it.
    """

    over: int = 0
    taken: int = 0
    lent: int = 0
    partners: tuple[str, ...] = ()
    reclaimable: int = 0


def key_of(queue: Queue) -> Key:
    """What names a queue in the estate."""
    return queue.source, queue.parent or "", queue.name


def shared(queue: Queue) -> bool:
    """Whether the queue has a part to show: a share by quota, and a known use."""
    return (
        queue.kind != PARTITION
        and queue.allocated_gpu_milli is not None
        and bool(queue.total_gpu_milli)
    )


def parts(queues: Sequence[Queue]) -> dict[Key, Part]:
    """Who borrows and who lends, level by level from the roots.

    What sisters deserve and do not hold is lent as far as the cluster has not as much free: the
    rest could be given at once. What a queue lends or borrows as a whole is its children's, as far
    as they do not settle it among themselves. Several share in proportion.
    """
    free = _free(queues)
    levels: dict[tuple[str, str], list[Queue]] = {}
    for queue, _ in tree([q for q in queues if shared(q)]):
        levels.setdefault((queue.source, queue.parent or ""), []).append(queue)
    found: dict[Key, Part] = {}
    by_name: dict[tuple[str, str], Part] = {}
    for name, level in levels.items():
        for queue, part in _level(level, free.get(name[0], 0), by_name.get(name, Part())):
            found[key_of(queue)] = part
            by_name.setdefault((queue.source, queue.name), part)
    return found


def _free(queues: Sequence[Queue]) -> dict[str, int]:
    """Source -> thousandths that no queue holds."""
    names = {(q.source, q.name) for q in queues}
    held: dict[str, int] = {}
    total: dict[str, int] = {}
    for queue in queues:
        root = (queue.source, queue.parent) not in names or queue.parent == queue.name
        if shared(queue) and root:
            held[queue.source] = held.get(queue.source, 0) + (queue.allocated_gpu_milli or 0)
            total[queue.source] = max(total.get(queue.source, 0), queue.total_gpu_milli or 0)
    return {source: max(0, whole - held[source]) for source, whole in total.items()}


def _level(level: Sequence[Queue], free: int, above: Part) -> list[tuple[Queue, Part]]:
    over = [max(0, balance(q)) for q in level]
    spare = [max(0, -balance(q)) for q in level]
    among = min(sum(over), max(0, sum(spare) - free))
    taken = among + min(above.taken, sum(over) - among)
    lent = among + min(above.lent, sum(spare) - among)
    found = []
    for n, queue in enumerate(level):
        gives = spare[n] * lent // sum(spare) if spare[n] else 0
        takes = over[n] * taken // sum(over) if over[n] else 0
        others = over if gives else spare
        sisters = [q.name for i, q in enumerate(level) if among and others[i]]
        beyond = above.partners if (above.lent if gives else above.taken) else ()
        held, firm = queue.allocated_gpu_milli or 0, queue.allocated_non_preemptible_gpu_milli or 0
        part = Part(
            over=over[n],
            taken=takes,
            lent=gives,
            partners=(*sisters, *beyond) if gives or takes else (),
            reclaimable=min(over[n], max(0, held - firm)),
        )
        found.append((queue, part))
    return found


def balance(queue: Queue) -> int:
    """What a queue holds above its quota; negative below it, 0 without one."""
    quota = queue.quota_gpu_milli
    return 0 if quota is None else (queue.allocated_gpu_milli or 0) - quota


def sentence(queue: Queue, part: Part) -> str:
    """What a queue holds and why: `team-a holds 7 of 12 GPUs: 4 deserved + 3 borrowed …`."""
    held, quota = queue.allocated_gpu_milli, queue.quota_gpu_milli
    words = f"{queue.name} holds {units.gpus(held)} of {units.gpus(queue.total_gpu_milli)} GPUs"
    if part.over:
        words += f": {units.gpus(quota)} deserved + {units.gpus(part.over)} {_whence(part)}; "
        words += f"{units.gpus(part.reclaimable) if part.reclaimable else 'none'} can be reclaimed"
    elif quota is not None:
        words += f", {units.gpus(quota) if quota else 'none'} deserved"
        if part.lent:
            words += f"; {units.gpus(part.lent)} lent to {_names(part.partners)}"
    return f"{words}.{_more(queue, part)}"


def share_sentence(queue: Queue, queues: Sequence[Queue]) -> str:
    """The sentence of a queue among all queues; empty for one that has no part."""
    return sentence(queue, parts(queues)[key_of(queue)]) if shared(queue) else ""


def _whence(part: Part) -> str:
    """Where what is held above the quota comes from."""
    names = _names(part.partners)
    if part.taken == part.over:
        return f"borrowed from {names}"
    return f"over its quota{f', {units.gpus(part.taken)} lent by {names}' if part.taken else ''}"


def _more(queue: Queue, part: Part) -> str:
    """Its fair share, what it asks for and its limit."""
    facts = []
    share, asked = queue.fair_share_gpu_milli, queue.requested_gpu_milli
    if share is not None:
        facts.append(f"fair share {units.gpus(share)}")
    if asked is None:
        facts.append("what it asks for is unknown")
    elif asked:
        facts.append(f"asks for {units.gpus(asked)} more")
    if queue.limit_gpu_milli is not None:
        facts.append(f"limit {units.gpus(queue.limit_gpu_milli)}")
    owed = min((share or 0) - (queue.allocated_gpu_milli or 0), asked or 0)
    if owed > 0 and part.lent:
        facts.append(f"{units.gpus(min(owed, part.lent))} come back when it is owed them")
    words = ", ".join(facts)
    return f" {words[:1].upper()}{words[1:]}." if words else ""


def _names(names: Sequence[str]) -> str:
    shown = list(names[:MOST_NAMES])
    if len(names) > MOST_NAMES:
        shown.append(f"{len(names) - MOST_NAMES} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
