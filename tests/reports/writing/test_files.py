"""Report files: whole or not at all, private, vouched for by their sidecar."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from foundry_tui.reports.writing import files
from foundry_tui.reports.writing.files import ReportError

LINES = ("a,b", "1,2")
DATA = b"a,b\r\n1,2\r\n"


@pytest.fixture(params=["unnamed", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of file systems: with files that have no name yet, and without."""
    if request.param == "named":
        real = os.open

        def without(path: str, flags: int, mode: int = 0o777, **place: int | None) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            return real(path, flags, mode, **place)

        monkeypatch.setattr(os, "open", without)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_csv_and_sidecar_are_written_for_the_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = files.write(tmp_path / "new" / "folder", "jobs", LINES, {"rows": 1})
    finally:
        os.umask(old)
    assert path == tmp_path / "new" / "folder" / "jobs.csv"
    assert path.read_bytes() == DATA
    sidecar = path.with_name("jobs.csv.meta.json")
    assert json.loads(sidecar.read_bytes()) == {
        "rows": 1,
        "csv": "jobs.csv",
        "bytes": len(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
    }
    for written in (path, sidecar):
        assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(p.name for p in path.parent.iterdir()) == ["jobs.csv", "jobs.csv.meta.json"]


@pytest.mark.usefixtures("way")
def test_a_second_report_replaces_the_first_and_the_same_input_gives_the_same_bytes(
    tmp_path: Path,
) -> None:
    files.write(tmp_path, "jobs", ["old"], {})
    files.write(tmp_path, "jobs", LINES, {"rows": 1})
    first = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    files.write(tmp_path, "jobs", iter(LINES), {"rows": 1})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == first
    assert sorted(first) == ["jobs.csv", "jobs.csv.meta.json"]
    assert first["jobs.csv"] == DATA


def test_many_lines_are_the_same_bytes_as_few_at_a_time(tmp_path: Path) -> None:
    lines = [f"{n},é" * (n % 7) for n in range(60_000)]
    path = files.write(tmp_path, "jobs", iter(lines), {})
    data = "".join(text + "\r\n" for text in lines).encode()
    assert path.read_bytes() == data
    told = json.loads((tmp_path / "jobs.csv.meta.json").read_bytes())
    assert told["sha256"] == hashlib.sha256(data).hexdigest()
    assert told["bytes"] == len(data)


def test_the_mark_for_excel_is_asked_for_and_vouched_for(tmp_path: Path) -> None:
    path = files.write(tmp_path, "jobs", LINES, {}, bom=True)
    assert path.read_bytes() == b"\xef\xbb\xbf" + DATA
    assert path.read_text("utf-8-sig").splitlines() == list(LINES)
    told = json.loads((tmp_path / "jobs.csv.meta.json").read_bytes())
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.usefixtures("way")
def test_another_mode_is_for_both_files_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        path = files.write(tmp_path, "jobs", LINES, {}, mode=0o640)
    finally:
        os.umask(old)
    for written in (path, tmp_path / "jobs.csv.meta.json"):
        assert stat.S_IMODE(written.stat().st_mode) == 0o640


def test_the_sidecar_is_told_what_became_known_while_the_lines_were_made(tmp_path: Path) -> None:
    meta: dict[str, object] = {}

    def lines() -> Iterator[str]:
        yield from LINES
        meta["rows"] = 1

    files.write(tmp_path, "jobs", lines(), meta)
    assert json.loads((tmp_path / "jobs.csv.meta.json").read_bytes())["rows"] == 1


@pytest.mark.parametrize("name", ["jobs.csv", "jobs.csv.meta.json"])
def test_a_symlink_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / name).symlink_to(victim)
    with pytest.raises(ReportError, match="is a symlink"):
        files.write(folder, "jobs", LINES, {})
    assert victim.read_text() == "precious"
    assert [p.name for p in folder.iterdir()] == [name]


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").mkdir()
    with pytest.raises(ReportError, match="no regular file"):
        files.write(tmp_path, "jobs", LINES, {})
    assert [p.name for p in tmp_path.iterdir()] == ["jobs.csv"]


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ReportError, match=r"out cannot be written.*a file stands where"):
        files.write(tmp_path / "out", "jobs", LINES, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ReportError, match="may not be written"):
            files.write(tmp_path, "jobs", LINES, {})
    finally:
        tmp_path.chmod(0o700)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; skips where none may be mounted."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp_path / "small"
    folder.mkdir()
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=64k"):
        pytest.skip(f"no file system may be mounted here: {os.strerror(ctypes.get_errno())}")
    try:
        yield folder
    finally:
        libc.umount2(os.fsencode(folder), 2)


@pytest.mark.usefixtures("way")
def test_a_full_file_system_keeps_the_old_report_and_no_rest(mounted: Path) -> None:
    files.write(mounted, "jobs", LINES, {})
    before = {p.name: p.read_bytes() for p in mounted.iterdir()}
    with pytest.raises(ReportError, match="there is no room"):
        files.write(mounted, "jobs", ("x" * 1000 for _ in range(1000)), {})
    assert {p.name: p.read_bytes() for p in mounted.iterdir()} == before
    free = os.statvfs(mounted)
    assert free.f_bavail * free.f_frsize >= 50_000, "the room is given back"


def test_a_file_system_that_is_read_only_is_named(mounted: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    read_only, remount = 1, 32
    flags = ctypes.c_ulong(read_only | remount)
    assert libc.mount(b"tmpfs", os.fsencode(mounted), b"tmpfs", flags, None) == 0
    with pytest.raises(ReportError, match=r"Read-only file system; this folder may not be written"):
        files.write(mounted, "jobs", LINES, {})
    with pytest.raises(ReportError, match=r"deeper cannot be written: Read-only"):
        files.write(mounted / "deeper", "jobs", LINES, {})


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "there is no room"),
        (errno.EDQUOT, "there is no room"),
        (errno.EROFS, "may not be written"),
        (errno.EIO, "name another folder"),
    ],
)
@pytest.mark.usefixtures("way")
def test_a_failure_leaves_the_old_files_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str
) -> None:
    files.write(tmp_path, "jobs", ["old"], {"rows": 0})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ReportError, match=advice) as caught:
        files.write(tmp_path, "jobs", LINES, {"rows": 1})
    assert str(tmp_path / "jobs.csv") in str(caught.value)
    assert os.strerror(code) in str(caught.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.usefixtures("way")
def test_lines_that_fail_leave_the_old_files_and_no_rest(tmp_path: Path) -> None:
    files.write(tmp_path, "jobs", ["old"], {})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def lines() -> Iterator[str]:
        yield "a,b"
        raise ValueError("row 1: no number")

    with pytest.raises(ValueError, match="row 1"):
        files.write(tmp_path, "jobs", lines(), {})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.usefixtures("way")
def test_a_file_that_the_kernel_cuts_off_is_not_left_behind(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(ReportError, match="there is no room"):
            files.write(tmp_path, "jobs", ["x" * 100_000], {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from foundry_tui.reports.writing import files

def lines():
    for n in range(400):
        yield "x" * 1000
    print("half", flush=True)
    sys.stdin.read()
    yield "never"

files.write(Path(sys.argv[1]), "jobs", lines(), {})
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_writer_that_is_killed_leaves_the_old_report_and_no_rest(
    tmp_path: Path, how: signal.Signals
) -> None:
    files.write(tmp_path, "jobs", LINES, {})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        writer.send_signal(how)
        assert writer.wait(timeout=30) == -how
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
