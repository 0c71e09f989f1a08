"""The agent as one file, for a system Python with nothing installed."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from foundry_tui.agent.zipapp import build
from tests.agent.service import DEADLINE_S, GPU, Page, kill, serving
from tests.lab.nvml.stub import StubHost

BARE = (sys._base_executable, "-I", "-S")  # type: ignore[attr-defined]
"""A Python that sees nothing that is installed, not even in its own site-packages."""

OLDEST = "python3.9"
"""That of RHEL 9; looked for beside this Python (as pyenv puts them) and in /usr/bin."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zipapp") / "foundry-agent.pyz"
    build(path)
    return path


def oldest() -> tuple[str, ...] | None:
    """A Python 3.9 of this machine, or None."""
    beside = sorted(Path(sys.base_prefix).parent.glob(f"3.9.*/bin/{OLDEST}"))
    found = [*beside, *(path for path in (Path("/usr/bin", OLDEST),) if path.exists())]
    return (str(found[0]), "-I", "-S") if found else None


@pytest.mark.parametrize("python", [BARE, oldest()], ids=["here", OLDEST])
def test_it_runs_with_nothing_installed(
    archive: Path, host: StubHost, python: tuple[str, ...] | None
) -> None:
    if python is None:
        pytest.skip(f"no {OLDEST} on this machine")
    host.says(GPU)
    done = subprocess.run(
        [*python, str(archive), "--once"],
        capture_output=True,
        text=True,
        cwd="/",
        env={"LD_LIBRARY_PATH": str(host.folder)},
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Page(200, done.stdout).value("DCGM_FI_DEV_GPU_UTIL") == 37.0


def test_it_serves_and_its_collector_comes_back(archive: Path, host: StubHost) -> None:
    host.says(GPU)
    with serving(host.folder, argv=(*BARE, str(archive))) as service:
        service.page_with("DCGM_FI_DEV_GPU_UTIL", 37.0)
        first = service.child()
        assert first is not None
        kill(first)
        service.another_child(first)
        service.page_with("foundry_agent_up", 1.0)


def test_it_does_not_pack_itself(archive: Path, tmp_path: Path) -> None:
    argv = [*BARE, str(archive), "--build-zipapp", str(tmp_path / "again.pyz")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "copy it" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_can_be_run_by_its_name(archive: Path) -> None:
    assert os.access(archive, os.X_OK)
    assert archive.read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_it_holds_the_licences_of_what_it_holds(archive: Path) -> None:
    names = set(zipfile.ZipFile(archive).namelist())
    assert {
        "licences/prometheus_client/LICENSE",
        "licences/prometheus_client/NOTICE",
        "licences/nvidia-ml-py/METADATA",
        "licences/foundry-tui/LICENSE",
        "pynvml.py",
        "foundry_tui/agent/foundry-agent.service",
    } <= names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"__main__.py", "foundry_tui", "licences", "prometheus_client", "pynvml.py"}


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "foundry_tui.agent", "--unit"], capture_output=True, check=True
    ).stdout.decode()
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(said)
    for key, value in {
        "DynamicUser": "yes",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "DevicePolicy": "closed",
    }.items():
        assert unit["Service"][key] == value
    if shutil.which("systemd-analyze") is None:
        return
    path = tmp_path / "foundry-agent.service"
    path.write_text(said.replace("/usr/local/bin/foundry-agent.pyz", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, check=False
    )
    assert "foundry-agent.service" not in done.stderr.decode()
