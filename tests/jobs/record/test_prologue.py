"""What a job tells of its environment: run by real shells, received by a real HTTP server."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from foundry_tui.jobs.record.prologue import lines
from tests.lab.daemons import until

SHELLS = [s for s in ("/bin/sh", "/bin/bash", "/usr/bin/dash") if Path(s).exists()]


@dataclass
class Server:
    """Takes what is put, and tells who put it."""

    url: str
    got: list[tuple[str, str | None, bytes]] = field(default_factory=list)
    answer: int = 200
    hang: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known.got.append((self.path, self.headers["Authorization"], body))
            self.send_response(known.answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    known = Server(f"http://127.0.0.1:{httpd.server_address[1]}/a/1/r/artifacts")
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield known
    httpd.shutdown()
    httpd.server_close()


def run(
    server: Server,
    folder: Path,
    body: str = "echo ran",
    *,
    shell: str = "/bin/sh",
    flags: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """A script with the lines before its body, as a job would run it."""
    script = folder / "job.sh"
    script.write_text("#!/bin/sh\n" + "\n".join(lines()) + f"\n{body}\n")
    linked = {"MLFLOW_RUN_ID": "r", "FOUNDRY_ARTIFACTS": server.url}
    return subprocess.run(
        [shell, *flags, str(script)],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(folder), **linked, **(env or {})},
        capture_output=True,
        timeout=60,
    )


def stub(folder: Path, name: str, body: str) -> str:
    """A PATH on which a program of this name comes first."""
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    (place / name).write_text(f"#!/bin/sh\n{body}\n")
    (place / name).chmod(0o755)
    return f"{place}:{os.environ['PATH']}"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("flags", [(), ("-eu",)])
def test_the_environment_is_put_beside_the_program(
    server: Server, tmp_path: Path, shell: str, flags: tuple[str, ...]
) -> None:
    path = stub(tmp_path, "python", '[ "$1" = -V ] && echo Python 3.99 || echo "numpy==1.2 $*"')
    done = run(
        server,
        tmp_path,
        shell=shell,
        flags=flags,
        env={"PATH": path, "LOADEDMODULES": "cuda/12.4:gcc/13"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ran\n", b"")
    until(lambda: bool(server.got), 30, "the environment to arrive")
    ((where, login, body),) = server.got
    assert (where, login) == ("/a/1/r/artifacts/foundry/environment.txt", None)
    told = body.decode().splitlines()
    for line in ("Python 3.99", "numpy==1.2 -m pip --no-input freeze", "cuda/12.4", "gcc/13"):
        assert line in told
    until(lambda: not list(tmp_path.glob("foundry-*")), 30, "the file to be gone")


@pytest.mark.parametrize(
    "other",
    [
        {"MLFLOW_RUN_ID": ""},
        {"FOUNDRY_ARTIFACTS": ""},
        {"RANK": "1"},
        {"SLURM_NODEID": "3"},
        {"SLURM_PROCID": "1"},
        {"JOB_COMPLETION_INDEX": "2"},
        {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_MIN": "1"},
    ],
)
def test_only_the_first_process_of_a_linked_run_tells(
    server: Server, tmp_path: Path, other: dict[str, str]
) -> None:
    marked = stub(tmp_path, "mktemp", f"touch {tmp_path}/began; exit 1")
    done = run(server, tmp_path, "sleep 0.3; echo ran", env={"PATH": marked, **other})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ran\n", b"")
    assert not (tmp_path / "began").exists()


def test_an_array_tells_by_its_first_task(server: Server, tmp_path: Path) -> None:
    run(server, tmp_path, env={"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "1"})
    until(lambda: bool(server.got), 40, "the environment to arrive")


@pytest.mark.parametrize(
    ("login", "header"),
    [
        (
            {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": 'p "\\$x'},
            "Basic " + base64.b64encode(b'ann:p "\\$x').decode(),
        ),
        ({"MLFLOW_TRACKING_TOKEN": "abc'def"}, "Bearer abc'def"),
    ],
)
def test_a_login_is_never_an_argument(
    server: Server, tmp_path: Path, login: dict[str, str], header: str
) -> None:
    real = shutil.which("curl")
    path = stub(tmp_path, "curl", f'echo "$@" >>{tmp_path}/argv; exec {real} "$@"')
    stub(tmp_path, "python", "exit 1")
    done = run(server, tmp_path, flags=("-x",), env={"PATH": path, **login})
    until(lambda: bool(server.got), 30, "the environment to arrive")
    assert server.got[0][1] == header
    secrets = tuple(login.values())[-1]
    assert secrets not in (tmp_path / "argv").read_text()
    assert secrets.encode() not in done.stderr
    assert secrets.encode() not in server.got[0][2]


def test_what_is_installed_from_an_address_keeps_no_password(
    server: Server, tmp_path: Path
) -> None:
    path = stub(tmp_path, "python", "echo 'x @ git+https://me:secret@host/x.git'")
    run(server, tmp_path, env={"PATH": path})
    until(lambda: bool(server.got), 30, "the environment to arrive")
    assert b"git+https://host/x.git" in server.got[0][2]
    assert b"secret" not in server.got[0][2]


@pytest.mark.parametrize("fault", ["refused", "no tmp", "nobody there"])
def test_a_failure_costs_the_job_nothing_but_a_line(
    server: Server, tmp_path: Path, fault: str
) -> None:
    path = stub(tmp_path, "python", "exit 3")
    env = {"PATH": path}
    if fault == "refused":
        server.answer = 403
    elif fault == "no tmp":
        env["TMPDIR"] = str(tmp_path / "gone")
    else:
        env["FOUNDRY_ARTIFACTS"] = "http://127.0.0.1:1/x"
    done = run(server, tmp_path, "exit 7", env=env)  # returns when the line is out, not before
    assert (done.returncode, done.stdout) == (7, b"")
    assert done.stderr == b"foundry: the environment of this run is not on its record\n"


def test_a_python_that_hangs_delays_nothing(server: Server, tmp_path: Path) -> None:
    path = stub(tmp_path, "python", f"touch {tmp_path}/hangs; exec sleep 5 2>/dev/null")
    began = time.monotonic()
    script = f"while [ ! -e {tmp_path}/hangs ]; do sleep 0.05; done; wait; echo ran; exec 2>&-"
    linked = {"MLFLOW_RUN_ID": "r", "FOUNDRY_ARTIFACTS": server.url}
    (tmp_path / "job.sh").write_text("\n".join((*lines(), script)))
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(
            ["/bin/sh", str(tmp_path / "job.sh")],
            env={"PATH": path, "TMPDIR": str(tmp_path), **linked},
            stdout=out,
            stderr=out,
            timeout=30,
        )
    assert time.monotonic() - began < 4, "a bare `wait` does not wait for what is told"
    assert (tmp_path / "out").read_text() == "ran\n"
