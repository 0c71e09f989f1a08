"""Reading a job spec: fields of the file into those of `JobSpec`, or an error at its line."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from foundry_tui.jobs.amounts import DURATION, SIZE, WHOLE_MILLI, duration_s, milli, size_bytes
from foundry_tui.jobs.document import Document, Path, read
from foundry_tui.jobs.errors import SpecError, shown
from foundry_tui.jobs.spec import JobSpec, Words

MAX_SCRIPT_BYTES = 96 << 10
"""Cap on the program text: on Kubernetes it travels as one argument of a command."""

MAX_GPUS = 1024
MAX_NODES = 10_000
MAX_CPU_MILLI = 10**7
MAX_TEXT = 500

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_STEERING = ("SBATCH_", "SLURM_")
"""Variables that would change what the submit itself means."""


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
            raise document.error((key,), _unknown(key))
    found: dict[str, Any] = {"name": default_name}
    for key, (attribute, reader) in KEYS.items():
        if key in document.values:
            found[attribute] = reader(document, (key,), document.values[key])
    _check(document)
    return JobSpec(**found)


def _unknown(key: str) -> str:
    if key in _OTHER_WORDS:
        return f"unknown here; it is called `{_OTHER_WORDS[key]}`"
    near = difflib.get_close_matches(key.lower(), KEYS, n=1, cutoff=0.6)
    known = ", ".join(KEYS)
    return f"unknown; did you mean `{near[0]}`?" if near else f"unknown; one of {known}"


def _check(document: Document) -> None:
    """What goes with what."""
    values = document.values
    programs = [key for key in values if key in ("script", "command", "file")]
    if not programs:
        raise SpecError(
            document.name, None, "", "nothing to run: give `command`, `script` or `file`"
        )
    if len(programs) > 1:
        raise document.error((programs[1],), f"there is `{programs[0]}` already; give one of them")
    parts = [key for key in values if key in ("gpu_share", "gpu_memory")]
    if len(parts) == 2:
        raise document.error((parts[1],), f"excludes `{parts[0]}`; give one of them")
    gpus = values.get("gpus", 1 if parts else 0)
    for key in (*parts, "gpu_model"):
        if key in values and gpus == 0:
            raise document.error((key,), "needs `gpus: 1` or more")


_Reader = Callable[[Document, Path, object], Any]


def _wrong(document: Document, where: Path, value: object, expected: str) -> SpecError:
    return document.error(where, f"expected {expected}, not {shown(value)}")


def _text(document: Document, where: Path, value: object) -> str:
    expected = "text on one line"
    if isinstance(value, bool | int | float):
        expected += ", in quotes"
    if (
        not isinstance(value, str)
        or not value.strip()
        or not value.isprintable()
        or len(value) > MAX_TEXT
    ):
        raise _wrong(document, where, value, expected)
    return value.strip()


def _word(document: Document, where: Path, value: object) -> str:
    text = _text(document, where, value)
    if any(c.isspace() for c in text) or text.startswith("-"):
        raise _wrong(document, where, value, "one word without blanks")
    return text


def _model(document: Document, where: Path, value: object) -> str:
    text = _word(document, where, value)
    if not _MODEL.fullmatch(text):
        raise _wrong(document, where, value, "a model such as h100: letters, digits, `.`, `_`, `-`")
    return text


def _script(document: Document, where: Path, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise _wrong(document, where, value, "the lines of a shell script, behind `|`")
    if len(value.encode()) > MAX_SCRIPT_BYTES:
        raise document.error(where, f"more than {MAX_SCRIPT_BYTES >> 10} KiB; put it into a `file`")
    return value if value.endswith("\n") else f"{value}\n"


def _command(document: Document, where: Path, value: object) -> str:
    """A line for the shell as it is, or words that no shell takes apart again."""
    if isinstance(value, list):
        if not value:
            raise _wrong(document, where, value, "a program and its arguments")
        items = enumerate(value, 1)
        return shlex.join(_argument(document, (*where, str(n)), item) for n, item in items) + "\n"
    return _script(document, where, value)


def _argument(document: Document, where: Path, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or "\0" in value:
        raise _wrong(document, where, value, "text, in quotes where it is no plain word")
    return value


def _file(document: Document, where: Path, value: object) -> str:
    text = _text(document, where, value)
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or text.startswith("~"):
        raise _wrong(document, where, value, "a path beside the spec or below its folder")
    return text


def _words(document: Document, where: Path, value: object) -> Words:
    if isinstance(value, dict):
        pairs = ((k, _word(document, (*where, k), v)) for k, v in value.items())
        return Words(by_source=tuple(pairs))
    return Words(_word(document, where, value))


def _whole(least: int, most: int) -> _Reader:
    def reader(document: Document, where: Path, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _wrong(document, where, value, f"a whole number of {least}..{most}")
        return value

    return reader


def _thousandths(most: int, expected: str) -> _Reader:
    def reader(document: Document, where: Path, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(document, where, value, expected)
        try:
            return milli(value, most)
        except ValueError:
            raise _wrong(document, where, value, expected) from None

    return reader


def _amount(read_amount: Callable[[str], int], expected: str) -> _Reader:
    def reader(document: Document, where: Path, value: object) -> int:
        if not isinstance(value, str):
            raise _wrong(document, where, value, expected)
        try:
            return read_amount(value.strip())
        except ValueError as error:
            raise _wrong(document, where, value, str(error)) from None

    return reader


def _truth(document: Document, where: Path, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(document, where, value, "true or false")
    return value


def _environment(document: Document, where: Path, value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise _wrong(document, where, value, "a table of names and texts")
    found = []
    for name, text in value.items():
        path = (*where, name)
        if not _VARIABLE.fullmatch(name):
            raise document.error(path, "a name has letters, digits and `_`, no digit first")
        if name.upper().startswith(_STEERING):
            raise document.error(path, "would change the submit itself; say it in `options`")
        found.append((name, _argument(document, path, text)))
    return tuple(found)


def _options(
    document: Document, where: Path, value: object
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(value, dict):
        raise _wrong(document, where, value, "a table: a source, and a list of its own options")
    found = []
    for source, words in value.items():
        path = (*where, source)
        if not isinstance(words, list):
            raise _wrong(document, path, words, "a list of options, each a text")
        items = enumerate(words, 1)
        found.append((source, tuple(_option(document, (*path, str(n)), w) for n, w in items)))
    return tuple(found)


def _option(document: Document, where: Path, value: object) -> str:
    text = _argument(document, where, value)
    if not text or not text.isprintable():
        raise _wrong(document, where, value, "an option such as `--constraint=ib`")
    return text


KEYS: Mapping[str, tuple[str, _Reader]] = {
    "name": ("name", _text),
    "script": ("script", _script),
    "command": ("script", _command),
    "file": ("file", _file),
    "image": ("image", _word),
    "queue": ("queue", _words),
    "gpus": ("gpus", _whole(0, MAX_GPUS)),
    "gpu_share": (
        "gpu_share_milli",
        _thousandths(WHOLE_MILLI, "a number above 0 and at most 1, with at most three decimals"),
    ),
    "gpu_memory": ("gpu_memory_bytes", _amount(size_bytes, SIZE)),
    "gpu_model": ("gpu_model", _model),
    "nodes": ("nodes", _whole(1, MAX_NODES)),
    "cpus": (
        "cpu_milli",
        _thousandths(MAX_CPU_MILLI, "a number above 0, with at most three decimals"),
    ),
    "memory": ("memory_bytes", _amount(size_bytes, SIZE)),
    "time_limit": ("time_limit_s", _amount(duration_s, DURATION)),
    "preemptible": ("preemptible", _truth),
    "priority": ("priority", _words),
    "environment": ("environment", _environment),
    "experiment": ("experiment", _text),
    "options": ("options", _options),
}
"""Key of the file -> field of `JobSpec`, and how its value is read."""

_OTHER_WORDS = {
    **{"workers": "nodes", "replicas": "nodes", "partition": "queue", "project": "queue"},
    **{"time": "time_limit", "walltime": "time_limit", "env": "environment", "mem": "memory"},
    **{"cpu": "cpus", "gpu": "gpus", "gpu_type": "gpu_model", "gpu_fraction": "gpu_share"},
    **{"qos": "priority", "run": "command", "container": "image", "extra": "options"},
}
"""What others call a field -> what it is called here."""
