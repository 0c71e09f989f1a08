"""Verdicts: what was promised against what was seen, and nothing decided from what was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.changes.verdict import horizon_of, judge, settled
from foundry_tui.changes.waited import percentile
from foundry_tui.estate.acts import ChangeRun, Requeue
from foundry_tui.estate.observed import Applied, Look, Observations, RunSeen, Waiter, family_of
from foundry_tui.estate.plan import Move, Plan, Prediction, Target, WaitChange
from foundry_tui.estate.run import Placement, RunState
from foundry_tui.estate.verdict import Kept, Verdict

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
HORIZON_S = 3600.0


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def move(name: str = "m1", run: str = "lab/1", tasks: int = 1, **more: object) -> Move:
    made = Move(
        id=name,
        target=Target("run", run),
        action="start",
        placement=(Placement("h01", (0,)),),
        precondition={"tasks": tasks},
        steps=(ChangeRun(source="lab", runs=(run,), fields=(("nodelist", "h01"),)),),
        starts_within_s=90.0,
        rule="start",
    )
    return replace(made, **more)  # type: ignore[arg-type]


def plan(*moves: Move, prediction: Prediction | None = None) -> Plan:
    return Plan(
        id="p1",
        generated_at=at(-10),
        estate_id="e",
        objective_name="",
        objective=None,
        bound=None,
        gap=None,
        status="heuristic",
        solve_s=0.0,
        moves=moves,
        before={},
        after={},
        prediction=prediction,
    )


def applied(name: str = "m1", run: str = "lab/1", undone_s: float | None = None) -> Applied:
    back = None if undone_s is None else at(undone_s)
    return Applied(
        move=name, begun_at=at(0), done_at=at(2), families=(family_of(run),), undone_at=back
    )


def seen(
    state: RunState,
    start_s: float | None = None,
    node: str = "h01",
    run: str = "lab/1",
    held: bool = False,
    count: int = 1,
) -> RunSeen:
    return RunSeen(
        id=run,
        family=family_of(run),
        state=state,
        held=held,
        count=count,
        started_at=None if start_s is None else at(start_s),
        placement=() if start_s is None else (Placement(node, (0,)),),
    )


def judged(
    looks: Sequence[Look],
    now_s: float,
    *,
    of: Plan | None = None,
    moves: Sequence[Applied] | None = None,
    waiters: tuple[Waiter, ...] | None = None,
) -> Verdict:
    one = of or plan(move())
    found = Observations(waiters=waiters, looks=tuple(looks))
    carried = [applied()] if moves is None else moves
    return judge(one, T0, carried, found, at(now_s), HORIZON_S)


def of(verdict: Verdict, what: str) -> Kept:
    return next(p for p in verdict.promises if p.what == what)


def test_a_start_in_time_on_its_node_is_kept() -> None:
    verdict = judged([Look(at=at(20), runs=(seen(RunState.RUNNING, 10),))], 20)
    assert (of(verdict, "start").kept, of(verdict, "start").measured) == (True, 8.0)
    assert (of(verdict, "node").kept, of(verdict, "node").measured) == (True, "h01")
    assert verdict.closed and verdict.counted == (2, 2)
    assert (verdict.moves, verdict.moves_done) == (1, 1)


@pytest.mark.parametrize(
    ("runs", "start", "node"),
    [
        ((seen(RunState.PENDING),), False, None),
        ((seen(RunState.PENDING, held=True),), None, None),
        ((seen(RunState.CANCELLED),), None, None),
        ((seen(RunState.RUNNING, -30),), None, None),
        ((seen(RunState.RUNNING, 150),), False, True),
        ((seen(RunState.COMPLETED, 5, "h02"),), True, False),
        ((), None, None),
    ],
)
def test_after_the_time_for_it(
    runs: tuple[RunSeen, ...], start: bool | None, node: bool | None
) -> None:
    verdict = judged([Look(at=at(200), runs=runs)], 200)
    assert (of(verdict, "start").kept, of(verdict, "node").kept) == (start, node)
    assert all(p.kept or p.why for p in verdict.promises)


def test_a_silent_source_decides_nothing() -> None:
    looks = [
        Look(at=at(20), runs=(seen(RunState.PENDING),)),
        Look(at=at(200), silent=("lab",)),
    ]
    assert of(judged(looks, 200), "start").kept is None
    assert of(judged([*looks, Look(at=at(230))], 230), "start").kept is False


def test_a_requeued_run_counts_from_its_new_start() -> None:
    one = move(steps=(Requeue(source="lab", runs=("lab/1",), hold=True),))
    looks = [Look(at=at(1), runs=(seen(RunState.RUNNING, -500),))]
    assert of(judged(looks, 1, of=plan(one)), "start").kept is None
    again = [*looks, Look(at=at(60), runs=(seen(RunState.RUNNING, 50),))]
    assert of(judged(again, 60, of=plan(one)), "start").kept is True
    assert of(judged([*looks, Look(at=at(200))], 200, of=plan(one)), "start").kept is False


def test_tasks_of_an_array_are_counted_over_its_moves() -> None:
    one = move("m1", "lab/7_[0-2]", 2)
    two = move("m2", "lab/7_[0-2]", 1, placement=(Placement("h02", (0,)),))
    moves = [applied("m1", "lab/7_[0-2]"), applied("m2", "lab/7_[0-2]")]
    first = (
        seen(RunState.RUNNING, 5, "h01", "lab/7_0"),
        seen(RunState.RUNNING, 5, "h02", "lab/7_1"),
        seen(RunState.PENDING, None, run="lab/7_[2]"),
    )
    looks = [Look(at=at(10), runs=first)]
    assert judged(looks, 10, of=plan(one, two), moves=moves).counted == (0, 0)
    last = Look(
        at=at(30), runs=(seen(RunState.RUNNING, 25, "h01", "lab/7_2"),), gone=("lab/7_[2]",)
    )
    assert judged([*looks, last], 30, of=plan(one, two), moves=moves).counted == (4, 4)


def test_what_was_not_applied_or_taken_back_is_not_measured() -> None:
    two = plan(move(), move("m2", "lab/2"), prediction=_prediction())
    looks = [Look(at=at(20), runs=(seen(RunState.RUNNING, 10),))]
    verdict = judged(looks, 20, of=two, waiters=(Waiter(family="lab/1"),))
    assert {p.kept for p in verdict.promises if p.move != "m1"} == {None}
    assert verdict.closed
    back = judged(looks, 20, of=plan(move()), moves=[applied(undone_s=15)])
    assert back.undone and back.closed and back.counted == (0, 0)


def _prediction(**more: object) -> Prediction:
    made = Prediction(
        horizon_s=HORIZON_S,
        runs=1,
        wait_mean_without_s=100,
        wait_mean_with_s=0,
        wait_p90_without_s=100,
        wait_p90_with_s=300,
        not_started_without=0,
        not_started_with=0,
        allocated_without=1,
        allocated_with=10,
        wait_p50_with_s=300,
        stranded_with_gpus=2.0,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def test_waits_are_decided_as_soon_as_the_bounds_allow() -> None:
    told = _prediction(runs=4, changes=(WaitChange("user", "ann", 2, 900, 300),))
    one = plan(move(), prediction=told)
    who = tuple(Waiter(family=f"lab/{n}", user="ann" if n < 3 else "bob") for n in range(1, 5))
    runs = [seen(RunState.PENDING, run=f"lab/{n}") for n in range(1, 5)]
    runs[0] = seen(RunState.RUNNING, 10)
    runs[1] = seen(RunState.RUNNING, 200, run="lab/2")
    runs[2] = seen(RunState.RUNNING, 210, run="lab/3")
    looks = [Look(at=at(220), runs=tuple(runs))]
    verdict = judged(looks, 220, of=one, waiters=who)
    assert of(verdict, "wait_p50_s").kept is True
    assert of(verdict, "wait_p90_s").kept is None
    assert of(verdict, "wait_s of user ann").measured == 105.0
    late = judged([*looks, Look(at=at(1500))], 1500, of=one, waiters=who)
    assert of(late, "wait_p90_s").kept is False
    assert of(late, "wait_p50_s").kept is True


def test_a_cancelled_waiter_decides_no_wait() -> None:
    one = plan(move(), prediction=_prediction())
    looks = [
        Look(at=at(10), runs=(seen(RunState.PENDING),)),
        Look(at=at(20), runs=(seen(RunState.CANCELLED),)),
        Look(at=at(4000)),
    ]
    verdict = judged(looks, 4000, of=one, waiters=(Waiter(family="lab/1"),))
    assert verdict.closed and of(verdict, "wait_p50_s").kept is None


def test_a_moved_run_counts_the_work_that_it_does_again() -> None:
    one = plan(move(), prediction=_prediction(wait_p50_with_s=500, wait_p90_with_s=None))
    who = (Waiter(family="lab/1", since=at(-500)),)
    looks = [
        Look(at=at(1), runs=(seen(RunState.RUNNING, -500),)),
        Look(at=at(10), runs=(seen(RunState.PENDING, held=True),)),
        Look(at=at(40), runs=(seen(RunState.RUNNING, 30),)),
    ]
    assert of(judged(looks[:2], 10, of=one, waiters=who), "wait_p50_s").kept is None
    verdict = judged(looks, 40, of=one, waiters=who)
    assert (of(verdict, "wait_p50_s").kept, of(verdict, "wait_p50_s").measured) == (True, 530.0)


def test_another_crowd_than_was_reckoned_with_is_not_compared() -> None:
    one = plan(move(), prediction=_prediction(runs=7))
    looks = [Look(at=at(20), runs=(seen(RunState.RUNNING, 10),))]
    verdict = judged(looks, 20, of=one, waiters=(Waiter(family="lab/1"),))
    assert of(verdict, "wait_p50_s").kept is None
    assert "7 were reckoned" in str(of(verdict, "wait_p50_s").why)


@pytest.mark.parametrize(("gpus", "kept"), [(9.5, True), (5.0, False)])
def test_the_allocation_is_a_mean_over_the_horizon(gpus: float, kept: bool) -> None:
    one = plan(move(), prediction=_prediction())
    looks = [Look(at=at(s), gpus_total=40.0, gpus_allocated=gpus) for s in range(0, 3700, 300)]
    early = judged(looks[:5], 1500, of=one, waiters=())
    assert of(early, "gpus_allocated").kept is None
    verdict = judged(looks, 3700, of=one, waiters=())
    assert of(verdict, "gpus_allocated").kept is kept
    sparse = judged([looks[0], looks[-1]], 3700, of=one, waiters=())
    assert of(sparse, "gpus_allocated").kept is None


def test_what_is_stranded_is_measured_right_after_the_starts() -> None:
    one = plan(move(), prediction=_prediction())
    ran = seen(RunState.RUNNING, 10)
    good = Look(at=at(20), runs=(ran,), stranded_gpus=2.4, newer_gpus=0.0)
    assert of(judged([good], 20, of=one), "stranded_gpus").kept is True
    assert of(judged([replace(good, stranded_gpus=3.0)], 20, of=one), "stranded_gpus").kept is False
    stranger = seen(RunState.RUNNING, 12, run="lab/9")
    with_more = replace(good, runs=(ran, stranger))
    for other in (replace(good, newer_gpus=4.0), replace(good, at=at(500)), with_more):
        assert of(judged([other], 500, of=one), "stranded_gpus").kept is None


def test_what_was_decided_stays_when_looks_are_thinned() -> None:
    first = judged([Look(at=at(20), runs=(seen(RunState.RUNNING, 10),))], 20)
    assert settled(first, judged([], 30)).counted == (2, 2)
    assert horizon_of(plan(move())) == 3600.0


_STATES = st.sampled_from(
    [
        (RunState.PENDING, False),
        (RunState.PENDING, True),
        (RunState.RUNNING, False),
        (RunState.COMPLETED, False),
        (RunState.CANCELLED, False),
    ]
)
_RUNS = st.builds(
    lambda name, state, start: seen(
        state[0],
        None if state[0] in (RunState.PENDING, RunState.CANCELLED) else start,
        run=name,
        held=state[1],
    ),
    st.sampled_from(["lab/1", "lab/2", "lab/3"]),
    _STATES,
    st.integers(-50, 4000),
)
_LOOKS = st.lists(
    st.tuples(st.integers(1, 900), st.lists(_RUNS, max_size=3), st.booleans(), st.floats(0, 40)),
    max_size=12,
)


@settings(deadline=None)
@given(_LOOKS, st.integers(0, 12), st.none() | st.integers(1, 4000))
def test_more_looks_never_turn_a_decided_promise(
    steps: list[tuple[int, list[RunSeen], bool, float]], cut: int, undone_s: int | None
) -> None:
    now, looks = 0, []
    for gap, runs, silent, gpus in steps:
        now += gap
        looks.append(
            Look(
                at=at(now),
                runs=() if silent else tuple(runs),
                silent=("lab",) if silent else (),
                gpus_total=40.0,
                gpus_allocated=None if silent else gpus,
                stranded_gpus=None if silent else gpus,
                newer_gpus=0.0,
            )
        )
    told = _prediction(runs=3, changes=(WaitChange("user", "ann", 1, 10, 400),))
    one = plan(move(), move("m2", "lab/2"), prediction=told)
    moves = [applied("m1", undone_s=undone_s), applied("m2", "lab/2", undone_s=undone_s)]
    who = (
        Waiter(family="lab/1", user="ann"),
        Waiter(family="lab/2"),
        Waiter(family="lab/3", since=at(-20)),
    )
    few = looks[:cut]
    early_s = (few[-1].at - T0).total_seconds() if few else 0.0
    early = judged(few, early_s, of=one, moves=moves, waiters=who)
    late = judged(looks, now, of=one, moves=moves, waiters=who)
    after = {(p.what, p.move): p.kept for p in late.promises}
    for promise in early.promises:
        if promise.kept is not None:
            assert after[promise.what, promise.move] is promise.kept
    assert late.closed or not early.closed
    if late.undone:
        assert late.closed


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1), st.floats(0, 1))
def test_percentiles_are_those_of_numpy(pairs: list[tuple[float, float]], share: float) -> None:
    import numpy as np

    low, high = percentile([(min(p), max(p)) for p in pairs], share)
    assert low == pytest.approx(float(np.percentile([min(p) for p in pairs], 100 * share)))
    assert high == pytest.approx(float(np.percentile([max(p) for p in pairs], 100 * share)))
    assert low <= high + 1e-9
