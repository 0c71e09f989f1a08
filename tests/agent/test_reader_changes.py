"""Hosts that change under the reader: lost GPUs, drivers that go and come, a clean end."""

from __future__ import annotations

from types import ModuleType

import pytest

from foundry_tui.agent.nvml.reader import RELIST_S, RETRY_S, Reader
from tests.agent.test_reader import DRIVER, H100, OTHER, Clock, only, step
from tests.lab.nvml.stub import StubHost


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(nvml: ModuleType, clock: Clock) -> Reader:
    return Reader(nvml, monotonic=clock)


def test_a_lost_gpu_keeps_the_others_and_comes_back(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, H100, OTHER)
    step(reader, clock)
    host.says(DRIVER, H100, OTHER, "fail 0 * 15")
    lost, fine = step(reader, clock).gpus
    assert (lost.failure, lost.errors, lost.values) == ("GPU is lost", {"device": 15}, {})
    assert (lost.device.index, lost.device.uuid) == (0, "GPU-aaaa")
    assert (fine.failure, fine.values["gpu_util"]) == (None, 97)
    assert host.calls()["nvmlDeviceGetMigMode"] == 2, "a lost GPU is asked one thing a round"

    clock.now_s += RELIST_S
    lost, fine = step(reader, clock).gpus
    assert (lost.device.uuid, lost.failure) == ("GPU-aaaa", "GPU is lost")
    host.says(DRIVER, H100, OTHER)
    assert step(reader, clock).gpus[0].failure is not None
    clock.now_s += RELIST_S
    back, fine = step(reader, clock).gpus
    assert (back.failure, back.values["gpu_util"], fine.failure) == (None, 97, None)


def test_a_gpu_that_vanishes_leaves_the_indices_of_the_others(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, H100, OTHER)
    step(reader, clock)
    host.says(DRIVER, H100, OTHER, "fail 0 * 15")
    step(reader, clock)
    host.says(DRIVER, OTHER)
    clock.now_s += RELIST_S
    gone, fine = step(reader, clock).gpus
    assert (gone.device.index, gone.device.uuid) == (0, "GPU-aaaa")
    assert gone.failure == "the driver no longer lists this GPU"
    assert gone.errors == {"device": 28}
    assert (fine.device.index, fine.device.uuid, fine.failure) == (1, "GPU-bbbb", None)
    assert fine.values["gpu_util"] == 97


def test_one_gone_and_one_lost_are_each_told_once(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    third = H100.replace("GPU-aaaa", "GPU-cccc")
    host.says(DRIVER, H100, OTHER, third)
    step(reader, clock)
    host.says(DRIVER, H100, OTHER, third, "fail 0 * 15")
    step(reader, clock)
    host.says(DRIVER, OTHER, third, "fail 1 nvmlDeviceGetHandleByIndex_v2 15")
    clock.now_s += RELIST_S
    found = step(reader, clock)
    assert [(g.device.index, g.device.uuid, g.failure is None) for g in found.gpus] == [
        (0, "GPU-aaaa", False),
        (1, "GPU-bbbb", True),
        (2, "GPU-cccc", False),
    ]


def test_a_gpu_that_was_lost_from_the_start_gets_its_name_when_it_comes(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, H100, OTHER, "fail 1 nvmlDeviceGetHandleByIndex_v2 15")
    assert [g.device.uuid for g in step(reader, clock).gpus] == ["GPU-aaaa", None]
    clock.now_s += RELIST_S
    assert [g.device.uuid for g in step(reader, clock).gpus] == ["GPU-aaaa", None]
    host.says(DRIVER, H100, OTHER)
    clock.now_s += RELIST_S
    assert [g.device.uuid for g in step(reader, clock).gpus] == ["GPU-aaaa", "GPU-bbbb"]


def test_another_gpu_in_its_place_means_that_the_count_of_the_driver_stands(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, H100, OTHER, "fail 0 * 15")
    step(reader, clock)
    host.says(DRIVER, OTHER, H100.replace("GPU-aaaa", "GPU-new"))
    clock.now_s += RELIST_S
    found = step(reader, clock)
    assert [(g.device.index, g.device.uuid, g.failure) for g in found.gpus] == [
        (0, "GPU-bbbb", None),
        (1, "GPU-new", None),
    ]


@pytest.mark.parametrize("code", [1, 9])
def test_a_driver_that_is_loaded_anew_is_found_again(
    host: StubHost, reader: Reader, clock: Clock, code: int
) -> None:
    host.says(DRIVER, H100)
    step(reader, clock)
    host.says(DRIVER, H100, f"fail 0 nvmlDeviceGetMigMode {code}")
    found = step(reader, clock)
    assert (found.gpus, found.failure_code) == ([], code)
    host.says("driver 590.1", H100)
    found = step(reader, clock)
    assert (found.driver, only(found).values["gpu_util"]) == ("590.1", 97)


def test_a_library_that_does_not_start_is_tried_once_a_minute(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says("fail * nvmlInitWithFlags 9")
    first, second = step(reader, clock), step(reader, clock)
    assert (first.failure, first.failure_code) == ("Driver Not Loaded", 9)
    assert (second.failure, second.failure_code) == ("Driver Not Loaded", 9)
    assert host.calls()["nvmlInitWithFlags"] == 1
    host.says(DRIVER, H100)
    clock.now_s += RETRY_S
    assert only(step(reader, clock)).values["gpu_util"] == 97


def test_a_surprise_of_the_bindings_costs_one_round(
    host: StubHost, reader: Reader, clock: Clock, monkeypatch: pytest.MonkeyPatch, nvml: ModuleType
) -> None:
    host.says(DRIVER, H100)
    with monkeypatch.context() as broken:
        broken.setattr(nvml, "nvmlDeviceGetClockInfo", lambda *_: 1 / 0)
        found = step(reader, clock)
    assert (found.gpus, found.failure_code) == ([], 999)
    assert found.failure == "ZeroDivisionError: division by zero"
    assert only(step(reader, clock)).values["gpu_util"] == 97


def test_closing_gives_everything_back(host: StubHost, reader: Reader, clock: Clock) -> None:
    host.says(DRIVER, H100, OTHER)
    step(reader, clock)
    step(reader, clock)
    reader.close()
    calls = host.calls()
    assert calls["nvmlGpmSampleFree"] == calls["nvmlGpmSampleAlloc"] == 4
    assert calls["nvmlEventSetFree"] == calls["nvmlEventSetCreate"] == 1
    assert calls["nvmlShutdown"] == calls["nvmlInitWithFlags"] == 1
