"""The stub is only worth its name while it has the sizes and answers that the bindings expect."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pynvml
import pytest

from tests.lab.nvml.stub import DEADLINE_S, StubHost


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("c_nvmlUtilization_t", 8),
        ("c_nvmlMemory_t", 24),
        ("c_nvmlMemory_v2_t", 40),
        ("c_nvmlProcessInfo_v3_t", 24),
        ("c_nvmlProcessUtilizationSample_t", 32),
        ("c_nvmlFieldValue_t", 40),
        ("c_nvmlEventData_t", 32),
        ("c_nvmlGpmMetric_t", 40),
        ("nvmlPciInfo_t", 68),
        ("c_nvmlDeviceAttributes", 40),
        ("c_nvmlGpmSupport_t", 8),
    ],
)
def test_structures_of_the_bindings_have_the_documented_size(name: str, size: int) -> None:
    assert ctypes.sizeof(getattr(pynvml, name)) == size


def test_the_metrics_of_the_counters_begin_where_the_stub_puts_them() -> None:
    asked = pynvml.c_nvmlGpmMetricsGet_t
    assert asked.metrics.offset == 24
    assert ctypes.sizeof(asked) == 24 + 40 * pynvml.NVML_GPM_METRIC_MAX
    assert (pynvml.NVML_GPM_METRICS_GET_VERSION, pynvml.NVML_GPM_SUPPORT_VERSION) == (1, 1)


def test_memory_v2_carries_its_size_in_its_version() -> None:
    assert pynvml.nvmlMemory_v2 == 2 << 24 | 40


def test_the_stub_lists_processes_as_the_bindings_read_them(host: StubHost) -> None:
    host.says("driver 1", "gpu name=A", "gpu name=B", "process 1 4242 1048576", "process 1 43 7")
    code = (
        "import pynvml; pynvml.nvmlInit()\n"
        "for i in 0, 1:\n"
        "    h = pynvml.nvmlDeviceGetHandleByIndex(i)\n"
        "    print([(p.pid, p.usedGpuMemory)"
        " for p in pynvml.nvmlDeviceGetComputeRunningProcesses(h)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LD_LIBRARY_PATH": str(host.folder)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.stdout.splitlines() == ["[]", "[(4242, 1048576), (43, 7)]"], done.stderr


def test_a_mistake_in_the_fixture_does_not_pass_for_a_quiet_host(host: StubHost) -> None:
    host.says("driver 1", "gpus 2")
    source = host.nvml().read((), DEADLINE_S).source
    assert source.state == "down"
    assert "exit code -6" in (source.reason or "")
