"""The last good snapshot of each source, kept on local disk and shown at once at the next start.

A file that cannot be trusted or read is as good as none: the reader gets the reason instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from foundry_tui.config.owned import OTHERS_WRITE, open_own, replace_own
from foundry_tui.estate.snapshot import Snapshot, SnapshotError, decode, encode
from foundry_tui.estate.text import SafeText, safe

MAX_BYTES = 64 << 20
"""Cap on a file's size; a run with its placement takes some 800 bytes."""

STALE_TEMP_S = 3600.0
"""Age in seconds at which a temporary file is the rest of a process that died."""


class StoreError(Exception):
    """A snapshot could not be kept; the one kept before is still there."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept for a source: a snapshot, or the reason why there is none to show."""

    snapshot: Snapshot | None
    reason: SafeText | None = None


class Snapshots:
    """A folder with one file per source, replaced as a whole.

    `owners` are the uids whose files are believed, instead of the user's own; `mode` is that of
    new files.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = MAX_BYTES,
        owners: Collection[int] | None = None,
        mode: int = 0o600,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._owners = owners
        self._mode = mode

    def path(self, source: str) -> Path:
        """The file of a source: whatever its name holds, one plain file name in the folder."""
        raw = os.fsencode(source)
        digest = hashlib.sha256(raw).hexdigest()[:12]
        return self._folder / f"snapshot-{quote(raw, safe='')[:80]}-{digest}.json"

    def save(self, source: str, snapshot: Snapshot) -> None:
        """Keep a snapshot in place of the one before; a reader sees the one or the other whole.

        Raises:
            StoreError: the disk is full or closed, or the snapshot larger than the cap.
        """
        path = self.path(source)
        try:
            data = encode(snapshot)
            if len(data) > self._max_bytes:
                raise StoreError(f"snapshot of {safe(source)}: {_too_large(self._max_bytes)}")
            self._sweep(path)
            replace_own(path, data, mode=self._mode, sync=True)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise StoreError(
                safe(f"snapshot of {source} not kept: {path}: {reason}", max_cells=1000)
            ) from error

    def load(self, source: str) -> Kept:
        """The last snapshot that was kept for a source. Never raises."""
        path = self.path(source)
        try:
            with os.fdopen(open_own(path, OTHERS_WRITE, owners=self._owners), "rb") as file:
                data = file.read(self._max_bytes + 1)
            if len(data) > self._max_bytes:
                return _ignored(path, _too_large(self._max_bytes))
            return Kept(decode(data))
        except FileNotFoundError:
            return Kept(None, safe("nothing was kept yet"))
        except OSError as error:
            return _ignored(path, error.strerror or str(error))
        except (SnapshotError, RecursionError) as error:
            return _ignored(path, str(error))

    def forget(self, source: str) -> None:
        """Take away what was kept for a source.

        Raises:
            StoreError: it is still there.
        """
        path = self.path(source)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(safe(f"{path} is still there: {error.strerror}")) from error

    def _sweep(self, path: Path) -> None:
        """Take away what writers that were killed have left."""
        for temp in self._folder.glob(f".{path.name}.*"):
            with contextlib.suppress(OSError):
                if time.time() - temp.stat().st_mtime > STALE_TEMP_S:
                    temp.unlink()


def _ignored(path: Path, reason: str) -> Kept:
    return Kept(None, safe(f"{path} is ignored: {reason}", max_cells=1000))


def _too_large(max_bytes: int) -> str:
    return f"larger than {max_bytes} bytes"
