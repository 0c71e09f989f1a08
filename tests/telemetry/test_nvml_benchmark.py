"""The script that checks a real driver must itself tell right values from wrong ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.lab.nvml.stub import DEADLINE_S, StubHost

ROOT = Path(__file__).parents[2]
GPU = (
    "gpu uuid=GPU-aaaa pci=00000000:18:00.0 minor=0 util=97 memutil=40 total=8589934592 "
    "reserved=1048576 used=4294967296 power=412345 temp=61 memtemp=70 sm_clock=1980 mem_clock=2619 "
    "throttle=4 ecc_dbe=0 mig=0 gr=50 name=NVIDIA H100"
)
SMI = (
    "0, GPU-aaaa, NVIDIA H100, 00000000:18:00.0, 97, 40, 4096, 4095, 1, 8192, 412.35, 61, 70, "
    "1980, 2619, 0x0000000000000004, 0, Disabled"
)


def bench(host: StubHost, smi: str) -> subprocess.CompletedProcess[str]:
    """Run the script on the stub host with a stand-in for nvidia-smi that prints `smi`."""
    folder = host.folder / "bin"
    folder.mkdir()
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\necho '{smi}'\n")
    (folder / "nvidia-smi").chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(host.folder),
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "nvml_calls.py"), "3"],
        env=env,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_equal_values_agree(host: StubHost) -> None:
    host.says("driver 580.95.05", GPU)
    done = bench(host, SMI)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nvmlDeviceGetPowerUsage" in done.stdout
    assert "one GPU's minute without process lists" in done.stdout
    assert "GPU 0: {'gr_engine': 0.5}" in done.stdout
    assert "DIFFERS" not in done.stdout


def test_each_value_that_differs_is_marked_and_no_other(host: StubHost) -> None:
    host.says("driver 580.95.05", GPU)
    wrong = {
        "gpu_util": ("97, 40", "[N/A], 40"),
        "fb_used": ("4096, 4095", "4098, 4095"),
        "power": ("412.35", "41.23"),
        "uuid": ("GPU-aaaa", "GPU-bbbb"),
        "pci_bus_id": (":18:", ":19:"),
        "sm_clock": ("1980", "1900"),
        "throttle": ("0x0000000000000004", "0x0000000000000001"),
        "mig": ("Disabled", "Enabled"),
    }
    said = SMI
    for right, other in wrong.values():
        said = said.replace(right, other)
    done = bench(host, said)
    assert done.returncode == 1, done.stdout + done.stderr
    marked = {line.split()[1] for line in done.stdout.splitlines() if "DIFFERS" in line}
    assert marked == wrong.keys()


def test_without_nvml_the_exit_code_is_3(host: StubHost) -> None:
    host.says("fail * nvmlInitWithFlags 9")
    done = bench(host, SMI)
    assert done.returncode == 3
    assert "nothing to measure" in done.stderr
