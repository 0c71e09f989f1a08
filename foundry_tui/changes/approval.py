"""Approvals: others agree to one exact plan, each by a file that only he can have made.

An approval is the file `DIGEST.UID.json` in a folder where everybody who may agree can make files
and nobody can change another's (sticky). Who agreed is told by the owner of the file, which the
system sets and no user can forge. A plan that was changed has another digest, and so no approvals.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from foundry_tui.changes.people import Person
from foundry_tui.changes.policy import roles_of
from foundry_tui.config.owned import OTHERS_WRITE
from foundry_tui.config.policy import Policy
from foundry_tui.estate.text import safe

_DAY_S = 86_400.0
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_BYTES = 4096


class ApprovalError(Exception):
    """An approval that cannot be given or counted: what is wrong, and what to do next."""


def may_approve(policy: Policy, who: Person) -> str | None:
    """Why somebody may not agree to plans here; None when he may."""
    wanted = policy.approval.roles
    if not wanted or {role.name for role in roles_of(policy, who)} & set(wanted):
        return None
    return f"needs a role of the site's policy that may approve ({', '.join(wanted)})"


def approve(folder: Path, digest: str, plan_id: str, who: Person, now: datetime) -> Path:
    """Agree to the plan with this digest; returns the file that says so.

    Raises:
        ApprovalError: the folder is not there or not safe, or the same user agreed already.
    """
    handle = _opened(folder)
    name = f"{_checked(digest)}.{os.getuid()}.json"
    told = {"plan": plan_id, "digest": digest, "user": who.user, "at": now.isoformat()}
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            fd = os.open(name, flags, 0o644, dir_fd=handle)
        except FileExistsError:
            _replaceable(handle, name, folder)
            os.unlink(name, dir_fd=handle)
            fd = os.open(name, flags, 0o644, dir_fd=handle)
        with os.fdopen(fd, "wb") as file:
            file.write(json.dumps(told, separators=(",", ":")).encode("ascii") + b"\n")
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
    except OSError as error:
        raise ApprovalError(
            f"{folder / name} cannot be written: {error.strerror or error}; whoever may approve "
            "must be of the group of that folder"
        ) from error
    finally:
        os.close(handle)
    return folder / name


def approvals(
    folder: Path,
    digest: str,
    not_by_uid: int,
    *,
    now: datetime,
    days: float,
    counts: Callable[[Person], bool] = lambda _: True,
) -> tuple[str, ...]:
    """The names of those who agreed to the plan with this digest, in the order of their names.

    `not_by_uid` is the one who applies: his own does not count. `counts` says whether somebody may
    approve at all. What is older than `days`, no plain file, a link, writable by others, about
    another plan, or owned by another uid than its name says, does not count.

    Raises:
        ApprovalError: the folder is there and not safe, so that nothing in it counts.
    """
    if not os.path.lexists(folder):
        return ()
    wanted = re.compile(rf"{_checked(digest)}\.(\d{{1,10}})\.json")
    handle = _opened(folder)
    try:
        found = {
            person.user
            for person in _owners(handle, wanted, now.astimezone(UTC).timestamp(), days * _DAY_S)
            if person.uid != not_by_uid and counts(person)
        }
    finally:
        os.close(handle)
    return tuple(sorted(safe(name) for name in found))


def _owners(
    handle: int, wanted: re.Pattern[str], now_s: float, most_age_s: float
) -> Iterator[Person]:
    """Whoever owns a file in the folder that is an approval, by its name and its text."""
    for name in os.listdir(handle):
        match = wanted.fullmatch(name)
        if match is None:
            continue
        try:
            fd = os.open(name, _LOOK, dir_fd=handle)
        except OSError:  # a link, or gone meanwhile
            continue
        with os.fdopen(fd, "rb") as file:
            info = os.fstat(fd)
            plain = stat.S_ISREG(info.st_mode) and not info.st_mode & OTHERS_WRITE
            # A second name of another's file would keep that other as its owner.
            own = info.st_uid == int(match[1]) and info.st_nlink == 1
            fresh = now_s - info.st_mtime <= most_age_s
            digest = match[0].partition(".")[0]
            if plain and own and fresh and _names(file.read(_MOST_BYTES), digest):
                yield Person.of(info.st_uid)


def _names(data: bytes, digest: str) -> bool:
    """Whether a file was written for this plan.

    In a folder that is not sticky whoever owns it may take another's file and rename it into ours:
    its owner stays, but it was written about something else.
    """
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("digest") == digest


def _opened(folder: Path) -> int:
    """The folder, opened and found safe: of root or of this user, and sticky where others write.

    Raises:
        ApprovalError: it is not.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ApprovalError(
            f"the folder of approvals {folder} cannot be opened: {error.strerror}; root makes it: "
            f"install -d -o root -g APPROVERS -m 3775 {folder}"
        ) from error
    info = os.fstat(handle)
    wrong = None
    if info.st_uid not in (0, os.geteuid()):
        wrong = f"it belongs to uid {info.st_uid}: chown root {folder}"
    elif info.st_mode & OTHERS_WRITE and not info.st_mode & stat.S_ISVTX:
        wrong = f"anybody of its group could replace another's approval: chmod +t {folder}"
    if wrong is not None:
        os.close(handle)
        raise ApprovalError(f"the folder of approvals {folder} is not safe: {wrong}")
    return handle


def _replaceable(handle: int, name: str, folder: Path) -> None:
    """An approval that was given before is given anew, so that its days count from now.

    Raises:
        ApprovalError: what stands there is not this user's.
    """
    info = os.stat(name, dir_fd=handle, follow_symlinks=False)
    if info.st_uid != os.geteuid():
        raise ApprovalError(
            f"{folder / name} is there and belongs to uid {info.st_uid}: ask root to take it away"
        )


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ApprovalError("the digest of a plan has 64 hexadecimal digits")
    return digest
