"""Report files: whole or not at all, private, vouched for by their sidecar."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import stat
from pathlib import Path

import pytest

from foundry_tui.reports import files
from foundry_tui.reports.files import ReportError

DATA = b"a,b\r\n1,2\r\n"


def test_csv_and_sidecar_are_written_for_the_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = files.write(tmp_path / "new" / "folder", "jobs", DATA, {"rows": 1})
    finally:
        os.umask(old)
    assert path == tmp_path / "new" / "folder" / "jobs.csv"
    assert path.read_bytes() == DATA
    sidecar = path.with_name("jobs.csv.meta.json")
    assert json.loads(sidecar.read_bytes()) == {
        "rows": 1,
        "csv": "jobs.csv",
        "sha256": hashlib.sha256(DATA).hexdigest(),
    }
    for written in (path, sidecar):
        assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_second_report_replaces_the_first_and_the_same_input_gives_the_same_bytes(
    tmp_path: Path,
) -> None:
    files.write(tmp_path, "jobs", b"old", {})
    files.write(tmp_path, "jobs", DATA, {"rows": 1})
    first = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    files.write(tmp_path, "jobs", DATA, {"rows": 1})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == first
    assert sorted(first) == ["jobs.csv", "jobs.csv.meta.json"]
    assert first["jobs.csv"] == DATA


@pytest.mark.parametrize("name", ["jobs.csv", "jobs.csv.meta.json"])
def test_a_symlink_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / name).symlink_to(victim)
    with pytest.raises(ReportError, match="is a symlink"):
        files.write(folder, "jobs", DATA, {})
    assert victim.read_text() == "precious"
    assert [p.name for p in folder.iterdir()] == [name]


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").mkdir()
    with pytest.raises(ReportError, match="no regular file"):
        files.write(tmp_path, "jobs", DATA, {})
    assert [p.name for p in tmp_path.iterdir()] == ["jobs.csv"]


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ReportError, match=r"out cannot be written.*a file stands where"):
        files.write(tmp_path / "out", "jobs", DATA, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ReportError, match="may not be written"):
            files.write(tmp_path, "jobs", DATA, {})
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "there is no room"),
        (errno.EDQUOT, "there is no room"),
        (errno.EROFS, "may not be written"),
        (errno.EIO, "name another folder"),
    ],
)
def test_a_failure_leaves_the_old_files_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str
) -> None:
    files.write(tmp_path, "jobs", b"old", {"rows": 0})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ReportError, match=advice) as caught:
        files.write(tmp_path, "jobs", DATA, {"rows": 1})
    assert str(tmp_path / "jobs.csv") in str(caught.value)
    assert os.strerror(code) in str(caught.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_file_that_the_kernel_cuts_off_is_not_left_behind(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(ReportError, match="there is no room"):
            files.write(tmp_path, "jobs", b"x" * 100_000, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
