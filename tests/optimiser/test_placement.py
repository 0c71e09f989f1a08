"""Where runs go: what fits is found, nothing is given away twice, nothing forbidden is used."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from foundry_tui.estate.gpu import GpuSlice, contradictions
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.run import ArrayPart, Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.schedulers.simulated.make_estate import make
from tests.optimiser.brute import possible
from tests.optimiser.estates import (
    GIB,
    applied,
    estate,
    node,
    plan_for,
    queue,
    running,
    starts,
    waiting,
    why_not,
)

QUEUES = (queue("gpu"), queue("h100"), queue("short", hours=1), queue("old", state="drain"))


def random_estate(random: Random, runs: int) -> Snapshot:
    """One to four small nodes, partly used, some closed, cut or unknown; and waiting runs."""
    nodes, busy = [], []
    for row in range(random.randint(1, 4)):
        name = f"n{row}"
        size = random.choice((0, 1, 2, 4))
        queues = tuple(q.name for q in QUEUES if random.random() < 0.6)
        nodes.append(
            node(
                name,
                size,
                queues=queues,
                cores=random.choice((4, 8)),
                gib=random.choice((8, 16)),
                model=random.choice(("h100", "a100")),
                features=random.choice(((), ("nvlink",))),
                state=random.choice((NodeState.MIXED, NodeState.IDLE, NodeState.DRAINING)),
            )
        )
        for index in range(size):
            if random.random() < 0.4:
                milli = random.choice((1000, 500, 250))
                ends = random.choice((None, 0.5, 1.0, 2.0, 3.0))
                busy.append(running(f"r{row}.{index}", name, [index], milli, ends=ends))
    wanted = [
        waiting(
            f"w{number}",
            random.choice((0, 1, 1, 2, 4)),
            random.choice((1000, 1000, 500, 250)),
            nodes=random.choice((1, 1, 1, 2)),
            queue=random.choice(("gpu", "h100", "short", "old", "h100,short")),
            hours=random.choice((None, 0.5, 1.0, 2.0)),
            priority=random.randint(1, 5),
            model=random.choice((None, None, "h100")),
            cores=random.choice((1, 2, 4)),
            gib=random.choice((1, 4)),
            native=random.choice((None, None, {"features": "nvlink"})),
            array=random.choice((None, None, ArrayPart(str(number), "0-2%2", 3))),
            # Only Run:ai gives one run parts of several devices.
            scheduler="runai",
        )
        for number in range(runs)
    ]
    found = estate(nodes, [*busy, *wanted], QUEUES)
    gpus = list(found.gpus)
    for number, gpu in enumerate(gpus):
        chance = random.random()
        if chance < 0.05:
            gpus[number] = replace(gpu, tenants=None)
        elif chance < 0.1 and not gpu.tenants:
            cut = GpuSlice(uuid=None, profile="1g.10gb", milli=125)
            gpus[number] = replace(gpu, slices=(cut,))
    mixed = {g.node for g in gpus if g.partitioned} & {g.node for g in gpus if g.shared}
    return replace(found, gpus=tuple(replace(g, slices=()) if g.node in mixed else g for g in gpus))


def _every_queue(run: Run) -> tuple[str, ...]:
    """Without accounts every partition may be used."""
    return tuple(dict.fromkeys((*run.queues, *(q.name for q in QUEUES))))


@pytest.mark.parametrize("policy", ["fgd", "best_fit"])
def test_one_run_is_placed_exactly_when_there_is_a_place(policy: str) -> None:
    random = Random(11)
    seen = {True: 0, False: 0}
    for _ in range(250):
        snapshot = random_estate(random, runs=1)
        (run,) = (r for r in snapshot.runs if r.state == "pending")
        found = starts(plan_for(snapshot, policy=policy))
        there_is = possible(snapshot, run, _every_queue(run))
        assert bool(found) == there_is, (snapshot, run)
        seen[there_is] += 1
    assert min(seen.values()) > 50


@pytest.mark.parametrize("policy", ["fgd", "best_fit"])
def test_no_plan_takes_what_is_not_there(policy: str) -> None:
    random = Random(12)
    moved = 0
    for _ in range(150):
        snapshot = random_estate(random, runs=12)
        plan = plan_for(snapshot, policy=policy)
        moved += len(plan.moves)
        check_sound(snapshot, plan)
    assert moved > 200


def check_sound(snapshot: Snapshot, plan: Plan) -> None:
    """Every rule that a placement has to keep, checked on the nouns."""
    after = applied(snapshot, plan.moves)
    runs = {r.id: r for r in snapshot.runs}
    queues = {q.name: q for q in snapshot.queues}
    before = {(g.node, g.index): g for g in snapshot.gpus}
    nodes = {n.name: n for n in snapshot.nodes}
    for name, noun in ((n.name, n) for n in after.nodes):
        assert contradictions([g for g in after.gpus if g.node == name]) == ()
        assert (noun.cpu_milli_allocated or 0) <= (noun.cpu_milli or 0)
        assert (noun.memory_bytes_allocated or 0) <= (noun.memory_bytes or 0)
    for move in plan.moves:
        run = runs[move.target.id]
        request, asked = run.request, (move.queue,) if move.queue else run.queues
        names = [p.node for p in move.placement]
        assert len(names) == tasks_of(move) * request.nodes
        assert len(set(names)) == request.nodes
        assert (move.precondition or {})["tasks"] == run.count
        assert move.queue not in run.queues
        assert any(
            queues[q].state == "up"
            and (queues[q].kind != "partition" or all(q in nodes[n].queues for n in names))
            for q in asked
        )
        for place in move.placement:
            assert nodes[place.node].placeable
            assert len(place.gpus or ()) == request.gpu_count // request.nodes
            for index in place.gpus or ():
                gpu = before[place.node, index]
                assert gpu.tenants is not None
                assert not gpu.partitioned
                assert request.gpu_model in (None, gpu.model)
            if request.gpu_count and request.milli_per_gpu != 1000:
                assert not any(g.partitioned for g in snapshot.gpus if g.node == place.node)
        if move.owner is None:
            assert move.queue is None
    for target, tasks in started_tasks(plan).items():
        assert tasks <= throttle(runs[target])


def test_a_simulated_estate_of_two_schedulers_is_advised_soundly() -> None:
    snapshot = make(24, 60, 7)
    # Without the running work there is room for what waits.
    emptied = replace(
        snapshot,
        runs=tuple(r for r in snapshot.runs if r.state == "pending"),
        gpus=tuple(replace(g, tenants=()) for g in snapshot.gpus),
        nodes=tuple(
            replace(n, gpu_milli_allocated=0, cpu_milli_allocated=0, memory_bytes_allocated=0)
            for n in snapshot.nodes
        ),
    )
    for estate_now in (snapshot, emptied):
        plan = plan_for(estate_now, idle_after_s=float("inf"))
        assert plan == plan_for(estate_now, idle_after_s=float("inf"))
        check_sound(estate_now, plan)
    started = {m.target.id.partition("/")[0] for m in plan.moves}
    assert started == {"sim-slurm", "sim-runai"}


def throttle(run: Run) -> int:
    """How many of its tasks may start where none runs yet."""
    return int(run.array.tasks.partition("%")[2] or run.count) if run.array else 1


def started_tasks(plan: Plan) -> dict[str, int]:
    found: dict[str, int] = {}
    for move in plan.moves:
        found[move.target.id] = found.get(move.target.id, 0) + tasks_of(move)
    return found


def tasks_of(move: Move) -> int:
    """How many tasks a move starts, all of them on the same nodes."""
    return len(move.placement) // len({p.node for p in move.placement})


def test_a_share_goes_to_a_gpu_that_is_shared_already() -> None:
    nodes = [node("n1"), node("n2")]
    whole = waiting("v", 1, held=True)
    snapshot = estate(nodes, [running("r", "n2", [3], 500), waiting("w", 1, 500), whole])
    for policy in ("fgd", "best_fit"):
        assert starts(plan_for(snapshot, policy=policy)) == {"w": [("n2", (3,))]}


def test_a_share_of_more_than_one_gpu_is_never_spread() -> None:
    run = waiting("w", 2, 625)
    plan = plan_for(estate([node("n1")], [run]))
    assert starts(plan) == {}
    assert "never spans two" in why_not(plan, "w")


def test_a_run_on_several_nodes_gets_all_or_nothing_and_the_same_on_each() -> None:
    nodes = [node("n1"), node("n2"), node("n3")]
    busy = running("r", "n2", [0, 1])
    plan = plan_for(estate(nodes, [busy, waiting("w", 3, nodes=2)]))
    assert starts(plan) == {"w": [("n1", (0, 1, 2)), ("n3", (0, 1, 2))]}
    plan = plan_for(estate(nodes, [busy, waiting("w", 3, nodes=3)]))
    assert starts(plan) == {}
    assert "2026-03-02 10:00 UTC on n1, n3, n2" in why_not(plan, "w")
    uneven = replace(waiting("w"), request=replace(waiting("w").request, gpu_count=3, nodes=2))
    plan = plan_for(estate(nodes, [uneven]))
    assert "3 GPUs cannot be spread evenly over 2 nodes" in why_not(plan, "w")


def test_the_nodes_of_one_run_stand_in_one_queue() -> None:
    nodes = [node("n1", queues=("gpu",)), node("n2", queues=("h100",))]
    run = waiting("w", 4, nodes=2, queue="gpu,h100")
    assert starts(plan_for(estate(nodes, [run], QUEUES))) == {}


def test_unknown_tenants_are_full_and_a_cut_gpu_takes_nothing() -> None:
    snapshot = estate([node("n1", 3)], [waiting("w", 2)])
    first, second, third = snapshot.gpus
    hidden = replace(snapshot, gpus=(replace(first, tenants=None), second, third))
    assert starts(plan_for(hidden)) == {"w": [("n1", (1, 2))]}
    cut = replace(second, slices=(GpuSlice(uuid=None, profile="3g.40gb", milli=375),))
    assert starts(plan_for(replace(snapshot, gpus=(first, cut, third)))) == {"w": [("n1", (0, 2))]}
    both = replace(snapshot, gpus=(replace(first, tenants=None), cut, third))
    assert starts(plan_for(both)) == {}
    assert "1 GPUs have unknown tenants" in " ".join(plan_for(both).assumptions)


def test_shares_stay_away_from_a_node_with_mig() -> None:
    snapshot = estate([node("n1", 2), node("n2", 1)], [waiting("w", 1, 500)])
    first, *rest = snapshot.gpus
    cut = replace(first, slices=(GpuSlice(uuid=None, profile="1g.10gb", milli=125),))
    assert starts(plan_for(replace(snapshot, gpus=(cut, *rest)))) == {"w": [("n2", (0,))]}


def test_gpus_are_named_by_their_index_even_where_some_are_missing() -> None:
    snapshot = estate([node("n1", 4)], [waiting("w", 2)])
    listed = tuple(g for g in snapshot.gpus if g.index in (1, 3))
    assert starts(plan_for(replace(snapshot, gpus=listed))) == {"w": [("n1", (1, 3))]}


def test_a_node_of_which_too_little_is_known_is_left_out_with_the_reason() -> None:
    nodes = [node("n1", cores=None), node("n2", gib=None), node("n3")]
    snapshot = estate(nodes, [waiting("w", 4)])
    miscounted = [
        replace(n, gpu_milli_allocated=250 if n.name == "n3" else 0) for n in snapshot.nodes
    ]
    blind = node("n4")
    snapshot = replace(
        snapshot,
        nodes=(*miscounted, replace(blind, cpu_milli_allocated=0, memory_bytes_allocated=0)),
    )
    plan = plan_for(snapshot)
    assert plan.moves == ()
    said = {n.target.id: n.why for n in plan.not_proposed if n.target.kind == "node"}
    assert "CPU" in said["lab/n1"]
    assert "memory" in said["lab/n2"]
    assert "250 thousandths" in said["lab/n3"]
    assert "none of them was listed" in said["lab/n4"]


def test_a_pinned_run_stays_on_its_node_and_features_are_kept() -> None:
    nodes = [node("n1", features=("pcie",)), node("n2", features=("nvlink", "fast"))]
    for words, place in (
        ({"required_nodes": "n2"}, "n2"),
        ({"features": "nvlink&fast"}, "n2"),
        ({"features": "pcie|other"}, "n1"),
    ):
        plan = plan_for(estate(nodes, [waiting("w", native=words)]))
        assert starts(plan) == {"w": [(place, (0,))]}, words
    for words in ({"features": "[a|b]"}, {"features": "nvlink*2"}, {"required_nodes": "n[1-2]"}):
        plan = plan_for(estate(nodes, [waiting("w", native=words)]))
        assert plan.moves == ()
        assert next(iter(words.values())) in why_not(plan, "w")


def test_an_array_starts_as_many_tasks_as_its_throttle_lets() -> None:
    running_task = replace(
        running("9_0", "n1", [0]), array=ArrayPart("9", "0", 1), id="lab/9_0", native_id="9_0"
    )
    waits = waiting("9_[1-9%4]", array=ArrayPart("9", "1-9%4", 9))
    plan = plan_for(estate([node("n1", 3), node("n2", 2)], [running_task, waits]))
    assert [(m.placement[0].node, len(m.placement)) for m in plan.moves] == [("n1", 2), ("n2", 1)]
    assert [(m.precondition or {})["tasks"] for m in plan.moves] == [9, 9]
    assert [m.steps for m in plan.moves] == [(), ()]
    assert "Slurm takes no node list for the waiting tasks" in plan.moves[0].why
    assert "6 of 9 tasks: its array lets no more run at once" in why_not(plan, "9_[1-9%4]")
    assert plan.after["waiting_runs"] == 6.0


def test_runs_without_gpus_are_placed_too() -> None:
    plan = plan_for(estate([node("c1", 0, cores=4)], [waiting("w", 0, cores=4), waiting("v", 0)]))
    assert starts(plan) == {"w": [("c1", ())]} or starts(plan) == {"v": [("c1", ())]}
    assert plan.after["gpus_allocated"] == 0.0


def test_memory_is_counted_in_whole_mebibytes_on_the_safe_side() -> None:
    tight = replace(node("n1"), memory_bytes=GIB + 1)
    just = waiting("w")
    above = replace(just, request=replace(just.request, memory_bytes=GIB + 1))
    assert starts(plan_for(estate([tight], [just])))
    assert starts(plan_for(estate([tight], [above]))) == {}
