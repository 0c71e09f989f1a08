"""`foundry` as one of the lab's unix users has it: with his own folders, and his calls counted."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.lab.slurm import SlurmLab

PROJECT = Path(__file__).parents[2]
PYTHONS = (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")
"""Ours may lie where only its owner may look; the system's of the same version does as well."""

_COUNTED = """\
#!/bin/sh
echo "{name} $*" >> '{log}'
exec /usr/bin/{name} "$@"
"""
_PATH = ":".join((str(PROJECT), *(p for p in sys.path if p.endswith("site-packages"))))
_PROGRAMS = ("squeue", "scontrol", "sinfo", "sacct", "sacctmgr", "sprio", "sshare")


@dataclass(slots=True)
class Account:
    """A unix user of the lab with a home of his own; a context manager that ends his processes.

    `groups` are the ids of further groups. Whatever he asks of Slurm is noted in `calls`.
    """

    lab: SlurmLab
    user: str
    groups: tuple[int, ...] = ()
    home: Path = field(init=False)
    _running: list[subprocess.Popen[bytes]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix=f"{self.user}-", dir=self.lab.root / "home"))
        self.home.chmod(0o755)  # the lab's users look into it; mkdtemp lets nobody
        programs = self.home / "bin"
        programs.mkdir()
        for name in _PROGRAMS:
            path = programs / name
            path.write_text(_COUNTED.format(name=name, log=self.home / "calls"))
            path.chmod(0o755)
        for name in ("run", "cache", "state", "config"):
            (self.home / name).mkdir(mode=0o700)
        (self.home / "calls").touch()
        for path in (self.home, *self.home.iterdir()):
            shutil.chown(path, self.user, self.user)

    def __enter__(self) -> Account:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()
            process.wait(10)

    @staticmethod
    def missing() -> str | None:
        """Why the lab's users cannot run the program under test; None when they can."""
        return None if _python() else f"other unix users may not run {' or '.join(PYTHONS)}"

    @property
    def calls(self) -> list[str]:
        """Everything asked of Slurm so far, as `PROGRAM ARGUMENTS`."""
        return (self.home / "calls").read_text().splitlines()

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "SLURM_CONF": self.lab.env["SLURM_CONF"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "COLUMNS": "160",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": _PATH,
        }

    def start(self, *words: str, program: str | None = None) -> subprocess.Popen[bytes]:
        """`foundry`, or a program, with these words; what it says goes to `said`."""
        argv = (program,) if program else (str(_python()), "-m", "foundry_tui.cli")
        who = pwd.getpwnam(self.user)
        with (self.home / f"said-{len(self._running)}").open("wb") as said:
            process = subprocess.Popen(
                (*argv, *words),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.home,
                user=who.pw_uid,
                group=who.pw_gid,
                extra_groups=self.groups,
            )
        self._running.append(process)
        return process

    def said(self, process: subprocess.Popen[bytes]) -> str:
        """What a process has said so far."""
        return (self.home / f"said-{self._running.index(process)}").read_text()

    def run(self, *words: str, program: str | None = None) -> str:
        """What `foundry`, or a program, says to these words in the end."""
        process = self.start(*words, program=program)
        process.wait(60)
        return self.said(process)

    def readable(self, folder: Path) -> dict[Path, str]:
        """The files below a folder that this user may read, with what is in them."""
        words = (str(folder), "-type", "f", "-exec", "test", "-r", "{}", ";", "-print")
        found: dict[Path, str] = {}
        for path in map(Path, self.run(*words, program="/usr/bin/find").splitlines()):
            with contextlib.suppress(FileNotFoundError):  # a file about to take another's place
                found[path] = path.read_text(errors="replace")
        return found


@cache
def _python() -> str | None:
    """A Python with which another unix user can run the program; None where there is none."""
    nobody = pwd.getpwnam("nobody")
    for python in PYTHONS:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                (python, "-m", "foundry_tui.cli", "--version"),
                env={"PYTHONPATH": _PATH},
                user=nobody.pw_uid,
                group=nobody.pw_gid,
                extra_groups=(),
                cwd="/",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
            )
            return python
    return None
