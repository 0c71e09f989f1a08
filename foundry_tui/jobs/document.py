"""The file of a job spec as plain values, with the line of each: YAML or TOML, and little of both.

Of YAML what a spec needs is read, and nothing is guessed: plain words stay text (`no`, `12:00:00`
and `1e3` too; only `true`, `false` and decimal numbers mean more), a key stands once, and anchors,
tags and several documents are refused. So no file can run anything, or grow when it is read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from foundry_tui.jobs.errors import SpecError

MAX_BYTES = 128 << 10
"""Cap on a spec: more than the longest script that travels inside one."""

MAX_DEPTH = 3
"""Lists and tables inside each other: `options`, a source in it, its list."""

Path = tuple[str, ...]
"""Keys and, in a list, numbers from the top of the file to a value."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Document:
    """The top table of a file; `lines` has the line of each key and item, empty where not known.

    `overrides` are the keys that were given beside the file, in the words in which they were.
    """

    name: str
    values: dict[str, object]
    lines: dict[Path, int] = field(default_factory=dict)
    overrides: dict[Path, str] = field(default_factory=dict)

    def error(self, where: Path, problem: str) -> SpecError:
        """An error at a key; one that was given on the command line is named as it stands there."""
        for end in range(len(where), 0, -1):
            if (given := self.overrides.get(where[:end])) is not None:
                return SpecError(set_name(given), None, ".".join(where), problem)
        return SpecError(self.name, self.lines.get(where), ".".join(where), problem)


def set_name(words: str) -> str:
    """What an error calls a value that was given beside the file."""
    return f"--set {words if len(words) <= 80 else f'{words[:80]}…'}"


class Whole(int):
    """A whole number that knows how it was written."""

    text: str


class Decimals(float):
    """A number with decimals that knows how it was written."""

    text: str


def written(value: object) -> str | None:
    """Text, number or truth as it stands in the file; None for a list, a table or nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Whole | Decimals):
        return value.text
    return str(value) if isinstance(value, int | float) else None


def read(name: str, data: bytes, *, what: str = "job spec", max_depth: int = MAX_DEPTH) -> Document:
    """The values of a file whose name ends in `.toml`, or else is YAML.

    `what` it is stands in errors; its tables and lists lie at most `max_depth` inside each other.

    Raises:
        SpecError: too large, no UTF-8, empty, or no such file; the line is named where it is known.
    """
    if len(data) > MAX_BYTES:
        problem = f"has {len(data) >> 10} KiB; a {what} has at most {MAX_BYTES >> 10}"
        raise SpecError(name, None, "", problem)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError(name, line, "", "not UTF-8 text: save the file as UTF-8") from None
    is_toml = name.lower().endswith(".toml")
    document = _toml(name, text) if is_toml else _Yaml(name, max_depth).document(text)
    if not document.values:
        raise SpecError(name, None, "", "empty: give at least `command`, `script` or `file`")
    return document


def value_of(name: str, text: str, depth: int) -> object:
    """One value in YAML: a word, a number, a list or a table. `depth` is how deep it will stand.

    Raises:
        SpecError: it cannot be read as one value; `name` is what the error calls it.
    """
    return _Yaml(name, MAX_DEPTH).value(text, ("",) * depth)


def _toml(name: str, text: str) -> Document:
    try:
        return Document(name, tomllib.loads(text, parse_float=_decimals))
    except (ValueError, RecursionError) as error:
        words = str(error) if isinstance(error, ValueError) else "lists too deep inside each other"
        found = re.search(r" \(at line (\d+), column \d+\)", words)
        line = int(found[1]) if found else None
        problem = f"no TOML: {words.replace(found[0], '') if found else words}"
        raise SpecError(name, line, "", problem) from None


class _Yaml:
    """Builds plain values from the events of the parser: nothing is constructed by it."""

    def __init__(self, name: str, max_depth: int) -> None:
        self._name, self._max_depth = name, max_depth
        self._lines: dict[Path, int] = {}
        self._events: Iterator[Any] = iter(())

    def document(self, text: str) -> Document:
        values = self.value(text, ())
        if values is None:
            return Document(self._name, {})
        if not isinstance(values, dict):
            raise SpecError(self._name, 1, "", "a spec is a table: lines such as `gpus: 2`")
        return Document(self._name, values, self._lines)

    def value(self, text: str, where: Path) -> object:
        self._events = yaml.parse(text, Loader=yaml.SafeLoader)
        values: object = None
        documents = 0
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise self._error(event, (), "a second document; a spec is one")
                elif isinstance(event, yaml.NodeEvent):
                    values = self._value(event, where)
        except yaml.MarkedYAMLError as error:
            raise self._unreadable(error) from None
        except yaml.YAMLError as error:
            first = str(error).partition("\n")[0]
            raise SpecError(self._name, None, "", f"no YAML: {first}") from None
        return values

    def _value(self, event: Any, where: Path) -> object:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._error(event, where, "anchors and aliases (`&`, `*`) are not read")
        if getattr(event, "tag", None) is not None:
            raise self._error(event, where, f"tags such as `{event.tag[:40]}` are not read")
        if isinstance(event, yaml.ScalarEvent):
            if _SURROGATE.search(event.value):
                raise self._error(event, where, "half a character (an escape such as \\ud800)")
            return _scalar(event)
        if len(where) >= self._max_depth:
            raise self._error(event, where, "tables and lists too deep inside each other")
        return (
            self._table(where) if isinstance(event, yaml.MappingStartEvent) else self._list(where)
        )

    def _table(self, where: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(event, where, "a key is a plain word")
            key = event.value
            if _SURROGATE.search(key):
                raise self._error(event, where, "a key is a plain word")
            path = (*where, key)
            if key in found:
                raise self._error(event, path, f"stands on line {self._lines[path]} already")
            self._lines[path] = _line(event)
            found[key] = self._value(next(self._events), path)
        return found

    def _list(self, where: Path) -> list[object]:
        found: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            path = (*where, str(len(found) + 1))
            self._lines[path] = _line(event)
            found.append(self._value(event, path))
        return found

    def _error(self, event: Any, where: Path, problem: str) -> SpecError:
        return SpecError(self._name, _line(event), ".".join(where), problem)

    def _unreadable(self, error: yaml.MarkedYAMLError) -> SpecError:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else None
        problem = error.problem or "it cannot be read"
        if "'\\t'" in problem:
            problem = "a tab; YAML is indented with blanks"
        return SpecError(self._name, line, "", f"no YAML: {problem}")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _scalar(event: Any) -> object:
    """Text, unless it is unquoted and one of the few other things."""
    text: str = event.value
    if event.style is not None:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        whole = Whole(text)
        whole.text = text
        return whole
    return _decimals(text) if _DECIMAL.fullmatch(text) else text


def _decimals(text: str) -> Decimals:
    found = Decimals(text)
    found.text = text
    return found
