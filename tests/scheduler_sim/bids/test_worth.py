"""What the rest of a GPU is worth, against every sequence of draws, and to the bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scheduler_sim.bids.loops import fill
from scheduler_sim.bids.shapes import Shapes
from scheduler_sim.bids.worth import CPU_PRICES, SCALE, _fill, worth_tables
from scheduler_sim.cluster import Request
from tests.scheduler_sim.bids import reference
from tests.scheduler_sim.bids.mixes import MODELS, asks, mix, mixes

SHARES = (50, 100, 150, 200, 350, 450, 500, 800, 1000)
COARSE = (250, 500, 750, 1000)
Ints = NDArray[np.int64]
Form = Callable[[Ints, Ints, Ints, int, int, Ints], None]

PRICES: Ints = np.array([0, 40, 400, 9000], dtype=np.int64)

both_forms = pytest.mark.parametrize("form", [fill, _fill], ids=["loops", "vectors"])


def whole_values(known: Shapes) -> list[int]:
    """Each shape is worth its GPU share."""
    worths: list[int] = (known.gpus * known.milli * SCALE).tolist()
    return worths


def tables(known: Shapes, choice: int) -> list[list[list[int]]]:
    values = np.array(whole_values(known), dtype=np.int64)
    found: list[list[list[int]]] = worth_tables(known, values, choice, PRICES).tolist()
    return found


@settings(deadline=None, max_examples=60)
@given(mixes(SHARES, 7), st.integers(1, 400))
def test_worth_is_the_rule_to_the_bit(known: Shapes, choice: int) -> None:
    found = tables(known, choice)
    for model in range(len(MODELS)):
        for row, price in enumerate(PRICES.tolist()):
            wanted = asks(known, whole_values(known), model, price)
            expected = reference.whole_numbers(wanted, known.total, choice, known.unit)
            assert found[model][row] == expected


@settings(deadline=None, max_examples=60)
@given(mixes(SHARES, 7), st.integers(1, 400))
def test_worth_is_close_to_the_formula(known: Shapes, choice: int) -> None:
    """What is cut off: less than 1 at each rest, and 2^-30 a few times of each probability."""
    found = tables(known, choice)
    for model in range(len(MODELS)):
        for row, price in enumerate(PRICES.tolist()):
            wanted = asks(known, whole_values(known), model, price)
            expected = reference.formula(wanted, known.total, choice, known.unit)
            assert found[model][row] == pytest.approx(expected, abs=1000 / known.unit + 2)


@settings(deadline=None, max_examples=40)
@given(mixes(COARSE, 4), st.integers(1, 4))
def test_worth_is_the_mean_of_the_best_of_so_many_draws(known: Shapes, choice: int) -> None:
    found = tables(known, choice)
    for row, price in enumerate(PRICES.tolist()):
        wanted = asks(known, whole_values(known), 0, price)
        expected = reference.exact(wanted, known.total, choice, known.unit)
        for have, exact in zip(found[0][row], expected, strict=True):
            assert exact - 1000 / known.unit - 2 <= have <= exact


@settings(deadline=None, max_examples=60)
@given(mixes(SHARES, 7), st.integers(1, 400))
def test_more_room_and_more_choice_are_never_worth_less(known: Shapes, choice: int) -> None:
    values = np.array(whole_values(known), dtype=np.int64)
    found = worth_tables(known, values, choice, PRICES)
    assert (np.diff(found, axis=2) >= 0).all()
    assert (found[:, :, 0] == 0).all()
    # a dearer core leaves less
    assert (np.diff(found, axis=1) <= 0).all()
    more = worth_tables(known, values, 2 * choice, PRICES)
    assert (more >= found - 1000 // known.unit - 2).all()


def test_one_draw_is_the_mean_over_the_mix() -> None:
    known = mix((Request(1, 500, 1000), 3), (Request(1, 1000, 4000), 1), (Request(0), 4))
    # at 20 units a core: 0.5 brings 50000 - 20, a whole GPU 100000 - 80; half of the runs nothing
    half = 3 * 49_980 // 8
    full = (3 * (49_980 + half) + 99_920) // 8
    price = np.array([20], dtype=np.int64)
    values = np.array(whole_values(known), dtype=np.int64)
    assert worth_tables(known, values, 1, price).tolist() == [[[0, half, full]]]


@settings(deadline=None, max_examples=60)
@given(mixes(SHARES, 7))
def test_choice_without_end_is_the_knapsack(known: Shapes) -> None:
    found = tables(known, 10**6)
    for model in range(len(MODELS)):
        for row, price in enumerate(PRICES.tolist()):
            wanted = asks(known, whole_values(known), model, price)
            assert found[model][row] == reference.knapsack(wanted, known.unit)


@both_forms
@settings(deadline=None, max_examples=60)
@given(known=mixes(SHARES, 9), choice=st.integers(1, 400))
def test_both_forms_fill_the_same_table(form: Form, known: Shapes, choice: int) -> None:
    one = known.gpus == 1
    values = np.array(whole_values(known), dtype=np.int64)
    net = values[one] - CPU_PRICES[:, None] * known.cpu[one] // 1000
    table = np.zeros((CPU_PRICES.size, 1000 // known.unit + 1), dtype=np.int64)
    size, seen = known.milli[one] // known.unit, known.seen[one]
    form(size, net, seen, known.total, choice, table)
    for row in range(0, CPU_PRICES.size, 6):
        wanted = [
            reference.Ask(int(m), int(n), int(s))
            for m, n, s in zip(known.milli[one], net[row], seen, strict=True)
        ]
        expected = reference.whole_numbers(wanted, known.total, choice, known.unit)
        assert table[row].tolist() == expected


@settings(deadline=None, max_examples=30)
@given(mixes(SHARES, 9), st.integers(1, 400))
def test_the_tables_do_not_depend_on_the_form(known: Shapes, choice: int) -> None:
    values = np.array(whole_values(known), dtype=np.int64)
    loops = worth_tables(known, values, choice, PRICES, compiled=True)
    assert (worth_tables(known, values, choice, PRICES) == loops).all()


def test_a_model_that_nobody_accepts_is_worth_nothing() -> None:
    known = mix((Request(1, 500, models=("A100",)), 1), models=("A100", "T4"))
    found = tables(known, 5)
    assert found[0][0][-1] > 0
    assert not any(any(levels) for levels in found[1])


@pytest.mark.parametrize("kinds", [[Request(0, cpu_milli=5)], [Request(2), Request(0)]])
def test_a_mix_without_a_run_on_one_gpu_leaves_every_rest_worthless(kinds: list[Request]) -> None:
    known = mix(*((kind, 1) for kind in kinds), models=("A100", "T4"))
    assert tables(known, 5) == [[[0, 0]] * len(PRICES)] * 2


def test_choice_is_at_least_one_run() -> None:
    known = mix((Request(1, 500), 1))
    with pytest.raises(ValueError, match=r"choice: at least one run to choose from, got 0"):
        tables(known, 0)


def test_prices_of_a_core_grow_by_the_root_of_two() -> None:
    steps = CPU_PRICES[3:] / CPU_PRICES[1:-2]
    assert CPU_PRICES[:2].tolist() == [0, SCALE]
    assert np.allclose(steps, 2, rtol=0.01)
