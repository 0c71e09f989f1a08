"""The smallest safe MIG instance, by the model's name and memory."""

from __future__ import annotations

import pytest

from foundry_tui.optimiser.migprofile import smallest_profile
from scheduler_sim.fractions.safe import SafeShare

GIB = 1 << 30


def safe(memory_milli: int | None, speed_milli: int | None) -> SafeShare:
    return SafeShare(milli=None, memory_milli=memory_milli, speed_milli=speed_milli, promise=0.9)


@pytest.mark.parametrize(
    ("memory_milli", "speed_milli", "expected"),
    [
        (100, 100, "1g.10gb of H100-80GB"),
        (200, 100, "1g.20gb of H100-80GB"),
        (100, 200, "2g.20gb of H100-80GB"),
        (400, 400, "3g.40gb of H100-80GB"),
        (100, 500, "4g.40gb of H100-80GB"),
    ],
)
def test_memory_and_speed_both_count(memory_milli: int, speed_milli: int, expected: str) -> None:
    found = smallest_profile(safe(memory_milli, speed_milli), "NVIDIA H100 80GB HBM3", 80 * GIB)
    assert found == expected


def test_the_memory_tells_two_models_of_one_name_apart() -> None:
    assert smallest_profile(safe(100, 100), "a100", 40 * GIB) == "1g.5gb of A100-40GB"
    assert smallest_profile(safe(100, 100), "A100-SXM4-80GB", 80 * GIB) == "1g.10gb of A100-80GB"


@pytest.mark.parametrize(
    ("model", "device_bytes"), [("v100", 32 * GIB), (None, 80 * GIB), ("a100", 60 * GIB)]
)
def test_unknown_devices_have_no_profile(model: str | None, device_bytes: int) -> None:
    assert smallest_profile(safe(100, 100), model, device_bytes) is None


def test_a_whole_device_is_no_instance() -> None:
    assert smallest_profile(safe(100, 700), "h100", 80 * GIB) is None


def test_without_both_demands_none_is_safe() -> None:
    assert smallest_profile(safe(None, 100), "h100", 80 * GIB) is None
    assert smallest_profile(safe(100, None), "h100", 80 * GIB) is None
