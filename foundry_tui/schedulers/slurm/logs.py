"""The end of a run's output file.

The file belongs to the run's owner. An administrator's rights are never used to open it: as root
it is read by a child that has become the owner.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.process import ProcessError
from foundry_tui.process import run as run_child
from foundry_tui.schedulers.ports import Log
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.inspect import read_raw

MAX_BYTES = 1 << 20
"""At most this much of the end of a file is read."""

MOST_KNOWN = 256
"""Runs whose words are kept."""

_PATTERN = re.compile(r"%([0-9]{0,4})([%AajJuxNn])")


class Logs:
    """Reads output files. Where a started run writes is asked of Slurm once, not at every look."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._known: dict[str, dict[str, str]] = {}

    def read(self, run: Run, tail_lines: int, *, errors: bool) -> Log:
        """The last lines of the file that the run writes.

        Raises:
            Unavailable, Denied: as `Commands.read`.
        """
        words = self._known.get(run.id)
        if words is None:
            words = read_raw(self._commands, run)
            if words and run.started_at is not None:
                if len(self._known) >= MOST_KNOWN:
                    self._known.clear()
                self._known[run.id] = words
        return read_log(words, run, tail_lines, errors=errors)


def read_log(words: Mapping[str, str], run: Run, tail_lines: int, *, errors: bool) -> Log:
    """The last lines of the file that `words`, what Slurm says of the run, names."""
    if not words:
        return Log(
            path=None, reason="Slurm has forgotten this run (MinJobAge), and with it its file"
        )
    path = log_path(run, words, errors=errors)
    if path is None:
        return Log(path=None, reason="this run has no output file")
    shown = safe(str(path))
    try:
        data = _tail(path, run.user)
    except (OSError, ProcessError) as error:
        waiting = run.state.value == "pending"
        reason = (
            "not there yet: the run waits"
            if waiting
            else safe(f"cannot be read: {getattr(error, 'strerror', None) or error}")
        )
        return Log(path=shown, reason=reason)
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    kept = tuple(_line(line) for line in lines[-tail_lines:]) if tail_lines > 0 else ()
    return Log(path=shown, lines=kept, truncated=len(lines) > len(kept) or len(data) >= MAX_BYTES)


def _line(line: str) -> SafeText:
    # Progress bars rewrite their line: what stood last is what a terminal would show.
    return safe(line.rstrip("\r").rpartition("\r")[2], max_cells=2000)


def log_path(run: Run, words: Mapping[str, str], *, errors: bool) -> Path | None:
    """The file's path with Slurm's patterns (%j, %A, %a, %u, %x, %N) filled in."""
    folder = words.get("work_dir", "/")
    pattern = (words.get("stderr") if errors else None) or words.get("stdout") or ""
    if not pattern:
        pattern = "slurm-%A_%a.out" if run.array else "slurm-%j.out"
    host = (expand(run.placement[0].node) or ("",))[0] if run.placement else ""
    task = run.native_id.partition("_")[2] if run.array else "4294967294"
    values = {
        "%": "%",
        "A": run.array.job_id if run.array else words.get("job_id", ""),
        "a": task,
        "j": words.get("job_id", ""),
        "J": words.get("job_id", ""),
        "u": run.user or "",
        "x": (run.name_raw or run.name.encode()).decode("utf-8", "surrogateescape"),
        "N": host,
        "n": "0",
    }
    # Slurm pads to ten digits at most.
    filled = _PATTERN.sub(lambda m: values[m[2]].rjust(min(10, int(m[1] or 0)), "0"), pattern)
    if filled in ("/dev/null", "none"):
        return None
    path = Path(folder, filled)
    if run.array and path.name == f"slurm-{words.get('job_id', '')}.out":
        # squeue names a file of default name as if the task were no part of an array.
        own = path.with_name(f"slurm-{run.array.job_id}_{task}.out")
        try:
            return own if own.exists() else path
        except OSError:  # its folder may not be entered
            return path
    return path


def _tail(path: Path, owner: str | None) -> bytes:
    if os.geteuid() == 0 and owner and owner != "root":
        try:
            user = pwd.getpwnam(owner)
        except KeyError as error:
            raise OSError(f"this host does not know the owner, {owner}") from error
        argv = (
            "setpriv",
            f"--reuid={user.pw_uid}",
            f"--regid={user.pw_gid}",
            "--init-groups",
            "tail",
            "-c",
            str(MAX_BYTES),
            "--",
            str(path),
        )
        done = run_child(argv, timeout_s=5, max_bytes=2 * MAX_BYTES)
        if done.code:
            raise OSError(done.err.decode("utf-8", "replace").strip()[-200:])
        return done.out
    # Opening a FIFO would block for ever: O_NONBLOCK, and only regular files are read.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no regular file")
        os.lseek(handle, max(0, status.st_size - MAX_BYTES), os.SEEK_SET)
        return os.read(handle, MAX_BYTES)
    finally:
        os.close(handle)
