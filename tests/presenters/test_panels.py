"""The panels of nodes, GPUs and queues: what they say where something is missing."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.gpu import GpuSlice
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import RunState
from foundry_tui.presenters.nodepanel import gpu_facts, node_facts
from foundry_tui.presenters.queuepanel import queue_lines
from tests.presenters.estate import NOW, ago, gpu, run

NODE = Node(
    name="n1",
    source="lab",
    state=NodeState.MIXED,
    gpu_count=8,
    gpu_milli_allocated=8000,
    gpu_util_pct=60.0,
    gpu_measured_count=8,
    read_at=ago(seconds=3),
)
QUEUE = Queue(name="prod", source="lab", kind="partition", waiting=3, allocated_gpu_milli=0)


def test_a_node_tells_of_how_many_gpus_its_mean_is_where_it_is_not_all() -> None:
    assert dict(node_facts(NODE, (), NOW))["in use"] == "60% on average"
    some = replace(NODE, gpu_measured_count=7)
    assert dict(node_facts(some, (), NOW))["in use"] == "60% on average of 7 that are measured"
    none = replace(NODE, gpu_util_pct=None, gpu_measured_count=None)
    assert dict(node_facts(none, (), NOW))["in use"] == "not measured"
    assert "CPUs" not in dict(node_facts(NODE, (), NOW)), "nobody tells of any"


def test_how_old_a_value_is_stands_first_where_there_is_little_room() -> None:
    told = dict(gpu_facts(gpu("n1", 0, how="NVML", measured_by="nodes"), NOW))
    assert told["measured"] == "3s ago by nodes: NVML"
    assert dict(gpu_facts(gpu("n1", 0, read_at=None), NOW))["measured"] == "not measured"
    assert dict(gpu_facts(gpu("n1", 0), NOW))["measured"] == "3s ago"


def test_each_part_of_a_gpu_has_a_line_of_its_own() -> None:
    parts = tuple(GpuSlice(profile="1g.10gb", uuid=f"MIG-{n}", milli=142) for n in range(7))
    told = dict(gpu_facts(gpu("n1", 0, slices=parts), NOW))
    assert [name for name in told if name.startswith("part")] == [f"part {n}" for n in range(7)]


def test_a_node_without_gpus_says_so() -> None:
    none = replace(NODE, gpu_count=0, gpu_milli_allocated=0, gpu_util_pct=None)
    told = dict(node_facts(none, (), NOW))
    assert (told["GPUs"], "in use" in told) == ("none", False)


def test_waiting_runs_of_which_nothing_is_told_are_not_denied() -> None:
    def said(queue: Queue, *waiting: str) -> str:
        runs = [run(name, name, RunState.PENDING, queue="prod") for name in waiting]
        return "\n".join(
            "".join(text for text, _ in line)
            for line in queue_lines(queue, (queue,), runs, NOW, 60)
        )

    assert "3 wait, of which nothing is told" in said(QUEUE)
    assert "No run waits in it" in said(replace(QUEUE, waiting=0))
    assert "Its longest waits" in said(QUEUE, "7")
