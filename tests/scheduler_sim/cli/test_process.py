"""`scheduler-sim` as a program of its own: start-up, terminals, Ctrl-C, readers that leave."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scheduler_sim.cli.data import LISTS

PROGRAM = (sys.executable, "-m", "scheduler_sim")
DEADLINE_S = 60.0


def test_help_needs_no_numpy() -> None:
    code = (
        "import sys\n"
        "from scheduler_sim.cli import main\n"
        "from scheduler_sim.cli.app import COMMANDS\n"
        "assert main(['--help']) == 0\n"
        "assert 'scheduler_sim.cli.pool' not in sys.modules\n"
        "assert all(main([name, '--help']) == 0 for name in COMMANDS)\n"
        "heavy = {'numpy', 'scipy', 'numba', 'submitit'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert not [m for m in sys.modules if m.startswith('foundry_tui')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_program_runs_as_a_module_and_says_its_version() -> None:
    done = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("scheduler-sim ")
    wrong = subprocess.run([*PROGRAM, "replya"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "did you mean replay?" in wrong.stderr
    assert subprocess.run(PROGRAM, capture_output=True).returncode in (0, 2)


def test_a_reader_that_leaves_is_no_error() -> None:
    process = subprocess.Popen(
        [*PROGRAM, "replay", *LISTS, "--policy", "bestfit", "--seeds", "1", "--csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(DEADLINE_S) == 0
    assert said == b""


def test_an_output_that_takes_nothing_is_one_line() -> None:
    asked = [*PROGRAM, "replay", *LISTS, "--policy", "bestfit", "--seeds", "1", "--csv"]
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(asked, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "scheduler-sim: standard output: No space left on device\n"
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *asked], capture_output=True)
    assert (closed.returncode, closed.stderr) == (0, b"")


def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else() -> None:
    asked = [*PROGRAM, "replay", *LISTS, "--policy", "bestfit", "--seeds", "1-3", "--json"]
    asked += ["--jobs", "1"]
    plain = subprocess.run(asked, capture_output=True, check=True)
    assert plain.stderr == b""

    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(asked, stdout=subprocess.PIPE, stderr=theirs, env=environment, check=True)
    os.close(theirs)
    seen = b""
    try:
        while more := os.read(ours, 65_536):
            seen += more
    except OSError:  # the end, as Linux tells it
        pass
    os.close(ours)
    assert json.loads(done.stdout)["seeds"] == [1, 2, 3]
    assert b" 0/3" in seen
    assert b" 3/3" in seen
    assert seen.endswith(b"\r\x1b[K")


@pytest.fixture
def long_sweep(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A sweep at work on two processes, with rows in its results file."""
    target = tmp_path / "r.jsonl"
    asked = ["sweep", *LISTS, "--policies", "fgd", "--seeds", "1-9000", "--jobs", "2"]
    process = subprocess.Popen(
        [*PROGRAM, *asked, "-o", str(target)],
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"FOUNDRY_NUMBA": "0"},  # it starts sooner
        # a runner in the background of a shell ignores Ctrl-C, and its children with it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + DEADLINE_S
    while not (target.exists() and target.stat().st_size):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield process, target
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stderr is not None
    process.stderr.close()


def nobody_left(group: int) -> bool:
    """Whether every process of the group has gone, within the deadline; zombies have."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        listed = subprocess.run(
            ["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True
        )
        rows = [line.split() for line in listed.stdout.splitlines()]
        if not any(int(pgid) == group and state[0] != "Z" for pgid, state in rows):
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_ends_at_once_and_leaves_whole_rows(
    long_sweep: tuple[subprocess.Popen[bytes], Path],
) -> None:
    process, target = long_sweep
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(DEADLINE_S) == 130
    assert process.stderr is not None
    assert process.stderr.read() == b"scheduler-sim: interrupted\n"
    assert nobody_left(process.pid)
    rows = target.read_text().splitlines()
    assert len({json.loads(row)["seed"] for row in rows}) == len(rows) < 9000


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_workers_go_with_their_parent(
    long_sweep: tuple[subprocess.Popen[bytes], Path], number: signal.Signals, code: int
) -> None:
    process, _ = long_sweep
    process.send_signal(number)
    assert process.wait(DEADLINE_S) == code
    assert nobody_left(process.pid)


def test_a_worker_that_is_killed_is_told(long_sweep: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, _ = long_sweep
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    workers = [
        int(row.split()[0])
        for row in listed.stdout.splitlines()
        if int(row.split()[1]) == process.pid and "spawn_main" in row
    ]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    assert process.wait(DEADLINE_S) == 1
    assert process.stderr is not None
    said = process.stderr.read().decode()
    assert said.count("\n") == 1
    assert "killed from outside" in said
    assert nobody_left(process.pid)
