"""How the estate stood when the user last looked: one small file per estate, mode 0600.

It only serves to say what is new. A file that cannot be read or trusted is as good as none, and the
next one takes its place.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from foundry_tui.config.owned import OTHERS_WRITE, open_own
from foundry_tui.estate.glance import Glance

SCHEMA = "foundry.glance/1"
MAX_BYTES = 4 << 20
"""Cap on the file's size; 20,000 runs and 1,250 nodes take some 1 MB."""


class Looked:
    """The file of one estate in a folder of the user's own. `estate` is any name of it."""

    def __init__(self, folder: Path, estate: str) -> None:
        digest = hashlib.sha256(os.fsencode(estate)).hexdigest()[:12]
        self.path = folder / f"looked-{digest}.json"

    def load(self) -> Glance | None:
        """The last glance; None when there is none that can be read. Never raises."""
        import msgspec

        try:
            with os.fdopen(open_own(self.path, OTHERS_WRITE), "rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                return None
            kept = msgspec.json.decode(data, type=_kept_type())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        schema, found = kept
        return found if schema == SCHEMA and found.at.tzinfo is not None else None

    def save(self, glance: Glance) -> bool:
        """Keep a glance in place of the one before; False when the disk refuses. Never raises."""
        import msgspec

        try:
            data = msgspec.json.encode((SCHEMA, glance))
        except UnicodeEncodeError:  # a name holds bytes that are no UTF-8
            return False
        if len(data) > MAX_BYTES:
            return False
        try:
            fd, name = tempfile.mkstemp(prefix=f".{self.path.stem}.", dir=self.path.parent)
        except OSError:
            return False
        temp = Path(name)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            temp.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                temp.unlink()
            return False
        return True


def _kept_type() -> type[tuple[str, Glance]]:
    return tuple[str, Glance]
