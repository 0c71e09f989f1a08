"""Writing what is shown to a file of the user's own: never over another one."""

from __future__ import annotations

import os
from pathlib import Path

from foundry_tui.actions.errors import ActionError


def write_new(path: Path, data: bytes) -> None:
    """Write a new file that its owner alone can read.

    Raises:
        ActionError: there is such a file already, or it cannot be written; says what to do.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise ActionError(
            f"that file exists and is left as it is: give another name than {path}"
        ) from error
    except OSError as error:
        raise ActionError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ActionError(f"{path} cannot be written: {error.strerror}") from error
