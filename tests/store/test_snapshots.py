"""The last good snapshots: whole or not at all, and never somebody else's."""

from __future__ import annotations

import errno
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.store.snapshots import STALE_TEMP_S, Snapshots, StoreError

AT = datetime(2026, 11, 21, 2, 31, 57, tzinfo=UTC)


def snapshot(name: str = "alpha", reason: str | None = None) -> Snapshot:
    source = Source(name=name, kind="slurm", state=SourceState.OK, read_at=AT, reason=reason)
    return Snapshot(generated_at=AT, sources=(source,), partial=("no accounting",))


@pytest.fixture
def store(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path)


def test_what_was_saved_is_loaded(store: Snapshots, tmp_path: Path) -> None:
    store.save("alpha", snapshot())
    kept = Snapshots(tmp_path).load("alpha")
    assert (kept.snapshot, kept.reason) == (snapshot(), None)
    store.save("alpha", snapshot(reason="newer"))
    assert store.load("alpha").snapshot == snapshot(reason="newer")
    assert len(list(tmp_path.iterdir())) == 1
    assert stat.S_IMODE(store.path("alpha").stat().st_mode) == 0o600


def test_without_a_file_there_is_a_reason(store: Snapshots, tmp_path: Path) -> None:
    for empty in (store, Snapshots(tmp_path / "none")):
        kept = empty.load("alpha")
        assert (kept.snapshot, kept.reason) == (None, "nothing was kept yet")


NAMES = ["alpha", "Alpha", "..", ".", "a/b", "../../etc/passwd", "a\0b", "*", "é", "\udcff", "",
         "x" * 5000, "x" * 5001, "a\nb"]  # fmt: skip


def test_any_source_name_is_one_file_of_its_own(store: Snapshots, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        store.save(name, snapshot(reason=str(number)))
    files = list(tmp_path.iterdir())
    assert len(files) == len(NAMES)
    assert len({f.name.lower() for f in files}) == len(NAMES)
    assert all(f.is_file() and f.name.startswith("snapshot-") for f in files)
    for number, name in enumerate(NAMES):
        kept = store.load(name).snapshot
        assert kept is not None
        assert kept.sources[0].reason == str(number)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"\0" * 100, b'{"schema":"foundry.snapshot/99"}',
     b'{"schema":"foundry.snapshot/1"}', b"[" * 200_000, b'{"a":"\\u001b' + b"[" * 9],
)  # fmt: skip
def test_a_corrupt_file_is_ignored_with_a_reason(store: Snapshots, data: bytes) -> None:
    store.save("alpha", snapshot())
    store.path("alpha").write_bytes(data)
    kept = store.load("alpha")
    assert kept.snapshot is None
    assert kept.reason is not None
    assert f"{store.path('alpha')} is ignored: " in kept.reason


def test_a_cut_file_is_ignored_at_every_length(store: Snapshots) -> None:
    store.save("alpha", snapshot())
    data = store.path("alpha").read_bytes()
    for size in range(len(data) - 2):
        store.path("alpha").write_bytes(data[:size])
        assert store.load("alpha").snapshot is None, size


def test_the_file_of_somebody_else_is_ignored(
    store: Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save("alpha", snapshot())
    path = store.path("alpha")
    for mode in (0o620, 0o602, 0o666):
        path.chmod(mode)
        kept = store.load("alpha")
        assert kept.snapshot is None
        assert f"its mode is {mode:04o}" in str(kept.reason)
    path.chmod(0o600)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert "belongs to uid" in str(store.load("alpha").reason)
    path.rename(tmp_path / "real")
    path.symlink_to("real")
    assert "symbolic links" in str(store.load("alpha").reason)
    path.unlink()
    os.mkfifo(path, 0o600)
    assert "not a regular file" in str(store.load("alpha").reason)
    path.unlink()
    path.mkdir()
    assert store.load("alpha").snapshot is None


def test_a_link_in_the_way_is_replaced_and_not_followed(store: Snapshots, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    store.path("alpha").symlink_to(victim)
    store.save("alpha", snapshot())
    assert victim.read_text() == "mine"
    assert store.load("alpha").snapshot == snapshot()


def test_the_cap_holds_for_writing_and_reading(store: Snapshots, tmp_path: Path) -> None:
    small = Snapshots(tmp_path, max_bytes=100)
    with pytest.raises(StoreError, match="larger than 100 bytes"):
        small.save("alpha", snapshot())
    assert list(tmp_path.iterdir()) == []
    store.save("alpha", snapshot())
    assert "larger than 100 bytes" in str(small.load("alpha").reason)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_keeps_the_one_before(
    store: Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store.save("alpha", snapshot())

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(StoreError, match="No space left on device"):
            store.save("alpha", snapshot(reason="newer"))
    assert store.load("alpha").snapshot == snapshot()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "none", tmp_path / "file", Path("/proc/self")):
        with pytest.raises(StoreError, match=r"snapshot of alpha not kept: "):
            Snapshots(folder).save("alpha", snapshot())


def test_text_that_no_json_can_hold_is_a_store_error(store: Snapshots) -> None:
    with pytest.raises(StoreError, match="surrogates"):
        store.save("alpha", snapshot(reason="\udcff"))


def test_what_a_killed_writer_left_is_swept_once_it_is_old(
    store: Snapshots, tmp_path: Path
) -> None:
    store.save("alpha", snapshot())
    name = store.path("alpha").name
    old, new, other = (tmp_path / f".{n}" for n in (f"{name}.old", f"{name}.new", "other.old"))
    for path in (old, new, other):
        path.write_text("half")
    past = AT.timestamp() - 2 * STALE_TEMP_S
    for path in (old, other):
        os.utime(path, (past, past))
    store.save("alpha", snapshot())
    assert (old.exists(), new.exists(), other.exists()) == (False, True, True)
