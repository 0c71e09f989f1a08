"""Daemons in the foreground: started, watched, hung and ended by the process that owns them.

A daemon that stays a child needs no pid file: its id is known and its death is seen at once. What
it leaves behind (job steps, jobs) is found by the lab's folder, which stands in the environment or
on the command line of every process of the lab and of no other.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OWNER_FILE = "owner"


class LabError(Exception):
    """The lab could not do what a test asked of it; the text says what, and shows the logs."""


def until(
    condition: Callable[[], bool], timeout_s: float, what: str, interval_s: float = 0.05
) -> None:
    """Poll `condition` until it holds. Raises `LabError` naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout_s:g} s in vain for: {what}")
        time.sleep(interval_s)


def free_ports(count: int) -> list[int]:
    """Return `count` neighbouring TCP ports that nobody uses now.

    They lie below the range from which the kernel takes the local ports of outgoing connections:
    Slurm's daemons open many of those while they start, and one could take a port chosen there.
    """
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    for _ in range(200):
        first = random.randrange(10000, int(ephemeral[0]) - count)
        ports = list(range(first, first + count))
        if all(_is_free(port) for port in ports):
            return ports
    raise LabError(f"no block of {count} free TCP ports was found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def accepts_connections(port: int) -> bool:
    """Whether something on loopback answers on `port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, headed by its name; says so when there is none."""
    try:
        text = log.read_text(errors="replace")
    except OSError as error:
        return f"== {log.name}: {error.strerror}"
    return "\n".join([f"== {log.name}", *text.splitlines()[-lines:]])


def call(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    user: str | None = None,
    cwd: Path = Path("/"),
    check: bool = True,
    timeout_s: float = 20,
    input: bytes | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, as unix user `user` (None: root), with stdin `input` or none.

    Raises `LabError` with all that came back when it takes longer than `timeout_s`, or, under
    `check`, exits with another status than 0.
    """
    try:
        done = subprocess.run(
            argv,
            env=env,
            cwd=cwd,
            input=b"" if input is None else input,
            capture_output=True,
            timeout=timeout_s,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{list(argv)} as {user or 'root'} took over {timeout_s:g} s") from None
    if check and done.returncode != 0:
        raise LabError(
            f"{list(argv)} as {user or 'root'} exited with {done.returncode}\n"
            f"{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}"
        )
    return done


@dataclass(slots=True)
class Daemon:
    """One program in the foreground, its output in a log. May be started again after a stop."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    user: str | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the program in a session of its own, so that Ctrl-C reaches only the test run."""
        if self.running:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                env=self.env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            )

    def until_ready(self, ready: Callable[[], bool], timeout_s: float = 30) -> None:
        """Wait for `ready`. At the deadline, or when it ends first: `LabError` with the log."""

        def ready_or_dead() -> bool:
            if not self.running:
                raise LabError(f"{self.name} ended while it started")
            return ready()

        try:
            until(ready_or_dead, timeout_s, f"{self.name} to be ready")
        except LabError as error:
            raise LabError(f"{error}\n{tail(self.log)}") from None

    def stop(self, timeout_s: float = 15) -> None:
        """End it in good order (SIGTERM); after `timeout_s` by force."""
        if self._process is None:
            return
        self.resume()
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def hang(self) -> None:
        """Freeze it: its port still takes connections and never answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def claim(root: Path) -> None:
    """Write down that this process owns the lab in `root`."""
    pid = os.getpid()
    (root / OWNER_FILE).write_text(f"{pid} {_started(pid)}")


def end_stale_labs(base: Path) -> None:
    """End and delete every lab under `base` whose owner is gone (its test run was killed)."""
    for owner in base.glob(f"*/{OWNER_FILE}"):
        try:
            pid, started = owner.read_text().split()
        except (OSError, ValueError):
            continue
        if _started(int(pid)) != started:
            end_lab(owner.parent)


def end_lab(root: Path) -> None:
    """Kill every process of the lab in `root`, then delete the folder."""

    def none_left() -> bool:
        found = _processes_of(root)
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not found

    until(none_left, 30, f"the processes of the lab in {root} to end")
    shutil.rmtree(root, ignore_errors=True)


def _processes_of(root: Path) -> list[int]:
    mark = os.fsencode(root) + b"/"
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            known_by = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if mark in known_by:
            found.append(int(folder.name))
    return found


def _started(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot (proc(5), field 22); None once it ended.

    Together with the id it names a process for good: ids are used again, start times are not.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else fields[18]
