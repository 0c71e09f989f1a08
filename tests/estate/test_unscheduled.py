"""Hosts without a scheduler: their GPUs are what the readings tell, and nobody's."""

from __future__ import annotations

from datetime import UTC, datetime

from foundry_tui.estate.node import NodeState
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.unscheduled import estate

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def made(node: str, index: int, source: str = "nvml", model: str = "H200") -> Reading:
    return Reading(
        node=node,
        index=index,
        source=source,
        read_at=NOW,
        how="NVML",
        model=model,
        uuid=f"U{index}",
    )


def test_a_host_is_a_node_whose_gpus_nobody_gives_out() -> None:
    seen = estate([made("desk", 1), made("desk", 0)], NOW)
    (node,) = seen.nodes
    assert (node.name, node.source, node.gpu_count) == ("desk", "nvml", 2)
    assert (node.state, node.gpu_model, node.gpu_milli_allocated) == (
        NodeState.UNKNOWN,
        "H200",
        None,
    )
    assert [(g.index, g.uuid, g.tenants) for g in seen.gpus] == [(0, "U0", None), (1, "U1", None)]


def test_a_gpu_of_two_sources_is_one() -> None:
    seen = estate([made("desk", 0), made("desk", 0, "agents")], NOW)
    assert [(g.index, g.source) for g in seen.gpus] == [(0, "nvml")]


def test_different_models_are_no_model_of_the_node() -> None:
    seen = estate([made("desk", 0), made("desk", 1, model="A2")], NOW)
    assert seen.nodes[0].gpu_model is None
    assert [g.model for g in seen.gpus] == ["H200", "A2"]


def test_without_readings_there_is_nothing() -> None:
    assert estate([], NOW).nodes == ()
