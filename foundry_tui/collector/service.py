"""The collector that serves all users of a host: whether to believe it, and what it may tell.

It runs under a uid of its own in a folder that a group may read. A viewer believes it only when the
folder is that uid's or root's and nobody else can write there; and it tells nobody what the
scheduler would hide from him.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from foundry_tui.collector.publish import Board, Measured
from foundry_tui.config.owned import OTHERS_WRITE, distrust
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.schedulers.ports import SchedulerError, SchedulerReader

FOLDER = Path("/var/lib/foundry")
"""Where the shared collector keeps its files unless it is told another folder."""

PRIVATE = "private"
"""Its folder for what nobody else may read."""

HISTORY = "history"
FOLDER_MODE, FILE_MODE = 0o750, 0o640


@dataclass(frozen=True, slots=True)
class Hidden:
    """What of one source is not for everybody; `runs` says why its runs are not.

    `nodes`: not even the names of its nodes are.
    """

    runs: str | None = None
    nodes: bool = False


PUBLIC = Hidden()

HIDING = frozenset({"accounts", "events", "jobs", "nodes", "reservations", "usage", "users"})
"""Words of Slurm's PrivateData under which a snapshot tells one user of another, or an outsider."""


@runtime_checkable
class Private(Protocol):
    """A scheduler that tells what it hides."""

    def private_data(self) -> frozenset[str]: ...


def hidden(reader: SchedulerReader) -> Hidden:
    """What of a source is not for every member of the group; what is not known is not."""
    if not isinstance(reader, Private):
        return Hidden(runs="it gives every user rights of his own")
    try:
        words = reader.private_data()
    except SchedulerError as error:
        return Hidden(runs=f"it is not known what PrivateData hides: {error}", nodes=True)
    if not words & HIDING:
        return PUBLIC
    told = ", ".join(sorted(words & HIDING))
    return Hidden(runs=f"PrivateData hides {told}", nodes="nodes" in words)


def find(
    folder: Path,
    service_user: str,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float],
) -> tuple[Board | None, str]:
    """The board of the shared collector, and who it belongs to or why there is none to believe."""
    owners, why = trusted(folder, service_user)
    if owners is None:
        return None, why
    return Board(folder, clock, owners=owners, monotonic=monotonic), why


def trusted(folder: Path, service_user: str) -> tuple[Collection[int] | None, str]:
    """The uids whose files in `folder` are believed, and whose folder it is; or None, and why.

    Raises nothing: a folder that is not there is as good as none.
    """
    try:
        info = folder.lstat()
    except OSError as error:
        return None, f"{folder}: {error.strerror}"
    if not stat.S_ISDIR(info.st_mode):
        return None, f"{folder} is not a folder (a symbolic link is refused here)"
    owners = {0}
    try:
        owners.add(pwd.getpwnam(service_user).pw_uid)
    except KeyError:
        if info.st_uid != 0:
            return None, f"{folder}: there is no user {service_user} on this host (service_user)"
    if (why := distrust(info, OTHERS_WRITE, owners)) is not None:
        return None, f"{folder} is not believed: {why}"
    if not os.access(folder, os.R_OK | os.X_OK):
        return None, f"{folder} cannot be read by you: ask for its group"
    return frozenset(owners), name_of(info.st_uid)


def name_of(uid: int) -> str:
    """The name of a user; the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def all_open(hidden: Mapping[str, Hidden]) -> bool:
    """Whether there are sources, and none of them hides anything."""
    return bool(hidden) and all(one == PUBLIC for one in hidden.values())


def public(
    measured: Measured, parts: Mapping[str, Snapshot | None], hidden: Mapping[str, Hidden]
) -> Measured:
    """The readings without what a source hides.

    Where a source hides its runs, nobody reads from a reading whose it was; where it hides its
    nodes, only readings of nodes of the other sources are left. Without any source nobody says what
    may be told of runs.
    """
    if all_open(hidden):
        return measured
    shown = {name for name, one in hidden.items() if one.runs is None}
    readings = [replace(r, holders=None) for r in measured.readings]
    if any(one.nodes for one in hidden.values()):
        open_nodes = _nodes(parts, (name for name, one in hidden.items() if not one.nodes))
        open_nodes -= _nodes(parts, (name for name, one in hidden.items() if one.nodes))
        readings = [r for r in readings if r.node in open_nodes]
    return replace(
        measured,
        readings=tuple(readings),
        idle=tuple(m for m in measured.idle if m.source in shown),
    )


def _nodes(parts: Mapping[str, Snapshot | None], names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        part = parts.get(name)
        found |= {node.name for node in part.nodes} if part is not None else set()
    return found


def make_folder(folder: Path) -> None:
    """The folders of the shared collector; those below are nobody else's until all may look in.

    Raises:
        OSError: they cannot be made or are not this user's.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode):
        raise NotADirectoryError(20, "not a folder (a symbolic link is refused here)", str(folder))
    if (why := distrust(info, OTHERS_WRITE)) is not None:
        raise PermissionError(1, why, str(folder))
    folder.chmod(FOLDER_MODE)
    for below in (folder / PRIVATE, folder / HISTORY):
        below.mkdir(mode=0o700, exist_ok=True)
        below.chmod(0o700)


def shared_names(hidden: Mapping[str, Hidden], readable: Sequence[str]) -> tuple[str, ...]:
    """The sources whose snapshots are published."""
    return tuple(name for name in readable if hidden.get(name, PUBLIC).runs is None)
