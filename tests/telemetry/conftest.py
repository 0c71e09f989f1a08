"""The stub's builds, made once a test run, and a fresh stub host per test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from foundry_tui.telemetry.nvml import LIBRARY
from tests.lab.components import require
from tests.telemetry.stub import StubHost, build, compiler


@pytest.fixture(scope="session")
def stub_builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The stub as a driver of today and as one from before MIG; skips without a C compiler."""
    missing = None if compiler() else "no C compiler (cc, gcc) on the PATH to build the NVML stub"
    require("nvml-stub", missing)
    folder = tmp_path_factory.mktemp("nvml-stub")
    return {
        "today": build(folder / "today.so"),
        "old": build(folder / "old.so", "OLD_DRIVER"),
    }


@pytest.fixture
def host(stub_builds: dict[str, Path], tmp_path: Path) -> StubHost:
    """A host with the stub of a driver of today."""
    shutil.copy(stub_builds["today"], tmp_path / LIBRARY)
    return StubHost(tmp_path)


@pytest.fixture
def old_host(stub_builds: dict[str, Path], tmp_path: Path) -> StubHost:
    """A host with the stub of an old driver, which lacks functions."""
    shutil.copy(stub_builds["old"], tmp_path / LIBRARY)
    return StubHost(tmp_path)
