"""Wherever a portion of a GPU is shown, it says what it is: memory, not compute."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import Placement, Request, Run, RunState
from foundry_tui.presenters.details import facts
from foundry_tui.presenters.nodepanel import PORTION, gpu_facts, node_lines
from foundry_tui.presenters.runpanel import run_lines
from foundry_tui.presenters.toned import Line
from tests.presenters.estate import NOW, gpu, run

GIB = 1 << 30
NODE = Node(name="n1", source="lab", state=NodeState.MIXED, gpu_count=1)
HALF = replace(
    run("1", "half", RunState.RUNNING, placement=(Placement("n1", (0,)),)),
    scheduler="kai",
    request=Request(gpu_count=1, gpu_milli=500),
)


def text(lines: list[Line]) -> str:
    return " ".join("".join(part for part, _ in line).strip() for line in lines)


def held(share: Share, milli: int = 500) -> str:
    """The panel of a node with one GPU that is held so."""
    gpus = [gpu("n1", 0, Tenant("lab/1", milli, share))]
    return text(node_lines(NODE, gpus, [HALF], NOW, 60))


def test_the_node_and_the_run_say_it_once_below_their_gpus() -> None:
    assert held(Share.FRACTION).endswith(f"A portion is {PORTION}.")
    here = gpu("n1", 0, Tenant("lab/1", 500, Share.FRACTION))
    there = replace(here, node="n2")
    both = replace(HALF, placement=(Placement("n1", (0,)), Placement("n2", (0,))))
    assert text(run_lines(both, [here, there], [both], NOW, 60)).count("A portion is") == 1


@pytest.mark.parametrize("share", [Share.WHOLE, Share.SHARD, Share.MPS, Share.MIG])
def test_other_ways_to_hold_a_gpu_are_no_portions(share: Share) -> None:
    assert "portion" not in held(share)


def test_a_gpu_says_it_of_itself() -> None:
    shared = gpu("n1", 0, Tenant("lab/1", 500, Share.FRACTION))
    assert ("portion", PORTION) in gpu_facts(shared, NOW)
    for other in (gpu("n1", 0), gpu("n1", 0, tenants=None)):
        assert "portion" not in dict(gpu_facts(other, NOW))


def portion_of(one: Run) -> str | None:
    return dict(facts(one, NOW)).get("portion")


def test_a_run_that_asks_for_a_part_says_it_before_it_runs() -> None:
    waits = replace(HALF, state=RunState.PENDING, placement=())
    assert portion_of(waits) == PORTION
    assert portion_of(replace(waits, scheduler="runai")) == PORTION
    assert portion_of(replace(waits, scheduler="slurm")) is None
    assert portion_of(replace(waits, request=Request(gpu_count=2, gpu_milli=2000))) is None
    assert portion_of(replace(waits, request=Request())) is None


def test_gpu_memory_is_told_as_it_was_asked_for() -> None:
    asked = Request(gpu_count=2, gpu_milli=None, gpu_memory_bytes=20 * GIB, cpu_milli=1000)
    one = replace(HALF, request=asked)
    assert dict(facts(one, NOW))["asks for"].startswith("<=2 GPUs, 20G of GPU memory on each, 1 ")
    assert portion_of(one) == PORTION
