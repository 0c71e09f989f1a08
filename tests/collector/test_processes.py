"""Real processes that share one collector: killed, stopped, crowded and lied to."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from foundry_tui.collector import sharing
from foundry_tui.collector.lead import LOCK, Lead
from foundry_tui.collector.publish import STANDING
from tests.collector.fakeslurm import FakeSlurm
from tests.collector.shared import utc_now

PATIENCE_S = 30.0


def until(
    holds: Callable[[], bool],
    *,
    within_s: float = PATIENCE_S,
    by: subprocess.Popen[bytes] | None = None,
) -> float:
    """Wait until something holds, or the process `by` has ended; the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert by is None or by.poll() is None, f"it ended with {by.returncode}"
        assert time.monotonic() - began < within_s, "waited in vain"
        time.sleep(0.05)
    return time.monotonic() - began


@dataclass
class Host:
    """A host of one user with a fake Slurm, and the foundry processes on it."""

    place: Path
    slurm: FakeSlurm
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.place / "cache"

    def start(
        self,
        *args: str,
        config: str = "config.toml",
        argv: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """A foundry process, or that of an `argv`; what it says goes to a file beside."""
        name = f"said-{len(self.running)}"
        with (self.place / name).open("wb") as said:
            process = subprocess.Popen(
                argv or (sys.executable, "-m", "foundry_tui.cli", "--config", config, *args),
                cwd=self.place,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, "XDG_RUNTIME_DIR": str(self.place), **(env or {})},
            )
        self.running.append(process)
        return process

    def said(self, process: subprocess.Popen[bytes]) -> str:
        return (self.place / f"said-{self.running.index(process)}").read_text()

    def leads(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether this process holds the lock, and has published."""
        holder = Lead(self.cache, utc_now).holder()
        if holder is None or holder.pid != process.pid:
            return False
        try:
            told = json.loads((self.cache / STANDING).read_bytes())
        except (OSError, ValueError):
            return False
        return bool(told["leader"]["pid"] == process.pid and told["sources"])


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    one = Host(tmp_path, FakeSlurm.made(tmp_path / "slurm"))
    (tmp_path / "config.toml").write_text(
        f'cache_dir = "{one.cache}"\nstate_dir = "{tmp_path}/state"\n{one.slurm.table()}'
        f'\n[collector]\nfolder = "{one.cache}/history"\n'
    )
    yield one
    for process in one.running:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait(10)
        print(one.said(process))  # pytest shows it where the test failed


def test_after_a_kill_another_takes_over_and_the_history_is_whole(host: Host) -> None:
    first = host.start("collect")
    until(lambda: host.leads(first))
    second = host.start("collect")
    until(lambda: "standing by" in host.said(second))
    history = host.cache / "history"
    until(lambda: any(history.glob("*.sqlite*")))
    first.send_signal(signal.SIGKILL)
    took_s = until(lambda: host.leads(second))
    assert took_s < 10.0
    second.send_signal(signal.SIGTERM)
    assert second.wait(10) == 0
    (file,) = [path for path in history.iterdir() if path.suffix in (".sqlite", ".db", ".sqlite3")]
    with sqlite3.connect(file) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_polite_end_gives_the_lock_away_at_once(host: Host) -> None:
    first = host.start("collect")
    until(lambda: host.leads(first))
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 0
    assert Lead(host.cache, utc_now).take()
    assert "ended" in host.said(first)


def test_once_leaves_the_readings_and_does_nothing_beside_another(host: Host) -> None:
    alone = host.start("collect", "--once")
    assert alone.wait(PATIENCE_S) == 0
    assert (host.cache / STANDING).exists()
    before = len(host.slurm.calls())
    first = host.start("collect")
    until(lambda: host.leads(first) and len(host.slurm.calls()) > before)
    calls = [c for c in host.slurm.calls() if int(c.split()[0])]
    again = host.start("collect", "--once")
    assert again.wait(PATIENCE_S) == 0
    assert "standing by" in host.said(again)
    assert len(host.slurm.calls()) == len(calls)


def test_once_with_a_silent_controller_is_told(host: Host) -> None:
    host.slurm.down.touch()
    alone = host.start("collect", "--once")
    assert alone.wait(PATIENCE_S) == 3
    assert "lab" in host.said(alone)


def test_watching_beside_a_collector_asks_nobody(host: Host) -> None:
    first = host.start("collect")
    until(lambda: host.leads(first))
    before = len(host.slurm.calls())
    watcher = host.start("nodes", "--watch", "10")
    until(lambda: "h01" in host.said(watcher))
    assert len(host.slurm.calls()) == before
    first.send_signal(signal.SIGKILL)
    took_s = until(lambda: host.leads(watcher))
    assert took_s < sharing.LOOK_S + 10.0 + 10.0, "it leads from its next show on"


def test_a_leader_that_is_stopped_is_passed_over(host: Host) -> None:
    first = host.start("collect")
    until(lambda: host.leads(first))
    first.send_signal(signal.SIGSTOP)
    told = json.loads((host.cache / STANDING).read_bytes())
    # The host's clock since its start, not the wall clock, tells the age: so it can be aged here.
    told["monotonic_s"] -= sharing.HUNG_S
    (host.cache / STANDING).write_text(json.dumps(told))
    before = len(host.slurm.calls())
    watcher = host.start("nodes", "--watch", "10")
    until(lambda: "h01" in host.said(watcher))
    assert len(host.slurm.calls()) > before, "it reads for itself"
    doctor = host.start("doctor")
    doctor.wait(PATIENCE_S)
    assert f"kill -CONT {first.pid}" in host.said(doctor)
    assert not host.leads(watcher)


def test_a_lock_that_somebody_put_aside_keeps_nobody_out(host: Host) -> None:
    first = host.start("collect")
    until(lambda: host.leads(first))
    (host.cache / LOCK).unlink()
    second = host.start("collect")
    until(lambda: "standing by" in host.said(first) or "standing by" in host.said(second))
    until(lambda: host.leads(first) or host.leads(second))


@pytest.mark.parametrize("log", ["2>/dev/full", "2>&-"])
def test_a_log_that_is_full_or_closed_does_not_end_it(host: Host, log: str) -> None:
    words = f'exec "$0" -m foundry_tui.cli --config "$1" collect {log}'
    process = host.start(argv=("sh", "-c", words, sys.executable, "config.toml"))
    until(lambda: host.leads(process))
    again = (host.cache / STANDING).stat().st_mtime
    until(lambda: (host.cache / STANDING).stat().st_mtime > again)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.parametrize("kind", ["damaged", "newer"])
def test_a_history_that_cannot_be_kept_is_logged_and_the_collecting_goes_on(
    host: Host, kind: str
) -> None:
    history = host.cache / "history"
    history.mkdir(mode=0o700, parents=True)
    host.cache.chmod(0o700)
    file = history / "history.sqlite"
    if kind == "damaged":
        file.write_bytes(b"no database " * 1000)
    else:
        with sqlite3.connect(file) as database:
            database.execute("PRAGMA user_version = 99")
    file.chmod(0o600)
    before = file.read_bytes()
    collector = host.start("collect")
    until(lambda: host.leads(collector) and "the history is not kept" in host.said(collector))
    assert "the history is kept" not in host.said(collector)
    assert file.read_bytes() == before, "what is not understood is left alone"


def test_a_collector_with_another_configuration_is_told_what_to_do(host: Host) -> None:
    first = host.start("collect")
    until(lambda: host.leads(first))
    text = (host.place / "config.toml").read_text()
    (host.place / "other.toml").write_text(text.replace("[slurm.lab]", "[slurm.other]"))
    second = host.start("collect", config="other.toml")
    until(lambda: "standing by; give one of the two a cache_dir" in host.said(second))
    assert second.poll() is None
