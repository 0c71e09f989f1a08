"""What was last filled into a form, to be offered again: one file of the user's own, mode 0600.

It saves typing and nothing else. A file that cannot be read or trusted is as good as none, and the
next one takes its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from foundry_tui.config.owned import OTHERS_WRITE, open_own

SCHEMA = "foundry.lastvalues/1"
MAX_BYTES = 64 << 10
MAX_VALUE = 4096
"""Characters of one value; more was not typed by a person."""


class LastValues:
    """The file `last-FORM.json` in a folder of the user's own, replaced as a whole."""

    def __init__(self, folder: Path, form: str) -> None:
        self.path = folder / f"last-{form}.json"

    def load(self) -> dict[str, str]:
        """The values by the names of their fields; empty when nothing usable is kept."""
        try:
            with os.fdopen(open_own(self.path, OTHERS_WRITE), "rb") as file:
                data = file.read(MAX_BYTES + 1)
            whole = json.loads(data[:MAX_BYTES].decode("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        values = whole.get("values") if isinstance(whole, dict) else None
        if not isinstance(values, dict) or whole.get("schema") != SCHEMA:
            return {}
        return {name: text for name, text in values.items() if _usable(text)}

    def save(self, values: Mapping[str, str]) -> bool:
        """Keep these in place of what was kept; False when the disk refuses. Never raises."""
        kept = {name: text for name, text in values.items() if _usable(text)}
        data = json.dumps({"schema": SCHEMA, "values": kept}, indent=1).encode("ascii")
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


def _usable(text: object) -> bool:
    return isinstance(text, str) and len(text) <= MAX_VALUE and (not text or text.isprintable())
