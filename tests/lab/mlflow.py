"""A real MLflow server for the tests, from a virtual environment of its own.

MLflow brings 88 packages, 816 MB: too much for Foundry's own environment.
"""

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.daemons import LabError, free_ports, tail, until
from tests.lab.venv import Venv

VENV = Venv("mlflow", "3.17.2", "816 MB")
START_TIMEOUT_S = 120

ENV = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def missing() -> str | None:
    """Why there is no MLflow; None when there is. Installed here where `FOUNDRY_REQUIRE` says."""
    return VENV.missing()


@dataclass(slots=True)
class MlflowLab:
    """One running server with an empty store. `python` can import mlflow."""

    url: str
    python: Path
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, folder: Path) -> "MlflowLab":
        """Start a server on loopback that keeps its store in `folder`. Raises `LabError`."""
        (port,) = free_ports(1)
        options = {
            "--workers": "1",
            "--host": "127.0.0.1",
            "--port": str(port),
            "--backend-store-uri": f"sqlite:///{folder}/mlflow.db",
            "--artifacts-destination": str(folder / "artifacts"),
        }
        log = folder / "server.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [
                    str(VENV.folder / "bin" / "mlflow"),
                    "server",
                    *(word for option in options.items() for word in option),
                ],
                env={**ENV, "HOME": str(folder)},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        lab = cls(f"http://127.0.0.1:{port}", VENV.python, log, process)
        try:
            until(lab._ready_or_ended, START_TIMEOUT_S, "mlflow to be ready", 0.2)
        except LabError as error:
            lab.stop()
            raise LabError(f"{error}\n{tail(log)}") from None
        return lab

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
