"""MIG through the reader: instances, their counters, and an admin who cuts the GPU differently."""

from __future__ import annotations

from types import ModuleType

import pytest

from foundry_tui.agent.nvml.mig import Cut, profile
from foundry_tui.agent.nvml.reader import Reader
from foundry_tui.agent.shapes import GpuRound
from tests.agent.test_reader import Clock, step
from tests.lab.nvml.stub import StubHost

GIB = 1 << 30
MIB = 1 << 20
DRIVER = "driver 580.95.05"
TOTAL = 81559 * MIB
WHOLE = f"gpu uuid=GPU-cccc minor=0 util=55 total={TOTAL} used={2 * GIB} power=90000 temp=33 gr=50"
CUT = WHOLE + " mig=1"
SMALL = "instance 0 0 uuid=MIG-7 gi=7 slices=1 mem_mb=9984 total=10468982784 used=1048576 gr=20"
BIG = "instance 0 3 uuid=MIG-2 gi=2 slices=3 mem_mb=40448 total=42412802048 used=5 gr=140 sm=50"
BIG_TOO = BIG.replace(" 3 uuid=MIG-2 ", " 4 uuid=MIG-2b ")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(nvml: ModuleType, clock: Clock) -> Reader:
    return Reader(nvml, monotonic=clock)


def only(reader: Reader, clock: Clock, *, processes: bool = False) -> GpuRound:
    found = step(reader, clock, processes=processes)
    assert found.failure is None
    return found.gpus[0]


def test_instances_are_told_and_the_whole_has_no_utilisation(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, CUT, SMALL, BIG, BIG_TOO)
    only(reader, clock)
    gpu = only(reader, clock)
    assert gpu.device.mig is True
    assert not {"gpu_util", "gr_engine"} & gpu.values.keys()
    assert not {"gpu_util", "instances", "gpm"} & gpu.errors.keys()
    assert (gpu.values["fb_used"], gpu.values["power"]) == (2 * GIB, 90)
    big, small = gpu.instances
    assert (big.gi, big.profile, big.uuid) == (2, "3g.40gb", "MIG-2")
    assert (small.gi, small.profile, small.uuid) == (7, "1g.10gb", "MIG-7")
    assert small.values == {
        "fb_used": 1048576,
        "fb_free": 10468982784 - 1048576,
        "fb_reserved": 0,
        "fb_total": 10468982784,
        "gr_engine": 0.2,
    }
    assert big.values["gr_engine"] == pytest.approx(1.4), "more than 1 stays as it came"
    assert big.values["sm_active"] == 0.5
    assert host.calls()["nvmlDeviceGetUtilizationRates"] == 0


def test_a_round_of_a_cut_gpu_makes_these_calls(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, CUT, SMALL, BIG)
    only(reader, clock)
    host.says(DRIVER, CUT, SMALL, BIG)
    only(reader, clock)
    calls = host.calls()
    per_instance = ("GpuInstanceId", "Attributes_v2", "UUID")
    assert [calls[f"nvmlDeviceGet{name}"] for name in per_instance] == [2, 2, 2]
    assert calls["nvmlDeviceGetMemoryInfo_v2"] == 3
    assert calls["nvmlDeviceGetMigDeviceHandleByIndex"] == 7
    assert (calls["nvmlGpmMigSampleGet"], calls["nvmlGpmMetricsGet"]) == (2, 2)


def test_a_gpu_is_cut_cut_differently_and_made_whole_while_we_read(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, WHOLE + " mig=0")
    only(reader, clock)
    assert only(reader, clock).values["gr_engine"] == 0.5

    host.says(DRIVER, CUT, SMALL)
    (small,) = only(reader, clock).instances
    assert (small.profile, "gr_engine" in small.values) == ("1g.10gb", False)
    assert only(reader, clock).instances[0].values["gr_engine"] == 0.2

    host.says(DRIVER, CUT, BIG.replace("gi=2", "gi=7"))
    (big,) = only(reader, clock).instances
    assert (big.gi, big.profile) == (7, "3g.40gb")
    assert "gr_engine" not in big.values, "the sample of the instance before must not count"

    host.says(DRIVER, CUT)
    assert only(reader, clock).instances == []

    host.says(DRIVER, WHOLE + " mig=0")
    whole = only(reader, clock)
    assert (whole.device.mig, whole.values["gpu_util"], whole.instances) == (False, 55, [])
    assert "gr_engine" not in whole.values
    assert only(reader, clock).values["gr_engine"] == 0.5


def test_samples_of_instances_that_went_are_given_back(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, CUT, SMALL, BIG)
    only(reader, clock)
    host.says(DRIVER, CUT, SMALL)
    only(reader, clock)
    assert host.calls()["nvmlGpmSampleFree"] == 2


def test_an_instance_that_goes_while_we_look_costs_the_instances_of_one_round(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, CUT, SMALL, "fail 0 nvmlDeviceGetAttributes_v2 6")
    gpu = only(reader, clock)
    assert (gpu.instances, gpu.errors["instances"], gpu.values["power"]) == ([], 6, 90)
    host.says(DRIVER, CUT, SMALL)
    assert len(only(reader, clock).instances) == 1


def test_counters_that_fail_in_one_round_begin_anew(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, CUT, SMALL)
    only(reader, clock)
    host.says(DRIVER, CUT, SMALL, "fail 0 nvmlGpmMigSampleGet 999")
    assert only(reader, clock).errors["gpm"] == 999
    host.says(DRIVER, CUT, SMALL)
    assert "gr_engine" not in only(reader, clock).instances[0].values
    assert only(reader, clock).instances[0].values["gr_engine"] == 0.2


@pytest.mark.parametrize(
    ("slices", "mem_mb", "total_mb", "name"),
    [
        (1, 4864, 40960, "1g.5gb"),
        (7, 40192, 40960, "7g.40gb"),
        (1, 9984, 81559, "1g.10gb"),
        (1, 20096, 81559, "1g.20gb"),
        (4, 40448, 81559, "4g.40gb"),
        (1, 16384, 143771, "1g.18gb"),
        (3, 71168, 143771, "3g.71gb"),
        (7, 143104, 143771, "7g.141gb"),
        (1, 5952, 24576, "1g.6gb"),
    ],
)
def test_profiles_are_named_as_nvidia_smi_names_them(
    slices: int, mem_mb: int, total_mb: int, name: str
) -> None:
    cut = Cut(gi=1, slices=slices, mem_bytes=mem_mb * MIB)
    assert profile(cut, total_mb * MIB) == name


def test_a_profile_that_cannot_be_told_is_none() -> None:
    assert profile(Cut(gi=1, slices=1, mem_bytes=9984 * MIB), None) is None
    assert profile(Cut(gi=1), TOTAL) is None
