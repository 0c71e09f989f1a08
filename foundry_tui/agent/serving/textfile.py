"""The page as a file for the textfile collector of node_exporter: no port is opened."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

NAME = "foundry.prom"


def write(folder: str, page: bytes) -> None:
    """Put the page into `folder` in one step: whoever reads sees the old or the new one whole.

    Raises:
        OSError: the folder cannot be written.
    """
    file, temporary = tempfile.mkstemp(prefix=".foundry-", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(file, "wb") as out:
            os.fchmod(out.fileno(), 0o644)
            out.write(page)
        Path(temporary).replace(Path(folder, NAME))
    except OSError:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def remove(folder: str) -> None:
    """Take the page away: node_exporter would tell the last values for ever."""
    with contextlib.suppress(OSError):
        Path(folder, NAME).unlink()
