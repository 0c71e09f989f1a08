"""The smallest safe share: memory is hard, speed is promised, unknown is not zero."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler_sim.fractions.history import Histogram, Prior, Usage
from scheduler_sim.fractions.safe import Basis, memory_need_bytes, smallest_safe
from scheduler_sim.fractions.speed import needed, share_for, speed_on

GB = 10**9


def usage(
    gpu: float, memory: float | None = None, peak: int | None = 4 * GB, samples: int = 200
) -> Usage:
    return Usage(
        gpu_util=Histogram.of([gpu] * samples),
        memory_util=None if memory is None else Histogram.of([memory] * samples),
        mem_peak_bytes=peak,
    )


@pytest.mark.parametrize(("util", "share"), [(0.05, 0.31), (0.1, 0.47), (0.2, 0.64), (0.4, 0.78)])
def test_the_conservative_rule_by_hand(util: float, share: float) -> None:
    assert share_for(0.9, util) == pytest.approx(share, abs=0.006)


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.one_of(st.none(), st.floats(0, 1)))
def test_a_share_keeps_the_speed_it_was_chosen_for(
    speed: float, gpu: float, memory: float | None
) -> None:
    share = share_for(speed, gpu, memory)
    assert 0 <= share <= 1
    if share > 1e-9:
        assert speed_on(share, gpu, memory) >= speed - 1e-6


def test_bandwidth_and_not_utilisation_decides_where_it_is_known() -> None:
    assert needed(0.9, None) == 0.9
    assert needed(0.9, 0.02) == pytest.approx(0.09 * 0.9 + 1.57 * 0.02)
    assert needed(1.0, 1.0) == 1.0
    busy = smallest_safe(usage(0.9), 80 * GB)
    light = smallest_safe(usage(0.9, 0.02), 80 * GB)
    assert (busy.basis, light.basis) == (Basis.CONSERVATIVE, Basis.CALIBRATED)
    assert busy.milli is not None and light.milli is not None
    assert light.milli < busy.milli
    # 0.9 + 0.07 of safety: a = 0.1124, 0.1124 / (1 / 0.97 - 1 + 0.1124) = 0.784...
    assert light.milli == 785


def test_memory_is_hard() -> None:
    answer = smallest_safe(usage(0.05, peak=40 * GB), 80 * GB, processes=2)
    assert answer.memory_milli == answer.milli == 563  # (44 + 1) / 80 = 0.5625
    assert answer.speed_milli is not None and answer.speed_milli < 563
    assert memory_need_bytes(40 * GB, 2) == 45 * GB
    assert "45.0 of 80.0 GB" in answer.evidence[0]


def test_what_needs_the_whole_device_keeps_it_and_needs_no_canary() -> None:
    answer = smallest_safe(usage(0.1, peak=78 * GB), 80 * GB)
    assert answer.milli == 1000
    assert not answer.canary
    # at full use a tenth of the device is a tenth of the speed: 0.9 of it keeps 0.9
    assert smallest_safe(usage(1.0), 80 * GB).milli == 900
    assert smallest_safe(usage(0.5, 0.5), 80 * GB, promise=0.95).milli == 1000


def test_every_smaller_share_asks_for_a_canary() -> None:
    assert smallest_safe(usage(0.1, 0.01), 80 * GB).canary


def test_latency_takes_the_higher_percentile() -> None:
    samples = [0.1] * 80 + [0.6] * 20
    history = Usage(gpu_util=Histogram.of(samples), mem_peak_bytes=GB)
    batch = smallest_safe(history, 80 * GB)
    serving = smallest_safe(history, 80 * GB, latency_bound=True)
    assert batch.speed_milli == math.ceil(1000 * share_for(0.9, 0.1))
    assert serving.speed_milli == math.ceil(1000 * share_for(0.9, 0.6))


def test_no_memory_figure_is_no_advice() -> None:
    answer = smallest_safe(usage(0.1, peak=None), 80 * GB)
    assert answer.milli is None and answer.memory_milli is None
    assert answer.speed_milli == 474
    assert answer.reason == "memory: the peak is not known"


def test_no_utilisation_is_no_advice_although_memory_is_known() -> None:
    answer = smallest_safe(Usage(mem_peak_bytes=GB), 80 * GB)
    assert answer.milli is None and answer.speed_milli is None
    assert answer.reason is not None and "utilisation was not measured" in answer.reason


def test_too_few_samples_and_too_many_holes_are_no_advice() -> None:
    few = smallest_safe(usage(0.1, samples=99), 80 * GB)
    assert few.milli is None
    assert few.reason is not None and "99 samples" in few.reason
    one = smallest_safe(usage(0.1, samples=1), 80 * GB)
    assert one.reason is not None and "1 sample of" in one.reason
    holed = Usage(gpu_util=Histogram.of([0.1] * 200 + [None] * 60), mem_peak_bytes=GB)
    answer = smallest_safe(holed, 80 * GB)
    assert answer.milli is None
    assert answer.reason is not None and "23 % of the samples" in answer.reason


def test_a_percentile_that_holes_may_hide_is_no_advice() -> None:
    holed = Usage(gpu_util=Histogram.of([0.1] * 180 + [math.nan] * 20), mem_peak_bytes=GB)
    assert smallest_safe(holed, 80 * GB).milli is not None
    serving = smallest_safe(holed, 80 * GB, latency_bound=True)
    assert serving.milli is None
    assert serving.reason is not None and "95th percentile" in serving.reason


def test_thin_bandwidth_data_fall_back_to_the_conservative_rule() -> None:
    history = Usage(
        gpu_util=Histogram.of([0.3] * 200),
        memory_util=Histogram.of([0.01] * 50 + [None] * 150),
        mem_peak_bytes=GB,
    )
    assert smallest_safe(history, 80 * GB).basis is Basis.CONSERVATIVE


def test_a_prior_is_named_as_one() -> None:
    answer = smallest_safe(Prior(gpu_util=0.2, mem_peak_bytes=GB, origin="the owner"), 80 * GB)
    assert (answer.milli, answer.basis) == (643, Basis.PRIOR)
    assert "no history; assumed from the owner" in answer.evidence[1]
    without = smallest_safe(Prior(gpu_util=0.2, origin="the owner"), 80 * GB)
    assert without.milli is None


def test_outliers_are_refused() -> None:
    answer = smallest_safe(usage(0.02, 0.01), 80 * GB, outlier=True)
    assert answer.milli is None
    assert answer.reason is not None and "latency of its kernels" in answer.reason


def test_an_idle_run_is_said_to_be_idle() -> None:
    answer = smallest_safe(usage(0.0, 0.0), 80 * GB)
    assert answer.speed_milli == 0
    assert answer.milli == answer.memory_milli == 62  # (4.4 + 0.5) / 80
    assert "no work was seen" in answer.evidence[1]


def test_nonsense_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^promise: "):
        smallest_safe(usage(0.5), 80 * GB, promise=1.0)
    with pytest.raises(ValueError, match=r"^device_bytes: "):
        smallest_safe(usage(0.5), 0)
    with pytest.raises(ValueError, match=r"^processes: "):
        smallest_safe(usage(0.5), 80 * GB, processes=0)
    with pytest.raises(ValueError, match=r"^mem_peak_bytes: 81.0 GB on a device of 80.0 GB"):
        smallest_safe(usage(0.5, peak=81 * GB), 80 * GB)
    with pytest.raises(ValueError, match=r"^share: "):
        speed_on(0.0, 0.5)
    with pytest.raises(ValueError, match=r"^speed: "):
        share_for(math.nan, 0.5)
