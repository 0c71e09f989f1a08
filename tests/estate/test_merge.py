"""Applying matched readings: whole ones, means only over all GPUs, and idle time of the holders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from foundry_tui.estate.gpu import Gpu, GpuSlice, Share, Tenant
from foundry_tui.estate.matched import Matched, RunUse
from foundry_tui.estate.merge import merge
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.reading import Fault, FaultKind, InstanceReading, Reading
from foundry_tui.estate.run import Attribution, Placement, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
LOST = Fault(kind=FaultKind.LOST, words=safe("lost"), grave=True)


def run(source: str = "a", native: str = "1", util_pct: float | None = None) -> Run:
    return Run(
        id=f"{source}/{native}",
        native_id=native,
        source=source,
        scheduler="slurm",
        name=safe("train"),
        state=RunState.RUNNING,
        started_at=NOW - timedelta(hours=2),
        gpu_util_pct=util_pct,
    )


def part(*gpus: Gpu, runs: tuple[Run, ...] = ()) -> Snapshot:
    """A source `a` with these GPUs, all on node n1."""
    node = Node(name="n1", source="a", state=NodeState.ALLOCATED, gpu_count=len(gpus))
    return Snapshot(generated_at=NOW, nodes=(node,), gpus=gpus, runs=runs)


def gpu(index: int, *tenants: Tenant, util_pct: float | None = None) -> Gpu:
    return Gpu(node="n1", index=index, source="a", tenants=tenants, util_pct=util_pct)


def reading(index: int, util_pct: float | None, reason: str | None = None) -> Reading:
    return Reading(
        node="n1",
        index=index,
        source="agents",
        read_at=NOW,
        how="agents",
        util_pct=util_pct,
        reason=reason,
    )


def test_a_whole_reading_takes_the_place_of_what_the_scheduler_told() -> None:
    old = replace(gpu(0, Tenant("a/1", 1000), util_pct=70.0), mem_used_bytes=5, power_w=300.0)
    new = replace(reading(0, 10.0), minor=3, uuid="GPU-1", sm_clock_mhz=1980, faults=(LOST,))
    whole = merge([part(old)], NOW, matched=Matched(by_gpu={("a", "n1", 0): new}))
    seen = whole.gpus[0]
    assert (seen.util_pct, seen.mem_used_bytes, seen.power_w) == (10.0, None, None)
    assert (seen.minor, seen.uuid, seen.sm_clock_mhz) == (3, "GPU-1", 1980)
    assert (seen.measured_by, seen.how, seen.read_at, seen.faults) == (
        *("agents", "agents", NOW),
        (LOST,),
    )
    assert seen.tenants == old.tenants


def test_a_failed_reading_gives_its_reason_and_faults_and_no_values() -> None:
    failed = replace(reading(0, None, "the driver does not answer"), faults=(LOST,))
    told = gpu(0, util_pct=70.0)
    seen = merge([part(told)], NOW, matched=Matched(by_gpu={("a", "n1", 0): failed})).gpus[0]
    assert (seen.util_pct, seen.faults) == (70.0, (LOST,))
    assert seen.how == "the driver does not answer"


def test_node_means_are_over_all_gpus_or_unknown() -> None:
    gpus = (gpu(0), gpu(1))
    both = {("a", "n1", i): reading(i, u) for i, u in ((0, 10.0), (1, 30.0))}
    assert merge([part(*gpus)], NOW, matched=Matched(by_gpu=both)).nodes[0].gpu_util_pct == 20.0
    one = {("a", "n1", 0): reading(0, 10.0)}
    assert merge([part(*gpus)], NOW, matched=Matched(by_gpu=one)).nodes[0].gpu_util_pct is None
    known = Matched(by_gpu=one, by_node={("a", "n1"): 40.0}, notes={("a", "n1", 1): "not told"})
    told = merge([part(*gpus)], NOW, matched=known)
    assert (told.nodes[0].gpu_util_pct, told.gpus[1].how) == (40.0, "not told")


def test_a_lost_gpu_does_not_hide_what_the_others_of_its_node_do() -> None:
    lost = Fault(kind=FaultKind.LOST, words=safe("lost"), grave=True)
    ailing = replace(lost, kind=FaultKind.ROW_REMAP, grave=False)

    def merged(*faults: Fault) -> Node:
        seen = part(gpu(0, util_pct=20.0), gpu(1, util_pct=60.0), replace(gpu(2), faults=faults))
        return merge((seen,), NOW).nodes[0]

    assert (merged(lost).gpu_util_pct, merged(lost).gpu_measured_count) == (40.0, 2)
    for node in (merged(), merged(ailing)):
        assert (node.gpu_util_pct, node.gpu_measured_count) == (None, None), "unknown is not lost"


def test_a_split_gives_way_to_what_the_runs_own_source_told() -> None:
    shares = (Tenant("a/1", 500, Share.SHARD), Tenant("a/2", 250, Share.SHARD))
    runs = (run(native="1"), run(native="2", util_pct=11.0))
    whole = merge([part(gpu(0, *shares, util_pct=60.0), runs=runs)], NOW)
    first, second = whole.runs
    assert (first.gpu_util_pct, first.gpu_util_how) == (40.0, Attribution.JOINT)
    assert (second.gpu_util_pct, second.gpu_util_how) == (11.0, None)


def test_a_run_with_gpus_that_are_not_told_stays_unknown() -> None:
    held = gpu(0, Tenant("a/1", 1000), util_pct=50.0)
    partly = replace(run(), placement=(Placement("n1", (0,)), Placement("n2", None)))
    assert merge([part(held, runs=(partly,))], NOW).runs[0].gpu_util_pct is None
    assert merge([part(held, runs=(run(),))], NOW).runs[0].gpu_util_pct == 50.0


def test_ended_runs_keep_their_figure() -> None:
    ended = replace(run(util_pct=7.0), state=RunState.COMPLETED)
    use = Matched(by_run={"a/1": RunUse(50.0, Attribution.WHOLE)})
    assert merge([part(runs=(ended,))], NOW, matched=use).runs[0].gpu_util_pct == 7.0


def test_remarks_are_told_as_partial() -> None:
    remarks = (safe("processes where none should be"),)
    assert merge([part()], NOW, matched=Matched(remarks=remarks)).partial == remarks


def test_idle_time_is_that_of_the_holders() -> None:
    fell_idle = NOW - timedelta(hours=5)
    marks = {("a", "n1", i): fell_idle for i in range(4)}
    gpus = (
        gpu(0, Tenant("a/1", 1000), util_pct=0.0),  # it fell idle before its holder came
        gpu(1, util_pct=0.0),  # nobody holds it
        gpu(2, Tenant("a/1", 1000), util_pct=80.0),  # works again
        gpu(3, Tenant("a/unknown", 1000), util_pct=0.0),  # its holder's start is not known
    )
    seen = merge([part(*gpus, runs=(run(),))], NOW, idle_marks=marks).gpus
    assert [g.idle_since for g in seen] == [NOW - timedelta(hours=2), None, None, None]


def test_what_counts_as_idle_is_what_the_marks_go_by() -> None:
    marks = {("a", "n1", i): NOW - timedelta(minutes=40) for i in range(3)}
    gpus = [gpu(i, Tenant("a/1", 1000), util_pct=u) for i, u in enumerate((1.0, 1.1, 5.0))]
    seen = part(*gpus, runs=(run(),))

    def told(idle_pct: float) -> list[bool]:
        whole = merge([seen], NOW, idle_marks=marks, idle_pct=idle_pct)
        return [one.idle_since is not None for one in whole.gpus]

    assert (told(1.0), told(5.0)) == ([True, False, False], [True, True, True])


def test_slices_take_the_values_of_their_instances() -> None:
    slices = tuple(GpuSlice(uuid=None, profile=p, milli=333) for p in ("1g.10gb", "2g.20gb"))
    cut = replace(gpu(0), slices=slices)
    instances = (
        InstanceReading(gi=3, profile="2g.20gb", util_pct=70.0, uuid="MIG-2"),
        InstanceReading(gi=9, profile="1g.10gb", util_pct=10.0),
    )
    made = replace(reading(0, None), instances=instances)
    seen = merge([part(cut)], NOW, matched=Matched(by_gpu={("a", "n1", 0): made})).gpus[0]
    assert [(s.gi, s.util_pct, s.uuid) for s in seen.slices] == [
        (9, 10.0, None),
        (3, 70.0, "MIG-2"),
    ]


def test_slices_of_other_profiles_stay_unknown() -> None:
    cut = replace(gpu(0), slices=(GpuSlice(uuid=None, profile="1g.10gb", milli=143),))
    made = replace(
        reading(0, None), instances=(InstanceReading(gi=1, profile="3g.40gb", util_pct=5.0),)
    )
    seen = merge([part(cut)], NOW, matched=Matched(by_gpu={("a", "n1", 0): made})).gpus[0]
    assert [(s.gi, s.util_pct) for s in seen.slices] == [(None, None)]
