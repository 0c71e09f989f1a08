"""NVML of this host: values, gaps, sick drivers, and what a sweep may cost."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.agent.shapes import Device, GpuRound, ProcessUse, Round
from foundry_tui.agent.wire import encode
from foundry_tui.estate.reading import Fault, FaultKind, Holder, InstanceReading, Reading
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.process import Completed
from foundry_tui.telemetry.nvml.reading import readings as to_readings
from foundry_tui.telemetry.nvml.source import BACK_OFF_S, LIBRARY, Nvml
from foundry_tui.telemetry.ports import TelemetrySource
from tests.lab.nvml.stub import DEADLINE_S, StubHost

GIB = 1 << 30
DRIVER = "driver 580.95.05"
BUSY = (
    f"gpu uuid=GPU-aaaa minor=3 util=97 total={80 * GIB} reserved={GIB} used={40 * GIB} "
    "power=412345 temp=61 mig=0 name=NVIDIA H100 80GB HBM3"
)
IDLE = (
    f"gpu uuid=GPU-bbbb minor=1 util=0 total={80 * GIB} reserved={GIB} used=0 "
    "power=70000 temp=30 mig=0 name=NVIDIA H100 80GB HBM3"
)
CUT = (
    f"gpu uuid=GPU-cccc minor=2 util=55 total={80 * GIB} reserved={GIB} used={2 * GIB} "
    "power=90000 temp=33 mig=1 name=NVIDIA H100 80GB HBM3"
)


def read(nvml: Nvml) -> tuple[tuple[Reading, ...], Source]:
    sweep = nvml.read((), DEADLINE_S)
    assert sweep.asked == 1
    return sweep.readings, sweep.source


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_two_healthy_gpus_are_read_exactly(host: StubHost) -> None:
    more = "pci=00000000:18:00.0 energy=5000 sm_clock=1980 mem_clock=2619 gr=97 sm=80.5 occ=140"
    host.says(DRIVER, BUSY.replace("mig=0", f"mig=0 {more} tensor=33 dram=0"), IDLE)
    nvml = host.nvml()
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    nvml.clock = lambda: at
    source_of_readings: TelemetrySource = nvml
    readings, source = read(nvml)
    assert readings == (
        Reading(
            node="n1",
            index=0,
            source="nvml",
            read_at=at,
            how="NVML",
            uuid="GPU-aaaa",
            minor=3,
            pci_bus_id="00000000:18:00.0",
            model="NVIDIA H100 80GB HBM3",
            util_pct=97,
            mem_used_bytes=40 * GIB,
            mem_total_bytes=80 * GIB,
            power_w=412.345,
            energy_mj=5000,
            temp_c=61,
            sm_clock_mhz=1980,
            mem_clock_mhz=2619,
            sm_active_pct=80.5,
            sm_occupancy_pct=100,
            tensor_active_pct=33,
            dram_active_pct=0,
            mig=False,
            holders=(),
        ),
        Reading(
            node="n1",
            index=1,
            source="nvml",
            read_at=at,
            how="NVML",
            uuid="GPU-bbbb",
            minor=1,
            model="NVIDIA H100 80GB HBM3",
            util_pct=0,
            mem_used_bytes=0,
            mem_total_bytes=80 * GIB,
            power_w=70.0,
            temp_c=30,
            mig=False,
            holders=(),
        ),
    )
    assert (source.name, source.kind, source.state) == ("nvml", "telemetry", SourceState.OK)
    assert (source.read_at, source.reason) == (at, None)
    (found,) = source_of_readings.probe(())
    assert (found.what, found.state, found.mend) == ("NVML of n1", "ok", None)
    assert found.found == "2 GPUs, driver 580.95.05"
    nvml.close()


def test_a_sweep_starts_the_library_once_and_lists_processes_once(host: StubHost) -> None:
    host.says(DRIVER, BUSY, IDLE)
    read(host.nvml())
    calls = host.calls()
    once = ("InitWithFlags", "SystemGetDriverVersion", "DeviceGetCount_v2", "Shutdown")
    assert [calls[f"nvml{name}"] for name in once] == [1, 1, 1, 1]
    assert calls["nvmlDeviceGetComputeRunningProcesses_v3"] == 2
    assert calls["nvmlDeviceGetUtilizationRates"] == 4
    assert len(host.pids()) == 1


def test_a_cut_gpu_has_its_instances_and_a_sick_one_its_faults(host: StubHost) -> None:
    sick = "throttle=64 ecc_dbe=2 row_cor=0 row_unc=1 row_pending=0 row_failure=1"
    host.says(
        DRIVER,
        CUT.replace("mig=1", "mig=1 gr=1"),
        "instance 0 0 uuid=MIG-1 gi=7 slices=1 mem_mb=9984 total=10468982784 used=1048576 gr=140",
        IDLE.replace("mig=0", f"mig=0 {sick}"),
    )
    (cut, hurt), _ = read(host.nvml())
    assert cut.instances == (
        InstanceReading(
            gi=7,
            profile="1g.10gb",
            uuid="MIG-1",
            util_pct=100,
            mem_used_bytes=1048576,
            mem_total_bytes=10468982784,
        ),
    )
    assert (cut.faults, hurt.instances) == ((), ())
    assert [(fault.kind, fault.grave) for fault in hurt.faults] == [
        (FaultKind.ECC, True),
        (FaultKind.ROW_REMAP, True),
        (FaultKind.THROTTLED, False),
    ]
    assert all(isinstance(fault, Fault) for fault in hurt.faults)


def test_the_runs_on_a_gpu_are_summed_over_their_processes() -> None:
    def use(pid: int, job: str | None, sm_util: float | None, gi: int | None = None) -> ProcessUse:
        return ProcessUse("GPU-aaaa", pid, 1, gi, 1000, job, "cgroup" if job else None, sm_util)

    gpu = GpuRound(Device(0, "GPU-aaaa"))
    found = Round(0.0, gpus=[gpu], processes=[use(1, "7", 30), use(2, "7", 25), use(3, None, 9)])
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def holders() -> tuple[Holder, ...] | None:
        return to_readings(found, node="n1", source="nvml", read_at=at)[0].holders

    assert holders() == (Holder(job="7", how="cgroup", uid=1000, sm_util_pct=55),)
    found.processes = [use(1, "7", None, 2), use(2, "9", None, 5)]
    assert holders() == (
        Holder(job="7", how="cgroup", uid=1000, gi=2),
        Holder(job="9", how="cgroup", uid=1000, gi=5),
    )
    gpu.errors["processes"] = 4
    assert holders() is None


def test_a_slow_driver_is_waited_for(host: StubHost) -> None:
    host.says(DRIVER, "latency_us 20000", BUSY)
    readings, source = read(host.nvml())
    assert (source.state, readings[0].util_pct) == (SourceState.OK, 97)


@pytest.mark.parametrize("call", ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID"])
def test_a_lost_gpu_keeps_the_others(host: StubHost, call: str) -> None:
    host.says(DRIVER, BUSY, IDLE, f"fail 1 {call} 15")
    readings, source = read(host.nvml())
    assert [r.util_pct for r in readings] == [97, None]
    lost = readings[1]
    assert lost.reason == "the GPU is lost: it has fallen off its bus"
    assert (lost.mem_used_bytes, lost.power_w, lost.temp_c, lost.mig) == (None,) * 4
    assert source.state is SourceState.OK
    assert "1 of 2 cannot be read: GPU 1 (the GPU is lost" in (source.reason or "")
    assert "dmesg" in (source.reason or "")


def test_a_gpu_lost_between_two_calls_keeps_what_was_read_and_is_not_asked_on(
    host: StubHost,
) -> None:
    host.says(DRIVER, BUSY, "fail 0 nvmlDeviceGetUtilizationRates 15")
    (reading,), source = read(host.nvml())
    assert (reading.uuid, reading.util_pct, reading.temp_c) == ("GPU-aaaa", None, None)
    assert host.calls()["nvmlDeviceGetTemperature"] == 0
    assert (source.state, source.read_at) == (SourceState.DOWN, None)


def test_a_gpu_that_is_cut_by_mig_has_no_utilisation(host: StubHost) -> None:
    host.says(DRIVER, CUT, IDLE)
    (cut, idle), source = read(host.nvml())
    assert (cut.mig, cut.util_pct, cut.mem_used_bytes, cut.power_w) == (True, None, 2 * GIB, 90.0)
    assert cut.reason == "not read: util_pct (not measured on a GPU that is cut by MIG)"
    assert (idle.mig, idle.util_pct, idle.reason) == (False, 0, None)
    assert source.state is SourceState.OK


def test_a_model_that_cannot_be_cut_is_not_cut(host: StubHost) -> None:
    host.says(DRIVER, BUSY.replace("mig=0 ", ""))
    (reading,), _ = read(host.nvml())
    assert (reading.mig, reading.util_pct, reading.reason) == (False, 97, None)


def test_a_value_that_may_not_be_read_is_unknown_with_its_reason(host: StubHost) -> None:
    host.says(
        DRIVER,
        BUSY,
        "fail 0 nvmlDeviceGetMemoryInfo_v2 4",
        "fail 0 nvmlDeviceGetPowerUsage 3",
        "fail_field 0 185 3",
        "fail 0 nvmlDeviceGetTemperature 999",
    )
    (reading,), source = read(host.nvml())
    assert (reading.mem_used_bytes, reading.mem_total_bytes) == (None, None)
    assert (reading.power_w, reading.temp_c, reading.util_pct) == (None, None, 97)
    assert reading.reason == (
        "not read: mem_used_bytes (no permission), power_w (not supported by this GPU), "
        "temp_c (NVML 999: unknown error)"
    )
    assert host.calls()["nvmlDeviceGetMemoryInfo"] == 0
    assert source.state is SourceState.OK


def test_an_old_driver_gives_memory_with_what_it_reserves(old_host: StubHost) -> None:
    old_host.says("driver 440.33", BUSY)
    (reading,), source = read(old_host.nvml())
    assert (reading.mem_used_bytes, reading.mem_total_bytes) == (41 * GIB, 80 * GIB)
    assert reading.how == "NVML; memory used counts the driver's own"
    assert (reading.util_pct, reading.mig) == (97, None)
    assert reading.reason == "not read: mig (unknown to this driver)"
    assert source.state is SourceState.OK


def test_gpus_that_all_refuse_this_user_make_the_source_denied(host: StubHost) -> None:
    host.says(DRIVER, BUSY, IDLE, "fail * nvmlDeviceGetHandleByIndex_v2 4")
    readings, source = read(host.nvml())
    assert [r.reason for r in readings] == ["no permission", "no permission"]
    assert source.state is SourceState.DENIED
    assert "/dev/nvidiactl" in (source.reason or "")


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        (9, SourceState.OFF, "no NVIDIA driver is loaded"),
        (4, SourceState.DENIED, "refuses this user"),
        (18, SourceState.DOWN, "different versions"),
        (999, SourceState.DOWN, "NVML 999: Unknown Error"),
        (77, SourceState.DOWN, "NVML 77: an error of the stub"),
    ],
)
def test_a_library_that_cannot_start_says_why_and_what_next(
    host: StubHost, code: int, state: SourceState, words: str
) -> None:
    host.says(f"fail * nvmlInitWithFlags {code}")
    nvml = host.nvml()
    readings, source = read(nvml)
    assert (readings, source.state, source.read_at) == ((), state, None)
    assert words in (source.reason or "")
    (found,) = nvml.probe(())
    assert (found.what, found.state) == ("NVML of n1", state.value)
    assert source.reason == f"{found.found}; {found.mend}"


def test_a_driver_without_gpus_is_off(host: StubHost) -> None:
    host.says(DRIVER)
    readings, source = read(host.nvml())
    assert (readings, source.state) == ((), SourceState.OFF)
    assert "finds no GPU" in (source.reason or "")


def test_a_driver_that_hangs_is_down_within_the_deadline_and_then_left_alone(
    host: StubHost,
) -> None:
    host.says(DRIVER, BUSY, IDLE, "hang nvmlDeviceGetTemperature")
    nvml = host.nvml(timeout_s=3)
    now_s = 1000.0
    nvml.monotonic = lambda: now_s
    started = time.monotonic()
    readings, source = read(nvml)
    assert time.monotonic() - started < 3 + 5
    assert host.calls()["nvmlDeviceGetTemperature"] == 1, "the child never came to the hanging call"
    assert all(gone(pid) for pid in host.pids())
    assert (readings, source.state) == ((), SourceState.DOWN)
    assert (source.reason or "").startswith("the driver did not answer within 3 s; ")

    host.says(DRIVER, BUSY)
    now_s += BACK_OFF_S - 1
    assert read(nvml)[1].reason == source.reason
    assert not host.calls(), "a driver that hung was asked again too soon"
    now_s += 1
    assert read(nvml)[1].state is SourceState.OK


def test_a_library_that_crashes_takes_only_the_child_down(host: StubHost) -> None:
    host.says(DRIVER, BUSY, "crash nvmlDeviceGetName")
    readings, source = read(host.nvml())
    assert (readings, source.state) == ((), SourceState.DOWN)
    assert (source.reason or "").startswith("reading NVML ended with exit code -6")
    assert "nvidia-smi" in (source.reason or "")


def test_hostile_text_of_a_device_is_made_safe(host: StubHost) -> None:
    host.says(
        DRIVER,
        b"gpu uuid=GPU-\x1b[2J minor=0 util=1 name=H100 \x1b]52;c;AAAA\x07 \xff \xe2\x80\xae[/]",
    )
    (reading,), source = read(host.nvml())
    assert reading.uuid == "GPU-␛[2J"
    assert reading.model == r"H100 ␛]52;c;AAAA␇ \xff ‹202e›[/]"
    assert (reading.util_pct, source.state) == (1, SourceState.OK)


def test_a_host_without_driver_and_library_is_off_and_starts_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-program"))
    nothing = Nvml(
        node="n1",
        driver_signs=(str(tmp_path / "nvidiactl"),),
        library_folders=(str(tmp_path),),
        environ={"LD_LIBRARY_PATH": f"{tmp_path}::/nonexistent"},
    )
    readings, source = read(nothing)
    assert (readings, source.state, source.read_at) == ((), SourceState.OFF, None)
    assert "neither an NVIDIA driver nor libnvidia-ml.so.1" in (source.reason or "")
    assert nothing.probe(())[0].mend is not None


@pytest.mark.parametrize("sign", ["driver_signs", "library_folders", "environ"])
def test_each_sign_of_a_driver_starts_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    (tmp_path / LIBRARY).touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-program"))
    nvml = Nvml(node="n1", driver_signs=(), library_folders=(), environ={})
    where = {
        "driver_signs": (str(tmp_path / LIBRARY),),
        "library_folders": (str(tmp_path),),
        "environ": {"LD_LIBRARY_PATH": str(tmp_path)},
    }
    setattr(nvml, sign, where[sign])
    _, source = read(nvml)
    assert source.state is SourceState.DOWN
    assert "no-such-program" in (source.reason or "")


def test_a_library_that_is_no_library_is_down(tmp_path: Path) -> None:
    (tmp_path / LIBRARY).write_text("not an ELF file\n")
    host = StubHost(tmp_path)
    readings, source = read(host.nvml())
    assert (readings, source.state) == ((), SourceState.DOWN)
    assert f"{LIBRARY} cannot be loaded" in (source.reason or "")


@pytest.mark.parametrize(("library", "state"), [(False, SourceState.OFF), (True, SourceState.DOWN)])
def test_a_container_without_gpus_is_off_and_a_broken_install_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: bool, state: SourceState
) -> None:
    said = encode(Round(at=0.0, failure="NVML Shared Library Not Found", failure_code=12))
    done = Completed(("python",), 0, said, b"", 0.1)
    monkeypatch.setattr("foundry_tui.telemetry.nvml.source.run", lambda *_, **__: done)
    sign = tmp_path / "version"
    sign.touch()
    if library:
        (tmp_path / LIBRARY).touch()
    nvml = Nvml(node="n1", driver_signs=(str(sign),), library_folders=(str(tmp_path),), environ={})
    assert read(nvml)[1].state is state


def test_the_age_of_a_reading_is_told_from_its_own_time(host: StubHost) -> None:
    host.says(DRIVER, IDLE)
    before = datetime.now(UTC)
    (reading,), source = read(host.nvml())
    assert before <= reading.read_at <= datetime.now(UTC)
    assert source.age_s(reading.read_at + timedelta(seconds=7)) == 7
