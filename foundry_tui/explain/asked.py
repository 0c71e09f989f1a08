"""A waiting workload as a request of equal pods, and the changes that would start it now."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.explain import say
from foundry_tui.explain.case import Case
from foundry_tui.explain.packing import Ask, sized, spaces
from foundry_tui.explain.verdict import Candidate, Deed
from foundry_tui.explain.whatif import smallest_changes

MOST_CHANGES = 3
FREE_NOW = "the free GPUs in the node list"


def ask_of(case: Case) -> Ask:
    """What has to have room before the workload starts, pod by pod; its pods are taken as alike.

    Where the GPUs do not divide among all pods, some are taken to ask for none, as the master of a
    distributed training may.
    """
    request = case.run.request
    every = max(1, number(case, "pods_wanted"), number(case, "min_member"))
    with_gpus = next(n for n in range(every, 0, -1) if request.gpu_count % n == 0)
    first = number(case, "min_member") or every
    pools = tuple(p.strip() for p in case.word("node_pools").split(",") if p.strip())
    ask = Ask(
        pods=min(first, with_gpus),
        devices=request.gpu_count // with_gpus,
        milli=min(WHOLE_MILLI, request.milli_per_gpu or WHOLE_MILLI),
        gpu_memory_bytes=request.gpu_memory_bytes,
        model=request.gpu_model,
        pools=pools,
        cpu_milli=(request.cpu_milli or 0) // every,
        memory_bytes=(request.memory_bytes or 0) // every,
    )
    if ask.gpu_memory_bytes is None:
        return ask
    return sized(spaces(case.snapshot, case.run.source, ask, in_service=False), ask)


def each(ask: Ask) -> str:
    """What one pod asks for: `2 GPUs`, `0.5 GPU`, `2 x 0.5 GPU`, `20 GiB of GPU memory`."""
    if ask.gpu_memory_bytes is not None:
        words = f"{say.size(ask.gpu_memory_bytes)} of GPU memory"
        return words if ask.devices == 1 else f"{words} on each of {ask.devices} GPUs"
    if ask.devices > 1 and ask.milli < WHOLE_MILLI:
        return f"{ask.devices} x {say.gpus(ask.milli)}"
    return say.gpus(ask.devices * ask.milli)


def in_all(ask: Ask) -> str:
    """What all pods ask for together."""
    if ask.gpu_memory_bytes is None:
        return say.gpus(ask.total_milli)
    return each(ask) if ask.pods == 1 else f"{each(ask)} in each of {ask.pods} pods"


def preemptible(case: Case) -> bool:
    """Whether it may borrow and be stopped again; unknown counts as yes."""
    return case.word("preemptible") != "false"


def changes(case: Case, ask: Ask) -> tuple[Candidate, ...]:
    """The smallest changes that would start it now: to be submitted anew."""
    run = case.run
    mine = [a.account for a in case.associations or ()]
    options = smallest_changes(
        case.snapshot, run.source, run.queue, ask, preemptible=preemptible(case), others=mine
    )
    return tuple(
        replace(anew(case, option.sentence), not_before=case.now, known_by=FREE_NOW)
        for option in options[:MOST_CHANGES]
    )


def anew(case: Case, sentence: str) -> Candidate:
    return Candidate(sentence=sentence, act=Deed.RESUBMIT, owner=case.run.user, what_if=False)


def wait(case: Case) -> Candidate:
    return Candidate(sentence="wait for other runs to end", act=Deed.WAIT, what_if=False)


def number(case: Case, name: str) -> int:
    word = case.word(name)
    return int(word) if word.isascii() and word.isdecimal() else 0
