"""Where files are looked for and kept: configuration, state (journal), cache (last snapshots).

A home can be read-only, full or on NFS, and a folder under /var/tmp can have been put there by
somebody else. What cannot be trusted or written is passed over, and the user is told.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foundry_tui.config.owned import OTHERS_ANY, OTHERS_WRITE, distrust
from foundry_tui.estate.text import SafeText, safe

APP = "foundry"
MOUNTINFO = Path("/proc/self/mountinfo")
SHARED_TMP = Path("/var/tmp")
NETWORK_FS = frozenset(
    {"nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "ceph", "9p", "afs"}
)
"""File system types behind a network; every `fuse.*` counts as one too."""

MEMORY_FS = frozenset({"tmpfs", "ramfs"})
"""File system types whose files are gone when the host, or the user, starts anew."""

HISTORY = "history"

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that exists, belongs to the user and can be written; `notice` is for the user."""

    path: Path
    notice: SafeText | None = None


class PlaceError(Exception):
    """No folder can be used; the message lists each one that was tried, and why not."""


def config_files(env: Mapping[str, str]) -> tuple[Path, ...]:
    """The usual places of the configuration file, strongest first."""
    import platformdirs

    user = _xdg(env, "XDG_CONFIG_HOME") or platformdirs.user_config_path(APP)
    return (user / "config.toml", Path("/etc") / APP / "config.toml")


def state_dir(
    configured: Path | None, env: Mapping[str, str], *, shared_tmp: Path = SHARED_TMP
) -> Place:
    """The folder of the journal.

    `configured`, else `$XDG_STATE_HOME/foundry`; `/var/tmp/foundry-UID` when that cannot be
    written or locked (a read-only home, a file system without locks).

    Raises:
        PlaceError: no folder can be used; then nothing may be changed, for lack of a journal.
    """
    import platformdirs

    wanted = configured or _xdg(env, "XDG_STATE_HOME") or platformdirs.user_state_path(APP)
    reason = _unusable(wanted)
    if reason is None:
        return Place(wanted)
    private = shared_tmp / f"{APP}-{os.geteuid()}"
    worse = _make_private(private) or _unusable(private)
    if worse is not None:
        raise PlaceError(
            _line(f"no folder for the journal: {wanted}: {reason}; {private}: {worse}; "
                  "set state_dir in the configuration")
        )  # fmt: skip
    notice = f"the journal is kept in {private} on this host, because {wanted} fails: {reason}"
    return Place(private, _line(notice))


def cache_dir(
    configured: Path | None,
    env: Mapping[str, str],
    *,
    mountinfo: Path = MOUNTINFO,
    shared_tmp: Path = SHARED_TMP,
) -> Place:
    """The folder of the last good snapshots, on a local disk where there is one.

    `configured`, else `$XDG_RUNTIME_DIR/foundry`, else `/var/tmp/foundry-UID`.

    Raises:
        PlaceError: no folder can be used; then no snapshot is kept.
    """
    private = shared_tmp / f"{APP}-{os.geteuid()}"
    runtime = _xdg(env, "XDG_RUNTIME_DIR")
    tried = []
    for folder in (configured, runtime, private):
        if folder is None:
            continue
        network = network_fs(folder, mountinfo)
        if folder == runtime and network:
            tried.append(f"{folder}: it is on {network}")
            continue
        made = _make_private(folder) if folder == private else None
        reason = made or _unusable(folder)
        if reason is None:
            notices = [f"{folder} is on {network}, a local disk is faster"] if network else []
            if configured and folder != configured:
                notices.append(f"snapshots are kept in {folder}: {'; '.join(tried)}")
            return Place(folder, _line("; ".join(notices)) if notices else None)
        tried.append(f"{folder}: {reason}")
    raise PlaceError(_line(f"no folder for snapshots: {'; '.join(tried)}; set cache_dir"))


def history_dir(
    configured: Path | None,
    cache: Path,
    *,
    mountinfo: Path = MOUNTINFO,
    shared_tmp: Path = SHARED_TMP,
) -> Path:
    """The folder of the history: `configured`, else one below the cache's.

    A cache in memory ($XDG_RUNTIME_DIR, as a rule) is gone at the next login and too small: then it
    is one below `/var/tmp/foundry-UID`, where that can be used.
    """
    if configured is not None:
        return configured
    if fs_type(cache, mountinfo) in MEMORY_FS:
        private = shared_tmp / f"{APP}-{os.geteuid()}"
        lasting = fs_type(shared_tmp, mountinfo) not in MEMORY_FS
        if lasting and (_make_private(private) or _unusable(private)) is None:
            return private / HISTORY
    return cache / HISTORY


def network_fs(path: Path, mountinfo: Path = MOUNTINFO) -> str | None:
    """The type of the network file system that `path` is on; None for a local or unknown one."""
    kind = fs_type(path, mountinfo)
    network = kind is not None and (kind in NETWORK_FS or kind.startswith("fuse."))
    return kind if network else None


def fs_type(path: Path, mountinfo: Path = MOUNTINFO) -> str | None:
    """The file system type of `path`, by the longest mount point that holds it.

    The format is that of proc_pid_mountinfo(5): the mount point is the fifth field, with octal
    escapes, the type the first one after the lone `-`. None where it cannot be read.
    """
    try:
        lines = mountinfo.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    target = Path(os.path.realpath(path))
    found: tuple[int, str] | None = None
    for line in lines:
        head, dash, tail = line.partition(" - ")
        words, kind = head.split(" "), tail.split(" ", 1)[0]
        if not dash or len(words) < 5:
            continue
        mount = Path(_OCTAL.sub(lambda m: chr(int(m[1], 8)), words[4]))
        depth = len(mount.parts)
        if (mount == target or mount in target.parents) and (found is None or depth >= found[0]):
            found = (depth, kind)  # of two mounts on one point, the later one is on top
    return found[1] if found else None


def _xdg(env: Mapping[str, str], name: str) -> Path | None:
    """Our folder below an XDG variable; a relative value is ignored, as the standard says."""
    value = env.get(name, "")
    return Path(value) / APP if value.startswith("/") else None


def _make_private(folder: Path) -> str | None:
    """Make a folder of mode 0700 where everybody may write; why it cannot be trusted, or None."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        info = folder.lstat()
    except OSError as error:
        return _words(error)
    if not stat.S_ISDIR(info.st_mode):
        return "it is not a folder (a symbolic link is refused here)"
    return distrust(info, OTHERS_ANY)


def _unusable(folder: Path) -> str | None:
    """Why files cannot be kept in `folder`, which is made when missing; None when they can.

    A file is written and locked for a try: access(2) does not see a full quota or a file system
    without locks.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = distrust(folder.stat(), OTHERS_WRITE)
        if reason is not None:
            return reason
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\n")
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return _words(error)
    return None


def _words(error: OSError) -> str:
    return error.strerror or str(error)


def _line(text: str) -> SafeText:
    return safe(text, max_cells=1000)
