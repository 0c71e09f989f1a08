"""The bindings of NVML on a host with the stub, and an authority for certificates."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path
from types import ModuleType

import pynvml
import pytest

from foundry_tui.telemetry.nvml.source import LIBRARY
from tests.agent.certificates import Authority
from tests.lab.nvml.stub import StubHost


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of this test alone."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return Authority.make(Path(tmp_path_factory.mktemp("authority")))


@pytest.fixture
def nvml(host: StubHost, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The real bindings, in this process, with the stub as their library."""
    return bound(host, monkeypatch)


@pytest.fixture
def old_nvml(old_host: StubHost, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The real bindings with the stub of an old driver."""
    return bound(old_host, monkeypatch)


def bound(host: StubHost, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Bind to this host's library: private names of the bindings, so nowhere else."""
    monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(host.folder / LIBRARY)))
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    module: ModuleType = pynvml
    return module
