"""The one door to child processes: argument lists, a checked PATH, a deadline, an output cap.

A scheduler's command can hang for minutes, print without end or leave children behind. Everything
that Foundry starts comes through here, so that none of that reaches a face.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import selectors
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ALLOWED_ENV = (
    "HOME",
    "USER",
    "LOGNAME",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "SLURM_CONF",
    "SLURM_CLUSTERS",
)
"""Variables of the caller that a child may see; everything else is left out."""

GRACE_S = 1.0
"""Seconds between the polite signal and SIGKILL."""

WATCH_S = 0.1
"""Seconds after which whoever watches a child is asked whether to go on."""

MAX_BYTES = 256 << 20
"""Cap on what a child may print, where its caller gives none."""

_CHUNK = 1 << 16

_children: set[subprocess.Popen[bytes]] = set()
_over = threading.Event()


class ProcessError(Exception):
    """A child could not be run to its end."""


class NotFound(ProcessError):
    """The program is not on the PATH, stands in a folder that is not trusted, or cannot start."""


class TimedOut(ProcessError):
    """The child did not end before the deadline and was killed."""


class TooMuch(ProcessError):
    """The child printed more than the cap and was killed."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A child that ended by itself. Output is raw bytes; `code` is -N after signal N."""

    argv: tuple[str, ...]
    code: int
    out: bytes
    err: bytes
    wall_s: float


def find(program: str, path: str | None = None) -> str:
    """The absolute path of a program.

    Folders of the PATH that are relative, or that anybody but root and this user can write (/tmp
    too), are passed over: another user could have put a program of that name there. Who is in a
    group of root's is root's to say. An absolute path is taken as it is.

    Raises:
        NotFound: nothing of that name in a folder that can be trusted.
    """
    if os.sep in program:
        if Path(program).is_absolute() and Path(program).is_file() and os.access(program, os.X_OK):
            return program
        raise NotFound(f"{program} is no program that can be run")
    whole = path if path is not None else os.environ.get("PATH", os.defpath)
    search = _trusted(whole)
    found = shutil.which(program, path=search) if search else None
    if found is None:
        where = search or "no folder of it is trusted"
        if passed := shutil.which(program, path=whole):
            where += f"; {passed} is passed over, because others can write its folder"
        raise NotFound(f"{program} is not on the PATH ({where})")
    return found


def _trusted(path: str) -> str:
    """The PATH without the folders that are relative, missing or in the hands of others."""
    return os.pathsep.join(f for f in path.split(os.pathsep) if _closed(f))


def _closed(folder: str) -> bool:
    try:
        info = Path(folder).stat()
    except OSError:
        return False
    if not Path(folder).is_absolute() or info.st_uid not in (0, os.geteuid()):
        return False
    # Debian gives root's own /usr/local/bin to the group staff.
    others = stat.S_IWOTH if info.st_uid == 0 else stat.S_IWOTH | stat.S_IWGRP
    return not info.st_mode & others


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    max_bytes: int = MAX_BYTES,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    cwd: str | None = None,
    whole_env: bool = False,
    watch: Callable[[bytes], None] | None = None,
) -> Completed:
    """Run a program to its end and return what it printed, whatever its exit code.

    Args:
        argv: program and arguments; never passed to a shell.
        timeout_s: seconds until the child and its process group are ended.
        max_bytes: cap on standard output and standard error together.
        env: variables added to the allow-listed ones.
        stdin: bytes for standard input; without it the child reads nothing.
        cwd: folder to run in.
        whole_env: the caller's environment as it is, for a child that hands it on (`sbatch`).
        watch: called with what the child printed since, and with nothing at least every
            `WATCH_S` seconds; the child is ended when it raises.

    Raises:
        NotFound, TimedOut, TooMuch: as their names say; the child is gone in every case.
        ProcessError: `end_all` was called.
    """
    if _over.is_set():
        raise ProcessError(f"{argv[0]} was not started, because the program ends")
    command = (find(argv[0], (env or {}).get("PATH")), *argv[1:])
    started = time.monotonic()
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})} if whole_env else _environment(env),
            cwd=cwd,
            start_new_session=True,
            close_fds=True,
        )
    except (OSError, ValueError) as error:
        raise NotFound(f"{argv[0]} could not be started: {error}") from error
    _children.add(child)
    try:
        out, err = _drain(child, stdin, started + timeout_s, max_bytes, argv[0], timeout_s, watch)
        code = child.wait(timeout=max(0.1, started + timeout_s - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"{argv[0]} gave no answer within {timeout_s:g} s") from error
    finally:
        _end(child)
        _children.discard(child)
    return Completed(tuple(command), code, out, err, time.monotonic() - started)


def end_all() -> None:
    """End every child and start none any more: the program ends, and nobody waits for an answer.

    Python waits for the threads of a pool, and so for the deadline of a command that hangs.
    """
    _over.set()
    for child in tuple(_children):
        _signal(child, signal.SIGKILL)


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    env = {k: v for k in ALLOWED_ENV if (v := os.environ.get(k)) is not None}
    env["PATH"] = _trusted(os.environ.get("PATH", os.defpath))
    env["LC_ALL"] = "C.UTF-8"
    env.update(extra or {})
    return env


def _drain(
    child: subprocess.Popen[bytes],
    stdin: bytes | None,
    deadline: float,
    max_bytes: int,
    name: str,
    timeout_s: float,
    watch: Callable[[bytes], None] | None,
) -> tuple[bytes, bytes]:
    """Read both pipes and feed standard input until the child closes them."""
    parts: dict[str, list[bytes]] = {"out": [], "err": []}
    total, sent = 0, 0
    assert child.stdout and child.stderr
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, "out")
        selector.register(child.stderr, selectors.EVENT_READ, "err")
        if stdin is not None and child.stdin:
            os.set_blocking(child.stdin.fileno(), False)
            selector.register(child.stdin, selectors.EVENT_WRITE, "in")
        while selector.get_map():
            left_s = max(0.0, deadline - time.monotonic())
            ready = selector.select(left_s if watch is None else min(left_s, WATCH_S))
            if watch is not None and not ready:
                watch(b"")
            if time.monotonic() >= deadline:  # also for a child that never stops printing
                raise TimedOut(f"{name} gave no answer within {timeout_s:g} s")
            for key, _ in ready:
                if key.data == "in":
                    assert child.stdin and stdin is not None
                    try:
                        sent += os.write(key.fd, stdin[sent : sent + _CHUNK])
                    except BrokenPipeError:
                        sent = len(stdin)
                    if sent >= len(stdin):
                        selector.unregister(child.stdin)
                        child.stdin.close()
                    continue
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fileobj)
                    continue
                total += len(chunk)
                if total > max_bytes:
                    raise TooMuch(f"{name} printed more than {max_bytes} bytes")
                parts[key.data].append(chunk)
                if watch is not None and key.data == "out":
                    watch(chunk)
    return b"".join(parts["out"]), b"".join(parts["err"])


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever is left of its process group; politely first. Closes the pipes.

    The group is ended after the child too: a grandchild can outlive it and hold the pipes. A child
    that even SIGKILL does not end (it waits for a dead file server) is left behind.
    """
    if child.returncode is None:
        _signal(child, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
    _signal(child, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_S)
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            pipe.close()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def user_name() -> str:
    """The name of the user that this process acts as; the number where it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def attach(argv: Sequence[str]) -> int:
    """Give this terminal to a program until it ends; its exit code, -N after signal N.

    The keys that interrupt, and ^\\, are the child's alone, as system(3) has it: they are caught
    here and not ignored, because what is ignored stays ignored in a child.

    Raises:
        NotFound: it is not there, or cannot be started.
    """
    command = (find(argv[0]), *argv[1:])
    caught = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGINT, signal.SIGQUIT)}
    try:
        return subprocess.Popen(command).wait()
    except (OSError, ValueError) as error:
        raise NotFound(f"{argv[0]} could not be started: {error}") from error
    finally:
        for one, before in caught.items():
            signal.signal(one, before)
