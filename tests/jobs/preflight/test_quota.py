"""The user's quota, as a program `quota` that stands in for the real one tells it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foundry_tui.jobs.preflight import quota
from foundry_tui.jobs.preflight.quota import Used, judged, parse, source_of
from foundry_tui.jobs.preflight.verdict import State

TOLD = """\
Disk quotas for user alice (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
nfs:/home 9000000* 8000000 9500000 1763000000 1200 0 0 0
/dev/sdb1 10 0 0 0 99 0 100 0
"""


def test_lines_of_quota_are_read_and_others_are_passed_over() -> None:
    assert parse(TOLD) == (
        Used(
            filesystem="nfs:/home",
            used_bytes=9_000_000 * 1024,
            soft_bytes=8_000_000 * 1024,
            hard_bytes=9_500_000 * 1024,
            files=1200,
            hard_files=None,
        ),
        Used(
            filesystem="/dev/sdb1",
            used_bytes=10 * 1024,
            soft_bytes=None,
            hard_bytes=None,
            files=99,
            hard_files=100,
        ),
    )
    assert parse("a b c\n\x1b[2J 1 2 3 4 5 6 7 x\n") == ()


@pytest.mark.parametrize(
    ("used", "soft", "hard", "files", "state"),
    [
        (10**9, None, 10**12, 5, State.OK),
        (10**12 - 10**9, None, 10**12, 5, State.WARN),
        (10**12, None, 10**12, 5, State.FAIL),
        (500 * 10**9, 400 * 10**9, 10**12, 5, State.WARN),
        (10**9, None, None, 5, State.OK),
        (10**9, None, None, 100, State.FAIL),
    ],
)
def test_a_line_is_judged(
    used: int, soft: int | None, hard: int | None, files: int, state: State
) -> None:
    line = Used(
        filesystem="nfs:/home",
        used_bytes=used,
        soft_bytes=soft,
        hard_bytes=hard,
        files=files,
        hard_files=100,
    )
    assert judged(line).state is state


def test_the_file_system_of_a_folder_is_found_by_its_number() -> None:
    mounts = (
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "36 22 0:45 / /home rw master:1 - nfs4 nfs:/home rw,vers=4\nbroken\n"
    )
    assert source_of(os.makedev(0, 45), mounts) == "nfs:/home"
    assert source_of(os.makedev(8, 1), mounts) == "/dev/sda1"
    assert source_of(os.makedev(9, 9), mounts) is None


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `quota` on the PATH, still without a body."""
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    program = folder / "quota"
    program.touch(0o755)
    return program


def here(folder: Path) -> str:
    return source_of(folder.stat().st_dev, quota.MOUNTS.read_text()) or ""


def test_a_full_quota_fails(tool: Path, tmp_path: Path) -> None:
    name = here(tmp_path)
    if not name:
        pytest.skip("the file system of the test has no line of its own")
    tool.write_text(
        f"#!/bin/sh\n[ \"$*\" = '-w -p' ] && echo '{name} 100 90 100 0 5 0 0 0'\nexit 1\n"
    )
    check = quota.check(tmp_path)
    assert check.state is State.FAIL
    assert "nothing more can be written" in check.words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 1", "tells of no limits"),
        ("echo 'other:/fs 1 2 3 0 5 0 0 0'", "no limit on"),
        ("head -c 3000000 /dev/zero", "printed more than"),
    ],
)
def test_what_quota_does_not_tell_is_skipped(
    tool: Path, tmp_path: Path, body: str, words: str
) -> None:
    tool.write_text(f"#!/bin/sh\n{body}\n")
    check = quota.check(tmp_path)
    assert check.state is State.SKIPPED
    assert words in check.words


def test_a_quota_that_hangs_is_ended(
    tool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "TIMEOUT_S", 0.2)
    tool.write_text("#!/bin/sh\nexec sleep 60\n")
    check = quota.check(tmp_path)
    assert check.state is State.SKIPPED
    assert "no answer within 0.2 s" in check.words


def test_a_host_without_quota_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    check = quota.check(tmp_path)
    assert check.state is State.SKIPPED
    assert "no command `quota`" in check.words
