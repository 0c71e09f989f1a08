"""The scheduler's order is kept: nothing is started that would delay a run which comes first."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Limit, Rights
from foundry_tui.estate.run import Placement, RunState
from tests.optimiser.brute import first_start
from tests.optimiser.estates import (
    ADMIN,
    applied,
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
from tests.optimiser.test_placement import random_estate

PROMISE = re.compile(r"at the earliest (\d{4}-\d\d-\d\d \d\d:\d\d) UTC")


def test_priority_comes_first_then_age() -> None:
    old = replace(waiting("old"), submitted_at=later(-5))
    runs = [waiting("young"), waiting("urgent", priority=200), old]
    plan = plan_for(estate([node("n1", 2)], runs))
    assert [m.target.id for m in plan.moves] == ["lab/urgent", "lab/old"]
    assert "2026-03-02 10:00" not in why_not(plan, "young")


def test_a_queue_of_higher_tier_is_looked_at_first() -> None:
    queues = [queue("gpu"), replace(queue("fast"), priority=10)]
    runs = [waiting("a", priority=900), waiting("b", queue="fast", priority=1)]
    plan = plan_for(estate([node("n1", 1, queues=("gpu", "fast"))], runs, queues))
    assert starts(plan) == {"b": [("n1", (0,))]}


def test_a_later_run_may_use_kept_gpus_only_until_they_are_needed() -> None:
    nodes = [node("n1", 4)]
    busy = running("r", "n1", [0, 1], ends=2)
    first = waiting("first", 4, priority=500, hours=8)
    for hours, moved in ((1.0, True), (2.0, True), (2.5, False), (None, False)):
        second = waiting("second", 2, hours=hours)
        plan = plan_for(estate(nodes, [busy, first, second]))
        assert bool(starts(plan)) is moved, hours
        assert "at the earliest 2026-03-02 11:00 UTC on n1" in why_not(plan, "first")
        if moved:
            assert "lab/first, which comes first, is not delayed" in plan.moves[0].why
        else:
            assert "fits on n1 now, but would delay lab/first" in why_not(plan, "second")
        assert all(m.displaces == () for m in plan.moves)


def test_a_later_run_goes_where_the_first_one_would_not_start() -> None:
    nodes = [node("n1", 4), node("n2", 4)]
    busy = [running("r1", "n1", [0, 1], ends=2), running("r2", "n2", [0, 1], ends=5)]
    first = waiting("first", 4, priority=500)
    second = waiting("second", 2, hours=40)
    plan = plan_for(estate(nodes, [*busy, first, second]))
    assert starts(plan) == {"second": [("n2", (2, 3))]}


def test_of_a_kept_node_slurm_lets_nobody_use_what_is_not_needed_there() -> None:
    """Two of four GPUs come free in an hour, and who needs three of them could spare one now.

    Seen on 22.05: one that ends within the hour starts, another waits until the first has ended.
    """
    busy = running("r", "n1", [0, 1], ends=1)
    for hours, starts_now in ((None, False), (0.5, True)):
        runs = [busy, waiting("first", 3, priority=500), waiting("second", hours=hours)]
        plan = plan_for(estate([node("n1", 4)], runs))
        assert ("second" in starts(plan)) is starts_now


def test_of_a_kept_node_others_may_use_what_is_not_needed() -> None:
    """The same where the scheduler keeps no more than what a run needs."""
    busy = running("r", "n1", [0, 1], ends=1)
    runs = [busy, waiting("first", 3, priority=500), waiting("second", hours=None)]
    elsewhere = [replace(run, scheduler="kai") for run in runs]
    plan = plan_for(estate([node("n1", 4)], elsewhere))
    assert len(starts(plan)["second"]) == 1


def test_a_kept_place_is_not_promised_to_another() -> None:
    """At 10:00 two GPUs come free, but at 11:00 the first run needs all four."""
    busy = [running("r1", "n1", [0, 1], ends=1), running("r2", "n1", [2, 3], ends=2)]
    runs = [*busy, waiting("first", 4, priority=500), waiting("second", 2)]
    plan = plan_for(estate([node("n1", 4)], runs))
    assert "at the earliest 2026-03-02 11:00" in why_not(plan, "first")
    assert "do not tell when it could start" in why_not(plan, "second")


def test_a_node_kept_for_two_is_kept_from_the_earlier_moment() -> None:
    busy = [running("r1", "n1", [0, 1], ends=1), running("r2", "n1", [2], ends=3)]
    ahead = [waiting("first", 3, priority=500), waiting("second", priority=400, hours=8)]
    plan = plan_for(estate([node("n1", 4)], [*busy, *ahead, waiting("third", hours=2)]))
    assert "at the earliest 2026-03-02 10:00" in why_not(plan, "first")
    assert "at the earliest 2026-03-02 12:00" in why_not(plan, "second")
    assert starts(plan) == {}
    assert "fits on n1 now, but would delay lab/first" in why_not(plan, "third")


def test_what_starts_now_is_gone_at_its_own_limit() -> None:
    busy = running("r", "n1", [0, 1], ends=1)
    runs = [busy, waiting("first", 2, hours=1, priority=500), waiting("second", 4)]
    plan = plan_for(estate([node("n1", 4)], runs))
    assert starts(plan) == {"first": [("n1", (2, 3))]}
    assert "at the earliest 2026-03-02 10:00" in why_not(plan, "second")


def test_work_on_two_nodes_gives_back_on_each_what_it_holds_there() -> None:
    spread = replace(
        running("r1", "n1", [], cores=8, ends=1),
        placement=(Placement("n1"), Placement("n2")),
    )
    endless = running("r2", "n1", [], cores=4, ends=None)
    snapshot = estate([node("n1", cores=8)], [endless, waiting("w", cores=8)])
    full = replace(snapshot.nodes[0], cpu_milli_allocated=8000)
    snapshot = replace(snapshot, nodes=(full,), runs=(*snapshot.runs, spread))
    assert "do not tell when it could start" in why_not(plan_for(snapshot), "w")
    half = replace(snapshot.runs[1], request=replace(snapshot.runs[1].request, cpu_milli=4000))
    less = replace(snapshot, runs=(snapshot.runs[0], half, spread))
    assert "at the earliest 2026-03-02 10:00" in why_not(plan_for(less), "w")


def test_a_run_that_could_never_start_keeps_nothing() -> None:
    runs = [waiting("first", 8, priority=500), waiting("second", hours=None)]
    plan = plan_for(estate([node("n1", 4)], runs))
    assert starts(plan) == {"second": [("n1", (0,))]}
    assert "no node of gpu that takes runs could ever hold it" in why_not(plan, "first")


@pytest.mark.parametrize("policy", ["fgd", "best_fit"])
def test_every_promised_start_holds_with_all_moves_made(policy: str) -> None:
    random = Random(21)
    promises = 0
    for _ in range(250):
        snapshot = random_estate(random, runs=10)
        plan = plan_for(snapshot, policy=policy)
        after = applied(snapshot, plan.moves)
        for run in snapshot.runs:
            promise = PROMISE.search(why_not(plan, run.native_id))
            if promise is None:
                continue
            promises += 1
            at = datetime.strptime(promise[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
            alone = first_start(after, run, run.queues)
            assert alone is not None
            assert alone <= at, (run.id, alone, at)
    assert promises > 60


def test_overdue_work_ends_any_moment_and_is_not_counted_on() -> None:
    busy = running("r", "n1", [0], ends=-1)
    plan = plan_for(estate([node("n1", 1)], [busy, waiting("w")]))
    assert starts(plan) == {}
    assert "2026-03-02 09:00 UTC on n1" in why_not(plan, "w")


def test_work_without_a_limit_and_suspended_work_never_ends() -> None:
    endless = running("r", "n1", [0], ends=None)
    stopped = replace(running("r", "n1", [0], ends=1), state=RunState.SUSPENDED)
    for busy in (endless, stopped):
        plan = plan_for(estate([node("n1", 1)], [busy, waiting("w")]))
        assert "do not tell when it could start" in why_not(plan, "w")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (waiting("w", held=True), "held"),
        (waiting("w", reason="JobHeldAdmin"), "held"),
        (waiting("w", reason="Dependency", native={"dependency": "afterok:7"}), "afterok:7"),
        (waiting("w", reason=None, native={"dependency": "afterok:7"}), "afterok:7"),
        (waiting("w", reason="BeginTime", eligible_at=later(3)), "2026-03-02 12:00 UTC"),
        (waiting("w", reason="QOSMaxGRESPerUser"), "QOSMaxGRESPerUser"),
        (waiting("w", reason="JobArrayTaskLimit"), "JobArrayTaskLimit"),
        (waiting("w", reason="OverLimit", scheduler="runai"), "OverLimit"),
        (waiting("w", reason="NonPreemptibleOverQuota", scheduler="runai"), "OverQuota"),
        (waiting("w", native={"reservation": "course"}), "course"),
        (waiting("w", native={"truncated": "features,name"}), "features"),
        (replace(waiting("w"), request=replace(waiting("w").request, gpu_milli=None)), "share"),
    ],
)
def test_what_waits_for_something_else_than_room_is_not_proposed(run: object, words: str) -> None:
    assert isinstance(run, type(waiting("w")))
    plan = plan_for(estate([node("n1")], [run]))
    assert plan.moves == ()
    assert words in why_not(plan, "w")


@pytest.mark.parametrize(
    "reason",
    [
        None,
        "Priority",
        "Resources",
        "ReqNodeNotAvail, UnavailableNodes:n9",
        "PartitionTimeLimit",
        "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved",
    ],
)
def test_what_room_would_end_is_proposed(reason: str | None) -> None:
    plan = plan_for(estate([node("n1")], [waiting("w", reason=reason)]))
    assert starts(plan) == {"w": [("n1", (0,))]}


def test_a_satisfied_dependency_does_not_hold_a_run_back() -> None:
    run = waiting("w", reason="Priority", native={"dependency": "afterok:7(fulfilled)"})
    assert starts(plan_for(estate([node("n1")], [run])))


def _limited(*limits: Limit, user: str = "ada") -> Rights:
    return Rights(user=user, admin=False, limits=limits)


def _three(queues: list[Queue], rights: Rights, user: str = "ada") -> tuple[int, str]:
    """How many of three runs of one GPU start beside one that runs, and why the last does not."""
    busy = replace(running("r", "n1", [0]), user=user)
    runs = [busy, *(waiting(f"w{i}", user=user) for i in range(3))]
    plan = plan_for(estate([node("n1", 8)], runs, queues), rights=rights)
    return len(plan.moves), why_not(plan, "w2")


def test_limits_are_counted_over_the_whole_plan() -> None:
    for scope, name in (("user", "ml"), ("account", "ml"), ("qos", "normal")):
        limit = Limit(scope=scope, name=name, what="gpus", value=3)
        moved, why = _three([queue()], _limited(limit))
        assert (moved, "is 3 gpus, and 3 are in use" in why) == (2, True), scope
    assert (
        _three([queue()], _limited(Limit(scope="qos", name="normal", what="runs", value=2)))[0] == 1
    )


def test_a_limit_of_each_user_of_a_qos_binds_others_too_and_a_users_own_does_not() -> None:
    each = Limit(scope="user_of_qos", name="normal", what="gpus", value=2)
    own = Limit(scope="user", name="ml", what="gpus", value=2)
    assert _three([queue()], _limited(each, user="eve"))[0] == 1
    assert _three([queue()], _limited(own, user="eve"))[0] == 3


def test_the_told_use_of_a_limit_counts_where_it_is_larger() -> None:
    limit = Limit(scope="account", name="ml", what="gpus", value=8, used=7)
    assert _three([queue()], _limited(limit))[0] == 1


def test_a_queue_stays_within_its_own_limit() -> None:
    capped = replace(queue(), limit_gpu_milli=3500, allocated_gpu_milli=2000)
    moved, why = _three([capped], ADMIN)
    assert moved == 1
    assert "the limit of queue gpu is 3.5 gpus, and 3 are in use" in why
