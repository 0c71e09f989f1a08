"""The embedded tracking server of `foundry tracking up`: an MLflow of this user, in the foreground.

MLflow's own defaults take 16 processes and 3.3 GB. One worker and no job runner are 2 processes
and 0.6 GB, which is enough for one group. The server listens on loopback alone and has no login:
whoever is logged in on this host can read and write it.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from foundry_tui.config.owned import OTHERS_WRITE, distrust
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.process import ALLOWED_ENV, NotFound, find
from foundry_tui.tracking.ports import TrackerDown, TrackingError

HOST = "127.0.0.1"

READY_WITHIN_S = 120.0
"""Seconds until it must answer: 10 as a rule, 25 on two shared cores, more on a cold NFS."""

TELL_EVERY_S = 5.0

STOP_WITHIN_S = 8.0
"""Seconds between SIGTERM and SIGKILL; in between open requests are ended."""

POLL_S = 0.1

LOG = "server.log"
"""What the server says. It is locked for as long as one of the server's processes lives."""

STARTED = "foundry tracking up: process"
"""Line of the log that names the leader of the server's processes."""

_STARTED = re.compile(rf"^{STARTED} (\d+)$".encode(), re.MULTILINE)

LAST_LINES = 12

SETTINGS = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # Files that clients upload lie below the working folder: none of them is ever imported.
    "PYTHONSAFEPATH": "1",
    "LC_ALL": "C.UTF-8",
}


def serve(
    folder: Path, *, port: int, tell: Callable[[str], None], ready: Callable[[str], None]
) -> int:
    """Run the server until SIGINT, SIGTERM or SIGHUP; to be called in the main thread.

    Args:
        folder: where its database, artifacts and log are kept; made, and set to mode 0700.
        port: the port to listen on; 0 for any that is free.
        tell: takes a line about how far it is, and the last lines of a server that failed.
        ready: takes the server's address as soon as it answers.

    Returns:
        0: it was stopped, and none of its processes is left.

    Raises:
        TrackingError: there is no MLflow, the folder cannot be used, or the port is taken.
        TrackerDown: it did not start, or ended by itself.
    """
    program = command()
    with _Stop() as stop:
        log = _log(folder)
        try:
            url = f"http://{HOST}:{_free(port)}"
            tell(f"starting {program[0]} on {url}, kept in {safe(str(folder))}")
            child = _start(program, folder, url, log)
        finally:
            os.close(log)
        try:
            failure = _answers(child, url, stop, tell)
            if failure is None:
                ready(url)
                failure = _ended(child, stop)
        finally:
            _end(child, folder)
    if stop.asked:
        tell("the server is stopped")
        return 0
    for line in last_lines(folder / LOG):
        tell(f"| {line}")
    hint = f"all it said is in {safe(str(folder / LOG))}"
    raise TrackerDown(f"the tracking server on {url}", failure or "it ended", hint)


def command() -> tuple[str, ...]:
    """How MLflow is started: by the Python that runs now, else by `mlflow` on the PATH.

    Raises:
        TrackingError: there is none; the message names the extra to install.
    """
    if importlib.util.find_spec("mlflow") is not None:
        return (sys.executable, "-m", "mlflow")
    try:
        return (find("mlflow"),)
    except NotFound as error:
        hint = "pip install 'foundry-tui[mlflow]' puts it beside foundry"
        raise TrackingError("MLflow", safe(str(error), max_cells=300), hint) from None


def last_lines(log: Path) -> list[SafeText]:
    """The last lines of a log that are not empty, safe to show; none when it cannot be read."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - (16 << 10)))
            lines = deque(filter(None, (line.rstrip() for line in file)), LAST_LINES)
    except OSError:
        return []
    return [safe(line, max_cells=200) for line in lines]


def _log(folder: Path) -> int:
    """Make the folder, and open and lock the log: two servers on one database would collide.

    Raises:
        TrackingError: it cannot be made or written, is not the user's own, or is in use.
    """
    asked = f"the folder of the tracking server, {safe(str(folder))}"
    log = -1
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (reason := distrust(folder.stat(), OTHERS_WRITE)) is not None:
            raise TrackingError(asked, reason, "choose a folder of yours")
        folder.chmod(0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        log = os.open(folder / LOG, flags, 0o600)
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(log, 0)
    except OSError as error:
        if log >= 0:
            os.close(log)
        if isinstance(error, BlockingIOError):
            hint = f"use that one, or end it first{_how_to_end(folder / LOG)}"
            raise TrackingError(asked, "a server is running in it already", hint) from None
        problem = f"it cannot be written or locked: {error.strerror or error}"
        raise TrackingError(asked, problem, "choose another folder") from None
    return log


def _how_to_end(log: Path) -> str:
    """The command that ends a server whose `foundry tracking up` was killed; empty if unknown."""
    try:
        with log.open("rb") as file:
            found = _STARTED.search(file.read(4096))
    except OSError:
        return ""
    return f": kill {found[1].decode()}" if found else ""


def _in_use(folder: Path) -> bool:
    try:
        log = os.open(folder / LOG, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(log)
    return False


def _free(port: int) -> int:
    """The port, or any free one for 0.

    Raises:
        TrackingError: somebody else listens there, or this user may not.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            problem = getattr(error, "strerror", None) or str(error)
            hint = "choose another one; 0 takes any that is free"
            raise TrackingError(f"port {port} on {HOST}", problem, hint) from None
        return int(probe.getsockname()[1])


def _start(program: tuple[str, ...], folder: Path, url: str, log: int) -> subprocess.Popen[bytes]:
    """Start it as the leader of a session of its own, so that all of it can be ended at once.

    Paths are relative to its working folder, because in the address of a database a `?` or `%` of
    a path has a meaning.
    """
    argv = [
        *(*program, "server", "--workers", "1"),
        *("--host", HOST, "--port", url.rpartition(":")[2]),
        *("--backend-store-uri", "sqlite:///mlflow.db"),
        *("--artifacts-destination", "./artifacts"),
    ]
    env = {name: os.environ[name] for name in ALLOWED_ENV if name in os.environ}
    env["PATH"] = os.pathsep.join((str(Path(program[0]).parent), os.defpath))
    try:
        child = subprocess.Popen(
            argv,
            env={**env, **SETTINGS},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            umask=0o077,
            start_new_session=True,
        )
    except OSError as error:
        problem = f"it cannot be started: {error.strerror or error}"
        raise TrackingError(program[0], problem, "run it by hand to see why") from None
    with contextlib.suppress(OSError):  # a full disk
        os.write(log, f"{STARTED} {child.pid}\n".encode())
    return child


def _answers(
    child: subprocess.Popen[bytes], url: str, stop: _Stop, tell: Callable[[str], None]
) -> str | None:
    """Wait until it answers; then None, else the words for why it does not."""
    begun = told = time.monotonic()
    while not stop.asked and child.poll() is None:
        if _healthy(url):
            return None
        now = time.monotonic()
        if now - begun > READY_WITHIN_S:
            return f"no answer within {READY_WITHIN_S:g} s"
        if now - told > TELL_EVERY_S:
            tell(f"waiting for its first answer ({now - begun:.0f} s)")
            told = now
        time.sleep(POLL_S)
    return _ended(child, stop)


def _ended(child: subprocess.Popen[bytes], stop: _Stop) -> str:
    """Wait for its end, or for a signal to end it; in words how it ended."""
    while not stop.asked and child.poll() is None:
        time.sleep(POLL_S)
    code = child.returncode or 0
    return f"it ended by itself with {f'signal {-code}' if code < 0 else f'exit code {code}'}"


def _healthy(url: str) -> bool:
    """Whether it answers. A health check proves no login, but here there is none."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=1.0)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().read(16) == b"OK"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(child: subprocess.Popen[bytes], folder: Path) -> None:
    """End the whole process group: politely, then by force what is left, workers too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN_S
    while (child.poll() is None or _in_use(folder)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


class _Stop:
    """Remembers that a signal asked for the end, instead of dying of it with the server left.

    A signal that is ignored stays ignored: `nohup` and background shells say so.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _Stop:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._before = {
            number: signal.signal(number, self._take)
            for number in numbers
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
