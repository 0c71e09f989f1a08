"""Trade-offs: every point is a plan by itself, and the first moves bring most."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.plan import Move, Plan, Target
from foundry_tui.optimiser.tradeoff import needs, tradeoff

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


def start(
    number: int,
    gain: float | None,
    *,
    cost: float = 0.0,
    owner: str | None = None,
    displaces: tuple[str, ...] = (),
    action: str = "start",
) -> Move:
    return Move(
        id=f"m{number}",
        target=Target("run", f"lab/{number}"),
        action=action,
        gpu_milli=1000,
        gain=gain,
        cost=cost,
        owner=owner,
        displaces=displaces,
    )


def plan(*moves: Move) -> Plan:
    return Plan(
        id="p",
        generated_at=NOW,
        estate_id="e",
        objective_name="GPUs allocated",
        objective=None,
        bound=None,
        gap=None,
        status="heuristic",
        solve_s=0.0,
        moves=moves,
        before={"gpus_allocated": 4.0},
        after={},
    )


def order(made: Plan) -> list[tuple[str, ...]]:
    return [point.added for point in tradeoff(made)]


def test_most_gain_comes_first_and_unknown_gain_last() -> None:
    points = tradeoff(plan(start(1, 2.0), start(2, None), start(3, 9.0, cost=1.0), start(4, 7.5)))
    assert [p.added for p in points] == [(), ("m3",), ("m4",), ("m1",), ("m2",)]
    assert [p.moves for p in points] == [0, 1, 2, 3, 4]
    assert [p.gain for p in points] == [0, 9, 16.5, 18.5, 18.5]
    assert [p.net for p in points] == [0, 8, 15.5, 17.5, 17.5]
    assert [p.gain_unknown for p in points] == [0, 0, 0, 0, 1]
    assert [p.gpus_allocated for p in points] == [4, 5, 6, 7, 8]


def test_of_equal_gain_those_that_disturb_nobody_come_first() -> None:
    points = tradeoff(plan(start(1, 5.0, owner="bo"), start(2, 5.0), start(3, 5.0, owner="bo")))
    assert [p.added for p in points] == [(), ("m2",), ("m1",), ("m3",)]
    assert [p.disturbed for p in points] == [0, 0, 1, 1]
    assert points[-1].owners == ("bo",)


def test_a_move_brings_what_it_needs() -> None:
    moved = start(1, -1.0, cost=2.0, action="migrate")
    big = start(2, 30.0, displaces=("lab/1",))
    made = plan(moved, big, start(3, 20.0), start(4, 1.0))
    assert needs(made.moves) == {"m1": (), "m2": ("m1",), "m3": (), "m4": ()}
    assert order(made) == [(), ("m3",), ("m1", "m2"), ("m4",)]
    assert tradeoff(made)[2].stopped == ("lab/1",)
    assert tradeoff(made)[2].gpus_allocated == 6  # what is moved holds no more than before


def test_what_a_need_cost_is_not_paid_twice() -> None:
    """Once the costly move is made, the second one that needs it is cheap and comes at once."""
    moved = start(1, 0.0, cost=20.0, action="migrate")
    both = [start(n, 30.0, displaces=("lab/1",)) for n in (2, 3)]
    assert order(plan(moved, *both, start(4, 10.0))) == [(), ("m4",), ("m1", "m2"), ("m3",)]
    assert order(plan(moved, *both, start(4, 4.0))) == [(), ("m1", "m2"), ("m3",), ("m4",)]


def test_moves_that_need_each_other_come_together() -> None:
    swap = (start(1, 4.0, displaces=("lab/2",)), start(2, 4.0, displaces=("lab/1",)))
    assert order(plan(*swap)) == [(), ("m2", "m1")]


def test_worth_is_summed_where_every_start_tells_it() -> None:
    review = replace(start(3, 9.0, action="review_idle"), worth=None)
    told = [replace(start(n, 10.0 - n), worth=n / 2) for n in (1, 2)]
    assert [p.worth for p in tradeoff(plan(*told, review))] == [0, 0.5, 0.5, 1.5]
    silent = replace(told[1], worth=None)
    assert [p.worth for p in tradeoff(plan(told[0], silent))] == [0, 0.5, None]


@pytest.mark.parametrize("before", [{}, {"gpus_allocated": None}])
def test_unknown_stays_unknown(before: dict[str, float | None]) -> None:
    points = tradeoff(replace(plan(start(1, 2.0)), before=before))
    assert [p.gpus_allocated for p in points] == [None, None]


def test_a_plan_without_moves_is_one_point() -> None:
    (point,) = tradeoff(plan())
    assert (point.moves, point.gain, point.disturbed) == (0, 0, 0)


gains = st.one_of(st.none(), st.floats(0, 1000, allow_nan=False))


@given(st.lists(st.tuples(gains, st.sets(st.integers(1, 12), max_size=3)), max_size=12))
def test_every_point_is_valid_by_itself_and_gain_never_falls(
    given_moves: list[tuple[float | None, set[int]]],
) -> None:
    made = plan(
        *(
            start(n, gain, displaces=tuple(f"lab/{other}" for other in sorted(others)))
            for n, (gain, others) in enumerate(given_moves, start=1)
        )
    )
    points, needed = tradeoff(made), needs(made.moves)
    chosen: set[str] = set()
    for before, after in pairwise(points):
        chosen |= set(after.added)
        assert after.gain >= before.gain
        assert after.moves == before.moves + len(after.added) == len(chosen)
        assert all(set(needed[one]) <= chosen for one in chosen)
    assert chosen == {move.id for move in made.moves}


@given(st.lists(st.floats(0, 1000, allow_nan=False), min_size=1, max_size=12))
def test_without_needs_no_other_choice_of_as_many_moves_gains_more(values: list[float]) -> None:
    points = tradeoff(plan(*(start(n, gain) for n, gain in enumerate(values, start=1))))
    for point in points:
        best = sum(sorted(values, reverse=True)[: point.moves])
        assert point.gain == pytest.approx(best)
