"""The lab's own tools, without Slurm: ports, waiting, what is cleaned up, what is skipped."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.components import require
from tests.lab.daemons import (
    OWNER_FILE,
    Daemon,
    LabError,
    accepts_connections,
    call,
    claim,
    end_stale_labs,
    free_ports,
    until,
)

ENV = {"PATH": os.defpath}


def test_free_ports_are_neighbours_below_the_ports_of_outgoing_connections() -> None:
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = free_ports(12)
    assert ports == list(range(ports[0], ports[0] + 12))
    assert ports[-1] < first_ephemeral
    with socket.create_server(("127.0.0.1", ports[0])):
        assert accepts_connections(ports[0])
    assert not accepts_connections(ports[0])


def test_until_names_what_it_waited_for() -> None:
    with pytest.raises(LabError, match=r"waited 0\.1 s in vain for: rain"):
        until(lambda: False, 0.1, "rain")


def test_call_shows_command_status_and_output_of_a_failure() -> None:
    with pytest.raises(LabError, match=r"'no-such-file'.*exited with 2\n.*cannot access"):
        call(["ls", "no-such-file"], ENV)


def test_call_ends_at_its_deadline() -> None:
    with pytest.raises(LabError, match=r"took over 0\.2 s"):
        call(["sleep", "60"], ENV, timeout_s=0.2)


def test_daemon_that_ends_while_it_starts_shows_its_log(tmp_path: Path) -> None:
    daemon = Daemon("liar", ["ls", "no-such-file"], ENV, tmp_path / "liar.log")
    daemon.start()
    with pytest.raises(
        LabError, match=r"liar ended while it started\n== liar\.log\n.*no-such-file"
    ):
        daemon.until_ready(lambda: False)


def test_daemon_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(60)"
    )
    log = tmp_path / "deaf.log"
    daemon = Daemon("deaf", [sys.executable, "-c", script], ENV, log)
    daemon.start()
    daemon.until_ready(lambda: log.read_bytes() == b"deaf\n")
    daemon.stop(timeout_s=0.2)
    assert not daemon.running


def _run_that_was_killed(root: Path) -> int:
    """A lab in `root` whose test run ends without a word; returns the id of its one daemon."""
    script = (
        "import os, sys; from pathlib import Path; from subprocess import DEVNULL, Popen;"
        "from tests.lab.daemons import claim; root = Path(sys.argv[1]); claim(root);"
        "env = {'SLURM_CONF': f'{root}/etc/slurm.conf', 'PATH': os.defpath};"
        "daemon = Popen(['sleep', '600'], env=env, stdout=DEVNULL, stderr=DEVNULL);"
        "print(daemon.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=20,
    )
    return int(done.stdout)


def test_lab_of_a_killed_run_is_ended_and_a_living_one_is_not(tmp_path: Path) -> None:
    stale, alive, unknown = tmp_path / "stale", tmp_path / "alive", tmp_path / "unknown"
    for folder in (stale, alive, unknown):
        folder.mkdir()
    claim(alive)
    daemon_pid = _run_that_was_killed(stale)
    assert Path(f"/proc/{daemon_pid}/cmdline").read_bytes() == b"sleep\x00600\x00"
    mine = Daemon("mine", ["sleep", "600"], {**ENV, "LAB": f"{alive}/etc"}, tmp_path / "mine.log")
    mine.start()

    end_stale_labs(tmp_path)

    assert not stale.exists()
    until(lambda: not _is_sleeping(daemon_pid), 30, "the stale lab's daemon to end")
    assert (alive / OWNER_FILE).exists()
    assert unknown.exists()
    assert mine.running
    mine.kill()


def _is_sleeping(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x00600\x00"
    except OSError:
        return False


def test_missing_component_skips_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_REQUIRE", "mlflow")
    with pytest.raises(pytest.skip.Exception, match="slurm: no slurmctld"):
        require("slurm", "no slurmctld")


def test_missing_component_fails_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_REQUIRE", "mlflow, slurm")
    with pytest.raises(pytest.fail.Exception, match="names slurm, but: no slurmctld"):
        require("slurm", "no slurmctld")


def test_component_that_is_there_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_REQUIRE", "slurm")
    require("slurm", None)


def test_unknown_component_in_the_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_REQUIRE", "slrum")
    with pytest.raises(pytest.UsageError, match="FOUNDRY_REQUIRE names slrum; known: kai"):
        require("slurm", "no slurmctld")
