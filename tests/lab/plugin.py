"""pytest fixtures of the lab: one cluster for the whole test run, made fresh for each test."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from foundry_tui.telemetry.nvml.source import LIBRARY
from tests.lab import mlflow, prometheus
from tests.lab.components import require, required
from tests.lab.daemons import LabError
from tests.lab.kube import build as kube_build
from tests.lab.kube.cluster import KubeLab
from tests.lab.nvml.stub import StubHost, build, compiler
from tests.lab.slurm import SlurmLab


def pytest_configure() -> None:
    required()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a real component, before `-m slurm` and the like select.

    What needs Kubernetes comes last: where it is built first, nothing else waits for that.
    """
    for item in items:
        if "slurm_lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slurm)
        if "mlflow_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.mlflow)
        if "kube_lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kubernetes)
    items.sort(key=lambda item: "kube_lab" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def slurm_lab() -> Iterator[SlurmLab]:
    """The running lab, in whatever state the last test left it."""
    require("slurm", SlurmLab.missing())
    try:
        lab = SlurmLab.start(new_lab_folder())
    except LabError as error:
        failure = str(error)
    else:
        yield lab
        lab.stop()
        return
    require("slurm", f"the lab did not start: {failure}")


@pytest.fixture
def lab(slurm_lab: SlurmLab) -> SlurmLab:
    """The running lab with no job and every node idle."""
    slurm_lab.reset()
    return slurm_lab


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.MlflowLab]:
    """The running MLflow server; tests name experiments of their own in it."""
    require("mlflow", mlflow.missing())
    try:
        server = mlflow.MlflowLab.start(tmp_path_factory.mktemp("mlflow"))
    except LabError as error:
        failure = str(error)
    else:
        yield server
        server.stop()
        return
    require("mlflow", f"the server did not start: {failure}")


@pytest.fixture
def start_prometheus(tmp_path: Path) -> Iterator[Callable[..., prometheus.PrometheusLab]]:
    """Starts Prometheus servers, as `PrometheusLab.start` does without its folder."""
    require("prometheus", prometheus.missing())
    started: list[prometheus.PrometheusLab] = []

    def start(**given: str | None) -> prometheus.PrometheusLab:
        folder = tmp_path / f"prometheus-{len(started)}"
        folder.mkdir()
        started.append(prometheus.PrometheusLab.start(folder, **given))
        return started[-1]

    yield start
    for lab in started:
        lab.stop()


@pytest.fixture(scope="session")
def kube_lab() -> Iterator[KubeLab]:
    """The running Kubernetes with KAI, in whatever state the last test left it."""
    require("kubernetes", kube_build.missing())
    try:
        lab = KubeLab.start(new_lab_folder())
    except LabError as error:
        failure = str(error)
    else:
        yield lab
        lab.stop()
        return
    require("kubernetes", f"the lab did not start: {failure}")


@pytest.fixture
def kube(kube_lab: KubeLab) -> KubeLab:
    """The running Kubernetes with no workload, two nodes of 12 GPUs and two queues of 4."""
    kube_lab.reset()
    return kube_lab


@pytest.fixture(scope="session")
def stub_builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """NVML's stub as a driver of today and as one from before MIG; skips without a C compiler."""
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


def new_lab_folder() -> Path:
    """An empty folder beside those of this unix user's other labs, where stale ones are found.

    Not pytest's own temporary folder: the lab's users may not enter that, and its path is too long
    for a unix socket. Raises `LabError` when somebody else owns the common folder.
    """
    base = Path(tempfile.gettempdir()) / f"foundry-lab-{os.geteuid()}"
    base.mkdir(mode=0o755, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.geteuid():
        raise LabError(f"{base} belongs to another user or is a link; remove it")
    return Path(tempfile.mkdtemp(dir=base))
