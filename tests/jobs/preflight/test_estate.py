"""What is asked for against queues and nodes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.jobs.preflight.estate import asked, check, has_model
from foundry_tui.jobs.preflight.verdict import Check, State
from foundry_tui.jobs.spec import JobSpec, Words

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def node(name: str, model: str = "h100", **given: Any) -> Node:
    whole: dict[str, Any] = {
        "state": NodeState.IDLE,
        "gpu_count": 8,
        "cpu_milli": 64_000,
        "memory_bytes": 512 * 10**9,
        "queues": ("gpu",),
    }
    return Node(name=name, source="s", gpu_model=model, **(whole | given))


def queue(name: str, **given: Any) -> Queue:
    return Queue(name=name, source="s", kind="project", **given)


def snapshot(*nouns: Node | Queue, read: bool = True) -> Snapshot:
    source = Source(name="s", kind="kai", state=SourceState.OK, read_at=NOW if read else None)
    return Snapshot(
        generated_at=NOW,
        sources=(source,),
        nodes=tuple(n for n in nouns if isinstance(n, Node)),
        queues=tuple(n for n in nouns if isinstance(n, Queue)),
    )


def spec(**given: Any) -> JobSpec:
    return JobSpec(name="x", script="true", **({"queue": Words("vision")} | given))


def told(job: JobSpec, seen: Snapshot | None, kind: str = "kai") -> list[tuple[str, str, str]]:
    return [(str(c.state), str(c.name), str(c.words)) for c in check(job, seen, "s", kind)]


def worst(job: JobSpec, seen: Snapshot, kind: str = "kai") -> Check:
    order = [State.FAIL, State.WARN, State.SKIPPED, State.OK]
    return min(check(job, seen, "s", kind), key=lambda c: order.index(c.state))


def test_more_than_the_limit_can_ever_give_fails() -> None:
    seen = snapshot(queue("vision", limit_gpu_milli=8000, allocated_gpu_milli=0), node("a"))
    found = worst(spec(gpus=8, nodes=2), seen)
    assert found.state is State.FAIL
    assert found.words == "asks for 16 GPUs (2 nodes with 8 each), vision may have 8 at most"


def test_the_limit_of_a_queue_above_counts_too() -> None:
    seen = snapshot(
        queue("vision", parent="research"), queue("research", limit_gpu_milli=4000), node("a")
    )
    assert worst(spec(gpus=8), seen).words == "asks for 8 GPUs, research may have 4 at most"


def test_parents_in_a_ring_end() -> None:
    seen = snapshot(queue("vision", parent="b"), queue("b", parent="vision"), node("a"))
    assert worst(spec(gpus=1), seen).state is State.OK


def test_over_the_quota_warns_and_says_by_how_much() -> None:
    seen = snapshot(
        queue("vision", quota_gpu_milli=8000, allocated_gpu_milli=6000, limit_gpu_milli=32_000),
        node("a"),
    )
    found = worst(spec(gpus=4), seen)
    assert found.state is State.WARN
    assert found.words == (
        "asks for 4 GPUs, vision holds 6 of its quota of 8: 2 over, which can be reclaimed"
    )
    assert worst(spec(gpus=2), seen).state is State.OK


def test_what_is_not_preemptible_stays_within_the_quota() -> None:
    seen = snapshot(queue("vision", quota_gpu_milli=4000), node("a"))
    assert worst(spec(gpus=8, preemptible=False), seen).state is State.FAIL
    assert worst(spec(gpus=8, preemptible=True), seen).state is State.WARN
    assert worst(spec(gpus=4, preemptible=False), seen).state is State.OK


def test_a_full_limit_makes_it_wait_and_does_not_fail() -> None:
    seen = snapshot(queue("vision", limit_gpu_milli=8000, allocated_gpu_milli=6000), node("a"))
    found = worst(spec(gpus=4), seen)
    assert found.state is State.WARN
    assert "it waits for an end" in found.words


def test_shares_of_a_gpu_count_as_shares() -> None:
    seen = snapshot(queue("vision", limit_gpu_milli=500), node("a"))
    assert worst(spec(gpu_share_milli=500), seen).state is State.OK
    assert worst(spec(gpu_share_milli=501), seen).state is State.FAIL
    assert asked(spec(gpu_memory_bytes=10**10)).gpu_milli is None
    assert worst(spec(gpu_memory_bytes=10**10), seen).state is State.SKIPPED


def test_an_elastic_run_fails_by_its_fewest_nodes_and_warns_by_its_most() -> None:
    seen = snapshot(
        queue("vision", limit_gpu_milli=16_000), node("a"), node("b"), node("c"), node("d")
    )
    assert worst(spec(gpus=8, nodes=2, nodes_most=4), seen).state is State.WARN
    assert worst(spec(gpus=8, nodes=2, nodes_most=2), seen).state is State.OK


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        ({"gpus": 9}, "gpus", "asks for 9 GPUs on each node, the largest node of s has 8"),
        ({"cpu_milli": 65_000}, "cpus", "65 cores on each node, the largest node of s has 64"),
        ({"memory_bytes": 513 * 10**9}, "memory", "513 GB on each node, the largest"),
        ({"gpus": 1, "gpu_model": "b200"}, "gpu_model", "has b200 GPUs; there are a100, h100"),
        ({"gpus": 8, "nodes": 3}, "nodes", "asks for 3 nodes, s has room for 2 such at most"),
        ({"gpus": 8, "nodes": 2, "gpu_model": "H100"}, "nodes", "s with H100 has room for 1"),
    ],
)
def test_what_no_node_has_fails(given: dict[str, Any], name: str, words: str) -> None:
    seen = snapshot(queue("vision"), node("a"), node("b", "a100"))
    found = worst(spec(**given), seen)
    assert (found.state, found.name) == (State.FAIL, name)
    assert words in found.words


def test_what_no_node_has_all_at_once_fails() -> None:
    seen = snapshot(queue("vision"), node("a", gpu_count=8, cpu_milli=8000), node("b", gpu_count=1))
    found = worst(spec(gpus=8, cpu_milli=64_000), seen)
    assert (found.state, found.name) == (State.FAIL, "nodes")


def test_an_unknown_size_fails_nothing() -> None:
    seen = snapshot(queue("vision"), node("a", cpu_milli=None, memory_bytes=None))
    assert worst(spec(cpu_milli=10**6, memory_bytes=10**13, gpus=1), seen).state is State.OK


def test_nodes_that_are_all_down_make_it_wait() -> None:
    seen = snapshot(queue("vision"), node("a", state=NodeState.DRAINED))
    assert worst(spec(gpus=1), seen).state is State.WARN


def test_pods_may_share_a_node_and_tasks_of_slurm_do_not() -> None:
    seen = snapshot(queue("gpu"), node("a"))
    job = spec(queue=Words("gpu"), gpus=4, nodes=2)
    assert worst(job, seen).state is State.OK
    assert worst(job, seen, "slurm").state is State.FAIL


def test_of_several_partitions_the_one_that_suits_is_judged() -> None:
    seen = snapshot(queue("short", time_limit_s=3600), queue("gpu", time_limit_s=86_400), node("a"))
    long = spec(queue=Words("short,gpu"), gpus=1, time_limit_s=7200)
    assert worst(long, seen, "slurm").state is State.OK
    found = worst(replace(long, queue=Words("short")), seen, "slurm")
    assert found.words == "asks for 2h, short gives at most 1h"
    assert worst(replace(long, time_limit_s=90_061), seen, "slurm").state is State.FAIL


def test_more_nodes_than_a_partition_gives_fail() -> None:
    seen = snapshot(queue("gpu", max_nodes=1), node("a"), node("b"))
    found = worst(spec(queue=Words("gpu"), nodes=2), seen, "slurm")
    assert found.words == "asks for 2 nodes, gpu gives at most 1"


def test_the_nodes_of_a_partition_or_a_pool_are_looked_at() -> None:
    seen = snapshot(
        queue("gpu"), queue("vision"), node("a", gpu_count=2), node("b", queues=("big",))
    )
    assert worst(spec(queue=Words("gpu"), gpus=4), seen, "slurm").state is State.FAIL
    assert worst(spec(gpus=4, node_pool=Words("gpu")), seen).state is State.FAIL
    assert worst(spec(gpus=4, node_pool=Words("big")), seen).state is State.OK
    assert worst(spec(gpus=4, node_pool=Words("none")), seen).state is State.SKIPPED


def test_an_unknown_queue_warns_and_names_those_there_are() -> None:
    seen = snapshot(queue("vision"), node("a"))
    found = worst(spec(queue=Words("visoin"), gpus=1), seen)
    assert found.state is State.WARN
    assert found.words == "visoin is not among the queues of s: vision"


def test_without_a_queue_the_default_one_is_judged() -> None:
    seen = snapshot(queue("gpu", default=True, time_limit_s=60), node("a"))
    job = spec(queue=Words(), time_limit_s=61)
    assert worst(job, seen, "slurm").state is State.FAIL
    assert ("skipped", "queue", "none is named; s chooses") in told(
        job, snapshot(queue("gpu"), node("a"))
    )


def test_a_queue_that_is_down_warns() -> None:
    seen = snapshot(queue("vision", state="drain"), node("a"))
    assert worst(spec(gpus=1), seen).state is State.WARN


def test_native_options_make_a_failure_a_warning() -> None:
    seen = snapshot(queue("vision", limit_gpu_milli=1000), node("a"))
    job = spec(gpus=8, options=(("kai", ("--node-pools=x",)),))
    found = worst(job, seen)
    assert found.state is State.WARN
    assert found.words.endswith("; unless `options` say otherwise")


def test_an_estate_that_was_not_read_says_so() -> None:
    assert told(spec(gpus=8), None) == [("skipped", "queue", "the estate was not read")]
    ((state, _, words),) = told(spec(gpus=8), snapshot(read=False))
    assert state == "skipped"
    assert words.startswith("s is ok: ")


@pytest.mark.parametrize(
    ("model", "wanted", "fits"),
    [
        ("h100", "H100", True),
        ("h100+a100", "a100", True),
        ("NVIDIA-H100-80GB-HBM3", "h100", True),
        ("NVIDIA-H100-80GB-HBM3", "h100-80gb", True),
        ("NVIDIA-H100-80GB-HBM3", "h10", False),
        ("NVIDIA-A100-SXM4-80GB", "h100", False),
        (None, "h100", False),
    ],
)
def test_models_are_matched_by_their_words(model: str | None, wanted: str, fits: bool) -> None:
    assert has_model(replace(node("a"), gpu_model=model), wanted) is fits
