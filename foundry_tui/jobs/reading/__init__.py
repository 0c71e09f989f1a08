"""Reading a job spec: fields of the file into those of `JobSpec`, or an error at its line."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from foundry_tui.jobs.document import Document, read
from foundry_tui.jobs.reading.fields import KEYS
from foundry_tui.jobs.reading.together import check, check_programs
from foundry_tui.jobs.reading.unknown import unknown
from foundry_tui.jobs.spec import JobSpec

__all__ = ["KEYS", "from_document", "load"]


def load(path: str, data: bytes) -> JobSpec:
    """The spec in a file. Nothing of it is run.

    Raises:
        SpecError: the file cannot be read, or a field is unknown, missing or has a wrong value.
    """
    place = PurePosixPath(path)
    return from_document(read(place.name, data), default_name=place.stem)


def from_document(document: Document, *, default_name: str) -> JobSpec:
    """The spec in the values of a file.

    Raises:
        SpecError: as `load`.
    """
    for key in document.values:
        if key not in KEYS:
            raise document.error((key,), unknown(key, KEYS))
    check_programs(document)
    found: dict[str, Any] = {"name": default_name}
    for key, field in KEYS.items():
        if key in document.values:
            read_value = field.kind.read(document, (key,), document.values[key])
            values = read_value if len(field.attributes) != 1 else (read_value,)
            found.update(zip(field.attributes, values, strict=True))
    spec = JobSpec(**found)
    if not spec.name.isprintable():
        raise document.error((), "the file's name is no name of a run: give `name`")
    check(document, spec)
    return spec
