"""What a share costs where it has partners and where it has none."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.fractions.packing import Packer
from scheduler_sim.fractions.partners import Tariff, friendly, rounded_up, tariff

MIX = {810: 100, 230: 400, 470: 300}


def test_without_partners_a_share_costs_the_whole_gpu() -> None:
    here = tariff(MIX)
    alone, paired = here.cost(810), here.cost(770)
    assert alone.effective_milli == pytest.approx(1000)
    assert alone.stranded_milli == pytest.approx(190)
    assert alone.words == "0.81 GPU costs 1.00 here: it strands 0.19"
    assert paired.effective_milli < 800
    assert paired.partners == ((230, 1),)
    assert paired.words.endswith("0.23 fits in the other 0.23")
    assert here.cost(1000).words == "a whole GPU"


def test_the_smallest_change_that_finds_a_partner_is_enough() -> None:
    here = tariff(MIX)
    assert friendly(here, 700, 810) == 770
    assert friendly(here, 775, 810) == 810  # nothing between finds a partner: leave it
    assert friendly(here, 900, 810) == 900  # what was asked for is not safe
    assert friendly(here, 803, 805) == 805


def test_the_cost_is_the_price_of_one_more() -> None:
    packer = Packer()
    before = packer.pack(MIX).gpus
    here = tariff(MIX)
    for milli in (230, 470, 770, 810):
        more = MIX | {milli: MIX.get(milli, 0) + 1}
        rise = 1000 * (packer.pack(more).gpus - before)
        assert here.cost(milli).effective_milli == pytest.approx(rise, abs=1e-6), milli


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(st.sampled_from((110, 230, 330, 470, 650, 810)), st.integers(1, 60), min_size=1)
)
def test_a_smaller_share_never_costs_more(shares: dict[int, int]) -> None:
    here = tariff(shares)
    costs = [here.cost(milli).effective_milli for milli in range(10, 1001, 10)]
    assert all(a <= b + 1e-6 for a, b in pairwise(costs))
    assert costs[-1] == pytest.approx(1000)


@settings(deadline=None)
@given(st.integers(1, 1000), st.integers(1, 1000), st.sampled_from((1, 10, 50, 125)))
def test_advice_is_never_below_what_is_safe(safe: int, asked: int, grid: int) -> None:
    milli = friendly(tariff(MIX), safe, asked, grid)
    assert safe <= milli <= max(asked, rounded_up(safe, grid))
    assert milli in (1000, asked) or milli % grid == 0


def test_any_unit_of_prices_will_do() -> None:
    pounds = Tariff.of({500: 7.0}, {500: 10})
    assert pounds.cost(400).effective_milli == pytest.approx(500)
    assert pounds.cost(600).effective_milli == pytest.approx(1000)
    assert pounds.cost(600).partners == ()


@pytest.mark.parametrize(("milli", "grid", "up"), [(1, 10, 10), (770, 10, 770), (981, 50, 1000)])
def test_rounding_goes_up(milli: int, grid: int, up: int) -> None:
    assert rounded_up(milli, grid) == up


def test_nonsense_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^shares: none"):
        tariff({})
    with pytest.raises(ValueError, match=r"^prices: "):
        Tariff.of({500: 0.0}, {500: 3})
    with pytest.raises(ValueError, match=r"^milli: "):
        tariff(MIX).cost(0)
    with pytest.raises(ValueError, match=r"^milli: "):
        rounded_up(0)
    with pytest.raises(ValueError, match=r"^asked_milli: "):
        friendly(tariff(MIX), 500, 1001)
