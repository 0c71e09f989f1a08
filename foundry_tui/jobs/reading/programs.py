"""What runs, as it stands in a spec: a command, a script, a file beside it, checks before it."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from foundry_tui.jobs.document import Document, Path
from foundry_tui.jobs.reading.kinds import ARGUMENT, TEXT, Kind, items, wrong

MAX_SCRIPT_BYTES = 96 << 10
"""Cap on the program text: on Kubernetes it travels as one argument of a command."""


def _script(document: Document, where: Path, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise wrong(document, where, value, "the lines of a shell script, behind `|`")
    if len(value.encode()) > MAX_SCRIPT_BYTES:
        raise document.error(where, f"more than {MAX_SCRIPT_BYTES >> 10} KiB; put it into a `file`")
    return value if value.endswith("\n") else f"{value}\n"


def _command(document: Document, where: Path, value: object) -> str:
    """A line for the shell as it is, or words that no shell takes apart again."""
    if isinstance(value, list):
        return shlex.join(_ARGUMENTS.read(document, where, value)) + "\n"
    return _script(document, where, value)


def _check(document: Document, where: Path, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise document.error(where, f"cannot be taken apart: {error}") from None
    words: tuple[str, ...] = _ARGUMENTS.read(document, where, value)
    if not words[0].strip():
        raise wrong(document, where, value, "a program and its arguments")
    return words


def _beside(document: Document, where: Path, value: object) -> str:
    text: str = TEXT.read(document, where, value)
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or text.startswith("~"):
        raise wrong(document, where, value, "a path beside the spec or below its folder")
    return text


_ARGUMENTS = items(ARGUMENT, "a program and its arguments", least=1)
_LINES = {"type": "string", "minLength": 1}

SCRIPT = Kind(_script, _LINES)
COMMAND = Kind(_command, {"anyOf": [_LINES, _ARGUMENTS.schema]})
BESIDE = Kind(_beside, TEXT.schema)
"""A file beside the spec or below its folder, as it is written there."""

CHECKS = items(
    Kind(_check, {"anyOf": [_LINES, _ARGUMENTS.schema]}),
    "a list of commands, each a line or a list of words",
)
"""Commands as words: a line is taken apart as a shell would, and no shell runs it."""
