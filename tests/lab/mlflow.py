"""A real MLflow server for the tests, from a virtual environment of its own.

MLflow brings 88 packages, 816 MB: too much for Foundry's own environment.
"""

import base64
import contextlib
import json
import os
import secrets
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.daemons import LabError, free_ports, tail, until
from tests.lab.venv import Venv

VENV = Venv("mlflow", "3.17.2", "816 MB", ("Flask-WTF==1.3.0",))
"""With what the login of the server needs besides."""

START_TIMEOUT_S = 120

ENV = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


LOGIN = """\
[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/users.db
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
grant_default_workspace_access = false
auth_cache_ttl_seconds = 60
"""
"""Settings of a server with a login. Without the cache each request costs it 0.7 s."""


def missing() -> str | None:
    """Why there is no MLflow; None when there is. Installed here where `FOUNDRY_REQUIRE` says."""
    return VENV.missing()


@dataclass(slots=True)
class MlflowLab:
    """One running server with an empty store. `python` can import mlflow.

    `admin` is the name and password of who may do all, where the server asks for a login.
    """

    url: str
    python: Path
    log: Path
    command: list[str]
    env: Mapping[str, str]
    process: subprocess.Popen[bytes] = field(init=False)
    admin: tuple[str, str] | None = None

    @classmethod
    def start(cls, folder: Path, *, login: bool = False) -> "MlflowLab":
        """Start a server on loopback that keeps its store in `folder`. Raises `LabError`."""
        (port,) = free_ports(1)
        options = {
            "--workers": "1",
            "--host": "127.0.0.1",
            "--port": str(port),
            "--backend-store-uri": f"sqlite:///{folder}/mlflow.db",
            "--artifacts-destination": str(folder / "artifacts"),
        }
        env = {**ENV, "HOME": str(folder)}
        admin = None
        if login:
            options["--app-name"] = "basic-auth"
            admin = ("admin", secrets.token_hex(16))
            settings = folder / "login.ini"
            settings.write_text(LOGIN.format(folder=folder))
            env |= {
                "MLFLOW_AUTH_CONFIG_PATH": str(settings),
                "MLFLOW_AUTH_ADMIN_PASSWORD": admin[1],
                "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
            }
        command = [str(VENV.folder / "bin" / "mlflow"), "server"]
        command += [word for option in options.items() for word in option]
        lab = cls(
            f"http://127.0.0.1:{port}",
            VENV.python,
            folder / "server.log",
            command,
            env,
            admin=admin,
        )
        lab.restart()
        return lab

    def restart(self) -> None:
        """Start it, after its end where it runs; with the same store and port. See `start`."""
        if hasattr(self, "process"):
            self.stop()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            until(self._ready_or_ended, START_TIMEOUT_S, "mlflow to be ready", 0.2)
        except LabError as error:
            self.stop()
            raise LabError(f"{error}\n{tail(self.log)}") from None

    def _ready_or_ended(self) -> bool:
        if self.process.poll() is not None:
            raise LabError(f"mlflow ended with {self.process.returncode} while it started")
        return self.healthy()

    def healthy(self) -> bool:
        """Whether the server answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(answer.read() == b"OK")
        except OSError:
            return False

    def call(self, endpoint: str, body: Mapping[str, Any]) -> Any:
        """POST to the REST interface, for what Foundry itself never does (`runs/delete`)."""
        request = urllib.request.Request(
            f"{self.url}/api/2.0/mlflow/{endpoint}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        if self.admin is not None:
            word = base64.b64encode(":".join(self.admin).encode()).decode()
            request.add_header("Authorization", f"Basic {word}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def run_script(
        self, code: str, env: Mapping[str, str] | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a training script that imports mlflow and logs to this server."""
        return subprocess.run(
            [str(self.python), "-c", code],
            env={**ENV, "MLFLOW_TRACKING_URI": self.url, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
        )

    def hang(self) -> None:
        """Freeze every process of the server: its port takes connections and never answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End every process of the server."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
