"""Room: running runs move so that a large one starts, and only where that is worth it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from foundry_tui.estate.acts import Act, ChangeRun, Release, Requeue, Resume, Suspend
from foundry_tui.estate.passages import passages, whole
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.precondition import broken
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.tradeoff import tradeoff
from foundry_tui.optimiser.verify import what_if
from tests.optimiser.estates import (
    ADMIN,
    NOW,
    estate,
    later,
    node,
    plan_for,
    running,
    told,
    waiting,
    why_not,
)
from tests.optimiser.test_placement import check_sound


def again(run: Run, *, ran_h: float | None = 3.0) -> Run:
    """A run that may be started again, and has run for so long."""
    return told(replace(run, started_at=None if ran_h is None else later(-ran_h)), requeue="1")


def in_pieces(mover: Run | None = None, *more: Run, big: Run | None = None) -> Snapshot:
    """Three GPUs are free on a1 and one on b1; `big` needs four on one node."""
    runs = [
        again(running("x", "a1", [0], ends=10)) if mover is None else mover,
        running("y", "b1", [0, 1, 2], ends=5),
        waiting("big", 4, hours=8, priority=500) if big is None else big,
    ]
    return estate([node("a1", 4), node("b1", 4)], [*runs, *more])


def room(plan: Plan) -> list[Move]:
    return [m for m in plan.moves if m.rule == "room"]


def test_one_run_moves_and_the_large_one_starts() -> None:
    first, second = plan_for(in_pieces()).moves
    assert (first.id, first.target.id, first.action) == ("m1", "lab/big", "make_room")
    assert [(p.node, p.gpus) for p in first.placement] == [("a1", (0, 1, 2, 3))]
    assert first.displaces == ("lab/x",)
    # It would start in five hours by itself, and three hours of one GPU are done again.
    assert (first.gain, first.cost, first.risk, first.irreversible) == (20.0, 3.0, "medium", True)
    assert (first.owner, first.starts_within_s) == ("bob", 180.0)
    assert "4 GPUs are free, but in pieces" in first.why
    assert "x of bob (1 GPU) leaves a1 and starts again on b1" in first.why
    assert "3.0 GPU-hours of work are done again" in first.why
    assert (second.id, second.target.id, second.action) == ("m2", "lab/x", "restart")
    assert [(p.node, p.gpus) for p in second.placement] == [("b1", (3,))]
    assert (second.awaits, second.owner, second.risk) == ("lab/big", "bob", "low")
    assert [what_if(m) for m in (first, second)] == [None, None]


def test_slurm_pins_first_and_lets_nobody_take_the_old_place() -> None:
    first, second = plan_for(in_pieces()).moves
    acts: tuple[Act, ...] = (
        ChangeRun(source="lab", runs=("lab/big",), fields=(("nodelist", "a1"),)),
        Requeue(source="lab", runs=("lab/x",), hold=True),
    )
    assert first.steps == acts
    acts = (
        # Slurm lets what was put back wait for two minutes, unless its begin is cleared.
        ChangeRun(source="lab", runs=("lab/x",), fields=(("nodelist", "b1"), ("begin", ""))),
        Release(source="lab", runs=("lab/x",)),
    )
    assert second.steps == acts


def test_kai_and_runai_suspend_and_resume() -> None:
    for scheduler, words in (("kai", {"kind": "Job"}), ("runai", {})):
        mover = told(replace(running("x", "a1", [0]), scheduler=scheduler), preemptible="true")
        big = waiting("big", 4, hours=None, priority=500, scheduler=scheduler)
        first, second = plan_for(in_pieces(told(mover, **words), big=big)).moves
        assert first.steps == (Suspend(source="lab", runs=("lab/x",)),)
        assert second.steps == (Resume(source="lab", runs=("lab/x",)),)
        # Without a time limit nobody knows what is gained.
        assert (first.gain, first.cost, first.risk) == (None, 3.0, "high")
        assert second.awaits == "lab/big"


def test_its_preconditions_hold_now_and_name_what_must_not_change() -> None:
    snapshot = in_pieces()
    first, second = plan_for(snapshot).moves
    assert broken(snapshot, first) == broken(snapshot, second) == ()
    assert second.precondition is not None
    assert (second.precondition["nodes"], second.precondition["gpu_milli_free on b1"]) == (
        "a1",
        1000,
    )
    elsewhere = replace(running("x", "b1", [3]), started_at=NOW)
    changed = in_pieces(elsewhere)
    assert broken(changed, second) != ()


def test_measures_and_prediction_tell_who_wins_and_who_loses() -> None:
    plan = plan_for(in_pieces(), time_limit_s=0.1)
    assert (plan.before["gpus_allocated"], plan.after["gpus_allocated"]) == (4.0, 8.0)
    assert plan.after["waiting_runs"] == 0.0
    prediction = plan.prediction
    assert prediction is not None
    assert prediction.stranded_without_gpus == plan.before["fragmentation_gpus"]
    assert prediction.stranded_with_gpus == plan.after["fragmentation_gpus"] == 0.0
    found = {(c.kind, c.name): (c.without_s, c.with_s) for c in prediction.changes}
    assert found["user", "ada"] == (5 * 3600.0, 0.0)
    assert found["user", "bob"] == (0.0, 3 * 3600.0)
    assert found["queue", "gpu"] == (2.5 * 3600, 1.5 * 3600)
    assert (prediction.wait_p50_without_s, prediction.wait_p50_with_s) == (2.5 * 3600, 1.5 * 3600)
    assert any("counts as one that waits as long as it has run" in a for a in prediction.assumes)
    assert any("was not asked about the nodes that become free" in a for a in plan.assumptions)
    # What room is made for stands in objective and bound, and nobody proved that it is the best.
    assert plan.objective == plan.bound == plan.moves[0].worth
    assert any("no other running runs" in words for words in plan.unproven)


def test_what_is_moved_starts_anew_and_holds_its_new_place_as_long() -> None:
    """The next run on the new node waits for the moved one's whole time limit, not for its rest."""
    mover = again(running("x", "a1", [0], ends=1), ran_h=0.1)
    mover = replace(mover, request=replace(mover.request, time_limit_s=4 * 3600))
    late = waiting("late", 4, hours=1, priority=1, user="eve", native={"required_nodes": "b1"})
    plan = plan_for(in_pieces(mover, late), time_limit_s=0.1)
    assert len(room(plan)) == 2
    assert plan.prediction is not None
    waits = {c.name: (c.without_s, c.with_s) for c in plan.prediction.changes}
    assert "eve" not in waits  # y holds b1 until later than x does
    short = [r for r in in_pieces(mover, late).runs if r.id != "lab/y"]
    y = running("y", "b1", [0, 1, 2], ends=2)
    plan = plan_for(estate([node("a1", 4), node("b1", 4)], [*short, y]), time_limit_s=0.1)
    assert plan.prediction is not None
    waits = {c.name: (c.without_s, c.with_s) for c in plan.prediction.changes}
    assert waits["eve"] == (2 * 3600.0, 4 * 3600.0)


def test_nothing_is_moved_that_must_not_be_or_that_is_not_worth_it() -> None:
    x = again(running("x", "a1", [0], ends=10))
    assert room(plan_for(in_pieces()))
    for mover in (
        told(x, requeue="0"),
        replace(x, priority=501),
        again(x, ran_h=20.0),
        replace(x, state=RunState.SUSPENDED),
        running("x", "a1", [0], 500),
    ):
        assert plan_for(in_pieces(mover)).moves == (), mover
    for big in (
        waiting("big", 4, hours=0.5, priority=500),
        waiting("big", 4, nodes=2, hours=8, priority=500),
        waiting("big", 4, hours=8, priority=500, held=True),
    ):
        assert room(plan_for(in_pieces(big=big))) == [], big
    assert room(plan_for(in_pieces(), objective="disturb")) == []
    assert room(plan_for(in_pieces(), objective="strand")) == []
    assert plan_for(in_pieces(), room=False).moves == ()
    assert "fits nowhere now" in why_not(plan_for(in_pieces(), room=False), "big")
    assert why_not(plan_for(in_pieces()), "big") == ""


def test_an_unknown_loss_stays_unknown_and_is_a_high_risk() -> None:
    first, _ = plan_for(in_pieces(again(running("x", "a1", [0]), ran_h=None))).moves
    assert (first.cost, first.risk) == (None, "high")
    assert "what is lost of their work is not known" in first.why


def test_a_run_that_comes_first_keeps_its_place() -> None:
    """Who comes first waits for b1, which is kept for it: nothing moves there for the next."""
    first = waiting("first", 4, hours=2, priority=900, native={"required_nodes": "b1"})
    assert room(plan_for(in_pieces(None, first))) == []
    behind = replace(first, priority=1)
    assert [m.target.id for m in room(plan_for(in_pieces(None, behind)))] == ["lab/big", "lab/x"]


def test_nobody_passes_one_of_whom_nobody_knows_when_it_starts() -> None:
    runs = [
        replace(r, scheduler="runai", ends_by=None, request=replace(r.request, time_limit_s=None))
        for r in in_pieces(told(running("x", "a1", [0]), preemptible="true")).runs
    ]
    larger = waiting("larger", 4, nodes=2, hours=None, priority=900, scheduler="runai")
    small = estate([node("a1", 4), node("b1", 4)], runs)
    assert room(plan_for(small))
    assert room(plan_for(estate([node("a1", 4), node("b1", 4)], [*runs, larger]))) == []
    # One that no node could ever hold is not waited for.
    never = waiting("never", 9, hours=None, priority=900, scheduler="runai")
    assert room(plan_for(estate([node("a1", 4), node("b1", 4)], [*runs, never])))


def test_two_nodes_are_made_free_for_a_run_that_spans_them() -> None:
    runs = [
        again(running("x", "a1", [0])),
        again(running("z", "b1", [2])),
        running("y", "c1", [0, 1]),
        waiting("big", 4, nodes=2, hours=8),
    ]
    plan = plan_for(estate([node(name, 4) for name in ("a1", "b1", "c1")], runs))
    first, *rest = plan.moves
    assert {p.node for p in first.placement} == {"a1", "b1"}
    assert first.displaces == ("lab/x", "lab/z")
    assert [(m.target.id, m.placement[0].node) for m in rest] == [("lab/x", "c1"), ("lab/z", "c1")]
    assert [type(step) for step in first.steps] == [ChangeRun, Requeue, Requeue]


def test_passages_stay_whole() -> None:
    snapshot = in_pieces(None, waiting("small", 0, priority=1))
    plan = plan_for(snapshot)
    assert [m.action for m in plan.moves] == ["start", "make_room", "restart"]
    assert [[m.id for m in group] for group in passages(plan.moves)] == [["m1"], ["m2", "m3"]]
    assert whole(plan.moves, ["m3"]) == whole(plan.moves, ["m2"]) == ("m2", "m3")
    assert whole(plan.moves, ["m1"]) == ("m1",)
    assert [m.action for m in plan_for(snapshot, limit=2).moves] == ["start"]
    points = tradeoff(plan)
    assert [set(point.added) for point in points] == [set(), {"m2", "m3"}, {"m1"}]
    assert points[-1].worth == plan.objective
    assert points[1].stopped == ("lab/x",)


def test_who_must_agree_is_named() -> None:
    eve = Rights(user="eve", admin=False)
    assert [m.owner for m in plan_for(in_pieces(), rights=eve).moves] == ["ada,bob", "bob"]
    bob = replace(eve, user="bob")
    assert [m.owner for m in plan_for(in_pieces(), rights=bob).moves] == ["ada", None]
    own = in_pieces(big=waiting("big", 4, hours=8, priority=500, user="bob"))
    assert [m.owner for m in plan_for(own, rights=bob).moves] == [None, None]
    assert [m.owner for m in plan_for(own, rights=ADMIN).moves] == ["bob", "bob"]


def test_random_estates_stay_sound_when_runs_move() -> None:
    random, made = Random(41), 0
    for _ in range(200):
        snapshot = _random_estate(random)
        plan = plan_for(snapshot)
        check_sound(snapshot, plan)
        assert all(not broken(snapshot, move) for move in plan.moves)
        for group in passages(plan.moves):
            if group[0].rule == "room":
                made += 1
                assert {m.target.id for m in group[1:]} == set(group[0].displaces)
                assert 1 <= len(group[0].displaces) <= 3
    assert made > 30


def _random_estate(random: Random) -> Snapshot:
    runs: list[Run] = []
    names = [f"n{i}" for i in range(random.randint(2, 4))]
    for name in names:
        for index in range(4):
            if random.random() < 0.5:
                run = running(f"{name}.{index}", name, [index], ends=random.choice((None, 1, 9)))
                runs.append(again(run, ran_h=random.choice((None, 0.1, 1.0, 5.0))))
    runs += [
        waiting(
            f"w{number}",
            random.choice((2, 3, 4)),
            nodes=random.choice((1, 1, 2)),
            hours=random.choice((None, 1.0, 8.0)),
            priority=random.randint(100, 104),
            cores=random.choice((1, 4)),
        )
        for number in range(3)
    ]
    return estate([node(name, 4, cores=8) for name in names], runs)
