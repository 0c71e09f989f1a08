"""The error of a configuration that cannot be used."""

from __future__ import annotations

from pathlib import Path

from foundry_tui.estate.text import safe

MAX_CELLS = 1000


class ConfigError(Exception):
    """One thing in a configuration file is wrong.

    `path` is the file, `key` the dotted key or the line and column (empty: the file itself),
    `found` what stands there and `expected` what should.
    """

    def __init__(self, path: Path, key: str, found: str, expected: str) -> None:
        where = f"{path}: {key}" if key else str(path)
        message = f"{where}: found {found}; expected {expected}"
        super().__init__(safe(message, max_cells=MAX_CELLS))
        self.path, self.key, self.found, self.expected = path, key, found, expected
