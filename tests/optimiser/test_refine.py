"""The exact search from end to end: in its worker, within its time, on the nouns of an estate."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from foundry_tui.estate.gpu import GpuSlice
from foundry_tui.estate.plan import Plan
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Limit, Rights
from foundry_tui.estate.run import ArrayPart
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.advise import POLICIES, advise
from foundry_tui.optimiser.arrays import build, sift
from foundry_tui.optimiser.certificate import step
from foundry_tui.optimiser.demand import per_node
from foundry_tui.optimiser.exact import Line
from foundry_tui.optimiser.goal import GOALS
from foundry_tui.optimiser.problem import worth
from foundry_tui.optimiser.refine import Found, refine
from foundry_tui.process import NotFound
from scheduler_sim.cluster import Request
from tests.optimiser.brute import first_start
from tests.optimiser.estates import (
    ADMIN,
    GIB,
    NOW,
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
from tests.optimiser.problems import random_problem
from tests.optimiser.test_order import PROMISE
from tests.optimiser.test_placement import check_sound, random_estate

LIMIT_S = 20.0


def _knapsack() -> Snapshot:
    """The first run of the order leaves a GPU over; the other two fill the node."""
    runs = [waiting("w", 3), waiting("v", 2), waiting("u", 2)]
    older = replace(runs[0], submitted_at=later(-3))
    return estate([node("n1", 4)], [older, *runs[1:]])


def test_the_search_finds_what_the_order_misses_and_proves_it() -> None:
    greedy = plan_for(_knapsack())
    assert set(starts(greedy)) == {"w"}
    plan = plan_for(_knapsack(), time_limit_s=LIMIT_S)
    assert set(starts(plan)) == {"u", "v"}
    assert (plan.status, plan.gap, plan.objective) == ("optimal", 0.0, plan.bound)
    assert plan.objective is not None
    assert greedy.objective is not None
    assert plan.objective > greedy.objective
    assert "could start now; what starts in its place is worth more" in why_not(plan, "w")
    assert (why_not(plan, "u"), why_not(plan, "v")) == ("", "")
    check_sound(_knapsack(), plan)


def test_who_comes_first_counts_for_more() -> None:
    runs = [waiting("w", 3, priority=900), waiting("v", 2), waiting("u", 2)]
    plan = plan_for(estate([node("n1", 4)], runs), time_limit_s=LIMIT_S)
    assert set(starts(plan)) == {"w"}
    assert plan.status == "optimal"


def test_to_disturb_nobody_is_to_pass_nobody_over_and_to_change_no_queue() -> None:
    plan = plan_for(_knapsack(), objective="disturb", time_limit_s=LIMIT_S)
    assert set(starts(plan)) == {"w"}
    assert (plan.status, plan.objective_name) == (
        "optimal",
        "weighted GPUs started, nobody disturbed",
    )
    nodes = [node("a1", queues=("a100",)), node("h1", queues=("h100",))]
    queues = [queue("a100"), queue("h100")]
    busy = [running("r", "a1", [0, 1, 2, 3], ends=3), waiting("w", 2, queue="a100", hours=2)]
    snapshot = estate(nodes, busy, queues)
    assert [m.action for m in plan_for(snapshot).moves] == ["move_queue"]
    assert plan_for(snapshot, objective="disturb").moves == ()


def test_to_strand_least_is_to_leave_what_others_can_use() -> None:
    """The order puts the single GPU first; the typical run needs two of one node."""
    nodes = [node("n1", 3), node("n2", 2)]
    runs = [running("r", "n1", [0], ends=None), *(waiting(f"p{i}", 2, held=True) for i in range(6))]
    runs.append(waiting("w", 1))
    snapshot = estate(nodes, runs)
    plan = plan_for(snapshot, objective="strand", policy="best_fit", time_limit_s=LIMIT_S)
    assert (plan.status, plan.sense, plan.objective_name) == ("optimal", "min", "stranded GPUs")
    assert plan.objective == plan.after["fragmentation_gpus"] == plan.bound
    heuristic = plan_for(snapshot, objective="strand", policy="best_fit")
    assert heuristic.objective is not None
    assert plan.objective is not None
    assert plan.objective <= heuristic.objective
    assert heuristic.bound == 0.0


def test_a_limit_binds_the_search_too() -> None:
    limit = Limit(scope="account", name="ml", what="gpus", value=3)
    rights = Rights(user="ada", admin=False, limits=(limit,))
    runs = [waiting("w", 1, hours=2), waiting("v", 3), waiting("u", 3)]
    plan = plan_for(estate([node("n1", 8)], runs), rights=rights, time_limit_s=LIMIT_S)
    assert sum(m.gpu_milli or 0 for m in plan.moves) == 3000
    assert len(plan.moves) == 1
    assert plan.status == "optimal"


def test_every_rule_holds_after_a_search_and_no_promise_is_broken() -> None:
    random = Random(31)
    searched = promises = 0
    for number in range(25):
        snapshot = random_estate(random, runs=9)
        objective = ("start", "strand", "disturb")[number % 3]
        plan = plan_for(snapshot, objective=objective, time_limit_s=LIMIT_S)
        check_sound(snapshot, plan)
        _never_worse(plan, plan_for(snapshot, objective=objective))
        searched += "search" in (plan.bound_kind or "") or plan.bound_kind != "trivial"
        after = applied(snapshot, plan.moves)
        for run in snapshot.runs:
            promise = PROMISE.search(why_not(plan, run.native_id))
            if promise is not None:
                promises += 1
                alone = first_start(after, run, run.queues)
                assert alone is not None
                assert f"{alone:%Y-%m-%d %H:%M}" <= promise[1]
    assert searched > 5
    assert promises > 3


def _never_worse(plan: Plan, heuristic: Plan) -> None:
    if plan.objective is None or heuristic.objective is None:
        assert plan.objective is heuristic.objective
        return
    assert plan.bound is not None
    if plan.sense == "max":
        assert heuristic.objective <= plan.objective <= plan.bound + 1e-9
    else:
        assert heuristic.objective >= plan.objective >= plan.bound - 1e-9


def test_a_plan_that_is_made_and_undone_leaves_every_bit_as_it_was() -> None:
    random = Random(32)
    undone = 0
    for _ in range(30):
        snapshot = random_estate(random, runs=8)
        nodes, _ = sift(snapshot, "lab")
        if not nodes:
            continue
        cluster = build(snapshot, "lab", nodes).cluster
        was = [part.tobytes() for part in (cluster.gpu_left, cluster.cpu_left, cluster.memory_left)]
        rows = {n.name: row for row, n in enumerate(nodes)}
        runs = {r.id: r for r in snapshot.runs}
        made = []
        for move in plan_for(snapshot, policy=random.choice(POLICIES)).moves:
            request = per_node(runs[move.target.id].request, "runai")
            assert isinstance(request, Request)
            made += [cluster.place(rows[p.node], p.gpus or (), request) for p in move.placement]
        random.shuffle(made)
        for allotment in made:
            cluster.release(allotment)
        undone += len(made)
        now = [part.tobytes() for part in (cluster.gpu_left, cluster.cpu_left, cluster.memory_left)]
        assert now == was
    assert undone > 40


def test_the_search_ends_when_it_is_cancelled_and_at_its_time_limit() -> None:
    problem = random_problem(Random(3), 40, 400)
    asked: list[float] = []

    def cancelled() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 2

    began_s = time.monotonic()
    found = refine(problem, (), time_limit_s=600.0, cancelled=cancelled)
    assert time.monotonic() - began_s < 60.0
    assert found.ended == "the exact search was cancelled"
    assert found.tasks == ()
    short = refine(problem, (), time_limit_s=0.05)
    assert short.ended is not None
    assert "time limit of 0.05 s" in short.ended
    third = refine(problem, (), time_limit_s=0.2 / 3)
    assert third.ended is not None
    assert third.ended.endswith("0.07 s")


def test_what_the_worker_said_before_its_end_holds() -> None:
    problem = random_problem(Random(3), 12, 60)
    told: list[int] = []
    found = refine(
        problem, (), time_limit_s=LIMIT_S, progress=lambda step: told.append(step.objective)
    )
    assert found.objective == worth(problem, found.tasks) > 0
    assert told == sorted(told)
    assert found.bound is not None
    assert found.bound >= found.objective


def test_a_worker_that_cannot_start_leaves_the_heuristic(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise NotFound("no python here")

    monkeypatch.setattr("foundry_tui.optimiser.refine.run", broken)
    plan = plan_for(_knapsack(), time_limit_s=LIMIT_S)
    assert (plan.status, set(starts(plan))) == ("heuristic", {"w"})
    assert "lab: the exact search gave no usable answer (no python here)" in plan.unproven


def test_lines_that_lie_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that break a rule are dropped, whatever the worker says of them."""
    lie = (
        b'{"objective":99999,"bound":null,"bound_kind":null,"proven":false,"searches":1,'
        b'"places":1,"tasks":[{"kind":0,"option":0,"parts":[[0,[0,1,2]]]},'
        b'{"kind":0,"option":0,"parts":[[0,[0,1,2]]]}]}\n'
    )

    def lying(*_: object, watch: object = None, **__: object) -> None:
        assert callable(watch)
        watch(lie)
        raise NotFound("gone")

    monkeypatch.setattr("foundry_tui.optimiser.refine.run", lying)
    assert set(starts(plan_for(_knapsack(), time_limit_s=LIMIT_S))) == {"w"}


def _memory_sized(gib: int) -> Snapshot:
    run = waiting("w", scheduler="runai", reason=None)
    request = replace(run.request, gpu_milli=None, gpu_memory_bytes=gib * GIB)
    nodes = [node("n1", 1), node("n2", 1), node("n3", 1)]
    snapshot = estate(nodes, [replace(run, request=request)])
    sizes = (80, 40, None)
    gpus = tuple(
        replace(g, mem_total_bytes=None if size is None else size * GIB)
        for g, size in zip(snapshot.gpus, sizes, strict=True)
    )
    return replace(snapshot, gpus=gpus)


def test_gpu_memory_becomes_a_share_of_the_device_that_has_it() -> None:
    for seconds in (0.0, LIMIT_S):
        for gib, place, milli in ((10, "n2", 250), (39, "n2", 980), (50, "n1", 630)):
            plan = plan_for(_memory_sized(gib), time_limit_s=seconds)
            assert [(m.placement[0].node, m.gpu_milli) for m in plan.moves] == [(place, milli)]
    plan = plan_for(_memory_sized(100))
    assert "no device has so much memory: the largest has 80 GiB" in why_not(plan, "w")


def _cut(free: int, runs: int) -> Snapshot:
    """A node whose GPU is cut into three instances, of which some are free, and runs for them."""
    wanted = []
    for number in range(runs):
        run = waiting(f"w{number}", scheduler="runai", reason=None, cores=2)
        wanted.append(replace(run, request=replace(run.request, mig_profile="2g.20gb")))
    snapshot = estate([node("n1", 1, cores=4), node("n2", 1)], wanted)
    slices = tuple(
        GpuSlice(uuid=str(n), profile="2g.20gb", milli=285, run=None if n < free else "lab/x")
        for n in range(3)
    )
    return replace(snapshot, gpus=(replace(snapshot.gpus[0], slices=slices), snapshot.gpus[1]))


def test_mig_instances_are_given_to_runs_that_ask_for_their_profile() -> None:
    for seconds in (0.0, LIMIT_S):
        plan = plan_for(_cut(free=1, runs=2), time_limit_s=seconds)
        (move,) = plan.moves
        assert [(p.node, p.gpus) for p in move.placement] == [("n1", None)]
        assert move.gpu_milli == 285
        assert "1 free MIG instances 2g.20gb" in move.why
        assert plan.after["gpus_free"] == plan.before["gpus_free"]
        # CPU for two only, of the three instances that are free.
        assert len(plan_for(_cut(free=3, runs=3), time_limit_s=seconds).moves) == 2
    plan = plan_for(_cut(free=0, runs=1))
    assert "enough MIG instances 2g.20gb are free" in why_not(plan, "w0")
    other = _cut(free=3, runs=1)
    (run,) = other.runs
    small = replace(run, request=replace(run.request, mig_profile="1g.10gb"))
    plan = plan_for(replace(other, runs=(small,)))
    assert "cut into MIG instances 1g.10gb" in why_not(plan, "w0")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gpu_count": -1, "gpu_milli": -1000}, "gpu_count: it asks for -1"),
        ({"cpu_milli": -5}, "cpu_milli: it asks for -5"),
        ({"memory_bytes": -GIB}, "memory_bytes"),
        ({"gpu_count": 0, "gpu_milli": 500}, "500 thousandths on no GPU"),
        ({"nodes": 0}, "0 nodes, which makes no sense"),
        ({"time_limit_s": 0}, "its time limit of 0 s makes no sense"),
        ({"gpu_memory_bytes": -1, "gpu_milli": None}, "-1 bytes of GPU memory"),
        ({"gpu_milli": 2500}, "no possible share"),
    ],
)
def test_a_request_that_makes_no_sense_is_told_and_stops_nothing(
    changes: dict[str, Any], words: str
) -> None:
    bad = waiting("bad")
    bad = replace(bad, request=replace(bad.request, **changes))
    for seconds in (0.0, LIMIT_S):
        plan = plan_for(estate([node("n1")], [bad, waiting("good")]), time_limit_s=seconds)
        assert set(starts(plan)) == {"good"}
        assert words in why_not(plan, "bad")


def test_an_array_of_no_tasks_is_told() -> None:
    plan = plan_for(estate([node("n1")], [waiting("w", array=ArrayPart("1", "", 0))]))
    assert "0 tasks" in why_not(plan, "w")


def test_a_gang_that_can_never_start_is_told() -> None:
    for seconds in (0.0, LIMIT_S):
        runs = [waiting("gang", 4, nodes=3), waiting("one")]
        plan = plan_for(estate([node("n1"), node("n2")], runs), time_limit_s=seconds)
        assert set(starts(plan)) == {"one"}
        assert "fewer than 3 nodes of gpu" in why_not(plan, "gang")


def test_a_node_that_vanished_with_its_runs_is_no_place_and_no_end() -> None:
    snapshot = estate([node("n1"), node("n2", 2)], [running("r", "n1", [0, 1], ends=1)])
    pinned = waiting("pinned", native={"required_nodes": "n1"})
    gone = replace(
        snapshot,
        nodes=tuple(n for n in snapshot.nodes if n.name != "n1"),
        runs=(*snapshot.runs, pinned, waiting("w", 4), waiting("v", 1)),
    )
    for seconds in (0.0, LIMIT_S):
        plan = plan_for(gone, time_limit_s=seconds)
        assert starts(plan) == {"v": [("n2", (0,))]}
        assert "could ever hold it" in why_not(plan, "w")
        assert "could ever hold it" in why_not(plan, "pinned")


def test_two_nodes_of_one_name_are_left_out() -> None:
    snapshot = estate([node("n1")], [waiting("w")])
    plan = plan_for(replace(snapshot, nodes=snapshot.nodes * 2))
    assert plan.moves == ()
    assert any("2 nodes have this name" in n.why for n in plan.not_proposed)


def test_a_plan_predicts_who_wins_and_who_loses() -> None:
    plan = plan_for(_by_user(), time_limit_s=LIMIT_S)
    told = plan.prediction
    assert told is not None
    assert set(starts(plan)) == {"u", "v"}
    # Alone, the scheduler starts w for an hour, then u and v together.
    assert (told.wait_mean_without_s, told.wait_mean_with_s) == (2400.0, 1200.0)
    users = {c.name: (c.without_s, c.with_s) for c in told.changes if c.kind == "user"}
    assert users == {"bob": (3600.0, 0.0), "eve": (3600.0, 0.0), "ada": (0.0, 3600.0)}
    assert (told.runs, told.not_started_without, told.not_started_with) == (3, 0, 0)
    # Seven GPU-hours either way, of 24 hours.
    assert told.allocated_without == told.allocated_with == pytest.approx(7 / 24)
    assert any("ends at its time limit" in words for words in told.assumes)
    plain = plan_for(_by_user())
    assert plain.prediction is None
    assert any("nothing is predicted" in words for words in plain.unproven)


def _by_user() -> Snapshot:
    users = {"w": "ada", "v": "bob", "u": "eve"}
    snapshot = _knapsack()
    return replace(snapshot, runs=tuple(replace(r, user=users[r.native_id]) for r in snapshot.runs))


def test_each_source_is_searched_within_one_time_limit() -> None:
    first = _knapsack()
    other = replace(
        first,
        nodes=tuple(replace(n, source="two") for n in first.nodes),
        gpus=tuple(replace(g, source="two") for g in first.gpus),
        queues=tuple(replace(q, source="two") for q in first.queues),
        runs=tuple(replace(r, source="two", id=r.id.replace("lab/", "two/")) for r in first.runs),
    )
    both = replace(
        first,
        nodes=first.nodes + other.nodes,
        gpus=first.gpus + other.gpus,
        queues=first.queues + other.queues,
        runs=first.runs + other.runs,
    )
    told: list[str] = []
    plan = advise(
        both,
        rights_by_source={"lab": ADMIN, "two": ADMIN},
        now=NOW,
        idle_util_pct=5.0,
        idle_after_s=1800.0,
        time_limit_s=2 * LIMIT_S,
        progress=told.append,
    )
    assert {m.target.id for m in plan.moves} == {"lab/u", "lab/v", "two/u", "two/v"}
    assert plan.status == "optimal"
    assert any("weighted GPUs started after" in words for words in told)


def test_what_counts_are_priority_age_fair_share_and_quota() -> None:
    def worths(queues: list[Queue], *names: str) -> list[float | None]:
        runs = [
            replace(waiting(name, queue=name, hours=1), submitted_at=later(-24 * 7 * age))
            for name, age in zip(names, (0, 0, 1, 0), strict=False)
        ]
        nodes = [node("n1", 8, queues=tuple(names))]
        moves = plan_for(estate(nodes, runs, queues)).moves
        by_name = {m.target.id.removeprefix("lab/"): m.worth for m in moves}
        return [by_name[name] for name in names]

    plain = queue("a", hours=None)
    owed = replace(plain, name="b", fair_share_gpu_milli=4000, allocated_gpu_milli=2000)
    under = replace(plain, name="d", quota_gpu_milli=4000, allocated_gpu_milli=1000)
    old = replace(plain, name="c")
    # All of one priority: 1 each, and half of a fair share, a week, three quarters of a quota.
    assert worths([plain, owed, old, under], "a", "b", "c", "d") == [1.0, 1.5, 2.0, 1.8]


def test_found_takes_no_bound_that_is_higher() -> None:
    problem = random_problem(Random(3), 2, 3)
    found = Found((), 0, bound=5.0, bound_kind="x")
    found.take(Line(0, 9.0, "y", False, 1, 1, None), problem)
    assert (found.bound, found.bound_kind) == (5.0, "x")
    found.take(Line(0, 4.0, "z", False, 1, 1, None), problem)
    assert (found.bound, found.bound_kind) == (4.0, "z")


@pytest.mark.parametrize(
    ("searches", "told"),
    [
        (0, "before the first exact search"),
        (1, "after 1 exact search, on up to 3 nodes"),
        (2, "after 2 exact searches, on up to 3 nodes"),
    ],
)
def test_a_step_counts_its_searches(searches: int, told: str) -> None:
    found = Found((), 1500, 2000.0, "program", searches=searches, places=3)
    assert step(found, GOALS["start"]) == f"1.50 of at most 2.00 weighted GPUs started {told}"
