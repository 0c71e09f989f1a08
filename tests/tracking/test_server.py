"""The embedded server: a real MLflow, and programs of its name that misbehave."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from foundry_tui.estate.tracked import TrackStatus
from foundry_tui.tracking import server
from foundry_tui.tracking.ports import TrackerDown, TrackingError
from tests.lab.daemons import until
from tests.lab.mlflow import MlflowLab
from tests.tracking.wires import NOW, client

RUN_IT = """
import sys
from pathlib import Path
from foundry_tui.tracking.server import serve
say = lambda text: print(text, flush=True)
sys.exit(serve(Path(sys.argv[1]), port=0, tell=say, ready=lambda url: say(f"ready {url}")))
"""


def processes_in(folder: Path) -> list[int]:
    """The processes whose working folder is this one."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def up(folder: Path, mlflow: Path) -> subprocess.Popen[bytes]:
    """`serve` in a process of its own, as the command runs it."""
    path = os.pathsep.join((str(mlflow), os.environ["PATH"]))
    return subprocess.Popen(
        [sys.executable, "-c", RUN_IT, str(folder)],
        env={**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": "http://wrong.invalid"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def lines_until(process: subprocess.Popen[bytes], start: str) -> Iterator[str]:
    assert process.stdout is not None
    for raw in process.stdout:
        line = raw.decode().rstrip()
        yield line
        if line.startswith(start):
            return
    pytest.fail(f"it ended without saying {start}")


def test_a_real_server_from_start_to_stop(
    mlflow_server: MlflowLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a b?%20#c"
    process = up(folder, mlflow_server.python.parent)
    try:
        said = list(lines_until(process, "ready "))
        url = said[-1].removeprefix("ready ")
        assert url.startswith("http://127.0.0.1:")
        assert said[0].startswith("starting ")
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            assert answer.read() == b"OK"
        tracker = client(url, timeout_s=30)
        run = tracker.create("mine", name="n", tags={}, started_at=NOW)
        assert run.status is TrackStatus.SCHEDULED
        tracker.close()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {p.name for p in folder.iterdir()} >= {"mlflow.db", "server.log"}
        assert all(p.stat().st_mode & 0o077 == 0 for p in folder.rglob("*"))
        assert len(processes_in(folder)) == 2

        monkeypatch.setenv("PATH", str(mlflow_server.python.parent))
        error, _ = failure(folder)
        assert "running in it already" in error.answer
        leader = int(error.hint.rpartition("kill ")[2])
        assert os.getpgid(leader) == leader
        assert leader in processes_in(folder)
    finally:
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert rest.decode().splitlines()[-1] == "the server is stopped"
    assert processes_in(folder) == []


def test_stopped_while_it_starts(mlflow_server: MlflowLab, tmp_path: Path) -> None:
    process = up(tmp_path / "f", mlflow_server.python.parent)
    list(lines_until(process, "starting "))
    until(lambda: processes_in(tmp_path / "f") != [], 20, "MLflow to be started")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert processes_in(tmp_path / "f") == []


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the only `mlflow` on the PATH; a test writes it."""
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    return folder / "mlflow"


def write(program: Path, code: str) -> None:
    program.write_text(f"#!{sys.executable}\n{textwrap.dedent(code)}")
    program.chmod(0o755)


def failure(folder: Path, port: int = 0) -> tuple[TrackingError, list[str]]:
    """The error of a start, and what was told before it."""
    told: list[str] = []
    with pytest.raises(TrackingError) as caught:
        server.serve(folder, port=port, tell=told.append, ready=told.append)
    return caught.value, told


def test_no_mlflow_names_the_extra(program: Path, tmp_path: Path) -> None:
    error, _ = failure(tmp_path / "f")
    assert "pip install 'foundry-tui[mlflow]'" in error.hint
    assert not (tmp_path / "f").exists()


def test_the_running_python_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert server.command() == (sys.executable, "-m", "mlflow")


def test_a_server_that_dies_shows_its_last_words(program: Path, tmp_path: Path) -> None:
    write(program, r"print('one\n\ntwo \x1b[2J'); raise SystemExit(4)")
    error, told = failure(tmp_path / "f")
    assert isinstance(error, TrackerDown)
    assert "exit code 4" in error.answer
    assert str(tmp_path / "f" / "server.log") in error.hint
    assert told[-2:] == ["| one", "| two ␛[2J"]


def test_a_server_that_never_answers_is_ended_with_its_workers(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "READY_WITHIN_S", 1.0)
    monkeypatch.setattr(server, "TELL_EVERY_S", 0.2)
    monkeypatch.setattr(server, "STOP_WITHIN_S", 0.5)
    write(
        program,
        """
        import os, signal, time
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
        """,
    )
    error, told = failure(tmp_path / "f")
    assert "no answer within 1 s" in error.answer
    assert any("waiting" in line for line in told)
    until(lambda: processes_in(tmp_path / "f") == [], 30, "its workers to end")


def test_the_settings_of_the_server(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a secret of another server")
    write(program, "import os, sys; print(*sys.argv[1:]); [print(*p) for p in os.environ.items()]")
    failure(tmp_path / "f")
    said = (tmp_path / "f" / "server.log").read_text().splitlines()
    options, *environment = (line for line in said if not line.startswith(server.STARTED))
    assert options.startswith("server --workers 1 --host 127.0.0.1 --port ")
    assert {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION false",
        "MLFLOW_DISABLE_TELEMETRY true",
        "DO_NOT_TRACK true",
    } <= set(environment)
    assert not any("MLFLOW_TRACKING" in line for line in environment)


def test_a_port_that_is_taken(program: Path, tmp_path: Path) -> None:
    write(program, "")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error, _ = failure(tmp_path / "f", port)
    assert str(port) in error.asked
    assert "in use" in error.answer
    error, _ = failure(tmp_path / "f", 70_000)
    assert "70000" in error.asked


def test_a_folder_that_cannot_be_used(program: Path, tmp_path: Path) -> None:
    write(program, "")
    (tmp_path / "file").touch()
    error, _ = failure(tmp_path / "file" / "below")
    assert "Not a directory" in error.answer
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    error, _ = failure(tmp_path / "open")
    assert "0777" in error.answer
