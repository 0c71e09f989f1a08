"""The journal: every change is on record before it is sent, and what came of it afterwards.

`begin` is called before anything goes out and `finish` when the result was read back. A change
that was begun and never finished is `open`: its process died in between, and whether it was sent
is to be found out from the scheduler.
"""

from __future__ import annotations

import errno
import os
import pwd
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from foundry_tui.estate.acts import Change, Receipt
from foundry_tui.estate.text import safe
from foundry_tui.store.chain import LOCK_TIMEOUT_S, Chain, Problem
from foundry_tui.store.syslog import Syslog, shortened

Clock = Callable[[], datetime]
"""The time now, with a time zone."""

_T = TypeVar("_T")

OPEN = "open"
"""Status of a change that was begun and not finished."""


class JournalError(Exception):
    """The journal cannot be written or read. Without a journal nothing may be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who asked for a change: the process's real user, and what is known of where from.

    `sudo_user` and `ssh_connection` come from the environment, which the user can set at will.
    """

    uid: int
    user: str
    host: str
    pid: int
    sudo_user: str | None = None
    ssh_connection: str | None = None

    @classmethod
    def current(cls, env: Mapping[str, str]) -> Who:
        """The user of this process."""
        uid = os.getuid()
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            user = str(uid)
        return cls(
            uid=uid,
            user=user,
            host=socket.gethostname(),
            pid=os.getpid(),
            sudo_user=env.get("SUDO_USER"),
            ssh_connection=env.get("SSH_CONNECTION"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What a change is part of and what it is for.

    `plan` is the id of the plan, `move` that of its move, and `step` the place of the act in that
    move, from 0. `why` are the user's words, or the reason that the plan gives. `until` is when the
    change is to be taken back by itself. `approved_by` names the others who agreed.
    """

    plan: str | None = None
    move: str | None = None
    step: int | None = None
    why: str | None = None
    until: datetime | None = None
    approved_by: tuple[str, ...] = ()


NO_PURPOSE = Purpose()
"""A change that somebody asked for by itself, without a reason."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that is safely on disk."""

    seq: int
    change_id: str
    at: datetime
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A change as the journal knows it: `change.status` is `open` until it was finished.

    `commands`, `items` and `token` are the raw text that was sent, which may hold anything: pass
    them through `safe` before they are shown. All other text is safe already, but for the records
    of acts (`estate.actrecords`): `asked` is what was asked for, `inverse` what takes it back as
    it was known before it was sent, None where nothing does.
    """

    change: Change
    source: str
    commands: tuple[tuple[str, ...], ...]
    items: tuple[str, ...]
    token: str | None
    who: Who
    digest: str | None = None
    finished_at: datetime | None = None
    purpose: Purpose = NO_PURPOSE
    asked: Mapping[str, Any] | None = None
    inverse: Mapping[str, Any] | None = None


def new_change_id(clock: Clock) -> str:
    """An id that sorts by time (to the second) and is short enough to be typed."""
    return f"c-{clock().astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Journal:
    """The journal in a folder: the file `journal.jsonl`, hash-chained, mode 0600."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        log: Syslog | None = None,
    ) -> None:
        self._chain = Chain(folder, "journal", lock_timeout_s=lock_timeout_s)
        self._clock = clock
        self._log = log
        self._begun: dict[str, dict[str, object]] = {}

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self._chain.file

    def begin(
        self,
        change_id: str,
        act_kind: str,
        source: str,
        *,
        commands: Sequence[Sequence[str]],
        items: Sequence[str],
        token: str | None,
        who: Who,
        undoes: str | None = None,
        digest: str | None = None,
        purpose: Purpose = NO_PURPOSE,
        asked: Mapping[str, Any] | None = None,
        inverse: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Record a change that is about to be sent; returns when the record is safe on disk.

        `items` are the targets (runs, nodes, a script), `commands` the argument lists that will
        be sent, `token` the submit token, `undoes` the change that this one takes back, `digest`
        what makes two submits the same. `asked` and `inverse` are records of acts.

        Raises:
            JournalError: the record could not be made: send nothing.
        """
        fields = {
            "act": act_kind,
            "source": source,
            "commands": [list(command) for command in commands],
            "items": list(items),
            "token": token,
            "who": asdict(who),
            "undoes": undoes,
            "digest": digest,
            "asked": asked,
            "inverse": inverse,
            **_told(purpose),
        }
        entry = self._append("begin", change_id, fields, "so nothing was sent")
        self._begun[change_id] = {
            "act": act_kind,
            "source": source,
            "plan": purpose.plan,
            "undoes": undoes,
            "targets": shortened(items),
        }
        self._witness("begin", entry, who)
        return entry

    def finish(self, change_id: str, status: str, receipts: Sequence[Receipt]) -> Entry:
        """Record what came of a change; called again, the later result holds.

        Raises:
            JournalError: the result could not be recorded; the change stays `open`.
        """
        fields = {"status": status, "receipts": [asdict(receipt) for receipt in receipts]}
        entry = self._append("finish", change_id, fields, f"so {change_id} stays open there")
        self._witness("finish", entry, Who.current(os.environ), status=status)
        return entry

    def _witness(self, event: str, entry: Entry, who: Who, **more: str) -> None:
        """Tell the system log of a line that is on disk."""
        if self._log is None:
            return
        known = self._begun.get(entry.change_id, {})
        self._log.tell(
            {
                "event": event,
                "change": entry.change_id,
                "hash": entry.hash,
                "user": who.user,
                "uid": who.uid,
                "sudo_user": who.sudo_user,
                **more,
                **known,
            }
        )

    def changes(self) -> tuple[Record, ...]:
        """Every change in the order of its beginning, with its latest result.

        Lines that are damaged or edited do not count; `verify` names them.

        Raises:
            JournalError: the file is there and cannot be read.
        """
        return tuple(self._records(None).values())

    def find(self, change_id: str) -> Record | None:
        """The change with this id, or None.

        Raises:
            JournalError: the file is there and cannot be read.
        """
        return self._records(change_id).get(change_id)

    def verify(self) -> list[Problem]:
        """What is wrong with the journal, by line; empty when every line is as it was written.

        Raises:
            JournalError: the file is there and cannot be read.
        """
        return self._try(self._chain.verify, "read")

    def _records(self, wanted: str | None) -> dict[str, Record]:
        """The records by id; only the wanted one where one is named."""
        from foundry_tui.store.journallines import records

        return records(self._try(self._chain.lines, "read"), wanted)

    def _append(
        self, event: str, change_id: str, fields: Mapping[str, object], consequence: str
    ) -> Entry:
        at = self._clock().astimezone(UTC)
        data = {"at": at.isoformat(), "event": event, "change": change_id, **fields}
        line = self._try(lambda: self._chain.append(data), "written", consequence)
        return Entry(line.seq, change_id, at, line.hash)

    def _try(self, work: Callable[[], _T], verb: str, consequence: str = "") -> _T:
        try:
            return work()
        except OSError as error:
            reason = f"{error.filename or self.path}: {error.strerror or error}"
            parts = [f"the journal cannot be {verb}: {reason}", consequence]
            distrusted = isinstance(error, PermissionError) or error.errno == errno.ELOOP
            mend = "make it a plain file of yours, mode 0600," if distrusted else "free space there"
            parts += [f"{mend} or set state_dir in the configuration"]
            raise JournalError(safe("; ".join(filter(None, parts)), max_cells=1000)) from error


def _told(purpose: Purpose) -> dict[str, object]:
    """The fields of a purpose that say something."""
    given = {k: v for k, v in asdict(purpose).items() if v not in (None, ())}
    if purpose.until is not None:
        given["until"] = purpose.until.astimezone(UTC).isoformat()
    return given
