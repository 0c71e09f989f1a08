"""Whether there is room for a workload: ever, for all its pods at once, and now on some node."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.queue import Queue
from foundry_tui.explain import say
from foundry_tui.explain.asked import ask_of, changes, each, wait
from foundry_tui.explain.case import Case
from foundry_tui.explain.holds import diagnosis
from foundry_tui.explain.packing import Ask, Space, emptied, placed, spaces, takes
from foundry_tui.explain.verdict import Candidate, Deed, Diagnosis, Kind
from foundry_tui.explain.whatif import above, most_free_gpus, most_free_milli

_GANG = re.compile(r"Resources were found for (\d+) pods? while (\d+) are required", re.IGNORECASE)


def never(case: Case) -> Diagnosis | None:
    """Even empty nodes would not take it."""
    ask = ask_of(case)
    every = spaces(case.snapshot, case.run.source, ask, in_service=False)
    up = [s for s in every if s.node.placeable]
    if blind(case) or placed(emptied(up), ask) == ask.pods:
        return None
    pool = f"node pool {say.listed(ask.pools, 'or')}" if ask.pools else "the cluster"
    told = case.word("unscheduled_message")
    heard = [f"the scheduler: {told}"] if told else []
    if placed(emptied(every), ask) == ask.pods:
        shut = [s.node for s in every if not s.node.placeable]
        states = say.listed([f"{n.name} is {n.state.value}" for n in shut[:3]])
        sentence = f"it needs nodes that are out of service: {states}"
        evidence = [f"node list: {len(shut)} of {say.counted(len(every), 'node')} out of service"]
        return diagnosis(
            case,
            Kind.NODE_UNAVAILABLE,
            sentence,
            [*evidence, *heard],
            *changes(case, ask),
            Candidate(sentence="wait for the nodes to return", act=Deed.WAIT, what_if=False),
        )
    evidence = [
        f"node list: {say.counted(len(every), 'node')} that may take it, "
        f"{say.counted(sum(len(s.free) for s in every), 'GPU')}"
    ]
    sentence = f"it can never start: {_too_much(ask, every, pool)}"
    return diagnosis(case, Kind.BAD_CONSTRAINTS, sentence, [*evidence, *heard], *changes(case, ask))


def _too_much(ask: Ask, every: Sequence[Space], pool: str) -> str:
    """What of the request no node, or not all of them together, could ever give."""
    if not every:
        return f"{pool} has no node{f' with {ask.model}' if ask.model else ''}"
    asks = f"each of its {ask.pods} pods asks" if ask.pods > 1 else "it asks"
    empty = emptied(every)
    if any(takes(s, ask) for s in empty):
        return (
            f"all {ask.pods} pods together do not fit into {pool}, even when it is empty "
            f"({placed(empty, ask)} do)"
        )
    if any(takes(s, replace(ask, cpu_milli=0, memory_bytes=0)) for s in empty):
        return f"{asks} for {_host(ask)} on one node, more than any node of {pool} has beside GPUs"
    if ask.gpu_memory_bytes is not None:
        sizes = [s.gpu_memory_bytes for s in every if s.gpu_memory_bytes]
        most = say.size(max(sizes)) if sizes else "?"
        return f"{asks} for {each(ask)}; the largest GPU of {pool} has {most}"
    widest = max(len(s.free) for s in every)
    what = say.counted(ask.devices, "GPU")
    return f"{asks} for {what} on one node; the largest node of {pool} has {widest}"


def gang(case: Case) -> Diagnosis | None:
    """Some of its pods have room, and it starts only with all of them."""
    ask = ask_of(case)
    if ask.pods < 2 or blind(case):
        return None
    count = placed(spaces(case.snapshot, case.run.source, ask), ask)
    told = _GANG.search(case.word("unscheduled_message"))
    if count >= ask.pods:
        return None
    sentence = (
        f"it starts with all {ask.pods} pods at once, and now there is room for {count}; "
        f"each asks for {each(ask) if ask.devices else _host(ask)}"
    )
    evidence = [free_words(case, ask)]
    if told:
        evidence.append(f"the scheduler found room for {told[1]} of {told[2]} pods")
    evidence += _entitled(case, ask)
    return diagnosis(case, Kind.GANG, sentence, evidence, *changes(case, ask), wait(case))


def room(case: Case) -> Diagnosis | None:
    """No node has room for it now."""
    ask = ask_of(case)
    found = spaces(case.snapshot, case.run.source, ask)
    if blind(case) or placed(found, ask) == ask.pods:
        return None
    evidence = [free_words(case, ask)]
    if fit := case.word("node_fit"):
        evidence.append(f"the scheduler: {fit}")
    if placed(found, replace(ask, cpu_milli=0, memory_bytes=0)) == ask.pods:
        beside = f" beside {each(ask)}" if ask.devices else ""
        sentence = f"no node has {_host(ask)} free{beside}"
        return diagnosis(case, Kind.CPU_MEMORY, sentence, evidence, wait(case))
    if ask.devices == 1 and (ask.milli < WHOLE_MILLI or ask.gpu_memory_bytes is not None):
        most = most_free_milli(case.snapshot, case.run.source, ask)
        sentence = f"no GPU has {each(ask)} free: the most on one is {say.gpus(most)}"
    else:
        most = most_free_gpus(case.snapshot, case.run.source, ask)
        sentence = (
            f"no node has {say.counted(ask.devices, 'GPU')} free for it: the most on one is {most}"
        )
    if sum(f for s in found for f in s.free) >= ask.devices * ask.milli:
        evidence.append("there would be enough in all, but it lies in pieces (fragmentation)")
    evidence += _entitled(case, ask)
    return diagnosis(case, Kind.RESOURCES, sentence, evidence, *changes(case, ask), wait(case))


def blind(case: Case) -> bool:
    """Whether no node of the source is known: then nothing can be said of room."""
    return not any(n.source == case.run.source for n in case.snapshot.nodes)


def _host(ask: Ask) -> str:
    """The CPU and memory of a pod."""
    return f"{ask.cpu_milli / 1000:g} CPU and {say.size(ask.memory_bytes)} of memory"


def free_words(case: Case, ask: Ask) -> str:
    found = spaces(case.snapshot, case.run.source, ask)
    free = sum(f for s in found for f in s.free)
    return f"node list: {say.gpus(free)} free on {say.counted(len(found), 'node')} that suit it"


def _entitled(case: Case, ask: Ask) -> list[str]:
    """Whether its queue is owed GPUs that others have borrowed."""
    run = case.run
    queue = next(iter(above(case.snapshot, run.source, run.queue)), None)
    if queue is None or queue.fair_share_gpu_milli is None or queue.allocated_gpu_milli is None:
        return []
    owed = queue.fair_share_gpu_milli - queue.allocated_gpu_milli
    borrowers = [
        q.name
        for q in case.snapshot.queues
        if q.source == run.source
        and q.parent == queue.parent
        and q.name != queue.name
        and _above(q)
    ]
    if owed < ask.total_milli or not borrowers:
        return []
    return [
        f"queue {queue.name} is owed {say.gpus(owed)} of its fair share, borrowed by "
        f"{say.listed(sorted(borrowers)[:3])}: the scheduler can take them back"
    ]


def _above(queue: Queue) -> bool:
    held, share = queue.allocated_gpu_milli, queue.fair_share_gpu_milli
    return held is not None and share is not None and held > share
