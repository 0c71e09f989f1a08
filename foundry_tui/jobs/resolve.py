"""A spec as it counts: overrides applied, params filled in, and its id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace

from foundry_tui.jobs.document import MAX_DEPTH, Document, Path, set_name, value_of
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.shelltext import filled, is_shell
from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.writing import values

OPEN_TABLES = frozenset(
    ("params", "environment", "tags", "secrets", "queue", "account", "node_pool", "priority")
)
"""Tables whose keys are the user's own: what follows the first dot is one key, dots and all."""

NOTHING = ("null", "~")
"""What takes a field away; a comment is no value either, but nobody means that."""


def canonical(spec: JobSpec) -> str:
    """The spec as JSON with sorted keys and no blanks: the same for every way to write it.

    Raises:
        ValueError: an amount that no file can hold to the byte.
    """
    return json.dumps(values(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def spec_id(spec: JobSpec) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal digits.

    Raises:
        ValueError: as `canonical`.
    """
    return hashlib.sha256(canonical(spec).encode()).hexdigest()


def overridden(document: Document, given: Iterable[str]) -> Document:
    """The document with `key=value` set, the later over the earlier; `null` takes a key away.

    A key has dots where tables are inside each other: `checkpoint.grace=60s`. A value is read as in
    a YAML file: `gpus=2`, `retry={on: [timeout]}`; without any it is an empty text.

    Raises:
        SpecError: no `=`, a value that cannot be read, or a key below what is no table.
    """
    made = Document(
        document.name, dict(document.values), dict(document.lines), dict(document.overrides)
    )
    for words in given:
        key, equals, text = words.partition("=")
        path = _path(key.strip())
        if not equals or not all(path):
            raise SpecError(set_name(words), None, "", "expected key=value such as gpus=2")
        value = value_of(set_name(words), text, len(path)) if text else ""
        if value is None and text.strip() not in NOTHING:
            raise SpecError(set_name(words), None, "", "no value: put it into quotes of its own")
        _put(made, path, value, words)
    return made


def _path(key: str) -> Path:
    first, dot, rest = key.partition(".")
    if dot and first in OPEN_TABLES:
        return (first, rest)
    return tuple(key.split("."))


def _put(document: Document, path: Path, value: object, words: str) -> None:
    if len(path) > MAX_DEPTH:
        raise SpecError(set_name(words), None, "", "has too many dots")
    table = document.values
    for depth, key in enumerate(path[:-1], 1):
        inner = table.get(key, {})
        if not isinstance(inner, dict):
            where = ".".join(path[:depth])
            raise SpecError(set_name(words), None, where, "is no table; set it as a whole")
        table[key] = table = dict(inner)
    if value is None:
        table.pop(path[-1], None)
    else:
        table[path[-1]] = value
    document.overrides[path] = words


def substituted(spec: JobSpec) -> JobSpec:
    """The spec with `${name}` in its script replaced by the value of each declared param.

    Only a script of a shell is looked at; a program in another language reads the variables.
    """
    if spec.script is None or not spec.params or not is_shell(spec.script):
        return spec
    return replace(spec, script=filled(spec.script, dict(spec.params)))
