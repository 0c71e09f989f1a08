"""What the user may still write, by the command `quota` of the Linux quota tools.

    Disk quotas for user alice (uid 1000):
         Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
     nfs:/home 9000000* 8000000 9500000 1700000000 1200 0 0 0

`-w` keeps each file system on one line and `-p` fills in every column. Blocks are of 1 KiB; 0 is
no limit; a star says that the soft limit is passed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from foundry_tui import process
from foundry_tui.jobs.preflight.places import LITTLE_BYTES
from foundry_tui.jobs.preflight.verdict import Check, fail, ok, skipped, warn

TIMEOUT_S = 5.0
MAX_BYTES = 1 << 20
NAME = "quota"
MOUNTS = Path("/proc/self/mountinfo")

_COLUMNS = 9
_BLOCK_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A user's line for one file system; None for a limit that is not set."""

    filesystem: str
    used_bytes: int
    soft_bytes: int | None
    hard_bytes: int | None
    files: int
    hard_files: int | None


def check(folder: Path) -> Check:
    """What the user's quota leaves on the file system of a folder."""
    try:
        done = process.run(("quota", "-w", "-p"), timeout_s=TIMEOUT_S, max_bytes=MAX_BYTES)
    except process.NotFound:
        return skipped(NAME, "there is no command `quota` on this host")
    except process.ProcessError as error:
        return skipped(NAME, str(error))
    lines = parse(done.out.decode("utf-8", "replace"))
    if not lines:
        return skipped(NAME, "`quota` tells of no limits for you")
    try:
        device = folder.stat().st_dev
        source = source_of(device, MOUNTS.read_text("utf-8", "replace"))
    except OSError as error:
        return skipped(NAME, f"the file system of {folder} is not known: {error.strerror}")
    found = next((line for line in lines if line.filesystem == source), None)
    if found is None:
        return skipped(NAME, f"`quota` tells of no limit on {source or folder}")
    return judged(found)


def parse(text: str) -> tuple[Used, ...]:
    """The lines of `quota -w -p`; what is no such line is passed over."""
    found = []
    for line in text.splitlines():
        words = line.split()
        numbers = [word.rstrip("*") for word in words[1:]]
        if len(words) != _COLUMNS or not all(n.isascii() and n.isdigit() for n in numbers):
            continue
        used, soft, hard, _, files, _, hard_files, _ = map(int, numbers)
        found.append(
            Used(
                filesystem=words[0],
                used_bytes=used * _BLOCK_BYTES,
                soft_bytes=soft * _BLOCK_BYTES or None,
                hard_bytes=hard * _BLOCK_BYTES or None,
                files=files,
                hard_files=hard_files or None,
            )
        )
    return tuple(found)


def source_of(device: int, mounts: str) -> str | None:
    """The source of the file system with this device number; proc_pid_mountinfo(5)."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        words = line.split()
        if len(words) > 2 and words[2] == wanted and "-" in words:
            behind = words[words.index("-") + 1 :]
            return behind[1] if len(behind) > 1 else None
    return None


def judged(found: Used) -> Check:
    """A judgement on one line."""
    limit = found.hard_bytes or found.soft_bytes
    if found.hard_files is not None and found.files >= found.hard_files:
        return fail(NAME, f"you have {found.files:,} files on {found.filesystem}, all you may have")
    if limit is None:
        return ok(NAME, f"no limit of bytes on {found.filesystem}")
    used = f"you use {found.used_bytes / 1e9:,.1f} of {limit / 1e9:,.1f} GB on {found.filesystem}"
    if found.used_bytes >= limit:
        return fail(NAME, f"{used}: nothing more can be written there")
    if found.soft_bytes is not None and found.used_bytes > found.soft_bytes:
        return warn(NAME, f"{used}, above the soft limit: writing ends with its grace time")
    if limit - found.used_bytes < LITTLE_BYTES:
        return warn(NAME, f"{used}: little room for checkpoints")
    return ok(NAME, used)
