"""What a filter does with one record: predicates compiled once and called for every record.

A predicate asks for a field by its full name and never raises on the value that it gets: where
text belongs the value is taken as text, and what is no number satisfies no comparison of numbers.
Text is compared case-folded; the caller folds the filter's side. Predicates run 10,000 times per
keystroke, hence plain loops: any() over a generator takes twice the time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Get = Callable[[str], object]
"""Gives the value of one field of one record by the field's full name; None when missing."""

SEARCHED = ""
"""The name under which a getter may give all searched text of its record, made by `searched`."""

Predicate = Callable[[Get], bool]
Parts = tuple[str, ...]
"""A pattern: literal texts in this order, with anything between two of them."""

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.eq,  # the caller turns it round, so that `x!=1|2` is neither of them
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}

_BETWEEN = "\x1f"
"""Stands between the values of a record in searched text; no safe text contains it."""


@dataclass(frozen=True, slots=True)
class Word:
    """A term without a field: alternatives that are substrings, patterns or letters in order."""

    negated: bool
    substrings: tuple[str, ...]
    patterns: tuple[Parts, ...]
    letters: tuple[str, ...]


def comparison(
    name: str, test: Callable[[object], bool], *, missing: bool, differs: bool, negated: bool
) -> Predicate:
    """The predicate of one comparison with the field `name`.

    `missing` is the answer for a missing value, `differs` turns the test round for `!=`, and
    `negated` turns the whole term round, so that it is its complement for every record.
    """
    if_missing = missing is not negated
    turned = differs is not negated

    def predicate(get: Get) -> bool:
        value = get(name)
        return if_missing if value is None else test(value) is not turned

    return predicate


def text_test(patterns: Iterable[Parts]) -> Callable[[object], bool]:
    """Whether a value as text is one of the patterns."""
    matches = _matcher(patterns)
    return lambda value: matches(str(value).casefold())


def set_test(patterns: Iterable[Parts], *, empty: bool) -> Callable[[object], bool]:
    """Whether any item of a set is one of the patterns; `empty` is the answer for no items."""
    matches = _matcher(patterns)

    def test(value: object) -> bool:
        items = _items(value)
        for item in items:
            if matches(item.casefold()):
                return True
        return empty and not items

    return test


def number_test(
    compare: Callable[[float, float], bool], limits: Sequence[float]
) -> Callable[[object], bool]:
    """Whether a value is a number and compares so with any of the limits."""

    def test(value: object) -> bool:
        if isinstance(value, (int, float)):
            for limit in limits:
                if compare(value, limit):
                    return True
        return False

    return test


def words_in(
    words: Sequence[Word], texts: Sequence[str], sets: Sequence[str], fuzzy: Sequence[str]
) -> Predicate:
    """Whether a record holds all words; one predicate, so that its text is put together once.

    `texts` and `sets` name the fields to search; letters in order are looked for only in the
    `fuzzy` ones, because in a state or a reason they would match half of all records.
    """

    tests = [(_word_test(word, fuzzy), word.negated) for word in words]

    def predicate(get: Get) -> bool:
        text = get(SEARCHED)
        if not isinstance(text, str):
            text = searched(get, texts, sets)
        for test, negated in tests:  # noqa: SIM110
            if test(text, get) is negated:
                return False
        return True

    return predicate


def searched(get: Get, texts: Iterable[str], sets: Iterable[str]) -> str:
    """All text of a record that loose words are searched in, case-folded.

    It takes most of the time of a search; a getter that keeps it gives it as `SEARCHED`.
    """
    values: list[Any] = [value for field in texts if (value := get(field)) is not None]
    for field in sets:
        if (value := get(field)) is not None:
            values += value if type(value) is tuple else _items(value)
    try:
        return _BETWEEN.join(values).casefold()
    except TypeError:  # a number where text belongs: rare, and asking each value is slow
        return _BETWEEN.join(map(str, values)).casefold()


def _word_test(word: Word, fuzzy: Sequence[str]) -> Callable[[str, Get], bool]:
    def test(searched: str, get: Get) -> bool:
        for text in word.substrings:
            if text in searched:
                return True
        if word.patterns and any(
            _fits(parts, value) for value in searched.split(_BETWEEN) for parts in word.patterns
        ):
            return True
        if word.letters:
            for field in fuzzy:
                if (value := get(field)) is not None:
                    name = str(value).casefold()
                    for letters in word.letters:
                        if _in_order(letters, name):
                            return True
        return False

    return test


def _matcher(patterns: Iterable[Parts]) -> Callable[[str], bool]:
    every = tuple(patterns)
    exact = frozenset(parts[0] for parts in every if len(parts) == 1)
    open_ended = tuple(parts for parts in every if len(parts) > 1)
    if not open_ended:
        return exact.__contains__

    def matches(text: str) -> bool:
        for parts in open_ended:
            if _fits(parts, text):
                return True
        return text in exact

    return matches


def _items(value: object) -> list[str]:
    """The texts of a set field; comma-separated text is taken apart, as in exported rows."""
    if isinstance(value, (tuple, list, set, frozenset)):
        return list(map(str, value))
    return str(value).split(",") if value else []


def _fits(parts: Parts, text: str) -> bool:
    """Whether `text` is the two or more parts with anything between them, in linear time."""
    first, last = parts[0], parts[-1]
    position, stop = len(first), len(text) - len(last)
    if position > stop or not text.startswith(first) or not text.endswith(last):
        return False
    for part in parts[1:-1]:
        found = text.find(part, position, stop)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _in_order(letters: str, text: str) -> bool:
    """Whether the letters occur in `text` in this order."""
    position = 0
    for letter in letters:
        position = text.find(letter, position) + 1
        if not position:
            return False
    return True
