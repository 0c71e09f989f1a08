"""What MIG instances are worth: the compute slices that they have of their device."""

from __future__ import annotations

import pytest

from foundry_tui.estate.mig import instance_milli


@pytest.mark.parametrize(
    ("profile", "count", "milli"),
    [
        ("1g.10gb", 1, 142),
        ("1g.10gb", 7, 1000),
        ("3g.40gb", 1, 428),
        ("nvidia_h100_3g.40gb", 2, 857),
        ("7g.80gb", 3, 3000),
        ("1g.6gb", 4, 1000),
        ("rtx_pro_6000_2g.48gb", 1, 500),
        ("a30_1g.6gb", 1, 250),
        ("h100", 1, None),
        ("", 1, None),
        (None, 1, None),
    ],
)
def test_r09_worth_of_instances(profile: str | None, count: int, milli: int | None) -> None:
    assert instance_milli(profile, count) == milli


@pytest.mark.parametrize("slices", range(1, 8))
def test_r09_what_fits_on_a_device_is_worth_no_more_than_it(slices: int) -> None:
    one = instance_milli(f"{slices}g.{10 * slices}gb")
    assert one is not None
    assert one * (7 // slices) <= 1000
