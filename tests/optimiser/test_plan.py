"""The plan as a whole: measures, bound, ids, idle GPUs, and what the scheduler says to it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from foundry_tui.estate.acts import ChangeRun
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.plan import Plan
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.optimiser.advise import advise
from foundry_tui.optimiser.result import Refused
from foundry_tui.optimiser.verify import checked, refusals, what_if
from tests.optimiser.estates import (
    ADMIN,
    NOW,
    estate,
    later,
    node,
    plan_for,
    queue,
    running,
    starts,
    waiting,
    why_not,
)


def _half_used() -> Snapshot:
    runs = [
        running("r", "h02", [0, 1, 2, 3, 4]),
        waiting("w", 3, hours=10, priority=500),
        waiting("v", 16, priority=400),
    ]
    return estate([node("h02", 8), node("h04", 8)], runs)


def test_a_move_says_what_it_takes_what_it_leaves_and_what_must_still_hold() -> None:
    (move,) = plan_for(_half_used()).moves
    here = "h02 has exactly 3 GPUs left: after this the node is full"
    assert move.why == f"{here}, and 8 whole GPUs stay free on h04"
    assert (move.id, move.target.id, move.action) == ("m1", "lab/w", "start")
    assert (move.gpu_milli, move.gain, move.cost, move.risk) == (3000, 30.0, 0.0, "low")
    assert (move.owner, move.queue, move.inverse, move.starts_at) == (None, None, "nodelist=", NOW)
    assert (move.rule, move.starts_within_s, move.irreversible) == ("start", 90.0, False)
    pinned = ChangeRun(source="lab", runs=("lab/w",), fields=(("nodelist", "h02"),))
    assert move.steps == (pinned,)
    assert move.precondition == {
        "state": "pending",
        "reason": "Resources",
        "queue": "gpu",
        "tasks": 1,
        "held": False,
        "gpu_milli_free on h02": 3000,
    }


def test_who_may_not_change_a_run_needs_its_owner() -> None:
    rights = replace(ADMIN, user="eve", admin=False)
    assert plan_for(_half_used(), rights=rights).moves[0].owner == "ada"
    assert plan_for(_half_used(), rights=replace(rights, user="ada")).moves[0].owner is None


def test_the_measures_before_and_after_are_the_same_ones() -> None:
    plan = plan_for(_half_used())
    assert plan.before == {
        "gpus_total": 16.0,
        "gpus_allocated": 5.0,
        "gpus_free": 11.0,
        "waiting_runs": 2.0,
        "waiting_gpus": 19.0,
        # Of the three typical requests the one for 16 GPUs can use none of the 11 that are free,
        # the one for 5 none of the 3 on h02, the one for 3 all.
        "fragmentation_gpus": pytest.approx((11 + 3 + 0) / 3),
        "gpus_idle_allocated": 0.0,
    }
    assert plan.after == {
        **plan.before,
        "gpus_allocated": 8.0,
        "gpus_free": 8.0,
        "waiting_runs": 1.0,
        "waiting_gpus": 16.0,
        "fragmentation_gpus": pytest.approx(8 / 3),
    }


def test_what_alone_can_start_is_proven_without_a_search() -> None:
    plan = plan_for(_half_used())
    # Three GPUs, of the run of the highest priority: 1 and 4 more each; v could not start.
    assert (plan.objective_name, plan.objective, plan.bound) == (
        "weighted GPUs started",
        15.0,
        15.0,
    )
    assert (plan.gap, plan.status, plan.sense) == (0.0, "optimal", "max")
    assert plan.moves[0].worth == 15.0
    assert any("kept for runs which have to wait" in words for words in plan.unproven)


def test_with_no_time_the_plan_says_that_it_is_a_heuristic_and_how_good_at_least() -> None:
    runs = [waiting("w", 3, priority=500), waiting("v", 2), waiting("u", 2)]
    plan = plan_for(estate([node("n1", 4)], runs))
    assert starts(plan) == {"w": [("n1", (0, 1, 2))]}
    # One more GPU of weight 1 would fit, were runs divisible.
    assert (plan.status, plan.objective, plan.bound) == ("heuristic", 15.0, 16.0)
    assert plan.bound_kind is not None
    assert plan.bound_kind.startswith("trivial")
    assert plan.unproven[0] == "lab: no exact search was made: the time limit is 0 s"
    assert any("counts 1, up to 4 more" in words for words in plan.assumptions)


def test_the_same_snapshot_gives_the_same_plan() -> None:
    snapshot = _half_used()
    first, second = plan_for(snapshot), plan_for(snapshot)
    assert first == second
    assert plan_for(snapshot, limit=0).id != first.id
    ticks = iter((10.0, 12.5))
    timed = advise(
        snapshot,
        rights_by_source={"lab": ADMIN},
        now=NOW,
        idle_util_pct=5.0,
        idle_after_s=1800.0,
        policy="fgd",
        clock=lambda: next(ticks),
    )
    assert timed.solve_s == 2.5
    assert replace(timed, solve_s=0.0) == first


def test_the_number_of_moves_can_be_limited_and_the_measures_follow() -> None:
    snapshot = estate([node("n1", 8)], [waiting("w", 3, priority=500), waiting("v", 2)])
    plan = plan_for(snapshot, limit=1)
    assert starts(plan) == {"w": [("n1", (0, 1, 2))]}
    assert plan.after["gpus_allocated"] == 3.0
    assert "left out by the asked number of moves" in why_not(plan, "v")


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="policy: one of best, fgd, best_fit, got 'magic'"):
        plan_for(_half_used(), policy="magic")
    with pytest.raises(ValueError, match="limit: at least 0"):
        plan_for(_half_used(), limit=-1)
    with pytest.raises(ValueError, match="objective: one of start, strand, disturb, got 'magic'"):
        plan_for(_half_used(), objective="magic")
    for seconds in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="time_limit_s: 0 or more"):
            plan_for(_half_used(), time_limit_s=seconds)


def test_an_empty_estate_gives_an_empty_plan() -> None:
    plan = plan_for(Snapshot(generated_at=NOW))
    assert (plan.moves, plan.not_proposed, plan.objective, plan.gap) == ((), (), 0.0, 0.0)
    assert plan.after["fragmentation_gpus"] is None


def test_a_source_that_is_silent_is_not_advised_about() -> None:
    down = Source(name="lab", kind="slurm", state=SourceState.STALE)
    plan = plan_for(replace(_half_used(), sources=(down,)))
    assert plan.moves == ()
    assert "lab is stale" in why_not(plan, "w")


def test_a_run_without_a_limit_has_no_known_gain() -> None:
    plan = plan_for(estate([node("n1")], [waiting("w", hours=None)], [queue(hours=None)]))
    assert plan.moves[0].gain is None
    assert any("without a time limit" in a for a in plan.assumptions)


def test_planning_is_cheap_to_import() -> None:
    code = (
        "import sys, foundry_tui.optimiser.advise, foundry_tui.optimiser.verify;"
        "sys.exit(bool({'numpy', 'scipy', 'msgspec'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _measured(snapshot: Snapshot, **readings: tuple[float | None, float | None]) -> Snapshot:
    """GPUs of n1 by index (`gpu0=(utilisation, hours idle)`)."""

    def read(gpu: Gpu) -> Gpu:
        util, idle_h = readings.get(f"gpu{gpu.index}", (None, None))
        since = None if idle_h is None else later(-idle_h)
        return replace(gpu, util_pct=util, idle_since=since)

    return replace(snapshot, gpus=tuple(read(g) for g in snapshot.gpus))


def _busy() -> Snapshot:
    return estate([node("n1", 4)], [running("r", "n1", [0, 1, 2], ends=3)])


def test_idle_gpus_are_shown_to_a_person_with_owner_and_waste() -> None:
    snapshot = _measured(_busy(), gpu0=(0.0, 2.0), gpu1=(3.0, 1.0), gpu2=(80.0, None))
    plan = plan_for(snapshot)
    (move,) = plan.moves
    assert (move.action, move.target.id, move.owner, move.risk) == (
        "review_idle",
        "lab/r",
        "bob",
        "high",
    )
    assert [(p.node, p.gpus) for p in move.placement] == [("n1", (0, 1))]
    assert "bob holds 2 GPU on n1 GPU 0,1" in move.why
    assert "at most 3 % busy since 2026-03-02 07:00 UTC: 3.0 GPU-hours unused" in move.why
    assert (move.gpu_milli, move.gain, move.cost) == (2000, 6.0, 6.0)
    assert (move.starts_at, move.inverse, what_if(move)) == (None, None, None)
    assert plan.before["gpus_idle_allocated"] == plan.after["gpus_idle_allocated"] == 2.0
    assert plan.objective == 0.0


def test_what_is_not_known_is_never_called_idle() -> None:
    unread = _measured(
        _busy(), gpu0=(None, 2.0), gpu1=(0.0, None), gpu2=(0.0, 0.4), gpu3=(0.0, 9.0)
    )
    plan = plan_for(unread)
    assert plan.moves == ()
    assert plan.before["gpus_idle_allocated"] == 0.0
    words = " ".join(plan.assumptions)
    assert "1 allocated GPUs have no utilisation reading" in words
    assert "1 allocated GPUs show no work, but since when is not known" in words


def test_a_shared_gpu_that_is_idle_is_a_question_to_each_of_its_tenants() -> None:
    runs = [running("a", "n1", [0], 500, user="bo"), running("b", "n1", [0], 250, user="eve")]
    plan = plan_for(_measured(estate([node("n1", 1)], runs), gpu0=(0.0, 2.0)))
    assert [(m.owner, m.gpu_milli) for m in plan.moves] == [("bo", 500), ("eve", 250)]


def test_a_tenant_that_is_not_listed_has_no_owner() -> None:
    snapshot = _measured(_busy(), gpu0=(0.0, 2.0))
    (move,) = plan_for(replace(snapshot, runs=())).moves
    assert (move.owner, move.gain, move.cost) == (None, None, None)
    assert "an unknown user" in move.why


def _two_moves() -> Plan:
    nodes = [node("a1", queues=("a100",)), node("h1", queues=("h100",))]
    runs = [
        running("r", "a1", [0, 1, 2], ends=3),
        waiting("w", 2, queue="a100", priority=500),
        waiting("v", queue="a100"),
    ]
    return plan_for(estate(nodes, runs, [queue("a100"), queue("h100")]))


def test_a_what_if_names_nodes_and_queue_in_the_words_of_a_change() -> None:
    assert [what_if(m) for m in _two_moves().moves] == [
        (("queue", "h100"), ("nodelist", "h1")),
        (("nodelist", "a1"),),
    ]
    gang = plan_for(estate([node("n1"), node("n2")], [waiting("w", 4, nodes=2)]))
    assert what_if(gang.moves[0]) == (("nodelist", "n1,n2"),)


def test_what_the_scheduler_refuses_is_not_proposed() -> None:
    plan = _two_moves()
    soon = later(0.01)
    kept = checked(plan, {"m1": soon, "m2": None})
    assert [m.starts_at for m in kept.moves] == [soon, None]
    assert (kept.id, kept.after) == (plan.id, plan.after)
    assert checked(plan, {}) == plan

    found = checked(plan, {"m1": "Requested node configuration is not available", "m2": soon})
    assert [m.id for m in found.moves] == ["m2"]
    assert "refuses it: Requested node configuration is not available" in why_not(found, "w")
    assert found.id != plan.id
    assert found.after["gpus_allocated"] == 4.0
    assert plan.objective is not None
    assert plan.moves[0].worth is not None
    assert found.objective == pytest.approx(plan.objective - plan.moves[0].worth)
    assert found.status != "optimal"
    assert found.after["gpus_free"] == 4.0
    assert (found.after["waiting_runs"], found.after["waiting_gpus"]) == (1.0, 2.0)
    assert found.after["fragmentation_gpus"] is None
    assert found.bound == plan.bound
    assert found.gap == pytest.approx(10 / 11, abs=0.01)


def test_refused_nodes_are_not_proposed_again() -> None:
    snapshot = estate([node(f"n{i}") for i in (1, 2, 3)], [waiting("w")])
    refused: Refused = {}
    seen = []
    for _ in range(3):
        plan = plan_for(snapshot, refused=refused)
        seen += [place for places in starts(plan).values() for place, _ in places]
        refused = refusals(plan, {m.id: "no such gres there" for m in plan.moves}, refused)
    assert seen == ["n1", "n2", "n3"]
    assert refused == {"lab/w": ("n1", "n2", "n3")}
    assert plan_for(snapshot, refused=refused).moves == ()
    assert refusals(plan, {"m1": None}) == {}


def test_a_late_start_is_told_and_is_no_refusal() -> None:
    plan = _two_moves()
    found = checked(plan, {"m1": later(2), "m2": later(0.01)})
    assert [m.starts_at for m in found.moves] == [later(2), later(0.01)]
    assert "1 moves have a free place now" in found.assumptions[-1]
    assert found.not_proposed == plan.not_proposed
