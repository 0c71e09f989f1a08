"""The mapping tables of a site: a TOML file, read strictly.

What the tables mean is told at `nouns.Tables`. A path is a table of `claim` (a volume claim) or
`source` (a folder of the nodes), `target` where it is seen elsewhere, and `read_only`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from foundry_tui.estate.text import safe
from foundry_tui.jobs.spec import Mount
from foundry_tui.migration.nouns import Rank, Tables

MAX_BYTES = 1 << 20
HOME = "$HOME"
"""The key of the user's home among the paths: `~` is the same."""

_T = TypeVar("_T")
_WORD = re.compile(r"[^\s-]\S{0,249}")
_FOLDER = re.compile(r"/[^\s:,]*")
_CLAIM = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,252}=[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class TablesError(ValueError):
    """A file of mapping tables that cannot be used; names the field."""


def read(name: str, data: bytes) -> Tables:
    """The tables in a file that is called `name`.

    Raises:
        TablesError: it is no TOML, or a field is unknown or has a wrong value.
    """
    if len(data) > MAX_BYTES:
        raise TablesError(f"{name}: has {len(data) >> 20} MiB; mapping tables have at most 1")
    try:
        found = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise TablesError(f"{name}: not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise TablesError(safe(f"{name}: no TOML: {error}", max_cells=300)) from None
    for key in found:
        if key not in _READERS:
            known = ", ".join(_READERS)
            raise TablesError(safe(f"{name}: {key}: unknown; one of {known}", max_cells=300))
    try:
        return Tables(**{key: _READERS[key](key, value) for key, value in found.items()})
    except ValueError as error:
        raise TablesError(safe(f"{name}: {error}", max_cells=300)) from None


def _pairs(read_value: Callable[[str, object], _T]) -> Callable[[str, object], Any]:
    def read_table(where: str, value: object) -> tuple[tuple[str, _T], ...]:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: expected a table of names and what stands for them")
        return tuple((key, read_value(f"{where}.{key}", item)) for key, item in value.items())

    return read_table


def _word(where: str, value: object) -> str:
    if not isinstance(value, str) or not _WORD.fullmatch(value) or not value.isprintable():
        raise ValueError(f"{where}: expected one word, not {value!r}")
    return value


def _image(where: str, value: object) -> str:
    """An image, or nothing where the module needs none of its own."""
    return "" if value == "" else _word(where, value)


def _place(where: str, value: object) -> str:
    text = _word(where, value)
    if "=" in text and not _LABEL.fullmatch(text):
        raise ValueError(f"{where}: expected a label such as network=ib, or a node pool")
    return text


def _rank(where: str, value: object) -> Rank:
    if isinstance(value, str):
        return Rank(_word(where, value))
    fits = isinstance(value, Mapping) and value.keys() <= {"priority", "preemptible"} and value
    if not fits or not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected a priority class, or {{priority, preemptible}}")
    preemptible = value.get("preemptible")
    if not isinstance(preemptible, bool | None):
        raise ValueError(f"{where}.preemptible: expected true or false")
    priority = value.get("priority")
    return Rank(None if priority is None else _word(f"{where}.priority", priority), preemptible)


def _paths(where: str, value: object) -> tuple[tuple[str, Mount], ...]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected a table of folders and what is mounted there")
    return tuple(_path(f"{where}.{key}", key, item) for key, item in value.items())


def _path(where: str, key: str, value: object) -> tuple[str, Mount]:
    known = {"claim", "source", "target", "read_only"}
    prefix = HOME if key in ("~", HOME) else key.rstrip("/") or "/"
    if prefix != HOME and not _FOLDER.fullmatch(prefix):
        raise ValueError(
            f"{where}: expected an absolute path without blanks, `:` and `,`, or $HOME"
        )
    if not isinstance(value, Mapping) or not value.keys() <= known:
        raise ValueError(f"{where}: expected a table of {', '.join(sorted(known))}")
    claim, source, target = (value.get(name) for name in ("claim", "source", "target"))
    for name, text, form in (
        ("claim", claim, _CLAIM),
        ("source", source, _FOLDER),
        ("target", target, _FOLDER),
    ):
        if text is not None and not (isinstance(text, str) and form.fullmatch(text)):
            raise ValueError(f"{where}.{name}: {text!r} is no name of a claim, or no folder")
    if claim is None and source is None:
        raise ValueError(f"{where}: give `claim` or `source`")
    if target is None and prefix == HOME:
        raise ValueError(f"{where}: give `target`: the home is a folder of its own in a container")
    if target not in (None, prefix) and prefix != HOME:
        raise ValueError(
            f"{where}.target: the program names {prefix}, so it has to be seen there; leave it out"
        )
    read_only = value.get("read_only", False)
    if not isinstance(read_only, bool):
        raise ValueError(f"{where}.read_only: expected true or false")
    seen = str(target or prefix)
    return prefix, Mount(target=seen, source=source, claim=claim, read_only=read_only)


def _shards(where: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1024:
        raise ValueError(f"{where}: expected a whole number of 1..1024")
    return value


_READERS: Mapping[str, Callable[[str, object], Any]] = {
    "image": _word,
    "project": _word,
    "shards_per_gpu": _shards,
    "partitions": _pairs(_word),
    "accounts": _pairs(_word),
    "qos": _pairs(_rank),
    "constraints": _pairs(_place),
    "modules": _pairs(_image),
    "paths": _paths,
}
"""Key of the file -> how its value is read."""
