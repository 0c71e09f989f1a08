"""Digests of data: each kind of versioning, what changes them, and what cannot be looked at."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.tracked import DataInput
from foundry_tui.jobs.record import data
from foundry_tui.jobs.spec import Data

MD5 = "d8e8fca2dc0f896fd7cb4cb0031ba249"


def one(folder: Path, path: str = "c4", version: str | None = None) -> DataInput:
    """The only input that is found."""
    found, notes = data.inputs([Data(name="d", path=path, version=version)], folder)
    assert notes == ()
    (only,) = found
    assert len(only.digest) <= 36
    return only


def note(folder: Path, path: str = "c4") -> str:
    found, (only,) = data.inputs([Data(name="d", path=path)], folder)
    assert found == ()
    assert "no digest" in only and "version" in only
    return only


def test_a_small_file_is_hashed_whole(tmp_path: Path) -> None:
    (tmp_path / "c4").write_bytes(b"a,b\n1,2\n")
    found = one(tmp_path)
    assert found.digest == "sha256:" + hashlib.sha256(b"a,b\n1,2\n").hexdigest()[:29]
    assert (found.kind, found.path, found.name) == ("content", "c4", "d")
    os.utime(tmp_path / "c4", (1, 1))
    assert one(tmp_path) == found, "a copy is the same data"
    (tmp_path / "c4").write_bytes(b"a,b\n1,3\n")
    assert one(tmp_path).digest != found.digest


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    place = tmp_path / "c4"
    place.touch()
    os.truncate(place, 1 << 40)
    found = one(tmp_path)
    assert found.kind == "manifest"
    os.truncate(place, (1 << 40) + 1)
    assert one(tmp_path).digest != found.digest


@pytest.mark.parametrize("tail", ["", ".dir"])
def test_dvc_tells_its_own(tmp_path: Path, tail: str) -> None:
    (tmp_path / "c4.dvc").write_text(
        f"md5: 11111111111111111111111111111111\nouts:\n- path: other\n  md5: {'0' * 32}\n"
        f"- md5: {MD5}{tail}\n  size: 14\n  hash: md5\n  path: c4\n"
    )
    assert (one(tmp_path).kind, one(tmp_path).digest) == ("dvc", f"md5:{MD5}")
    assert one(tmp_path, "c4.dvc").digest == f"md5:{MD5}"
    (tmp_path / "c4").write_bytes(b"x" * 14)
    assert one(tmp_path).kind == "dvc"
    (tmp_path / "c4").write_bytes(b"x" * 15)
    assert one(tmp_path).kind == "content", "the data is not what DVC has put down"


def test_a_pointer_of_lfs_is_the_digest_of_the_file_it_stands_for(tmp_path: Path) -> None:
    content = b"weights"
    oid = hashlib.sha256(content).hexdigest()
    (tmp_path / "c4").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"
    )
    pointer = one(tmp_path)
    (tmp_path / "c4").write_bytes(content)
    assert (pointer.kind, pointer.digest) == ("lfs", one(tmp_path).digest)


def test_the_version_of_a_delta_table(tmp_path: Path) -> None:
    log = tmp_path / "c4" / "_delta_log"
    log.mkdir(parents=True)
    assert "no version" in note(tmp_path)
    for name in (f"{9:020}.json", f"{12:020}.checkpoint.parquet", "_last_checkpoint", "99.json"):
        (log / name).touch()
    assert (one(tmp_path).kind, one(tmp_path).digest) == ("delta", "delta:12")


def test_a_folder_changes_with_any_of_its_files(tmp_path: Path) -> None:
    for name in ("a", "b/c", "b/d"):
        (tmp_path / "c4" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "c4" / name).write_text(name)
    (tmp_path / "c4" / "link").symlink_to("/nowhere")
    os.mkfifo(tmp_path / "c4" / "pipe")
    digests = [one(tmp_path).digest]
    (tmp_path / "c4" / "b" / "d").write_text("D")
    digests.append(one(tmp_path).digest)
    (tmp_path / "c4" / "b" / "d").rename(tmp_path / "c4" / "b" / "e")
    digests.append(one(tmp_path).digest)
    (tmp_path / "c4" / "link").unlink()
    (tmp_path / "c4" / "link").symlink_to("/elsewhere")
    digests.append(one(tmp_path).digest)
    assert len(set(digests)) == 4


def test_a_large_folder_is_told_by_names_sizes_and_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "CONTENT_BYTES", 10)
    (tmp_path / "c4").mkdir()
    (tmp_path / "c4" / "a").write_text("x" * 11)
    before = one(tmp_path)
    assert before.kind == "manifest"
    assert one(tmp_path) == before
    os.utime(tmp_path / "c4" / "a", (1, 1))
    assert one(tmp_path).digest != before.digest


def test_what_cannot_be_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not visible from this host" in note(tmp_path)
    assert "no path of a file system" in note(tmp_path, "s3://bucket/c4")
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in note(tmp_path, "pipe")
    assert "␛" in note(tmp_path, "a\x1b[2J")
    note(tmp_path, "a" * 5000)
    monkeypatch.setattr(data, "MOST_FILES", 3)
    (tmp_path / "c4").mkdir()
    for number in range(4):
        (tmp_path / "c4" / str(number)).touch()
    assert "more than 3 files" in note(tmp_path)


def test_a_file_system_that_hangs_costs_its_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("a")
    hang, read = threading.Event(), data._digest

    def slow(asked: Data, *more: object) -> tuple[str, str]:
        if asked.name == "gone":
            hang.wait(30)
        return read(asked, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(data, "_digest", slow)
    asked = [Data(name=n, path="a") for n in ("first", "gone", "last")]
    found, notes = data.inputs(asked, tmp_path, within_s=0.1)
    hang.set()
    assert [i.name for i in found] == ["first"]
    assert [n.partition(":")[0] for n in notes] == ["data gone", "data last"]


@given(st.text(min_size=1))
def test_a_stated_version_is_taken_as_it_is_or_hashed(version: str) -> None:
    digest = data._stated(version)
    assert len(digest) <= 36
    assert digest == version if len(version) <= 36 else digest.startswith("sha256:")


@given(st.binary(max_size=300))
def test_no_pointer_file_breaks_it(text: bytes) -> None:
    assert data._LFS.match(text) is None or b"oid sha256:" in text


def test_a_stated_version_is_not_looked_for(tmp_path: Path) -> None:
    found = one(tmp_path, "/not/here", "v7")
    assert (found.digest, found.kind) == ("v7", "stated")
