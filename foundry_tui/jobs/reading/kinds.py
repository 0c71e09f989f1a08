"""Kinds of values: how one is read, and what a JSON Schema says of it, side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from foundry_tui.jobs.amounts import milli
from foundry_tui.jobs.document import Document, Path, written
from foundry_tui.jobs.errors import SpecError, shown

MAX_TEXT = 500
MAX_ITEMS = 1000
"""Cap on the items of a list."""

Reader = Callable[[Document, Path, object], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """`read` makes the value of a spec or raises SpecError; `schema` is the same as JSON Schema.

    What a schema cannot say (one unit of bytes, a name that stands twice) is checked by `read`
    alone: whatever `read` takes, the schema takes too.
    """

    read: Reader
    schema: Mapping[str, object]


def wrong(document: Document, where: Path, value: object, expected: str) -> SpecError:
    """The error of a value that is none of its kind."""
    return document.error(where, f"expected {expected}, not {shown(value)}")


def _text(document: Document, where: Path, value: object) -> str:
    expected = "text on one line"
    if isinstance(value, str) and len(value) > MAX_TEXT:
        expected += f" of at most {MAX_TEXT} characters"
    if isinstance(value, bool | int | float):
        expected += ", in quotes"
    if (
        not isinstance(value, str)
        or not value.strip()
        or not value.isprintable()
        or len(value) > MAX_TEXT
    ):
        raise wrong(document, where, value, expected)
    return value.strip()


def _word(document: Document, where: Path, value: object) -> str:
    text = _text(document, where, value)
    if any(c.isspace() for c in text) or text.startswith("-"):
        raise wrong(document, where, value, "one word without blanks")
    return text


def _argument(document: Document, where: Path, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or "\0" in value:
        raise wrong(document, where, value, "text, in quotes where it is no plain word")
    return value


def _as_written(document: Document, where: Path, value: object) -> str:
    text = written(value)
    if text is None or len(text) > MAX_TEXT or (text and not text.isprintable()):
        expected = f"text on one line of at most {MAX_TEXT} characters, or a number"
        raise wrong(document, where, value, expected)
    return text


def _truth(document: Document, where: Path, value: object) -> bool:
    if not isinstance(value, bool):
        raise wrong(document, where, value, "true or false")
    return value


_ONE_LINE = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
TEXT = Kind(_text, _ONE_LINE)
WORD = Kind(_word, {**_ONE_LINE, "pattern": r"^\s*[^-\s]\S*\s*$"})
ARGUMENT = Kind(_argument, {"type": ["string", "integer"]})
AS_WRITTEN = Kind(_as_written, {"type": ["string", "number", "boolean"]})
"""Text as it stands in the file, numbers too: `3e-4` and `0.10` keep their digits."""

TRUTH = Kind(_truth, {"type": "boolean"})


def whole(least: int, most: int) -> Kind:
    """A whole number in a range."""

    def read(document: Document, where: Path, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise wrong(document, where, value, f"a whole number of {least}..{most}")
        return int(value)

    return Kind(read, {"type": "integer", "minimum": least, "maximum": most})


def thousandths(most: int, expected: str) -> Kind:
    """A number of at most three decimals, as thousandths."""

    def read(document: Document, where: Path, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(document, where, value, expected)
        try:
            return milli(value, most)
        except ValueError:
            raise wrong(document, where, value, expected) from None

    return Kind(read, {"type": "number", "exclusiveMinimum": 0, "maximum": most / 1000})


def amount(read_amount: Callable[[str], int], expected: str, most: int | None = None) -> Kind:
    """A size or a duration with its unit."""

    def read(document: Document, where: Path, value: object) -> int:
        if not isinstance(value, str):
            raise wrong(document, where, value, expected)
        try:
            found = read_amount(value.strip())
        except ValueError as error:
            raise wrong(document, where, value, str(error)) from None
        if most is not None and found > most:
            raise wrong(document, where, value, f"at most {most}s")
        return found

    return Kind(read, {"type": "string", "minLength": 1, "description": f"Give {expected}."})


def pattern(form: str, expected: str) -> Kind:
    """A word that matches a whole regular expression."""
    compiled = re.compile(form)

    def read(document: Document, where: Path, value: object) -> str:
        text = _word(document, where, value)
        if not compiled.fullmatch(text):
            raise wrong(document, where, value, expected)
        return text

    return Kind(read, {**_ONE_LINE, "pattern": rf"^\s*(?:{form})\s*$"})


def one_of(known: Iterable[str], others: Mapping[str, str] | None = None, prefix: str = "") -> Kind:
    """One of a few words, in whatever case; `others` has what to say of words that are none."""
    words, told = tuple(known), others or {}
    form = "|".join("".join(f"[{c}{c.swapcase()}]" if c.isalpha() else c for c in w) for w in words)
    before = "".join(f"[{c}{c.swapcase()}]" for c in prefix)

    def read(document: Document, where: Path, value: object) -> str:
        text = value.strip() if isinstance(value, str) else ""
        bare = text[len(prefix) :] if text.upper().startswith(prefix.upper()) else text
        for word in words:
            if bare.lower() == word.lower():
                return word
        if text.lower() in told:
            raise document.error(where, f"{text.lower()!r} is none here: {told[text.lower()]}")
        raise wrong(document, where, value, f"one of {', '.join(words)}")

    return Kind(
        read, {"type": "string", "pattern": rf"^\s*(?:{before})?(?:{form})\s*$", "examples": words}
    )


def items(kind: Kind, expected: str, *, least: int = 0, most: int = MAX_ITEMS) -> Kind:
    """A list of values of one kind, as a tuple."""

    def read(document: Document, where: Path, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise wrong(document, where, value, expected)
        return tuple(kind.read(document, (*where, str(n)), item) for n, item in enumerate(value, 1))

    return Kind(
        read,
        {"type": "array", "items": kind.schema, **({"minItems": least} if least else {})},
    )


def each_once(kind: Kind) -> Kind:
    """A list in which nothing stands twice."""

    def read(document: Document, where: Path, value: object) -> tuple[Any, ...]:
        found: tuple[Any, ...] = kind.read(document, where, value)
        for n, item in enumerate(found):
            if item in found[:n]:
                raise document.error((*where, str(n + 1)), f"{item!r} stands there twice")
        return found

    return Kind(read, kind.schema)


def pairs(kind: Kind, expected: str, name: Callable[[str], str | None] | None = None) -> Kind:
    """A table with free keys, as pairs; `name` says what is wrong with a key."""

    def read(document: Document, where: Path, value: object) -> tuple[tuple[str, Any], ...]:
        if not isinstance(value, dict):
            raise wrong(document, where, value, expected)
        found = []
        for key, item in value.items():
            path = (*where, key)
            if name is not None and (problem := name(key)) is not None:
                raise document.error(path, problem)
            found.append((key, kind.read(document, path, item)))
        return tuple(found)

    return Kind(read, {"type": "object", "additionalProperties": kind.schema})
