"""Slurm's own commands, run once each with a deadline, and their answers put into words.

Every child runs with TZ=UTC, so that the times it prints are UTC. A listing is cut at a random
mark that is made new for each call: job names may hold any byte, newlines and forged rows too, but
nobody can name a job after a mark that does not exist yet.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.process import MAX_BYTES, Completed, NotFound, ProcessError, TimedOut, find, run
from foundry_tui.schedulers.ports import Denied, Unavailable

NO_CONFIG = (
    "Could not establish a configuration source",
    "Unable to process configuration file",
)


class NoAnswer(Unavailable):
    """The command was started and did not answer: what it was to do may have been done."""


NOT_SENT = (
    "connect failure",
    "Munge encode failed",
    "Protocol authentication error",
    "Could not establish a configuration source",
    "Unable to process configuration file",
    "Unable to establish control machine address",
)
"""Slurm's words for a request that never reached the controller."""

UNREACHABLE = (
    *NO_CONFIG,
    "Unable to establish control machine address",
    "Unable to contact slurm controller",
    "Socket timed out",
    "Munge encode failed",
    "Protocol authentication error",
    "Problem talking to the database",
    "Unable to connect to database",
    "Connection refused",
    "Zero Bytes were transmitted or received",
    "slurm_persist_conn_open",
    "Unable to contact",
)
ACCOUNTING = frozenset({"sacct", "sacctmgr", "sreport"})
"""Programs that ask slurmdbd and not the controller."""

ACCOUNTING_HANGS = (
    "slurmdbd or its database hangs, or the machine is overloaded: ask for less, or ask its admins"
)
CONTROLLER_HANGS = "the Slurm controller hangs or the machine is overloaded: try `scontrol ping`"

FREE_TEXT = ("name", "comment")
"""Columns in which a user may have written `N/A` and meant it."""

NOT_ALLOWED = ("Access/permission denied", "Invalid user id", "Insufficient privileges")


@dataclass(frozen=True, slots=True)
class Commands:
    """How to reach one Slurm: configuration file, folder of the programs, seconds per call."""

    conf: str | None = None
    folder: str | None = None
    timeout_s: float = 12.0

    def program(self, name: str) -> str:
        """The absolute path of a Slurm program.

        Raises:
            Unavailable: it is not installed where the configuration says.
        """
        try:
            return find(str(Path(self.folder) / name) if self.folder else name)
        except NotFound as error:
            raise Unavailable(
                name, str(error), "install Slurm's client commands or set `bin` of this source"
            ) from error

    def configured(self) -> str | None:
        """The configuration file in use; None when Slurm has to find one by itself."""
        return self.conf or os.environ.get("SLURM_CONF")

    def run(
        self,
        name: str,
        *args: str,
        stdin: bytes | None = None,
        cwd: str | None = None,
        timeout_s: float | None = None,
        whole_env: bool = False,
        env: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> Completed:
        """Run one command and return its answer, whatever the exit code; `env` is added to its own.

        Raises:
            NoAnswer: it was started, and gave no answer before the deadline.
            Unavailable: no such program or configuration, or no answer before the deadline.
        """
        conf = self.configured()
        # A SLURM_CONF that names a missing file makes every command hang for 59 s (22.05.8).
        if conf is not None and not Path(conf).is_file():
            raise Unavailable(name, f"the configuration file {conf} does not exist", "set `conf`")
        # A job inherits what sbatch was given: then nothing of ours may be in it.
        child_env = {} if whole_env else {"TZ": "UTC", "SLURM_BITSTR_LEN": "0"}
        if conf is not None:
            child_env["SLURM_CONF"] = conf
        child_env.update(env or {})
        try:
            return run(
                (self.program(name), *args),
                timeout_s=timeout_s or self.timeout_s,
                env=child_env,
                stdin=stdin,
                cwd=cwd,
                whole_env=whole_env,
                max_bytes=max_bytes,
            )
        except TimedOut as error:
            raise NoAnswer(
                f"{name} {args[0] if args else ''}".strip(),
                str(error),
                ACCOUNTING_HANGS if name in ACCOUNTING else CONTROLLER_HANGS,
            ) from error
        except ProcessError as error:
            raise Unavailable(name, str(error)) from error

    def read(
        self,
        name: str,
        *args: str,
        timeout_s: float | None = None,
        env: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> bytes:
        """The output of a command that only reads.

        Raises:
            Unavailable: it could not reach the controller or the database.
            Denied: it was refused.
        """
        done = self.run(name, *args, timeout_s=timeout_s, env=env, max_bytes=max_bytes)
        if done.code != 0:
            words = [a for a in args if not a.startswith("-") and "@" not in a and "=" not in a]
            raise failure(" ".join([name, *words[:2]]), done)
        return done.out

    def table(
        self, name: str, columns: Sequence[tuple[str, int]], *args: str
    ) -> tuple[list[list[str]], frozenset[tuple[int, int]]]:
        """Rows of `squeue -O` with these (column, width) pairs, cut at a mark nobody can forge.

        Returns the rows as stripped texts, and the (row, column) places whose text filled its
        width: there it may have been cut. Undecodable bytes become surrogates.
        """
        mark = f"@{secrets.token_hex(6)}@"
        wanted = ",".join(f"{column}:{width}{mark}" for column, width in columns)
        text = self.read(name, "-h", "-O", wanted, *args).decode("utf-8", "surrogateescape")
        cells = text.split(mark)
        count = len(columns)
        rows: list[list[str]] = []
        cut: set[tuple[int, int]] = set()
        for start in range(0, len(cells) - count, count):
            row = cells[start : start + count]
            row[0] = row[0].lstrip("\n")
            for i, (cell, (_, width)) in enumerate(zip(row, columns, strict=True)):
                stripped = cell.rstrip(" ")
                if len(stripped) >= width:
                    cut.add((len(rows), i))
                unset = stripped in ("N/A", "(null)") and columns[i][0] not in FREE_TEXT
                row[i] = "" if unset else stripped
            rows.append(row)
        return rows, frozenset(cut)


def failure(asked: str, done: Completed) -> Unavailable | Denied:
    """The error that a failed command stands for, with Slurm's own last words."""
    words = message(done)
    if any(mark in words for mark in NOT_ALLOWED):
        return Denied(asked, words, "ask a Slurm administrator or coordinator for the right")
    hint = ""
    if any(mark in words for mark in NO_CONFIG):
        hint = "point SLURM_CONF or `conf` of this source at the cluster's slurm.conf"
    elif "unge" in words:
        hint = "munge does not run on this machine: start the munge service"
    elif "atabase" in words or "persist_conn" in words:
        hint = "slurmdbd does not answer; live data still works"
    elif any(mark in words for mark in UNREACHABLE):
        hint = "the Slurm controller does not answer: try `scontrol ping`"
    return Unavailable(asked, words or f"exit code {done.code}", hint)


def message(done: Completed) -> SafeText:
    """What a command said on standard error: its errors in one line, safe to show."""
    text = (done.err or done.out).decode("utf-8", "surrogateescape")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    short = []
    for line in lines:
        line = line.partition("error: ")[2] or line
        if line not in short:
            short.append(line)
    return safe("; ".join(short[-3:]), max_cells=400)
