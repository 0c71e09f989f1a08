"""The user's own checks: their exit codes, their output, and that they end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foundry_tui.jobs.preflight import commands
from foundry_tui.jobs.preflight.commands import planned, run
from foundry_tui.jobs.preflight.verdict import State


def quiet(text: str) -> None:
    pass


def script(folder: Path, text: str) -> str:
    path = folder / "check.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return "./check.sh"


def test_commands_run_in_order_up_to_the_first_that_fails(tmp_path: Path) -> None:
    told: list[str] = []
    found = run(
        (("touch", "one"), ("sh", "-c", "echo bad row 7 >&2; exit 3"), ("touch", "two")),
        tmp_path,
        told.append,
    )
    assert [c.state for c in found] == [State.OK, State.FAIL, State.SKIPPED]
    assert found[1].words.endswith("exit code 3; its last lines: bad row 7")
    assert (tmp_path / "one").exists()
    assert not (tmp_path / "two").exists()
    assert told == ["preflight: touch one", "preflight: sh -c 'echo bad row 7 >&2; exit 3'"]


def test_what_would_run_is_told_and_not_run(tmp_path: Path) -> None:
    (check,) = planned((("touch", str(tmp_path / "one")),))
    assert check.state is State.SKIPPED
    assert check.words == f"would run: touch {tmp_path / 'one'}"
    assert not (tmp_path / "one").exists()


def test_no_shell_reads_the_words(tmp_path: Path) -> None:
    run((("touch", "a; touch b", "$HOME"),), tmp_path, quiet)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["$HOME", "a; touch b"]


def test_a_program_beside_the_spec_is_found(tmp_path: Path) -> None:
    (check,) = run(((script(tmp_path, "exit 0"),),), tmp_path, quiet)
    assert check.state is State.OK


@pytest.mark.parametrize("program", ["no-such-program", "./none.sh", "/no/such"])
def test_a_missing_program_fails_in_words(tmp_path: Path, program: str) -> None:
    (check,) = run(((program,),), tmp_path, quiet)
    assert check.state is State.FAIL
    assert "not on the PATH" in check.words or "no program that can be run" in check.words


def test_a_command_that_never_ends_is_ended(tmp_path: Path) -> None:
    (check,) = run((("sleep", "60"),), tmp_path, quiet, timeout_s=0.2)
    assert check.state is State.FAIL
    assert check.words == "sleep 60: not done within 0.2 s, and ended"


def test_a_command_that_prints_without_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "MAX_BYTES", 100_000)
    (check,) = run((("cat", "/dev/zero"),), tmp_path, quiet)
    assert check.state is State.FAIL
    assert "printed more than 100000 bytes" in check.words


def test_hostile_output_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    name = script(tmp_path, r"printf '\033]0;owned\007\n\377\n\n'; exit 1")
    (check,) = run(((name,),), tmp_path, quiet)
    assert check.words.isprintable()
    assert check.words.endswith("its last lines: ␛]0;owned␇ | ‹xff›")


def test_a_signal_and_silence_are_said(tmp_path: Path) -> None:
    (check,) = run((("sh", "-c", "kill -9 $$"),), tmp_path, quiet)
    assert check.words.endswith("ended by signal 9; it printed nothing")


def test_the_user_s_environment_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_DATA", "here")
    (check,) = run((("sh", "-c", '[ "$MY_DATA" = here ]'),), tmp_path, quiet)
    assert check.state is State.OK


def test_an_interrupt_ends_the_command_with_its_children(tmp_path: Path) -> None:
    """Ctrl-C reaches us alone: whoever was started is ended, and the interrupt goes on."""
    pid_file = tmp_path / "pid"
    inner = f"sleep 600 & echo $! > {shlex.quote(str(pid_file))}; wait"
    code = (
        "from pathlib import Path; from foundry_tui.jobs.preflight.commands import run; "
        f"run((('sh', '-c', {inner!r}),), Path({str(tmp_path)!r}), print)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=20)
    assert b"KeyboardInterrupt" in err
    pid = int(pid_file.read_text())
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
