"""What the filter language sees."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.fields import GPU_FIELDS, NODE_FIELDS, QUEUE_FIELDS, RUN_FIELDS
from foundry_tui.estate.filter import parse
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.text import safe
from foundry_tui.presenters import filterable
from tests.presenters.estate import GPUS, NODES, NOW, QUEUES, RUNS


def runs(text: str) -> list[str]:
    """Native ids of the runs that match."""
    wanted = parse(text, RUN_FIELDS, me=frozenset({"alice"}))
    return [r.native_id for r in RUNS if wanted.match(filterable.run_fields(r, NOW))]


def gpus(text: str) -> list[str]:
    """Places of the GPUs that match."""
    wanted = parse(text, GPU_FIELDS)
    return [f"{g.node}:{g.index}" for g in GPUS if wanted.match(filterable.gpu_fields(g, NOW))]


def test_every_field_of_the_language_is_filled_and_no_other() -> None:
    assert set(filterable.run_fields(RUNS[0], NOW)) == set(RUN_FIELDS)
    assert set(filterable.node_fields(NODES[0])) == set(NODE_FIELDS)
    assert set(filterable.gpu_fields(GPUS[0], NOW)) == set(GPU_FIELDS)
    assert set(filterable.queue_fields(QUEUES[0])) == set(QUEUE_FIELDS)


def test_runs_are_found_by_what_users_ask_for() -> None:
    assert runs("state=running gpu>=4") == ["17", "18_1"]
    assert runs("user=me") == ["17", "11"]
    assert runs("state=pending wait>1h") == ["18_[2-41]", "21"]
    assert runs("node=a02") == ["18_1", "19"]
    assert runs("id=lab/17|23") == ["17", "23"]
    assert runs("util<20") == ["23"]
    assert runs("age>2d") == ["23"]


def test_gpus_are_found_by_run_idleness_and_what_is_free() -> None:
    assert gpus("run=19") == ["a02:4"]
    assert gpus("run=lab/19") == ["a02:4"]
    assert gpus("idle>2d") == ["a01:6", "a01:7"]
    assert gpus("free>0 free<1") == ["a02:4"]


def test_gpus_are_found_by_fault_waste_and_heat() -> None:
    lost = Fault(kind=FaultKind.LOST, words=safe("lost: the driver does not reach it"), grave=True)
    warm = Fault(kind=FaultKind.THROTTLED, words=safe("throttled: heat"))
    ill = (
        replace(GPUS[0], faults=(lost,), measured_by="agents"),
        replace(GPUS[1], faults=(warm,), temp_c=91.0),
        *GPUS[2:],
    )

    def found(text: str) -> list[str]:
        wanted = parse(text, GPU_FIELDS)
        return [f"{g.node}:{g.index}" for g in ill if wanted.match(filterable.gpu_fields(g, NOW))]

    assert found("fault") == ["a01:0", "a01:1"]
    assert found("fault=lost") == found("fault=grave") == ["a01:0"]
    assert found("fault!=none temp>80") == ["a01:1"]
    assert len(found("-fault")) == len(GPUS) - 2
    assert found("wasted>54.5") == ["a01:7"]
    assert found("measured_by=agents") == ["a01:0"]


def test_a_gpu_with_unknown_tenants_is_neither_free_nor_taken() -> None:
    assert "a02:7" not in gpus("free>=0")
    assert gpus("free=none") == ["a02:7"]
    assert gpus("alloc=none") == ["a02:7"]


def test_nodes_and_queues() -> None:
    free = parse("free>3", NODE_FIELDS)
    assert [n.name for n in NODES if free.match(filterable.node_fields(n))] == ["a02", "a03"]
    waits = parse("waiting>0", QUEUE_FIELDS)
    assert [q.name for q in QUEUES if waits.match(filterable.queue_fields(q))] == ["prod"]
