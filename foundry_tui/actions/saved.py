"""The estate as it was saved to a file."""

from __future__ import annotations

from pathlib import Path

from foundry_tui.actions.errors import WrongUse
from foundry_tui.estate.snapshot import Snapshot, SnapshotError, decode

MAX_ESTATE_BYTES = 512 << 20
"""Cap on a saved estate file."""


def read_estate(path: Path) -> Snapshot:
    """A saved estate file.

    Raises:
        WrongUse: it is missing, too large or no snapshot.
    """
    try:
        if path.stat().st_size > MAX_ESTATE_BYTES:
            raise WrongUse(f"{path} is larger than {MAX_ESTATE_BYTES >> 20} MiB: no saved estate")
        return decode(path.read_bytes())
    except OSError as error:
        raise WrongUse(f"--estate {path}: {error.strerror}") from error
    except SnapshotError as error:
        raise WrongUse(f"--estate {path}: {error}") from error
