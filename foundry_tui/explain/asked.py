"""A waiting workload as a request of equal pods, and the changes that would start it now."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.explain.case import Case
from foundry_tui.explain.packing import Ask
from foundry_tui.explain.verdict import Candidate, Deed
from foundry_tui.explain.whatif import smallest_changes

MOST_CHANGES = 3
FREE_NOW = "the free GPUs in the node list"


def ask_of(case: Case) -> Ask:
    """What the workload asks for, pod by pod; its pods are taken to be alike."""
    request = case.run.request
    pods = max(1, number(case, "min_member"), number(case, "pods_wanted"))
    pools = tuple(p.strip() for p in case.word("node_pools").split(",") if p.strip())
    return Ask(
        pods=pods,
        devices=request.gpu_count // pods,
        milli=min(WHOLE_MILLI, request.milli_per_gpu or (1 if request.gpu_milli is None else 1000)),
        gpu_memory_bytes=request.gpu_memory_bytes,
        model=request.gpu_model,
        pools=pools,
        cpu_milli=(request.cpu_milli or 0) // pods,
        memory_bytes=(request.memory_bytes or 0) // pods,
    )


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
