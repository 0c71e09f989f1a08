"""Joining readings to GPUs: by host name and index, and never by a guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from foundry_tui.estate.gpu import Gpu, Reading, Tenant
from foundry_tui.estate.merge import merge
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


def part(source: str, *names: str, gpus: int = 2) -> Snapshot:
    """A source with these nodes; run `source/1` holds every GPU."""
    held = (Tenant(f"{source}/1", 1000),)
    return Snapshot(
        generated_at=NOW,
        nodes=tuple(
            Node(name=n, source=source, state=NodeState.ALLOCATED, gpu_count=gpus) for n in names
        ),
        gpus=tuple(
            Gpu(node=n, index=i, source=source, tenants=held) for n in names for i in range(gpus)
        ),
        runs=(
            Run(
                id=f"{source}/1",
                native_id="1",
                source=source,
                scheduler="slurm",
                name=safe("train"),
                state=RunState.RUNNING,
            ),
        ),
    )


def reading(node: str, index: int, util_pct: float, age_s: float = 0.0) -> Reading:
    return Reading(
        node=node,
        index=index,
        source="nvml",
        read_at=NOW - timedelta(seconds=age_s),
        how="nvml",
        util_pct=util_pct,
    )


def test_the_newer_of_two_readings_is_taken_and_means_are_over_all_gpus() -> None:
    readings = [reading("n1", 0, 10.0), reading("n1", 0, 90.0, 60.0), reading("n1", 1, 30.0)]
    whole = merge([part("a", "n1")], NOW, readings=readings)
    assert [g.util_pct for g in whole.gpus] == [10.0, 30.0]
    assert (whole.nodes[0].gpu_util_pct, whole.runs[0].gpu_util_pct) == (20.0, 20.0)


def test_one_gpu_without_a_reading_leaves_the_mean_unknown() -> None:
    whole = merge([part("a", "n1")], NOW, readings=[reading("n1", 0, 10.0)])
    assert [g.util_pct for g in whole.gpus] == [10.0, None]
    assert (whole.nodes[0].gpu_util_pct, whole.runs[0].gpu_util_pct) == (None, None)


def test_a_node_name_of_two_sources_takes_no_reading() -> None:
    readings = [reading(n, i, 50.0) for n in ("n1", "n2", "n3") for i in (0, 1)]
    whole = merge([part("a", "n1", "n2"), part("b", "n2", "n3")], NOW, readings=readings)
    seen = {(g.source, g.node, g.index): g.util_pct for g in whole.gpus}
    assert [seen["a", "n1", 0], seen["b", "n3", 1]] == [50.0, 50.0]
    assert {seen[s, "n2", i] for s in "ab" for i in (0, 1)} == {None}
    told = {g.how for g in whole.gpus if g.node == "n2"}
    assert told == {"not measured: the sources a, b all have a node n2"}
    assert {r.gpu_util_pct for r in whole.runs} == {None}


def test_a_node_without_gpus_makes_the_name_unclear_too() -> None:
    parts = [part("a", "n1"), part("b", "n1", gpus=0)]
    assert {g.util_pct for g in merge(parts, NOW, readings=[reading("n1", 0, 5.0)]).gpus} == {None}
