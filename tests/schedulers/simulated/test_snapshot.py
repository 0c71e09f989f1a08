"""What the simulated estate shows: enough of everything that the program is about."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.merge import merge
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.reading import FaultKind
from foundry_tui.estate.run import RunState
from foundry_tui.estate.snapshot import decode, encode
from foundry_tui.schedulers.simulated import build
from foundry_tui.schedulers.simulated.layout import USER
from foundry_tui.schedulers.simulated.past import past
from foundry_tui.schedulers.simulated.runai import RunaiManners
from foundry_tui.schedulers.simulated.slurm import SlurmManners
from tests.schedulers.consistency import assert_consistent
from tests.schedulers.simulated.conftest import Clock

Estate = tuple[SlurmManners, RunaiManners]


def test_twelve_nodes_and_96_gpus_in_two_sources(estate: Estate) -> None:
    slurm, runai = (source.snapshot() for source in estate)
    assert (len(slurm.nodes), len(slurm.gpus)) == (8, 64)
    assert (len(runai.nodes), len(runai.gpus)) == (4, 32)
    for snapshot, name, word in ((slurm, "sim-slurm", "slurm"), (runai, "sim-runai", "runai")):
        assert [(s.name, s.kind) for s in snapshot.sources] == [(name, "simulated")]
        assert {r.scheduler for r in snapshot.runs} == {word}


def test_it_is_consistent_for_days(estate: Estate, clock: Clock) -> None:
    for _ in range(30):
        clock.pass_simulated(5 * 3600 + 17)
        for source in estate:
            assert_consistent(source.snapshot(), source.name)


def test_the_first_look_shows_what_the_program_is_about(estate: Estate) -> None:
    slurm, runai = (source.snapshot() for source in estate)
    reasons = Counter(r.reason for r in slurm.runs if r.state is RunState.PENDING)
    assert {"Priority", "Resources", "JobHeldUser", "Dependency"} <= set(reasons)
    assert {"QOSMaxGRESPerUser", "AssocGrpGRES"} <= set(reasons)
    assert {r.reason for r in runai.runs if r.state is RunState.PENDING} >= {
        "Unschedulable",
        "OverLimit",
    }
    both = merge((slurm, runai), slurm.generated_at)
    assert any(n.state in (NodeState.DOWN, NodeState.DRAINING) and n.reason for n in both.nodes)
    idle = [g for g in both.gpus if g.idle_since is not None]
    assert len(idle) >= 4
    for gpu in idle:
        assert (gpu.util_pct, bool(gpu.tenants)) == (0.0, True)
        assert gpu.idle_since is not None
        assert gpu.idle_since <= both.generated_at
    assert {r.user for r in both.runs} >= {USER, "bo"}
    assert any(r.array and r.array.count > 1 for r in slurm.runs)
    assert any(r.estimated_start_at for r in slurm.runs)


def test_shares_are_tenants_of_one_gpu(estate: Estate) -> None:
    slurm, runai = (source.snapshot() for source in estate)
    for snapshot, share in ((slurm, Share.SHARD), (runai, Share.FRACTION)):
        shared = [g for g in snapshot.gpus if g.shared]
        assert shared
        assert {t.share for g in shared for t in g.tenants or ()} == {share}
        assert any(len(g.tenants or ()) > 1 for g in shared)


def test_readings_are_there_and_plausible(estate: Estate, clock: Clock) -> None:
    for source in estate:
        snapshot = source.snapshot()
        down = {n.name for n in snapshot.nodes if n.state is NodeState.DOWN}
        for gpu in snapshot.gpus:
            if gpu.node in down:
                assert (gpu.util_pct, gpu.how) == (None, "the node does not answer")
                continue
            if any(fault.kind is FaultKind.LOST for fault in gpu.faults):
                assert (gpu.util_pct, gpu.power_w, gpu.idle_since) == (None, None, None)
                continue
            assert gpu.how == "simulated"
            assert gpu.util_max_pct is not None and gpu.util_pct is not None
            assert gpu.util_pct <= gpu.util_max_pct <= 100
            assert gpu.util_pct is not None and 0 <= gpu.util_pct <= 100
            assert gpu.mem_used_bytes is not None and gpu.mem_total_bytes is not None
            assert 0 < gpu.mem_used_bytes <= gpu.mem_total_bytes
            assert gpu.power_w is not None and 70 <= gpu.power_w <= 700
            assert gpu.uuid is not None and len(gpu.uuid) == len("GPU-") + 36
            if not gpu.tenants:
                assert gpu.util_pct == 0
    before = [g.util_pct for g in estate[0].snapshot().gpus]
    clock.pass_simulated(61)
    assert before != [g.util_pct for g in estate[0].snapshot().gpus]


def test_one_gpu_is_lost_and_one_ails(slurm: SlurmManners, clock: Clock) -> None:
    def faulty() -> dict[str, tuple[str, bool]]:
        return {
            f"{gpu.node}:{gpu.index}": (gpu.faults[0].kind, gpu.faults[0].grave)
            for gpu in slurm.snapshot().gpus
            if gpu.faults
        }

    found = {"h03:5": ("row_remap", False), "a04:6": ("lost", True)}
    assert faulty() == found
    clock.pass_simulated(600)
    assert faulty() == found


def test_the_past_is_how_it_was(clock: Clock) -> None:
    sources = build(None, clock)
    seen = [tuple(source.snapshot() for source in sources)]
    for _ in range(2):
        clock.pass_simulated(300)
        seen.append(tuple(source.snapshot() for source in sources))
    now = sources[0].now()
    then = {one.generated_at: one for one in past(sources, now - timedelta(minutes=10), now)}
    assert sorted(then) == [now - timedelta(minutes=n) for n in range(9, 0, -1)]
    middle = then[now - timedelta(minutes=5)]
    runs = [run.id for part in seen[1] for run in part.runs]
    assert {g.util_pct for part in seen[1] for g in part.gpus} == {g.util_pct for g in middle.gpus}
    assert [n.name for part in seen[1] for n in part.nodes] == [n.name for n in middle.nodes]
    assert {t.run for g in middle.gpus for t in g.tenants or ()} <= set(runs)
    before_the_start = past(sources, now - timedelta(hours=2), now - timedelta(hours=1))
    assert len(next(before_the_start).runs) > 10
    after = tuple(source.snapshot() for source in sources)
    assert after == seen[2], "looking back changes nothing"


def test_in_the_past_who_held_a_gpu_is_known_from_the_first_minute_on(clock: Clock) -> None:
    now = clock.now
    taken = 0
    for then in past(build(None, clock), now - timedelta(hours=2), now):
        started = {run.id for run in then.runs if run.started_at is not None}
        held = {run for gpu in then.gpus for run in gpu.runs}
        assert held <= started, then.generated_at
        taken = max(taken, len(held))
    assert taken > 10


def test_a_run_is_as_busy_as_its_gpus(slurm: SlurmManners) -> None:
    snapshot = slurm.snapshot()
    merged = {r.id: r.gpu_util_pct for r in merge((snapshot,), snapshot.generated_at).runs}
    told = {r.id: r.gpu_util_pct for r in snapshot.runs}
    assert any(v for v in told.values())
    for run_id, util in told.items():
        assert merged[run_id] == pytest.approx(util, abs=0.06) if util is not None else True


def test_a_snapshot_survives_its_file(estate: Estate) -> None:
    parts = [source.snapshot() for source in estate]
    both = merge(parts, parts[0].generated_at)
    assert decode(encode(both)) == both


def test_a_probe_says_that_this_is_a_simulation(slurm: SlurmManners) -> None:
    (probe,) = slurm.probe()
    assert probe.state == "simulated"
    assert "no real cluster: a simulation of 8 nodes with 64 GPUs" in probe.found
    assert "no folder was given" in probe.found


def test_an_estate_needs_a_node_for_each_scheduler(clock: Clock) -> None:
    with pytest.raises(ValueError, match=r"^nodes: at least 3"):
        build(None, clock, nodes=2)
    for source in build(None, clock, nodes=3, waiting=5):
        assert_consistent(source.snapshot(), source.name)
