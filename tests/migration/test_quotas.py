"""Proposed quotas: what the formula promises, whatever accounts and their use are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.usage import Account
from foundry_tui.migration.quotas import Use, propose, use_of
from foundry_tui.migration.tally import Hours

NAMES = "abcdef"


def a_use(held: float | None) -> Use:
    hours = 0 if held is None else 10
    return Use(mean=held, p50=held, p95=held, hours=hours, unknown_hours=10 - hours)


@st.composite
def sites(draw: st.DrawFn) -> tuple[list[Account], dict[str, Use], int]:
    """Accounts with any parent among them, shares and limits; some used nothing, or unknown."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    accounts = [
        Account(
            name=name,
            parent=draw(st.sampled_from([None, "root", *NAMES])),
            quota_gpu_milli=draw(st.none() | st.integers(0, 64_000)),
            shares=draw(st.none() | st.integers(0, 100)),
        )
        for name in names
    ]
    held = st.none() | st.just(0.0) | st.floats(0.01, 300)
    return accounts, {name: a_use(draw(held)) for name in names}, draw(st.integers(0, 200))


@given(sites(), st.randoms())
def test_what_the_formula_promises(
    site: tuple[list[Account], dict[str, Use], int], order: object
) -> None:
    accounts, use, pool = site
    found = propose(accounts, use, pool)
    assert sum(one.quota or 0 for one in found) <= pool
    parts = [one.share for one in found if one.share is not None]
    assert not parts or sum(parts) == pytest.approx(1.0)
    for one in found:
        held = use[one.account]
        if held.mean == 0.0:
            assert (one.quota, one.weight, one.entitled) == (0, None, None)
        elif held.mean is None:
            assert one.quota is None
        else:
            assert one.quota is not None and one.entitled is not None and held.p50 is not None
            assert 0 <= one.quota < min(one.entitled, held.p50) + 1
    order.shuffle(accounts)  # type: ignore[attr-defined]
    turned = dict(reversed(use.items()))
    assert propose(accounts, turned, pool) == found


def test_a_quota_is_the_smaller_of_part_and_need_and_the_weights_are_the_shares() -> None:
    accounts = [
        Account(name="root"),
        Account(name="big", parent="root", shares=70),
        Account(name="small", parent="root", shares=30),
        Account(name="idle", parent="root", shares=500),
    ]
    use = {"big": a_use(20.0), "small": a_use(7.4), "idle": a_use(0.0)}
    big, idle, small = propose(accounts, use, 20)
    assert (big.quota, big.weight) == (14, 2.33)
    assert (small.quota, small.weight) == (6, 1.0)
    assert big.entitled == pytest.approx(14)
    assert small.entitled == pytest.approx(6)
    assert (idle.quota, idle.weight) == (0, None)
    assert [one.quota for one in propose(accounts, use, 100)] == [20, 0, 8]


def test_shares_hold_among_sisters_below_each_account() -> None:
    accounts = [
        Account(name="lab", shares=1),
        Account(name="east", parent="lab", shares=3),
        Account(name="west", parent="lab", shares=1),
        Account(name="other", shares=1),
    ]
    use = dict.fromkeys(("east", "west", "other"), a_use(100.0))
    parts = {one.account: one.share for one in propose(accounts, use, 16)}
    assert parts == pytest.approx({"east": 0.375, "west": 0.125, "other": 0.5})


def test_use_leaves_out_hours_that_are_unknown_or_before_the_books() -> None:
    hours = Hours([0.0, 3600.0, 7200.0, 9999.0, 3600.0], unknown={3})
    use = use_of(hours, [3600.0, 3600.0, 3600.0, 3600.0, 1800.0], begins_at=1)
    assert use.mean == pytest.approx(5 / 3)
    assert (use.p50, use.hours, use.unknown_hours) == (2.0, 3, 1)
    assert use_of(Hours([1.0], unknown={0}), [3600.0]).p50 is None


def test_less_than_no_gpu_cannot_be_given() -> None:
    with pytest.raises(ValueError, match="pool"):
        propose([], {}, -1)
