"""Windows end on whole minutes, hold mean, largest and count, and do not change once seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.agent.serving.windows import FRESH_S, Windows, place
from foundry_tui.agent.shapes import Device, GpuRound, Instance, ProcessUse, Round

MINUTE = 1_700_000_040
assert MINUTE % 60 == 0


def reading(at: float, values: dict[str, float], **more: object) -> Round:
    return Round(at, gpus=[GpuRound(Device(0, "GPU-0"), values, **more)])  # type: ignore[arg-type]


WHOLE = place(GpuRound(Device(0, "GPU-0")))


def test_a_closed_window_has_mean_largest_and_count() -> None:
    windows = Windows()
    for second, util in ((0, 10), (10, 20), (20, 90)):
        windows.add(reading(MINUTE + second, {"gpu_util": util, "energy": 1000 + second}))
    windows.add(reading(MINUTE + 60, {"gpu_util": 55}))
    window = windows.served(MINUTE + 61)
    assert window is not None
    assert window.end == MINUTE + 60
    assert window.samples[WHOLE] == 3
    util_stat, energy = window.values[WHOLE]["gpu_util"], window.values[WHOLE]["energy"]
    assert (util_stat.value("mean"), util_stat.largest, util_stat.n) == (40, 90, 3)
    assert energy.value("last") == 1020


def test_bits_of_a_window_are_all_that_were_seen() -> None:
    windows = Windows()
    for second, bits in ((0, 1), (10, 8), (20, 4)):
        windows.add(reading(MINUTE + second, {"throttle": bits}))
    window = windows.served(MINUTE + 60)
    assert window is not None
    assert window.values[WHOLE]["throttle"].value("bits") == 0b1101


def test_in_the_first_minute_the_window_so_far_is_served() -> None:
    windows = Windows()
    assert windows.served(MINUTE) is None
    windows.add(reading(MINUTE + 5, {"gpu_util": 7}))
    window = windows.served(MINUTE + 6)
    assert window is not None
    assert window.values[WHOLE]["gpu_util"].value("mean") == 7


@given(st.lists(st.tuples(st.floats(0, 600), st.floats(0, 100)), min_size=1, max_size=80))
def test_two_scrapers_agree_whenever_they_ask(rounds: list[tuple[float, float]]) -> None:
    """A closed window is told with the same numbers for as long as it is told."""
    windows = Windows()
    told: dict[int, tuple[float, float, int]] = {}
    for at, util in sorted(rounds):
        windows.add(reading(MINUTE + at, {"gpu_util": util}))
        for later in (0.0, 0.5, 30.0):
            window = windows.served(MINUTE + at + later)
            if window is None or window.end > MINUTE + at + later:
                continue
            stat = window.values[WHOLE]["gpu_util"]
            now = (stat.value("mean"), stat.largest, stat.n)
            assert told.setdefault(window.end, now) == now


def test_a_reading_that_comes_after_its_window_was_told_is_dropped() -> None:
    windows = Windows()
    windows.add(reading(MINUTE, {"gpu_util": 10}))
    first = windows.served(MINUTE + 60)
    assert first is not None
    windows.add(reading(MINUTE + 59.9, {"gpu_util": 90}))
    again = windows.served(MINUTE + 60.1)
    assert again is not None
    assert again.values[WHOLE]["gpu_util"].largest == 10


def test_old_values_vanish() -> None:
    windows = Windows()
    windows.add(reading(MINUTE, {"gpu_util": 10}))
    assert windows.served(MINUTE + FRESH_S - 1) is not None
    assert windows.served(MINUTE + FRESH_S) is None


def test_after_a_gap_the_window_before_it_is_not_served() -> None:
    windows = Windows()
    windows.add(reading(MINUTE, {"gpu_util": 10}))
    windows.add(reading(MINUTE + 310, {"gpu_util": 50}))
    window = windows.served(MINUTE + 311)
    assert window is not None
    assert window.values[WHOLE]["gpu_util"].value("mean") == 50


def test_a_clock_that_was_set_back_begins_anew() -> None:
    windows = Windows()
    windows.add(reading(MINUTE + 3600, {"gpu_util": 10}))
    windows.add(reading(MINUTE, {"gpu_util": 50}))
    window = windows.served(MINUTE + 1)
    assert window is not None
    assert window.values[WHOLE]["gpu_util"].value("mean") == 50


@pytest.mark.parametrize("back_s", [3600, 60 * FRESH_S])
def test_a_clock_that_was_set_back_leaves_no_window_of_the_future(
    back_s: float,
) -> None:
    windows = Windows()
    for second in (0, 60, 70):
        windows.add(reading(MINUTE + second, {"gpu_util": 10}))
    assert windows.served(MINUTE + 71) is not None
    assert windows.served(MINUTE + 71 - back_s) is None


def test_a_lost_gpu_adds_no_sample() -> None:
    windows = Windows()
    windows.add(reading(MINUTE, {"gpu_util": 10}))
    windows.add(reading(MINUTE + 10, {}, failure="the GPU is lost"))
    window = windows.served(MINUTE + 60)
    assert window is not None
    assert window.samples[WHOLE] == 1


@pytest.mark.parametrize("profile", ["1g.10gb", "2g.20gb"])
def test_an_instance_that_is_cut_anew_is_another_one(profile: str) -> None:
    """GI 1 was `1g.10gb`; only when it is cut the same do its samples go on."""
    windows = Windows()
    for second, cut, util in ((0, "1g.10gb", 0.2), (10, profile, 0.8)):
        instance = Instance(1, cut, values={"sm_active": util})
        windows.add(reading(MINUTE + second, {}, instances=[instance]))
    window = windows.served(MINUTE + 60)
    assert window is not None
    samples = window.samples[place(GpuRound(Device(0, "GPU-0")), 1, profile)]
    assert samples == (2 if profile == "1g.10gb" else 1)


def test_the_last_process_list_of_a_window_stands() -> None:
    windows = Windows()
    for second, job in ((0, "1"), (10, None), (50, "2")):
        round_ = reading(MINUTE + second, {})
        round_.processes = None if job is None else [ProcessUse("GPU-0", 7, 1, job=job)]
        windows.add(round_)
    window = windows.served(MINUTE + 60)
    assert window is not None
    assert [use.job for use in window.processes or []] == ["2"]
