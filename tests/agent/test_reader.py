"""The reader of the agent: values, what a round costs, and hosts that change while it runs."""

from __future__ import annotations

from types import ModuleType

import pytest

from foundry_tui.agent.nvml.reader import Reader
from foundry_tui.agent.shapes import GpuRound, Round
from tests.lab.nvml.stub import StubHost

GIB = 1 << 30
DRIVER = "driver 580.95.05"
COUNTERS = "gr=96.5 sm=80 occ=40 tensor=33 dram=25"
H100 = (
    f"gpu uuid=GPU-aaaa pci=00000000:18:00.0 minor=3 util=97 memutil=41 total={80 * GIB} "
    f"reserved={GIB} used={40 * GIB} power=412345 energy=99999999999 temp=61 memtemp=70 "
    "sm_clock=1980 mem_clock=2619 throttle=4 ecc_sbe=7 ecc_dbe=0 row_cor=0 row_unc=1 row_pending=1 "
    f"row_failure=0 mig=0 {COUNTERS} name=NVIDIA H100 80GB HBM3"
)
OTHER = H100.replace("GPU-aaaa", "GPU-bbbb").replace(":18:", ":3b:").replace("minor=3", "minor=1")
PER_ROUND = {
    "nvmlDeviceGetMigMode": 1,
    "nvmlDeviceGetUtilizationRates": 1,
    "nvmlDeviceGetMemoryInfo_v2": 1,
    "nvmlDeviceGetFieldValues": 1,
    "nvmlDeviceGetTemperature": 1,
    "nvmlDeviceGetClockInfo": 2,
    "nvmlDeviceGetCurrentClocksEventReasons": 1,
    "nvmlGpmSampleGet": 1,
    "nvmlGpmMetricsGet": 1,
}
"""Calls per GPU in a round without processes."""


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(nvml: ModuleType, clock: Clock) -> Reader:
    return Reader(nvml, monotonic=clock)


def step(reader: Reader, clock: Clock, *, after_s: float = 10.0, processes: bool = False) -> Round:
    clock.now_s += after_s
    return reader.read(clock.now_s, processes=processes)


def only(found: Round) -> GpuRound:
    assert found.failure is None
    (gpu,) = found.gpus
    return gpu


def test_every_value_has_its_unit(host: StubHost, reader: Reader, clock: Clock) -> None:
    host.says(DRIVER, H100)
    step(reader, clock)
    found = step(reader, clock, processes=True)
    gpu = only(found)
    assert (found.driver, found.at, found.processes) == ("580.95.05", clock.now_s, [])
    assert 0 < found.took_s < 10
    device = gpu.device
    assert (device.index, device.uuid, device.minor) == (0, "GPU-aaaa", 3)
    assert (device.pci_bus_id, device.model) == ("00000000:18:00.0", "NVIDIA H100 80GB HBM3")
    assert (device.mig, device.mem_total_bytes) == (False, 80 * GIB)
    assert gpu.values == {
        "gpu_util": 97,
        "mem_copy_util": 41,
        "fb_used": 40 * GIB,
        "fb_free": 39 * GIB,
        "fb_reserved": GIB,
        "power": 412.345,
        "energy": 99999999999,
        "gpu_temp": 61,
        "mem_temp": 70,
        "sm_clock": 1980,
        "mem_clock": 2619,
        "throttle": 4,
        "ecc_sbe": 7,
        "ecc_dbe": 0,
        "rows_correctable": 0,
        "rows_uncorrectable": 1,
        "row_pending": 1,
        "row_failure": 0,
        "gr_engine": 0.965,
        "sm_active": 0.8,
        "sm_occupancy": 0.4,
        "tensor": 0.33,
        "dram": 0.25,
    }
    assert (gpu.errors, gpu.failure, gpu.instances, gpu.xids) == ({}, None, [], {})


def test_what_no_gpu_can_be_is_not_believed(host: StubHost, reader: Reader, clock: Clock) -> None:
    """All ones, a free memory below nothing, counters far above all of the time, or negative."""
    ones, long_ones = "4294967295", str(2**64 - 2048)
    mad = {"util": ones, "memutil": ones, "power": ones, "temp": ones, "sm_clock": ones}
    mad |= {"ecc_sbe": long_ones, "energy": long_ones, "row_unc": ones, "row_failure": ones}
    mad |= {"total": str(GIB), "used": str(2 * GIB), "gr": "1e300", "sm": "-5"}
    words = (f"{key}={value}" for key, value in mad.items())
    host.says(DRIVER, f"gpu uuid=GPU-a mem_clock=2619 occ=40 {' '.join(words)} name=X")
    step(reader, clock)
    gpu = only(step(reader, clock, processes=True))
    assert set(gpu.values) == {"mem_clock", "fb_used", "fb_reserved", "sm_occupancy"}
    for key in ("gpu_util", "power", "gpu_temp", "energy", "row_failure", "fb_free", "gr_engine"):
        assert gpu.errors[key] == 999


def test_a_round_makes_these_calls_and_no_others(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, H100, OTHER)
    step(reader, clock)
    host.says(DRIVER, H100, OTHER)
    step(reader, clock)
    per_gpu = {call: 2 * times for call, times in PER_ROUND.items()}
    assert host.calls() == {**per_gpu, "nvmlEventSetWait_v2": 1}
    assert sum(PER_ROUND.values()) == 10

    host.says(DRIVER, H100, OTHER)
    step(reader, clock, processes=True)
    assert host.calls() == {
        **per_gpu,
        "nvmlEventSetWait_v2": 1,
        "nvmlDeviceGetComputeRunningProcesses_v3": 2,
    }


def test_what_stands_still_is_asked_once(host: StubHost, reader: Reader, clock: Clock) -> None:
    host.says(DRIVER, H100)
    for _ in range(3):
        step(reader, clock)
    calls = host.calls()
    for call in ("InitWithFlags", "SystemGetDriverVersion", "DeviceGetCount_v2", "DeviceGetName"):
        assert calls[f"nvml{call}"] == 1
    for call in ("UUID", "MinorNumber", "HandleByIndex_v2", "PciInfo_v3"):
        assert calls[f"nvmlDeviceGet{call}"] == 1
    dear = ("FanSpeed", "PcieThroughput", "GraphicsRunningProcesses_v3")
    assert not any(calls[f"nvmlDeviceGet{call}"] for call in dear)


def test_what_moves_slowly_and_processes_are_read_only_when_asked_for(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, H100)
    found = step(reader, clock)
    assert found.processes is None
    assert not {"ecc_dbe", "row_failure"} & only(found).values.keys()
    assert host.calls()["nvmlDeviceGetComputeRunningProcesses_v3"] == 0


def test_counters_need_two_rounds_a_tenth_of_a_second_apart(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, H100)
    before = reader.counting
    first = step(reader, clock)
    assert (before, reader.counting) == (False, True)
    too_soon = step(reader, clock, after_s=0.05)
    then = step(reader, clock, after_s=0.06)
    assert ["gr_engine" in only(r).values for r in (first, too_soon, then)] == [False, False, True]
    assert host.calls()["nvmlGpmSampleGet"] == 2
    assert host.calls()["nvmlGpmSampleAlloc"] == 2


def test_a_ratio_above_one_stays_as_it_came(host: StubHost, reader: Reader, clock: Clock) -> None:
    host.says(DRIVER, H100.replace("gr=96.5", "gr=140"))
    step(reader, clock)
    assert only(step(reader, clock)).values["gr_engine"] == pytest.approx(1.4)


def test_a_gpu_without_counters_is_asked_for_them_once(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, H100.replace(COUNTERS, ""))
    for _ in range(3):
        found = step(reader, clock)
    assert "gr_engine" not in only(found).values
    assert not only(found).errors
    assert not reader.counting
    assert host.calls()["nvmlGpmQueryDeviceSupport"] == 1


def test_what_a_gpu_does_not_support_is_asked_once_and_what_it_refuses_again(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    sick = ("fail 0 nvmlDeviceGetTemperature 3", "fail 0 nvmlDeviceGetMemoryInfo_v2 4")
    host.says(DRIVER, H100, *sick)
    for _ in range(3):
        gpu = only(step(reader, clock))
    assert gpu.errors == {"gpu_temp": 3, "fb_used": 4}
    assert not {"gpu_temp", "fb_used", "fb_free"} & gpu.values.keys()
    assert host.calls()["nvmlDeviceGetTemperature"] == 1
    assert host.calls()["nvmlDeviceGetMemoryInfo_v2"] == 3
    assert host.calls()["nvmlDeviceGetMemoryInfo"] == 0


def test_a_field_that_the_batch_lacks_has_a_call_of_its_own(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    lacks = [f"fail_field 0 {number} 3" for number in (185, 83, 4)]
    host.says(DRIVER, H100, *lacks, "fail_field 0 82 4")
    for _ in range(2):
        gpu = only(step(reader, clock, processes=True))
    assert (gpu.values["power"], gpu.values["energy"]) == (412.345, 99999999999)
    assert (gpu.values["ecc_dbe"], gpu.values["ecc_sbe"]) == (0, 7)
    assert gpu.errors == {"mem_temp": 4}
    assert host.calls()["nvmlDeviceGetFieldValues"] == 2


def test_an_old_driver_gives_what_it_has(
    old_host: StubHost, old_nvml: ModuleType, clock: Clock
) -> None:
    old_host.says("driver 440.33", H100)
    reader = Reader(old_nvml, monotonic=clock)
    for _ in range(2):
        found = step(reader, clock, processes=True)
    gpu = only(found)
    assert gpu.values == {
        "gpu_util": 97,
        "mem_copy_util": 41,
        "fb_used": 41 * GIB,
        "fb_free": 39 * GIB,
        "power": 412.345,
        "energy": 99999999999,
        "gpu_temp": 61,
        "sm_clock": 1980,
        "mem_clock": 2619,
        "throttle": 4,
        "ecc_sbe": 7,
        "ecc_dbe": 0,
    }
    assert gpu.device.mig is None
    assert found.processes == []
    assert set(gpu.errors.values()) == {13}
    assert {"mig", "processes", "mem_temp", "row_failure"} <= gpu.errors.keys()


def test_xids_are_told_with_their_time_the_last_one_last(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, H100, OTHER, "xid 0 79")
    quiet = step(reader, clock).gpus[0]
    assert (quiet.xids, "xid" in quiet.values) == ({}, False), "what was before is not told"
    host.says(DRIVER, H100, OTHER, "xid 0 79", "xid 1 48", "xid 1 45")
    _, hurt = step(reader, clock).gpus
    at = clock.now_s
    assert (hurt.values["xid"], hurt.xids) == (45, {"48": at, "45": at})
    host.says(DRIVER, H100, OTHER, "xid 0 79", "xid 1 48", "xid 1 45", "xid 1 48")
    fine, hurt = step(reader, clock).gpus
    assert (hurt.values["xid"], hurt.xids) == (48, {"45": at, "48": clock.now_s})
    assert (list(hurt.xids), fine.xids) == (["45", "48"], {})
    later = step(reader, clock).gpus[1]
    assert later.values["xid"] == 48


def test_an_event_with_another_handle_is_told_by_its_uuid(
    host: StubHost, reader: Reader, clock: Clock
) -> None:
    host.says(DRIVER, H100, OTHER)
    step(reader, clock)
    host.says(DRIVER, H100, OTHER, "foreign_handles 1", "xid 1 79")
    assert [list(gpu.xids) for gpu in step(reader, clock).gpus] == [[], ["79"]]


def test_a_storm_of_events_is_taken_in_parts(host: StubHost, reader: Reader, clock: Clock) -> None:
    host.says(DRIVER, H100)
    step(reader, clock)
    host.says(DRIVER, H100, *(f"xid 0 {n % 100}" for n in range(300)))
    assert only(step(reader, clock)).values["xid"] == 99
    assert host.calls()["nvmlEventSetWait_v2"] == 100


def test_a_gpu_without_events_says_so(host: StubHost, reader: Reader, clock: Clock) -> None:
    host.says(DRIVER, H100, "fail 0 nvmlDeviceRegisterEvents 3")
    gpu = only(step(reader, clock))
    assert (gpu.errors, gpu.values["gpu_util"]) == ({"xid": 3}, 97)
    assert host.calls()["nvmlEventSetWait_v2"] == 0
