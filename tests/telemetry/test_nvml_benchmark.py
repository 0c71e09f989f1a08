"""The script that checks a real driver must itself tell right values from wrong ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.telemetry.stub import DEADLINE_S, StubHost

ROOT = Path(__file__).parents[2]
GPU = (
    "gpu uuid=GPU-aaaa minor=0 util=97 total=8589934592 reserved=1048576 used=4294967296 "
    "power=412345 temp=61 mig=0 name=NVIDIA H100"
)
SMI = "0, GPU-aaaa, NVIDIA H100, 97, 4096, 8192, 412.35, 61, Disabled"


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
    assert "DIFFERS" not in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "value"),
    [
        ("97, 4096", "[N/A], 4096", "util_pct"),
        ("4096, 8192", "4098, 8192", "mem_used"),
        ("412.35", "41.23", "power_w"),
        ("GPU-aaaa", "GPU-bbbb", "uuid"),
        ("Disabled", "Enabled", "mig"),
    ],
)
def test_a_value_that_differs_is_marked(host: StubHost, right: str, wrong: str, value: str) -> None:
    host.says("driver 580.95.05", GPU)
    done = bench(host, SMI.replace(right, wrong))
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = [x for x in done.stdout.splitlines() if "DIFFERS" in x]
    assert value in line


def test_without_nvml_the_exit_code_is_3(host: StubHost) -> None:
    host.says("fail * nvmlInitWithFlags 9")
    done = bench(host, SMI)
    assert done.returncode == 3
    assert "nothing to measure" in done.stderr
