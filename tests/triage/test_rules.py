"""The rules against waste: what each finds, and what none of them takes for waste."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.fractions import ShareAdvice
from foundry_tui.estate.gpu import Gpu, Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.triage.nouns import Finding, Judged, Rule, Seen, Try
from foundry_tui.triage.rules import BUILT_IN, judge

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
RULES = {rule.kind: rule for rule in BUILT_IN}
NODES = tuple(
    Node(
        name=f"h{n}",
        source="lab",
        state=NodeState.ALLOCATED,
        gpu_model="h100",
        gpu_count=8,
        cpu_milli=64_000,
    )
    for n in range(4)
)


def run(*nodes: str, gpus: int = 1, state: RunState = RunState.RUNNING, name: str = "1") -> Run:
    return Run(
        id=f"lab/{name}",
        native_id=name,
        source="lab",
        scheduler="slurm",
        name=safe("r"),
        state=state,
        user="ann",
        queue="gpu",
        request=Request(gpu_count=gpus, gpu_milli=1000 * gpus),
        placement=tuple(Placement(node, (0,)) for node in nodes),
        started_at=None if state is RunState.PENDING else NOW - timedelta(hours=4),
    )


def attempt(
    *,
    name: str = "1",
    hours: float = 8.0,
    limit_h: float | None = 12.0,
    gpus: int = 1,
    seen: float = 1.0,
    busy: float = 0.0,
    idle: float = 0.0,
    ended: bool = True,
    cpus: int | None = None,
    user: str = "ann",
    state: RunState = RunState.COMPLETED,
) -> Try:
    """A try; `seen`, `busy` and `idle` are parts of its GPU-hours."""
    record = UsageRecord(
        source="lab",
        native_id=name,
        raw_id=name,
        name=safe("r"),
        user=user,
        account="ml",
        queue="gpu",
        qos=None,
        state=state if ended else RunState.RUNNING,
        submitted_at=NOW - timedelta(hours=hours),
        eligible_at=None,
        started_at=NOW - timedelta(hours=hours),
        ended_at=NOW if ended else None,
        nodes=("h0",),
        gpu_count=gpus,
        gpu_milli=1000 * gpus,
        cpu_milli=None if cpus is None else 1000 * cpus,
        time_limit_s=None if limit_h is None else int(3600 * limit_h),
    )
    held = hours * gpus
    return Try(
        record=record,
        elapsed_s=3600 * hours,
        held_h=held,
        seen_h=seen * held,
        idle_h=idle * held,
        busy_h=busy * held,
    )


def estate(*runs: Run, gpus: tuple[Gpu, ...] = ()) -> Snapshot:
    return Snapshot(generated_at=NOW, nodes=NODES, gpus=gpus, runs=runs)


def judged(
    kind: str, *tries: Try, snapshot: Snapshot | None = None, rule: Rule | None = None
) -> Judged:
    seen = Seen(snapshot=snapshot or estate(), tries=tries, now=NOW)
    return judge((rule or RULES[kind],), seen)[0]


def one(found: Judged) -> Finding:
    assert len(found.findings) == 1
    return found.findings[0]


def gpu(util_pct: float | None, idle_h: float | None) -> Gpu:
    return Gpu(
        node="h0",
        index=0,
        source="lab",
        tenants=(Tenant(run="lab/1", milli=1000, share=Share.WHOLE),),
        util_pct=util_pct,
        idle_since=None if idle_h is None else NOW - timedelta(hours=idle_h),
    )


def test_idle_finds_held_gpus_without_work_and_tries_that_never_worked() -> None:
    found = one(judged("idle", snapshot=estate(run("h0"), gpus=(gpu(0.0, 3.0),))))
    assert (found.run, found.user, found.live) == ("lab/1", "ann", True)
    assert found.gpu_hours == pytest.approx(3.0)
    assert found.evidence == "no work for 3.0 h on h0 GPU 0"
    assert judged("idle", snapshot=estate(run("h0"), gpus=(gpu(0.0, 0.5),))).findings == ()
    never = one(judged("idle", attempt(idle=0.9, seen=0.9)))
    assert never.gpu_hours == pytest.approx(7.2)
    assert not never.live
    assert judged("idle", attempt(idle=0.8, seen=0.9)).findings == ()


def test_what_nobody_measured_is_not_idle() -> None:
    mute = judged("idle", attempt(seen=0.4, idle=0.4), snapshot=estate(gpus=(gpu(None, None),)))
    assert (mute.findings, mute.unjudged) == ((), 2)
    assert judged("low_use", attempt(seen=0.0)).unjudged == 1


def test_low_use_weighs_what_was_measured() -> None:
    found = one(judged("low_use", attempt(seen=0.8, busy=0.04, gpus=2)))
    assert found.gpu_hours == pytest.approx(0.8 * 16 - 0.04 * 16)
    assert "5.0 % busy on average over 8.0 h of a limit of 12 h (80 %" in found.evidence
    for other in (
        attempt(seen=0.8, busy=0.2),  # busy enough
        attempt(busy=0.01, hours=3),  # a quarter of its limit only
        attempt(busy=0.01, limit_h=None),  # no limit to compare with
    ):
        assert judged("low_use", other).findings == ()


def test_walltime_is_a_habit_and_not_a_single_run() -> None:
    short = [attempt(name=str(n), hours=1.0) for n in range(5)]
    found = one(judged("walltime", *short, attempt(name="9", hours=2.9), attempt(hours=10.0)))
    assert (found.run, found.runs, found.user) == ("lab/gpu", 6, "ann")
    assert "12.0 h asked (median), the longest of these took 2.90 h" in found.evidence
    assert "about 5.8 h" in found.advice
    wide = [attempt(name=f"m{n}", hours=9.0, limit_h=48.0) for n in range(2)]
    mixed = one(judged("walltime", *short[:4], *wide))
    assert "each run what it needs: these took up to 9.0 h" in mixed.advice
    assert judged("walltime", *short[:4]).findings == ()
    long = [attempt(name=f"l{n}", hours=11.0) for n in range(6)]
    assert judged("walltime", *short, *long).findings == ()
    failed = [replace(t, record=replace(t.record, state=RunState.FAILED)) for t in short]
    assert judged("walltime", *failed).findings == ()


def test_cpus_beyond_a_gpus_share_of_its_node_block_other_gpus() -> None:
    found = one(judged("cpus", attempt(cpus=24, gpus=1)))
    assert found.gpu_hours == pytest.approx(16.0)
    assert "24 CPUs for each of 1 GPUs on h0, where a GPU's share is 8" in found.evidence
    assert judged("cpus", attempt(cpus=16, gpus=2)).findings == ()
    stranger = attempt(cpus=24)
    away = replace(stranger, record=replace(stranger.record, nodes=("gone",)))
    assert judged("cpus", away).unjudged == 1


def test_fragments_are_counted_against_the_nodes_of_the_model() -> None:
    found = one(judged("fragments", snapshot=estate(run("h0", "h1", "h2", gpus=4))))
    assert "4 GPUs on 3 nodes" in found.evidence and "where 1 is enough" in found.evidence
    assert found.gpu_hours == pytest.approx(16.0)
    assert judged("fragments", snapshot=estate(run("h0", "h1", gpus=16))).findings == ()


def test_half_takes_the_advice_as_it_is() -> None:
    advice = ShareAdvice(
        run="lab/1",
        user="ann",
        state="running",
        asked_milli=1000,
        effective_milli=1000.0,
        safe_milli=400,
        advised_milli=400,
        basis="measured",
        why="at most 30 % busy",
    )
    seen = Seen(snapshot=estate(run("h0")), shares=(advice,), now=NOW)
    found = one(judge((RULES["half"],), seen)[0])
    assert found.gpu_hours == pytest.approx(0.6 * 4)
    waiting = replace(seen, snapshot=estate(run(state=RunState.PENDING)))
    assert one(judge((RULES["half"],), waiting)[0]).gpu_hours is None
    more = replace(seen, shares=(replace(advice, advised_milli=700),))
    assert judge((RULES["half"],), more)[0].findings == ()


def test_a_rule_can_be_limited_and_users_left_out() -> None:
    waste = attempt(idle=1.0)
    for limited in (
        replace(RULES["idle"], queues=("other",)),
        replace(RULES["idle"], exempt=("ann",)),
    ):
        assert judged("idle", waste, rule=limited).findings == ()
    assert judged("idle", waste, rule=replace(RULES["idle"], queues=("gpu",))).findings
    with pytest.raises(ValueError, match="kind: one of idle, low_use"):
        judge((Rule(name="x", kind="vibes"),), Seen(snapshot=estate(), now=NOW))


@given(
    seen=st.floats(0, 1),
    busy=st.floats(0, 1),
    idle=st.floats(0, 1),
    gpus=st.integers(1, 64),
    hours=st.floats(0.1, 500),
)
def test_no_more_is_at_stake_than_was_measured(
    seen: float, busy: float, idle: float, gpus: int, hours: float
) -> None:
    tried = attempt(seen=seen, busy=busy * seen, idle=idle * seen, gpus=gpus, hours=hours)
    for kind in ("idle", "low_use"):
        for finding in judged(kind, tried).findings:
            assert finding.gpu_hours is not None
            assert 0 <= finding.gpu_hours <= tried.seen_h * (1 + 1e-9)
