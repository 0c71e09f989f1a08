"""A real server that asks for a login, with two users."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from foundry_tui.tracking.credentials import PASSWORD as PASSWORD_NAME
from foundry_tui.tracking.credentials import USERNAME, Credentials, find
from tests.lab import mlflow
from tests.lab.components import require
from tests.lab.daemons import LabError

PASSWORD = "correct-horse-7"
"""Of both users, on a server of this test run on loopback; MLflow wants 12 characters."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the server, as the lab's own plug-in does with the one without a login."""
    for item in items:
        if "mlflow_login" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.mlflow)


@pytest.fixture(scope="session")
def mlflow_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.MlflowLab]:
    """The running server; `ann` and `bob` are users of it."""
    require("mlflow", mlflow.missing())
    try:
        server = mlflow.MlflowLab.start(tmp_path_factory.mktemp("mlflow-login"), login=True)
    except LabError as error:
        require("mlflow", f"the server with a login did not start: {error}")
        raise
    for user in ("ann", "bob"):
        server.call("users/create", {"username": user, "password": PASSWORD})
    yield server
    server.stop()


def logged_in(user: str, password: str) -> Callable[[], Credentials]:
    """The credentials of somebody who has set MLflow's own variables."""
    env = {USERNAME: user, PASSWORD_NAME: password}
    return lambda: find(env, Path("/nonexistent"))
