"""What can be wrong with the file, the disk and the folder: each is told in words."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from foundry_tui.store.history import History, HistoryError, Past, place, schema
from tests.store.history.estate import gpu, minute, node, opened, past, record_levels, snapshot

ROOT = os.geteuid() == 0


def mounts(tmp_path: Path, kind: str) -> Path:
    """A mountinfo in which the folder is on a file system of this kind."""
    file = tmp_path / "mountinfo"
    file.write_text(f"36 35 98:0 / {tmp_path} rw,noatime - {kind} server:/home rw\n")
    return file


@pytest.mark.parametrize("kind", ["nfs4", "lustre", "gpfs", "beegfs", "fuse.sshfs"])
def test_no_wal_on_a_network_file_system(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "history"
    history = opened(folder, mountinfo=mounts(tmp_path, kind))
    assert history.notice is not None
    assert f"which is on {kind}" in history.notice
    assert "set folder in [collector] to a local disk" in history.notice
    record_levels(history, {n: {0: 5.0} for n in (1, 2)})
    history.compact()
    assert mode(history) == "delete"
    assert not (folder / "history.sqlite-wal").exists()
    assert past(folder).at(minute(2)) is not None
    history.close()
    history = opened(folder)  # it was moved to a local disk
    assert (mode(history), history.notice) == ("wal", None)
    history.close()
    history = opened(folder, mountinfo=mounts(tmp_path, kind))  # and back
    record_levels(history, {3: {0: 5.0}})
    assert mode(history) == "delete"


def mode(history: History) -> str:
    return str(history._db.execute("PRAGMA journal_mode").fetchone()[0])


def test_folder_and_files_are_the_users_own(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "history"
    history = opened(folder)
    record_levels(history, {1: {0: 5.0}})
    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert set(modes) >= {"history.sqlite", "history.sqlite-wal", "history.sqlite-shm"}


def test_a_service_lets_its_group_read(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    old = os.umask(0o077)
    try:
        history = opened(folder, shared=True)
        record_levels(history, {1: {0: 5.0}})
    finally:
        os.umask(old)
    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert {name: mode for name, mode in modes.items() if name != "history.lock"} == {
        "history.sqlite": 0o640, "history.sqlite-wal": 0o640, "history.sqlite-shm": 0o640,
    }  # fmt: skip


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    opened(folder).close()
    folder.chmod(0o777)
    with pytest.raises(HistoryError, match=r"its mode is 0777, 0700 or stricter is needed"):
        opened(folder)
    with pytest.raises(HistoryError, match=r"its mode is 0777, 0755 or stricter is needed"):
        Past.open(folder)
    folder.chmod(0o700)
    (folder / "history.sqlite").chmod(0o622)
    for attempt in (opened, Past.open):
        with pytest.raises(HistoryError, match=r"history.sqlite: its mode is 0622"):
            attempt(folder)


@pytest.mark.parametrize("name", ["history.sqlite", "history.sqlite-wal", "history.lock"])
def test_a_symbolic_link_in_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "history"
    opened(folder).close()
    target = tmp_path / "precious"
    target.write_text("keep me")
    target.chmod(0o600)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)
    with pytest.raises(HistoryError, match=r"symbolic link|Too many levels"):
        opened(folder)
    if name != "history.lock":
        with pytest.raises(HistoryError, match="a symbolic link is refused here"):
            Past.open(folder)
    assert target.read_text() == "keep me"


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "real").close()
    (tmp_path / "history").symlink_to(tmp_path / "real")
    for attempt in (opened, Past.open):
        with pytest.raises(HistoryError, match="it is not a folder"):
            attempt(tmp_path / "history")


@pytest.mark.skipif(not ROOT, reason="only root can give a file to somebody else")
def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    opened(folder).close()
    for path in (folder / "history.sqlite", folder):
        os.chown(path, 12345, 12345)
        with pytest.raises(HistoryError, match="it belongs to uid 12345, not to you"):
            opened(folder)
        with pytest.raises(HistoryError, match="it belongs to uid 12345"):
            Past.open(folder)
        with pytest.raises(HistoryError, match="it belongs to uid"):
            Past.open(folder, owners=(4711,))
    assert Past.open(folder, owners=(0, 12345)) is not None


@pytest.mark.skipif(not ROOT, reason="only root can become another user")
@pytest.mark.parametrize("state", ["written", "closed", "killed"])
def test_another_user_of_the_group_can_read(state: str) -> None:
    # below /var/tmp, since another user cannot pass through the folders of this test
    folder = Path(
        subprocess.check_output(["mktemp", "-d", "/var/tmp/foundry-test-XXXXXX"], text=True).strip()
    )
    try:
        folder.chmod(0o750)
        os.chown(folder, 12345, 4711)

        def service() -> None:
            os.setgroups([])
            os.setresgid(4711, 4711, 4711)
            os.setresuid(12345, 12345, 12345)
            history = opened(folder, shared=True)
            record_levels(history, {n: {0: 5.0} for n in (1, 2)})
            if state == "closed":
                history.close()

        def viewer() -> None:
            os.setgroups([4711])
            os.setresgid(54321, 54321, 54321)
            os.setresuid(54321, 54321, 54321)
            found = Past.open(folder, owners=(12345,))
            assert found is not None
            then = found.at(minute(2))
            assert then is not None
            assert then.gpus[0].util_pct == 5.0
            with pytest.raises(HistoryError):
                opened(folder)

        if state == "written":
            done, tell = os.pipe()
            pid = os.fork()
            if not pid:
                service()
                os.write(tell, b"x")
                signal.pause()
            os.read(done, 1)
            try:
                in_child(viewer)
            finally:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        else:
            in_child(service)  # which ends without closing, where it is "killed"
            in_child(viewer)
    finally:
        shutil.rmtree(folder)


def in_child(work: Callable[[], object]) -> None:
    """Do it in a child process, which ends at once afterwards."""
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_locked_file_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "LOCK_WAIT_S", 0.1)
    history = opened(tmp_path)
    record_levels(history, {1: {0: 5.0}})
    other = sqlite3.connect(history.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HistoryError) as told:
        record_levels(history, {2: {0: 6.0}})
    assert str(told.value) == (
        f"history not recorded: {history.file}: another program holds a lock on it (database is "
        "locked); end that program; the next minute is tried again"
    )
    with pytest.raises(HistoryError, match=r"not compacted: .*holds a lock"):
        history.compact()
    other.execute("ROLLBACK")
    other.close()
    record_levels(history, {2: {0: 6.0}})
    history.compact()
    assert past(tmp_path).at(minute(2)) is not None


def test_a_file_of_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    history = opened(tmp_path)
    history.close()
    db = sqlite3.connect(tmp_path / "history.sqlite")
    db.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 6}")
    db.close()
    before = (tmp_path / "history.sqlite").read_bytes()
    words = f"its schema is {len(schema.MIGRATIONS) + 6}, written by a newer foundry.*update it"
    for attempt in (opened, Past.open):
        with pytest.raises(HistoryError, match=words):
            attempt(tmp_path)
    assert (tmp_path / "history.sqlite").read_bytes() == before


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "history.sqlite").write_bytes(b"not a database at all, but long enough" * 30)
    for attempt in (opened, Past.open):
        with pytest.raises(HistoryError, match=r"it is not a database .*move it away"):
            attempt(tmp_path)
    (tmp_path / "history.sqlite").rename(tmp_path / "away")
    record_levels(opened(tmp_path), {1: {0: 5.0}})


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: dict.fromkeys(range(8), 5.0) for n in range(1, 100)})
    history.close()
    file = tmp_path / "history.sqlite"
    data = bytearray(file.read_bytes())
    data[8192:] = bytes(len(data) - 8192)
    file.write_bytes(data)
    with pytest.raises(HistoryError, match=r"it is damaged .*move it away"):
        history = opened(tmp_path)
        record_levels(history, {100: {0: 5.0}})
    with pytest.raises(HistoryError, match="it is damaged"):
        past(tmp_path).at(minute(5))


def test_a_full_disk_is_told_and_the_history_goes_on_afterwards(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {1: {0: 5.0}})
    (pages,) = history._db.execute("PRAGMA page_count").fetchone()
    history._db.execute(f"PRAGMA max_page_count = {pages}")  # then SQLite says that it is full
    at = minute(2)
    many = snapshot(at, [gpu(i, 5.0, at=at) for i in range(2000)], nodes=[node(at=at)])
    with pytest.raises(HistoryError, match=r"the disk is full .*free some space"):
        history.record(many)
    history._db.execute("PRAGMA max_page_count = 1000000")
    history.record(many)
    then = past(tmp_path).at(at)
    assert then is not None
    assert len(then.gpus) == 2000


def test_a_write_that_the_system_refuses_is_told(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {1: {0: 5.0}})
    history.close()

    def write() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        history = opened(tmp_path)
        for number in range(2, 200):
            at = minute(number)
            many = snapshot(at, [gpu(i, 5.0, at=at) for i in range(500)], nodes=[node(at=at)])
            try:
                history.record(many)
            except HistoryError as error:
                assert "not recorded" in str(error), error
                assert "the disk refuses" in str(error), error
                return
        raise AssertionError("nothing was refused")

    in_child(write)
    history = opened(tmp_path)
    db = sqlite3.connect(history.file)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    record_levels(history, {300: {0: 5.0}})


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, where this may be mounted."""
    folder = tmp_path / "tiny"
    folder.mkdir(mode=0o700)
    words = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(folder)]
    if not ROOT or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(tiny: Path) -> None:
    history = opened(tiny)
    told = None
    for number in range(1, 400):
        at = minute(number)
        many = snapshot(at, [gpu(i, 5.0, at=at) for i in range(300)], nodes=[node(at=at)])
        try:
            history.record(many)
        except HistoryError as error:
            told = str(error)
            break
    assert told is not None
    assert "the disk is full" in told
    assert past(tiny).at(minute(number - 1)) is not None
    history.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match=r"not opened: .*/history.sqlite: Not a dir"):
        opened(tmp_path / "file" / "history")
