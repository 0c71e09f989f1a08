"""Finds and reads the configuration file.

Without a file every option has its default and sources are discovered elsewhere. A file that is
there is read strictly: an unknown key, a wrong type or an impossible value is an error that names
the file, the key, what was found and what is expected.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foundry_tui.config.errors import MAX_CELLS, ConfigError
from foundry_tui.config.model import Config
from foundry_tui.config.places import config_files
from foundry_tui.config.tables import Tables
from foundry_tui.estate.text import SafeText, safe

MAX_BYTES = 1 << 20
"""Cap on the file's size; a larger file is no configuration."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The configuration, the file it came from (None: defaults), and remarks for the user."""

    config: Config
    path: Path | None
    warnings: tuple[SafeText, ...] = ()


def load(path: Path | None, env: Mapping[str, str]) -> Loaded:
    """The configuration of `path`, else of `$FOUNDRY_CONFIG`, else of the first usual place.

    The usual places are `$XDG_CONFIG_HOME/foundry/config.toml` and `/etc/foundry/config.toml`.
    A file that is named must exist; usual places may be empty.

    Raises:
        ConfigError: a named file is missing, or a file that is there cannot be used.
    """
    named = path or (Path(env["FOUNDRY_CONFIG"]) if env.get("FOUNDRY_CONFIG") else None)
    for candidate in [named] if named else config_files(env):
        warnings: list[str] = []
        data = _read(candidate, named=named is not None, warnings=warnings)
        if data is not None:
            home = Path(env["HOME"]) if env.get("HOME") else Path.home()
            tables = Tables(candidate, home, warnings)
            config = tables.config(parse(candidate, data))
            remarks = tuple(safe(w, max_cells=MAX_CELLS) for w in warnings)
            return Loaded(config, candidate, remarks)
    return Loaded(Config(), None)


def _read(path: Path, *, named: bool, warnings: list[str]) -> bytes | None:
    """The file's bytes; None when it is not there and need not be."""
    expected = "a TOML file that you may read"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        if not named:
            return None
        raise ConfigError(path, "", "no file", "the configuration file that was named") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(path, "", f"that it cannot be opened: {reason}", expected) from None
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            what = "a directory" if stat.S_ISDIR(info.st_mode) else "something that is no file"
            raise ConfigError(path, "", what, expected)
        _check_trust(path, info, named=named, warnings=warnings)
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = f"that it cannot be read: {error.strerror}"
        raise ConfigError(path, "", problem, expected) from None
    finally:
        os.close(fd)
    if len(data) > MAX_BYTES:
        raise ConfigError(path, "", f"more than {MAX_BYTES} bytes", "a configuration file")
    return data


def _check_trust(path: Path, info: os.stat_result, *, named: bool, warnings: list[str]) -> None:
    """Refuse a file that others could have written: it names programs that will be run."""
    if info.st_mode & stat.S_IWOTH:
        raise ConfigError(path, "", "that anybody may write it", "mode 0644 or stricter")
    if info.st_uid not in (0, os.geteuid()):
        if not named:
            raise ConfigError(path, "", f"owner uid {info.st_uid}", "a file of yours or of root")
        warnings.append(f"{path}: belongs to uid {info.st_uid}, not to you or root")
    if info.st_mode & stat.S_IWGRP:
        warnings.append(f"{path}: its group may write it; chmod g-w takes that away")


def parse(path: Path, data: bytes) -> dict[str, object]:
    """The tables of a TOML file's bytes.

    Raises:
        ConfigError: it is no UTF-8 or no TOML; names line and column.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        where = f"line {line}, column {column}"
        raise ConfigError(path, where, f"the byte 0x{data[error.start]:02x}", "UTF-8") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, _, where = str(error).rpartition(" (at ")
        where = where.rstrip(")")
        if where == "end of document":
            lines = text.split("\n")
            where = f"line {len(lines)}, column {len(lines[-1]) + 1} (end of the file)"
        raise ConfigError(path, where, problem or str(error), "valid TOML") from None
    except (ValueError, RecursionError):
        what = "a number that is too long, or tables that are nested too deep"
        raise ConfigError(path, "", what, "valid TOML") from None
