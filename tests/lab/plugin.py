"""pytest fixtures of the lab: one cluster for the whole test run, made fresh for each test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import mlflow
from tests.lab.components import require, required
from tests.lab.daemons import LabError
from tests.lab.kube import build as kube_build
from tests.lab.kube.cluster import KubeLab
from tests.lab.slurm import SlurmLab


def pytest_configure() -> None:
    required()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a real component, before `-m slurm` and the like select."""
    for item in items:
        if "slurm_lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slurm)
        if "mlflow_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.mlflow)
        if "kube_lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kubernetes)


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
