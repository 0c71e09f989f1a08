"""A real MLflow server for the tests, from a virtual environment of its own.

MLflow brings 88 packages, 816 MB: too much for Foundry's own environment. It is kept in the user's
cache, by version, and made there once; two test runs at a time are safe.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.components import required
from tests.lab.daemons import LabError, free_ports, tail, until

VERSION = "3.17.2"
START_TIMEOUT_S = 120
INSTALL_TIMEOUT_S = 1800
COMPLETE = ".complete"
"""File in the environment that stands there when all of it is installed."""

ENV = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def venv() -> Path:
    """The environment that MLflow is, or would be, installed in."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if cache.startswith("/") else Path.home() / ".cache"
    return base / "foundry-lab" / f"mlflow-{VERSION}"


def missing() -> str | None:
    """Why there is no MLflow; None when there is. Installed here where `FOUNDRY_REQUIRE` says."""
    if (venv() / COMPLETE).exists():
        return None
    if "mlflow" not in required():
        return f"{venv()} is not installed; FOUNDRY_REQUIRE=mlflow installs it (816 MB)"
    try:
        _install()
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "output", None) or b""
        return f"mlflow {VERSION} could not be installed: {error}\n{output.decode()[-2000:]}"
    return None


def _install() -> None:
    """Make the environment; a second test run waits for the first one and finds it made."""
    folder = venv()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / COMPLETE).exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--no-input"]
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [*pip, "install", "--disable-pip-version-check", f"mlflow=={VERSION}"],
        ):
            subprocess.run(
                command,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=INSTALL_TIMEOUT_S,
            )
        (folder / COMPLETE).touch()


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
                    str(venv() / "bin" / "mlflow"),
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
        lab = cls(f"http://127.0.0.1:{port}", venv() / "bin" / "python", log, process)
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
