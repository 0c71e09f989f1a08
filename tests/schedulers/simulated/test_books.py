"""The books of the simulated sources: what tries held, own sums, and requeued tries."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from foundry_tui.estate.acts import Requeue
from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import UsageRecord, Window
from foundry_tui.schedulers.simulated import build
from foundry_tui.schedulers.simulated.runai import RunaiManners
from foundry_tui.schedulers.simulated.slurm import SlurmManners
from tests.schedulers.simulated.conftest import Clock

Sources = tuple[SlurmManners, RunaiManners]


@pytest.fixture(scope="module")
def sources() -> Sources:
    return build(None, Clock())


def records(source: SlurmManners | RunaiManners, hours: int = 24) -> tuple[UsageRecord, ...]:
    end = source.now()
    (part,) = source.usage(Window(end - timedelta(hours=hours), end))
    return part.records


def test_own_totals_are_what_the_tries_of_whole_hours_add_up_to(sources: Sources) -> None:
    slurm = sources[0]
    end = slurm.now()
    asked = Window(end - timedelta(hours=9, minutes=7), end)
    totals = slurm.own_totals(asked)
    assert totals is not None
    assert totals.window.start.minute == totals.window.end.minute == 0
    assert asked.start <= totals.window.start < totals.window.end <= asked.end
    sums: Counter[str] = Counter()
    for record in records(slurm):
        held = sum(h.milli or 0 for h in record.gpus or ())
        seconds = totals.window.overlap_s(record.started_at, record.ended_at)
        sums[record.account or ""] += held * seconds
    assert totals.gpu_s == {a: milli // 1000 for a, milli in sorted(sums.items()) if milli}
    assert sum(totals.gpu_s.values()) > 0
    assert slurm.own_totals(Window(end, end)) is None
    assert sources[1].own_totals(asked) is None


def test_r09_units_are_those_of_the_scheduler(sources: Sources) -> None:
    shards = [h for r in records(sources[0]) for h in r.gpus or () if h.share is Share.SHARD]
    assert shards
    assert all(h.milli == 250 * h.count for h in shards)
    portions = [h for r in records(sources[1]) for h in r.gpus or () if h.share is Share.FRACTION]
    assert {(h.count, h.milli) for h in portions} >= {(1, 500), (1, 300)}
    for source in sources:
        for record in records(source):
            assert sum(h.milli or 0 for h in record.gpus or ()) == (record.gpu_milli or 0)


def test_node_pools_and_accounts_are_told(sources: Sources) -> None:
    slurm, runai = sources
    assert {r.node_pool for r in records(slurm)} == {None}
    pools = {r.node_pool for r in records(runai) if r.started_at is not None}
    assert len(pools) == 1
    assert None not in pools
    tree = {a.name: a for a in runai.accounts()}
    for record in records(runai):
        assert record.account is None
        assert tree[record.queue or ""].parent in tree
    limited = {a.name: a.quota_gpu_milli for a in slurm.accounts()}
    assert limited["robotics"]
    assert limited["root"] is None
    assert {r.account for r in records(slurm)} <= limited.keys()


def test_r16_a_requeued_run_has_a_try_more() -> None:
    slurm = build(None, Clock())[0]
    run = next(
        r for r in slurm.snapshot().runs if r.state is RunState.RUNNING and r.user == slurm.user()
    )
    slurm.perform(slurm.preview(Requeue(source=slurm.name, runs=(run.id,)), (run,), "t"), "t")
    found = [r for r in records(slurm) if r.native_id == run.native_id]
    ended = [r for r in found if r.started_at == run.started_at]
    assert [r.state for r in ended] == [RunState.REQUEUED]
    assert ended[0].ended_at is not None
