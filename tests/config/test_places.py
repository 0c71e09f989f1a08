"""Folders for state and cache: read-only and network homes, and folders that others prepared."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from foundry_tui.config.places import (
    PlaceError,
    cache_dir,
    fs_type,
    history_dir,
    network_fs,
    state_dir,
)

MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:40 / /home rw,relatime shared:9 - nfs4 filer:/home rw,vers=4.2
41 40 0:41 / /home/local rw - xfs /dev/sdb rw
42 27 0:42 / /scratch\\040area rw - lustre mds@tcp:/scratch rw
43 27 0:43 / /net rw - autofs auto.net rw
44 43 0:44 / /net rw master:1 propagate_from:2 - nfs filer:/net rw
45 27 0:45 / /sshfs rw - fuse.sshfs u@h:/ rw
46 27 0:46 / /ntfs rw - fuseblk /dev/sdc rw
broken line
47 27 0:47 / /no-dash rw ext4
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/usr/bin", "ext4", False),
        ("/home", "nfs4", True),
        ("/home/ann/.local/state", "nfs4", True),
        ("/homeless", "ext4", False),
        ("/home/local/ann", "xfs", False),
        ("/scratch area/x", "lustre", True),
        ("/net/x", "nfs", True),
        ("/sshfs/x", "fuse.sshfs", True),
        ("/ntfs/x", "fuseblk", False),
        ("/no-dash/x", "ext4", False),
    ],
)
def test_the_longest_mount_point_tells_the_type(
    mounts: Path, path: str, kind: str, network: bool
) -> None:
    assert fs_type(Path(path), mounts) == kind
    assert network_fs(Path(path), mounts) == (kind if network else None)


def test_a_link_counts_where_it_leads(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/home/ann")
    assert fs_type(tmp_path / "link" / "x", mounts) == "nfs4"


def test_without_mountinfo_nothing_is_known(tmp_path: Path) -> None:
    assert fs_type(Path("/"), tmp_path / "none") is None
    assert network_fs(Path("/"), tmp_path / "none") is None


def test_the_own_mountinfo_can_be_read() -> None:
    assert fs_type(Path("/proc/self/status")) == "proc"


def test_state_goes_where_it_was_configured_else_to_xdg(tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path / "xdg")}
    configured = state_dir(tmp_path / "mine/deep", env)
    assert (configured.path, configured.notice) == (tmp_path / "mine/deep", None)
    xdg = state_dir(None, env)
    assert (xdg.path, xdg.notice) == (tmp_path / "xdg/foundry", None)
    assert mode(xdg.path) == 0o700
    assert list(xdg.path.iterdir()) == []


def test_without_xdg_state_goes_into_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert state_dir(None, {}).path.is_relative_to(tmp_path)


def test_a_read_only_home_falls_back_with_a_notice(tmp_path: Path) -> None:
    place = state_dir(None, {"XDG_STATE_HOME": "/proc/home"}, shared_tmp=tmp_path)
    assert place.path == tmp_path / f"foundry-{os.geteuid()}"
    assert mode(place.path) == 0o700
    assert place.notice is not None
    assert "/proc/home/foundry" in place.notice
    assert str(place.path) in place.notice
    again = state_dir(None, {"XDG_STATE_HOME": "/proc/home"}, shared_tmp=tmp_path)
    assert again.path == place.path


def test_a_file_in_the_way_falls_back(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = state_dir(tmp_path / "file", {}, shared_tmp=tmp_path)
    assert place.path.name.startswith("foundry-")
    below = state_dir(tmp_path / "file/below", {}, shared_tmp=tmp_path)
    assert "Not a directory" in str(below.notice)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_falls_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    home = tmp_path / "home"
    real = fcntl.flock

    def flock(file: object, operation: int) -> None:
        where = Path(f"/proc/self/fd/{file.fileno()}").readlink()  # type: ignore[attr-defined]
        if where.is_relative_to(home):
            raise OSError(code, os.strerror(code))
        real(file, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", flock)
    place = state_dir(home, {}, shared_tmp=tmp_path)
    assert place.path == tmp_path / f"foundry-{os.geteuid()}"
    assert os.strerror(code) in str(place.notice)


@pytest.mark.parametrize("bad_mode", [0o777, 0o720, 0o702])
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, bad_mode: int) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(bad_mode)
    place = state_dir(folder, {}, shared_tmp=tmp_path)
    assert place.path != folder
    assert f"its mode is {bad_mode:04o}" in str(place.notice)


def test_a_fallback_that_somebody_else_prepared_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / f"foundry-{os.geteuid()}"
    env = {"XDG_STATE_HOME": "/proc/home"}

    (tmp_path / "target").mkdir(mode=0o700)
    private.symlink_to("target")
    with pytest.raises(PlaceError, match="a symbolic link is refused"):
        state_dir(None, env, shared_tmp=tmp_path)
    private.unlink()

    private.mkdir()
    private.chmod(0o755)
    with pytest.raises(PlaceError, match="its mode is 0755"):
        state_dir(None, env, shared_tmp=tmp_path)
    private.chmod(0o700)

    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    private.rename(tmp_path / f"foundry-{uid + 1}")
    with pytest.raises(PlaceError, match=f"belongs to uid {uid}, not to you") as caught:
        state_dir(None, env, shared_tmp=tmp_path)
    assert "set state_dir" in str(caught.value)


def test_a_full_disk_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(PlaceError, match="No space left on device"):
        state_dir(tmp_path / "state", {}, shared_tmp=tmp_path)


def test_the_cache_goes_to_the_runtime_folder(tmp_path: Path, mounts: Path) -> None:
    env = {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    place = cache_dir(None, env, mountinfo=mounts, shared_tmp=tmp_path)
    assert (place.path, place.notice) == (tmp_path / "run/foundry", None)
    assert mode(place.path) == 0o700
    configured = cache_dir(tmp_path / "cache", env, mountinfo=mounts, shared_tmp=tmp_path)
    assert (configured.path, configured.notice) == (tmp_path / "cache", None)


@pytest.mark.parametrize("runtime", ["", "relative", "/proc/run", "NFS"])
def test_an_unusable_or_network_runtime_folder_is_passed_over(tmp_path: Path, runtime: str) -> None:
    mounts = tmp_path / "mountinfo"
    home = tmp_path / "home"
    mounts.write_text(f"{MOUNTS}50 27 0:50 / {home} rw - nfs filer:/home rw\n")
    env = {"XDG_RUNTIME_DIR": str(home) if runtime == "NFS" else runtime}
    place = cache_dir(None, env, mountinfo=mounts, shared_tmp=tmp_path)
    assert (place.path, place.notice) == (tmp_path / f"foundry-{os.geteuid()}", None)
    assert not home.exists()


def test_a_configured_cache_on_nfs_is_used_with_a_notice(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"50 27 0:50 / {tmp_path} rw - nfs filer:/home rw\n")
    place = cache_dir(tmp_path / "cache", {}, mountinfo=mounts, shared_tmp=tmp_path)
    assert place.path == tmp_path / "cache"
    assert "is on nfs" in str(place.notice)


def test_a_configured_cache_that_fails_is_told(tmp_path: Path, mounts: Path) -> None:
    place = cache_dir(Path("/proc/cache"), {}, mountinfo=mounts, shared_tmp=tmp_path)
    assert place.path == tmp_path / f"foundry-{os.geteuid()}"
    assert "/proc/cache" in str(place.notice)


def test_no_folder_at_all_is_an_error_that_lists_them(mounts: Path) -> None:
    env = {"XDG_RUNTIME_DIR": "/proc/run"}
    with pytest.raises(PlaceError) as caught:
        cache_dir(Path("/proc/mine"), env, mountinfo=mounts, shared_tmp=Path("/proc"))
    for folder in ("/proc/mine", "/proc/run/foundry", f"/proc/foundry-{os.geteuid()}"):
        assert folder in str(caught.value)


def test_the_history_is_below_the_cache(tmp_path: Path, mounts: Path) -> None:
    cache = tmp_path / "cache"
    assert history_dir(None, cache, mountinfo=mounts, shared_tmp=tmp_path) == cache / "history"
    assert history_dir(tmp_path / "own", cache, mountinfo=mounts) == tmp_path / "own"


def test_a_history_in_memory_would_not_last(tmp_path: Path) -> None:
    run, var = tmp_path / "run", tmp_path / "var"
    run.mkdir()
    var.mkdir()
    lines = [f"1 0 0:1 / {run} rw - tmpfs tmpfs rw", f"2 0 0:2 / {var} rw - ext4 /dev/a rw"]
    table = tmp_path / "mountinfo"
    table.write_text("\n".join(lines) + "\n")
    own = var / f"foundry-{os.geteuid()}"
    assert history_dir(None, run, mountinfo=table, shared_tmp=var) == own / "history"
    assert mode(own) == 0o700
    own.chmod(0o777)
    assert history_dir(None, run, mountinfo=table, shared_tmp=var) == run / "history"
    lines[1] = f"2 0 0:2 / {var} rw - tmpfs tmpfs rw"
    table.write_text("\n".join(lines) + "\n")
    own.chmod(0o700)
    assert history_dir(None, run, mountinfo=table, shared_tmp=var) == run / "history"
