"""Printing: data to standard output, narration to standard error, files whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

MISSING = "—"


def visible(text: str) -> str:
    """Text of a file or of the caller without control, bidi and zero-width characters."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(shown)[:2000]


def narrate(text: str) -> None:
    """One line for the person, on standard error."""
    line = f"scheduler-sim: {visible(text)}\n"
    sys.stderr.write(line.encode(errors="backslashreplace").decode())
    sys.stderr.flush()


def emit(text: str) -> None:
    """Data on standard output, ended by one line break.

    Raises:
        BrokenPipeError: the reader has gone.
        OSError: it cannot be written, for example because the disk is full.
    """
    raw = text.encode("utf-8", "replace")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(raw if raw.endswith(b"\n") else raw + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def as_json(payload: Mapping[str, Any]) -> str:
    """One JSON object in ASCII; what is not known is null, and NaN is refused.

    Names of files may have characters that a terminal obeys; JSON spells them out.

    Raises:
        ValueError: a number that JSON does not have.
    """
    return json.dumps(payload, allow_nan=False)


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], header: bool = True) -> str:
    """Rows as CSV with these columns; what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row.get(c) is None else row[c] for c in columns])
    return text.getvalue()


def number(value: float | None, digits: int = 2) -> str:
    """A number for a table: grouped, `digits` decimals (whole numbers have none), — for unknown."""
    if value is None:
        return MISSING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns under their heads: the first to the left, numbers to the right."""
    lines = [[visible(cell) for cell in line] for line in (head, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    made = []
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        made.append("  ".join(cells).rstrip())
    return "\n".join(made)


def width() -> int:
    """Columns to fill: those of the terminal; COLUMNS, else 80, when there is none."""
    if sys.stdout.isatty():
        return shutil.get_terminal_size((80, 24)).columns
    given = os.environ.get("COLUMNS", "")
    return max(40, int(given)) if given.isdecimal() and given.isascii() else 80


def writable(target: Path, option: str) -> None:
    """Check before long work that a file could be written at its end.

    Raises:
        SimError: the folder is not there or cannot be written, or the target is no file.
    """
    from scheduler_sim.cli.errors import SimError

    folder = target.parent
    if target.is_dir():
        why = "it is a folder; name a file in it"
    elif target.exists() and not target.is_file():
        why = "it is a pipe or a device, which cannot be replaced; name a file"
    elif not folder.is_dir():
        why = f"there is no folder {folder}; make it, or name another"
    elif not os.access(folder, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        why = "it cannot be written; name a file elsewhere"
    else:
        return
    raise SimError(f"{option} {target}: {why}")


def write_whole(target: Path, text: str) -> None:
    """Write a file whole or not at all; a link stays, and the file it names is written.

    Raises:
        OSError: the folder cannot be written, or is full; the old file is then still there.
    """
    target = target.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(handle, 0o666 & ~_umask())
            file.flush()
            os.fsync(handle)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
