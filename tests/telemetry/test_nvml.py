"""NVML of this host: values, gaps, sick drivers, and what a sweep may cost."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.estate.gpu import Reading
from foundry_tui.estate.source import SourceState
from foundry_tui.process import Completed
from foundry_tui.telemetry.nvml import BACK_OFF_S, LIBRARY, Nvml
from tests.telemetry.stub import StubHost

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
PER_GPU = (
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetMinorNumber",
    "nvmlDeviceGetName",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetTemperature",
)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_two_healthy_gpus_are_read_exactly(host: StubHost) -> None:
    host.says(DRIVER, BUSY, IDLE)
    nvml = host.nvml()
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    nvml.clock = lambda: at
    readings, source = nvml.read()
    assert readings == (
        Reading(
            node="n1",
            index=0,
            source="nvml",
            read_at=at,
            how="NVML",
            uuid="GPU-aaaa",
            minor=3,
            model="NVIDIA H100 80GB HBM3",
            util_pct=97,
            mem_used_bytes=40 * GIB,
            mem_total_bytes=80 * GIB,
            power_w=412.345,
            temp_c=61,
            mig=False,
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
        ),
    )
    assert (source.name, source.kind, source.state) == ("nvml", "telemetry", SourceState.OK)
    assert (source.read_at, source.reason) == (at, None)
    assert nvml.probe() == ("NVML of n1", "ok", "2 GPUs, driver 580.95.05", None)


def test_a_sweep_makes_these_calls_and_no_others(host: StubHost) -> None:
    host.says(DRIVER, BUSY, IDLE)
    host.nvml().read()
    once = ("InitWithFlags", "SystemGetDriverVersion", "DeviceGetCount_v2", "Shutdown")
    assert host.calls() == {f"nvml{name}": 1 for name in once} | dict.fromkeys(PER_GPU, 2)


def test_a_slow_driver_is_waited_for(host: StubHost) -> None:
    host.says(DRIVER, "latency_us 20000", BUSY)
    readings, source = host.nvml().read()
    assert (source.state, readings[0].util_pct) == (SourceState.OK, 97)


@pytest.mark.parametrize("call", ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID"])
def test_a_lost_gpu_keeps_the_others(host: StubHost, call: str) -> None:
    host.says(DRIVER, BUSY, IDLE, f"fail 1 {call} 15")
    readings, source = host.nvml().read()
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
    (reading,), source = host.nvml().read()
    assert (reading.uuid, reading.util_pct, reading.temp_c) == ("GPU-aaaa", None, None)
    assert host.calls()["nvmlDeviceGetTemperature"] == 0
    assert (source.state, source.read_at) == (SourceState.DOWN, None)


def test_a_gpu_that_is_cut_by_mig_has_no_utilisation(host: StubHost) -> None:
    host.says(DRIVER, CUT, IDLE)
    (cut, idle), source = host.nvml().read()
    assert (cut.mig, cut.util_pct, cut.mem_used_bytes, cut.power_w) == (True, None, 2 * GIB, 90.0)
    assert cut.reason == "not read: util_pct (not measured on a GPU that is cut by MIG)"
    assert (idle.mig, idle.util_pct, idle.reason) == (False, 0, None)
    assert source.state is SourceState.OK


def test_a_model_that_cannot_be_cut_is_not_cut(host: StubHost) -> None:
    host.says(DRIVER, BUSY.replace("mig=0 ", ""))
    (reading,), _ = host.nvml().read()
    assert (reading.mig, reading.util_pct, reading.reason) == (False, 97, None)


def test_a_value_that_may_not_be_read_is_unknown_with_its_reason(host: StubHost) -> None:
    host.says(
        DRIVER,
        BUSY,
        "fail 0 nvmlDeviceGetMemoryInfo_v2 4",
        "fail 0 nvmlDeviceGetPowerUsage 3",
        "fail 0 nvmlDeviceGetTemperature 999",
    )
    (reading,), source = host.nvml().read()
    assert (reading.mem_used_bytes, reading.mem_total_bytes) == (None, None)
    assert (reading.power_w, reading.temp_c, reading.util_pct) == (None, None, 97)
    assert reading.reason == (
        "not read: mem_used_bytes (no permission), power_w (not supported by this GPU), "
        "temp_c (NVML 999: Unknown Error)"
    )
    assert host.calls()["nvmlDeviceGetMemoryInfo"] == 0
    assert source.state is SourceState.OK


def test_an_old_driver_gives_memory_with_what_it_reserves(old_host: StubHost) -> None:
    old_host.says("driver 440.33", BUSY)
    (reading,), source = old_host.nvml().read()
    assert (reading.mem_used_bytes, reading.mem_total_bytes) == (41 * GIB, 80 * GIB)
    assert reading.how == "NVML; memory used counts the driver's own"
    assert (reading.util_pct, reading.mig) == (97, None)
    assert reading.reason == "not read: mig (unknown to this driver)"
    assert source.state is SourceState.OK


def test_gpus_that_all_refuse_this_user_make_the_source_denied(host: StubHost) -> None:
    host.says(DRIVER, BUSY, IDLE, "fail * nvmlDeviceGetHandleByIndex_v2 4")
    readings, source = host.nvml().read()
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
    readings, source = nvml.read()
    assert (readings, source.state, source.read_at) == ((), state, None)
    assert words in (source.reason or "")
    what, probed, found, mend = nvml.probe()
    assert (what, probed, source.reason) == ("NVML of n1", state.value, f"{found}; {mend}")


def test_a_driver_without_gpus_is_off(host: StubHost) -> None:
    host.says(DRIVER)
    readings, source = host.nvml().read()
    assert (readings, source.state) == ((), SourceState.OFF)
    assert "finds no GPU" in (source.reason or "")


def test_a_driver_that_hangs_is_down_within_the_deadline_and_then_left_alone(
    host: StubHost,
) -> None:
    host.says(DRIVER, BUSY, IDLE, "hang nvmlDeviceGetPowerUsage")
    nvml = host.nvml(timeout_s=3)
    now_s = 1000.0
    nvml.monotonic = lambda: now_s
    started = time.monotonic()
    readings, source = nvml.read()
    assert time.monotonic() - started < 3 + 5
    assert host.calls()["nvmlDeviceGetPowerUsage"] == 1, "the child never came to the hanging call"
    assert all(gone(pid) for pid in host.pids())
    assert (readings, source.state) == ((), SourceState.DOWN)
    assert (source.reason or "").startswith("the driver did not answer within 3 s; ")

    host.says(DRIVER, BUSY)
    now_s += BACK_OFF_S - 1
    assert nvml.read()[1].reason == source.reason
    assert not host.calls(), "a driver that hung was asked again too soon"
    now_s += 1
    assert nvml.read()[1].state is SourceState.OK


def test_a_library_that_crashes_takes_only_the_child_down(host: StubHost) -> None:
    host.says(DRIVER, BUSY, "crash nvmlDeviceGetName")
    readings, source = host.nvml().read()
    assert (readings, source.state) == ((), SourceState.DOWN)
    assert (source.reason or "").startswith("reading NVML ended with exit code -6")
    assert "nvidia-smi" in (source.reason or "")


def test_hostile_text_of_a_device_is_made_safe(host: StubHost) -> None:
    host.says(
        DRIVER,
        b"gpu uuid=GPU-\x1b[2J minor=0 util=1 name=H100 \x1b]52;c;AAAA\x07 \xff \xe2\x80\xae[/]",
    )
    (reading,), source = host.nvml().read()
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
    readings, source = nothing.read()
    assert (readings, source.state, source.read_at) == ((), SourceState.OFF, None)
    assert "neither an NVIDIA driver nor libnvidia-ml.so.1" in (source.reason or "")
    assert nothing.probe()[3] is not None


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
    _, source = nvml.read()
    assert source.state is SourceState.DOWN
    assert "no-such-program" in (source.reason or "")


def test_a_library_that_is_no_library_is_down(tmp_path: Path) -> None:
    (tmp_path / LIBRARY).write_text("not an ELF file\n")
    host = StubHost(tmp_path)
    readings, source = host.nvml().read()
    assert (readings, source.state) == ((), SourceState.DOWN)
    assert f"{LIBRARY} cannot be loaded" in (source.reason or "")


@pytest.mark.parametrize(("library", "state"), [(False, SourceState.OFF), (True, SourceState.DOWN)])
def test_a_container_without_gpus_is_off_and_a_broken_install_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: bool, state: SourceState
) -> None:
    said = b'{"failure":{"code":12,"text":"NVML Shared Library Not Found"}}'
    done = Completed(("python",), 0, said, b"", 0.1)
    monkeypatch.setattr("foundry_tui.telemetry.nvml.run", lambda *_, **__: done)
    sign = tmp_path / "version"
    sign.touch()
    if library:
        (tmp_path / LIBRARY).touch()
    nvml = Nvml(node="n1", driver_signs=(str(sign),), library_folders=(str(tmp_path),), environ={})
    assert nvml.read()[1].state is state


def test_the_age_of_a_reading_is_told_from_its_own_time(host: StubHost) -> None:
    host.says(DRIVER, IDLE)
    before = datetime.now(UTC)
    (reading,), source = host.nvml().read()
    assert before <= reading.read_at <= datetime.now(UTC)
    assert source.age_s(reading.read_at + timedelta(seconds=7)) == 7
