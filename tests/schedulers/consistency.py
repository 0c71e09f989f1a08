"""Whether the nouns of one source fit together: ids, placements, tenants and counts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC

from foundry_tui.estate.gpu import contradictions
from foundry_tui.estate.run import HOLDING, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe


def assert_consistent(estate: Snapshot, source: str) -> None:
    """The nouns of one source fit together."""
    assert [s.name for s in estate.sources] == [source]
    for ids in (
        [r.id for r in estate.runs],
        [n.name for n in estate.nodes],
        [q.name for q in estate.queues],
        [(g.node, g.index) for g in estate.gpus],
    ):
        assert len(set(ids)) == len(ids)
    named = [n.source for n in estate.nodes] + [g.source for g in estate.gpus]
    named += [q.source for q in estate.queues] + [r.source for r in estate.runs]
    assert set(named) == {source}
    _assert_runs(estate, source)
    _assert_gpus(estate)
    _assert_queues(estate)


def _assert_runs(estate: Snapshot, source: str) -> None:
    nodes = {n.name: n for n in estate.nodes}
    queues = {q.name for q in estate.queues}
    for run in estate.runs:
        assert run.id == f"{source}/{run.native_id}"
        assert run.name == safe(run.name)
        assert set(run.queues) <= queues
        assert not run.placement or run.state in HOLDING
        for part in run.placement:
            assert part.node in nodes
            assert all(0 <= g < nodes[part.node].gpu_count for g in part.gpus or ())
        for moment in (run.submitted_at, run.started_at, run.ended_at, run.estimated_start_at):
            assert moment is None or moment.tzinfo is UTC
        assert (run.started_at is None) or run.state is not RunState.PENDING
        assert not run.held or run.state is RunState.PENDING
        assert run.array is None or run.array.count >= 1


def _assert_gpus(estate: Snapshot) -> None:
    runs = {r.id: r for r in estate.runs}
    held: Counter[str] = Counter()
    for gpu in estate.gpus:
        for tenant in gpu.tenants or ():
            run = runs[tenant.run]
            assert run.state in HOLDING
            assert 0 < tenant.milli <= 1000
            parts = [p for p in run.placement if p.node == gpu.node]
            assert any(p.gpus is None or gpu.index in p.gpus for p in parts)
            held[run.id] += tenant.milli
    for node in estate.nodes:
        group = [g for g in estate.gpus if g.node == node.name]
        assert len(group) == node.gpu_count
        assert contradictions(group) == ()
        if all(g.tenants is not None for g in group):
            assert node.gpu_milli_allocated == sum(g.milli_allocated or 0 for g in group)
    for run_id, milli in held.items():
        asked = runs[run_id].request.gpu_milli
        assert asked is None or asked == milli


def _assert_queues(estate: Snapshot) -> None:
    parents = {q.parent for q in estate.queues}
    for queue in estate.queues:
        below = [q for q in estate.queues if q.parent == queue.name]
        if queue.name in parents:
            assert queue.running == sum(q.running or 0 for q in below)
            assert queue.waiting == sum(q.waiting or 0 for q in below)
            assert queue.allocated_gpu_milli == sum(q.allocated_gpu_milli or 0 for q in below)
            continue
        runs = [r for r in estate.runs if queue.name in r.queues]
        waits = [r for r in runs if r.state is RunState.PENDING]
        # What was stopped and holds nothing is not counted as running.
        running = [r for r in runs if r.state is not RunState.SUSPENDED or r.placement]
        assert queue.running == sum(r.state in HOLDING for r in running)
        assert queue.waiting == sum(r.count for r in waits)
        if all(r.request.gpu_milli is not None for r in runs):
            asked = sum((r.request.gpu_milli or 0) * r.count for r in waits)
            assert queue.requested_gpu_milli == asked
