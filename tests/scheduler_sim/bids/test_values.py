"""What a run of each shape is worth, on mixes in which one can say it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from scheduler_sim.bids.shapes import Shapes
from scheduler_sim.bids.values import values
from scheduler_sim.bids.worth import SCALE
from scheduler_sim.cluster import Request
from tests.scheduler_sim.bids.mixes import mix, mixes


def worths(known: Shapes) -> dict[tuple[int, int], float]:
    """Thousandths of a GPU by (GPUs, thousandths of each)."""
    keys = zip(known.gpus.tolist(), known.milli.tolist(), strict=True)
    return dict(zip(keys, (values(known) / SCALE).tolist(), strict=True))


def test_a_share_beside_which_nothing_fits_costs_a_whole_gpu() -> None:
    """Its value is half way between itself and that: (810 + 1000) / 2."""
    found = worths(mix((Request(1, 810), 5), (Request(1, 1000), 5)))
    assert found == {(1, 810): pytest.approx(905, abs=0.1), (1, 1000): 1000}


@pytest.mark.parametrize("share", [500, 250, 200])
def test_a_share_that_fills_a_gpu_with_its_like_is_worth_itself(share: int) -> None:
    found = worths(mix((Request(1, share), 5), (Request(1, 1000), 5)))
    assert found[1, share] == pytest.approx(share, abs=0.1)


def test_shares_that_fill_a_gpu_together_are_worth_themselves() -> None:
    found = worths(mix((Request(1, 810), 5), (Request(1, 190), 5)))
    assert found[1, 810] == pytest.approx(810, abs=0.1)
    assert found[1, 190] == pytest.approx(190, abs=0.1)


@pytest.mark.parametrize(("share", "part"), [(470, 500), (320, 333.33), (650, 1000)])
def test_what_is_left_over_is_shared_by_those_that_fit(share: int, part: float) -> None:
    """Two of 0.47 fit on a GPU, so each costs a half of it, and so on."""
    found = worths(mix((Request(1, share), 5), (Request(1, 1000), 5)))
    assert found[1, share] == pytest.approx((share + part) / 2, abs=0.2)


def test_a_share_of_a_model_that_the_cluster_lacks_is_worth_itself() -> None:
    found = worths(mix((Request(1, 810, models=("none",)), 5), (Request(1, 500), 5)))
    assert found[1, 810] == 810


def test_what_takes_no_share_is_worth_what_it_takes() -> None:
    found = worths(mix((Request(0, cpu_milli=9), 1), (Request(1), 1), (Request(8), 1)))
    assert found == {(0, 0): 0, (1, 1000): 1000, (8, 1000): 8000}


@settings(deadline=None, max_examples=12)
@given(mixes((100, 150, 250, 350, 450, 550, 800, 950, 1000), 8))
def test_a_share_is_worth_half_of_itself_to_a_whole_gpu(known: Shapes) -> None:
    found = values(known)
    own = known.gpus * known.milli * SCALE
    share = (known.gpus == 1) & (known.milli < 1000)
    assert (found[~share] == own[~share]).all()
    assert (found[share] >= own[share] // 2).all()
    assert (found[share] <= 1000 * SCALE).all()
    assert (found == values(known)).all()
    assert found.dtype == np.int64
