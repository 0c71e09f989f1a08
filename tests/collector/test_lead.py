"""The lock: one leader, whatever happens to its file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from foundry_tui.collector.lead import LOCK, Lead
from tests.collector.shared import NOW, Clock

ROOT = os.geteuid() == 0


def lead(folder: Path) -> Lead:
    return Lead(folder, Clock().wall)


def test_one_leads_and_the_next_takes_over(tmp_path: Path) -> None:
    first, second = lead(tmp_path), lead(tmp_path)
    assert first.take()
    assert not second.take()
    assert first.take(), "whoever leads goes on"
    first.release()
    assert not first.held
    assert second.take()
    assert second.problem is None


def test_the_file_says_who_leads(tmp_path: Path) -> None:
    first, other = lead(tmp_path), lead(tmp_path)
    assert other.holder() is None
    first.take()
    holder = other.holder()
    assert holder is not None
    assert (holder.pid, holder.since) == (os.getpid(), NOW)
    assert (tmp_path / LOCK).stat().st_mode & 0o777 == 0o600
    first.release()
    assert other.holder() is None, "what a process that has gone left behind is not believed"


@pytest.mark.parametrize(
    "text", [b"", b"\x00" * 10_000, b'{"user": 1}', b"[]", b'{"user":"\x1b]0;x"']
)
def test_what_the_file_says_is_never_needed(tmp_path: Path, text: bytes) -> None:
    first, second = lead(tmp_path), lead(tmp_path)
    first.take()
    (tmp_path / LOCK).write_bytes(text)
    assert second.holder() is None
    assert not second.take()


def test_names_are_safe_to_draw(tmp_path: Path) -> None:
    first = lead(tmp_path)
    first.take()
    lies = {"user": "\x1b[2Jada", "host": "h\n", "pid": 1, "since": "2026-11-21T03:00:00Z"}
    (tmp_path / LOCK).write_text(json.dumps(lies))
    holder = lead(tmp_path).holder()
    assert holder is not None
    assert "\x1b" not in holder.user
    assert "\n" not in holder.host


@pytest.mark.parametrize("by", ["unlink", "replace"])
def test_a_lock_on_a_file_that_is_gone_is_given_up(tmp_path: Path, by: str) -> None:
    first, second = lead(tmp_path), lead(tmp_path)
    first.take()
    if by == "unlink":
        (tmp_path / LOCK).unlink()
    else:
        (tmp_path / "new").write_text("")
        (tmp_path / "new").chmod(0o600)
        (tmp_path / "new").replace(tmp_path / LOCK)
    assert second.take()
    assert not first.held
    assert not first.take()


def test_on_a_network_nobody_leads(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"30 1 0:30 / {tmp_path} rw - nfs4 server:/home rw\n")
    one = Lead(tmp_path, Clock().wall, mountinfo=mounts)
    assert not one.take()
    assert one.problem is not None
    assert "nfs4" in one.problem


def test_where_no_file_can_be_made_nobody_leads(tmp_path: Path) -> None:
    one = lead(tmp_path / "missing")
    assert not one.take()
    assert "No such file" in str(one.problem)


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    assert not lead(tmp_path).take()
    assert (tmp_path / "elsewhere").read_text() == "kept"


@pytest.mark.skipif(not ROOT, reason="only root can make a file of another user")
def test_the_lock_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("")
    os.chown(tmp_path / LOCK, 12345, 12345)
    one = lead(tmp_path)
    assert not one.take()
    assert "uid 12345" in str(one.problem)
