"""Approvals: proven by the owner of a file, with two real users of this machine."""

from __future__ import annotations

import json
import os
import pwd
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.changes.approval import ApprovalError, approvals, approve, may_approve
from foundry_tui.changes.people import Person
from foundry_tui.config.policy import Approval, Policy, Role

DIGEST = "ab" * 32
OTHER = "cd" * 32
DAYS = 7.0
USERS = ("nobody", "daemon")
"""Two users that every Linux has; what they do here needs no right but that of the folder."""

root = pytest.mark.skipif(os.geteuid() != 0, reason="two users need root to become them")


def uid_of(user: str) -> int:
    return pwd.getpwnam(user).pw_uid


def as_user(user: str, work: Callable[[], object]) -> int:
    """Do something in a child process that has become the user; its exit code."""
    entry = pwd.getpwnam(user)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            work()
            code = 0
        except (ApprovalError, OSError):
            code = 2
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of root in which everybody may make files, as /tmp is."""
    for above in (tmp_path, *tmp_path.parents[:2]):
        if above.stat().st_uid == os.geteuid():
            above.chmod(0o755)
    made = tmp_path / "approvals"
    made.mkdir()
    made.chmod(0o1777)
    return made


def give(folder: Path, user: str, digest: str = DIGEST) -> int:
    def work() -> None:
        approve(folder, digest, "p-1", Person.current(), datetime.now(UTC))

    return as_user(user, work)


def given(folder: Path, not_by: int = 0, at: datetime | None = None) -> tuple[str, ...]:
    return approvals(folder, DIGEST, not_by, now=at or datetime.now(UTC), days=DAYS)


@root
def test_who_agreed_is_told_by_the_owner_of_the_file(folder: Path) -> None:
    one, two = USERS
    assert given(folder) == ()
    assert give(folder, one) == 0
    assert given(folder) == (one,)
    assert given(folder, not_by=uid_of(one)) == ()
    assert give(folder, two) == 0
    assert given(folder) == tuple(sorted(USERS))
    assert approvals(folder, OTHER, 0, now=datetime.now(UTC), days=DAYS) == ()
    late = datetime.now(UTC) + timedelta(days=DAYS, minutes=1)
    assert given(folder, at=late) == ()
    assert give(folder, one) == 0  # once more: its days begin anew
    assert approvals(
        folder, DIGEST, 0, now=datetime.now(UTC), days=DAYS, counts=lambda who: who.user == two
    ) == (two,)


@root
def test_nobody_can_agree_in_the_name_of_another(folder: Path) -> None:
    one, two = USERS
    told = json.dumps({"digest": DIGEST, "user": two}).encode()

    def forge() -> None:
        (folder / f"{DIGEST}.{uid_of(two)}.json").write_bytes(told)

    assert as_user(one, forge) == 0
    assert given(folder) == ()
    assert give(folder, two) == 2  # it is in the way, and said so
    (folder / f"{DIGEST}.{uid_of(two)}.json").unlink()

    assert give(folder, two) == 0
    mine = folder / f"{DIGEST}.{uid_of(two)}.json"
    assert as_user(one, mine.unlink) == 2
    assert as_user(one, lambda: mine.write_bytes(b"")) == 2
    assert given(folder) == (two,)


@root
def test_a_file_of_another_that_is_carried_in_is_no_approval(folder: Path, tmp_path: Path) -> None:
    one, two = USERS
    elsewhere = tmp_path / "shared"
    elsewhere.mkdir()
    os.chown(elsewhere, uid_of(one), -1)
    elsewhere.chmod(0o777)
    assert as_user(two, lambda: (elsewhere / "notes").write_bytes(b"{}")) == 0
    target = folder / f"{DIGEST}.{uid_of(two)}.json"
    assert as_user(one, lambda: (elsewhere / "notes").rename(target)) == 0
    assert target.stat().st_uid == uid_of(two)
    assert given(folder) == ()
    target.unlink()
    assert give(folder, two, OTHER) == 0
    theirs = folder / f"{OTHER}.{uid_of(two)}.json"
    target.symlink_to(theirs)
    assert given(folder) == ()
    target.unlink()
    os.link(theirs, target)
    assert given(folder) == ()


def test_a_folder_that_is_not_safe_counts_nothing(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(ApprovalError, match=r"chmod \+t"):
        given(folder)
    link = folder.parent / "link"
    link.symlink_to(folder)
    with pytest.raises(ApprovalError, match="install -d"):
        given(link)
    assert given(folder / "absent") == ()
    with pytest.raises(ApprovalError, match="64 hexadecimal"):
        approvals(folder, "../x", 0, now=datetime.now(UTC), days=DAYS)


def test_roles_say_who_may_approve() -> None:
    ann = Person(uid=1, user="ann")
    assert may_approve(Policy(), ann) is None
    boss = Role(name="boss", users=("eve",))
    policy = Policy(roles=(boss,), approval=Approval(roles=("boss",)))
    told = may_approve(policy, ann)
    assert told is not None and "may approve (boss)" in told
    assert may_approve(policy, Person(uid=2, user="eve")) is None
