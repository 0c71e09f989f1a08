"""The data that a spec names: is it there, may it be read, and does it look as its schema says."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from foundry_tui.jobs.document import MAX_BYTES
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.preflight import schema as schemas
from foundry_tui.jobs.preflight.judge import Finding
from foundry_tui.jobs.preflight.tables import Unreadable, judge_file
from foundry_tui.jobs.preflight.verdict import Check, fail, ok, skipped
from foundry_tui.jobs.spec import Data

MAX_FINDINGS = 20
"""Findings of one file that are told one by one."""

EXTRA = "Parquet needs pyarrow: pip install 'foundry-tui[data]'; its columns were not looked at"


def check(entry: Data, path: Path, beside: Path) -> tuple[Check, ...]:
    """The checks of one entry whose data lies at `path` of this host; its schema `beside` the spec.

    Without a schema it is enough that a file or a folder is there and can be read.
    """
    name = f"data {entry.name}"
    problem = _unreadable(path, folder_too=entry.schema is None)
    if problem is not None:
        return (fail(name, f"{path}: {problem}"),)
    if entry.schema is None:
        return (ok(name, f"{path} is there"),)
    try:
        schema = _schema(entry.schema, beside)
    except SpecError as error:
        return (fail(f"{name} schema", str(error)),)
    try:
        judged = judge_file(path, schema)
    except ModuleNotFoundError:
        return (skipped(name, EXTRA),)
    except Unreadable as error:
        return (fail(name, f"{path}: {error}"),)
    except OSError as error:
        return (fail(name, f"{path} cannot be read: {error.strerror or error}"),)
    looked = f"{path.name}: looked at {judged.looked}"
    if not judged.findings:
        return (ok(name, f"{looked}: as {entry.schema} says"),)
    count = len(judged.findings)
    head = fail(
        name, f"{looked}: {count} thing{'s' if count > 1 else ''} not as {entry.schema} says"
    )
    told = [_told(name, one) for one in judged.findings[:MAX_FINDINGS]]
    if count > MAX_FINDINGS:
        told.append(fail(name, f"and {count - MAX_FINDINGS} more"))
    return (head, *told)


def _told(name: str, found: Finding) -> Check:
    return fail(name, found.words if found.column is None else f"{found.column}: {found.words}")


def _schema(name: str, beside: Path) -> schemas.Schema:
    """The schema in a file beside the spec.

    Raises:
        SpecError: as `schema.load`, or the file cannot be read.
    """
    path = beside / name
    problem = _unreadable(path, folder_too=False)
    if problem is not None:
        raise SpecError(name, None, "", f"{path}: {problem}")
    try:
        with path.open("rb") as file:
            return schemas.load(path.name, file.read(MAX_BYTES + 1))
    except OSError as error:
        raise SpecError(name, None, "", f"cannot be read: {error.strerror}") from None


def _unreadable(path: Path, *, folder_too: bool) -> str | None:
    """Why a path is no data, in words; None when it is. Nothing is opened."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or str(error)
        return f"it cannot be found: {told}; correct `path`, or wait until it is written"
    if stat.S_ISDIR(mode):
        if not folder_too:
            return "a folder; a schema is for one CSV or Parquet file: name that file"
        readable = os.access(path, os.R_OK | os.X_OK)
    elif stat.S_ISREG(mode):
        readable = os.access(path, os.R_OK)
    else:
        return f"{_kind(mode)}; data is a file or a folder"
    return None if readable else "you may not read it"


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"
