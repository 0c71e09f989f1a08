"""What was seen of applied plans and what was judged of them: one file of JSON lines per plan.

A line is on disk before the next is begun. A damaged line does not count and costs no other one.
The folder has mode 0700, its files 0600. Of the looks those are kept that tell something new of a
run; the others are thinned, so that a plan that is looked at for a day stays small.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from foundry_tui.config.owned import OTHERS_WRITE, open_own
from foundry_tui.estate.observed import Look, Observations, Waiter
from foundry_tui.estate.snapshot import safe_tree, suspect
from foundry_tui.estate.verdict import RuleRecord, Verdict

MAX_BYTES = 64 << 20
"""A file that has grown to this takes no more looks."""

EARLY_S = 3600.0
EARLY_EVERY_S = 60.0
LATE_EVERY_S = 300.0
"""A look that tells nothing new is kept once a minute in the first hour, then every 5 minutes."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_END = ".jsonl"
_CLOCKS = timedelta(seconds=60)


class VerdictError(Exception):
    """Looks and verdicts cannot be read or kept; says which file and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line: who waited, a look, or a verdict; each with when the plan was applied."""

    applied_at: datetime
    waiters: tuple[Waiter, ...] | None = None
    look: Look | None = None
    verdict: Verdict | None = None


class Verdicts:
    """The folder of one user's verdicts. A plan that was applied anew is judged anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def opened(self, plan_id: str, applied_at: datetime, waiters: Iterable[Waiter]) -> None:
        """Note who waits for room as the plan is applied.

        Raises:
            VerdictError: it could not be kept.
        """
        self._append(plan_id, _Line(applied_at=applied_at, waiters=tuple(waiters)))

    def looked(self, plan_id: str, applied_at: datetime, look: Look) -> None:
        """Keep a look.

        Raises:
            VerdictError: it could not be kept.
        """
        self._append(plan_id, _Line(applied_at=applied_at, look=look))

    def judged(self, verdict: Verdict) -> None:
        """Keep a verdict; earlier ones stay.

        Raises:
            VerdictError: it could not be kept.
        """
        self._append(verdict.plan, _Line(applied_at=verdict.applied_at, verdict=verdict))

    def observations(self, plan_id: str, applied_at: datetime) -> Observations:
        """What was seen since the plan was applied at that moment.

        Raises:
            VerdictError: the file is there and cannot be read.
        """
        waiters: tuple[Waiter, ...] | None = None
        looks: list[Look] = []
        for line in self._lines(plan_id):
            if abs(line.applied_at - applied_at) > _CLOCKS:
                continue
            if line.waiters is not None and waiters is None:
                waiters = line.waiters
            if line.look is not None and (not looks or line.look.at > looks[-1].at):
                looks.append(line.look)
        return Observations(waiters=waiters, looks=tuple(looks))

    def history(self, plan_id: str) -> tuple[Verdict, ...]:
        """Every verdict on a plan, the newest last.

        Raises:
            VerdictError: the file is there and cannot be read.
        """
        return tuple(line.verdict for line in self._lines(plan_id) if line.verdict is not None)

    def latest(self, plan_id: str, applied_at: datetime | None = None) -> Verdict | None:
        """The newest verdict on a plan, or on its application at that moment; None without one.

        Raises:
            VerdictError: the file is there and cannot be read.
        """
        found = [
            verdict
            for verdict in self.history(plan_id)
            if applied_at is None or abs(verdict.applied_at - applied_at) <= _CLOCKS
        ]
        return found[-1] if found else None

    def all(self) -> tuple[Verdict, ...]:
        """The newest verdict on every plan, in the order in which they were applied.

        What cannot be read is left out.
        """
        found: list[Verdict] = []
        for plan_id in self.ids():
            with suppress(VerdictError):
                verdict = self.latest(plan_id)
                found += [] if verdict is None else [verdict]
        return tuple(sorted(found, key=lambda v: (v.applied_at, v.plan)))

    def ids(self) -> tuple[str, ...]:
        """The plans of which something is kept."""
        with suppress(OSError):
            names = (path.name for path in self.folder.iterdir() if path.suffix == _END)
            ids = (name.removesuffix(_END) for name in names)
            return tuple(sorted(name for name in ids if _ID.fullmatch(name)))
        return ()

    def rule_records(self) -> tuple[RuleRecord, ...]:
        """How well each rule has kept the promises of its moves, the worst first."""
        return rule_records(self.all())

    @contextmanager
    def writer(self) -> Iterator[bool]:
        """Hold the lock of the one process that looks; False when another holds it. Never waits.

        Raises:
            VerdictError: the lock file cannot be made.
        """
        path = self.folder / "lock"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = open_own(path, OTHERS_WRITE, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise _failed(path, error) from error
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True
        finally:
            os.close(fd)

    def _lines(self, plan_id: str) -> Iterator[_Line]:
        import msgspec

        if not _ID.fullmatch(plan_id):
            return
        path = self.folder / f"{plan_id}{_END}"
        try:
            with os.fdopen(open_own(path, OTHERS_WRITE), "rb") as file:
                data = file.read(MAX_BYTES + (1 << 20))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failed(path, error) from error
        decoder = msgspec.json.Decoder(_Line)
        for raw in data.split(b"\n"):
            if not raw:
                continue
            with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                if suspect(raw):
                    yield msgspec.convert(safe_tree(msgspec.json.decode(raw)), _Line)
                else:
                    yield decoder.decode(raw)

    def _append(self, plan_id: str, line: _Line) -> None:
        import msgspec

        path = self.folder / f"{plan_id}{_END}"
        if not _ID.fullmatch(plan_id):
            raise VerdictError(f"verdict: {ascii(plan_id)[:80]} is no id of a plan")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = open_own(path, OTHERS_WRITE, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            with os.fdopen(fd, "rb+", buffering=0) as file:
                size = os.fstat(fd).st_size
                if line.look is not None and size > MAX_BYTES:
                    return
                torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
                file.write(b"\n" * torn + msgspec.json.encode(line) + b"\n")
                os.fsync(fd)
        except OSError as error:
            raise _failed(path, error) from error


def rule_records(verdicts: Iterable[Verdict]) -> tuple[RuleRecord, ...]:
    """How well each rule has kept the promises of its moves, the worst first."""
    counts: dict[str, list[int]] = {}
    for verdict in verdicts:
        for promise in verdict.promises:
            if promise.rule and promise.kept is not None:
                count = counts.setdefault(promise.rule, [0, 0])
                count[0] += promise.kept
                count[1] += 1
    made = (RuleRecord(rule=r, kept=kept, decided=n) for r, (kept, n) in counts.items())
    return tuple(sorted(made, key=lambda r: (r.share or 0.0, r.rule)))


def worth_keeping(look: Look, last_at: datetime | None, applied_at: datetime) -> bool:
    """Whether a look tells something new, or the last that was kept is long enough ago."""
    if look.runs or look.gone or last_at is None:
        return True
    early = (look.at - applied_at).total_seconds() <= EARLY_S
    return (look.at - last_at).total_seconds() >= (EARLY_EVERY_S if early else LATE_EVERY_S)


def _failed(path: Path, error: OSError) -> VerdictError:
    return VerdictError(f"{path}: {error.strerror or error}; what became of plans is not kept")
