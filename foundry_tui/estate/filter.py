"""The filter language of every table, on the command line and on screen.

    state=running gpu>=4 util<20 user=me age>2h -queue=prod a|b

A filter is a list of terms, and a record must satisfy all of them:

- `field OP value` with OP one of `= != > >= < <= ~`; `~` means "contains". Text compares without
  regard to case, and `*` in a value stands for any characters.
- Any other word is searched in all text of the record; it also matches when its letters occur in
  this order in the record's name (`tnl` finds `train-llama`).
- `a|b` is a or b, for words and for values. `-` before a term turns it round.
- Quotes keep spaces and take every special meaning away: `name="my run"`, `"-x"`; `\\"` is a
  quote within quotes. A quoted word must occur as it is written. A field whose name has spaces
  stands in quotes too: `"param.batch size">8`.
- Durations are `90s 15m 2h 3d 1w` or seconds, sizes `512M 40G` (1024-based) or bytes; a percentage
  may end in `%`.
- `user=me` is the user who asks.
- A value that is missing satisfies no comparison, `!=` included; `field=none` finds the records
  where it is missing (for a set: missing or empty), `field!=none` the others. `-user=x` therefore
  finds records without a user, and `user!=x` does not. `"none"` in quotes is the word itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from foundry_tui.estate.predicates import (
    COMPARE,
    Get,
    Parts,
    Predicate,
    Word,
    comparison,
    number_test,
    set_test,
    text_test,
    words_in,
)
from foundry_tui.estate.text import SafeText, cells, clip, safe

Kind = Literal["text", "number", "duration_s", "bytes", "set"]
"""What a field holds: a str, a number, seconds, bytes, or several str (also comma-separated)."""


@dataclass(frozen=True, slots=True)
class Field:
    """How a field compares, its short names, and whether loose words match it letter by letter."""

    kind: Kind
    aliases: tuple[str, ...] = ()
    fuzzy: bool = False


Fields = Mapping[str, Field]


class FilterError(ValueError):
    """A filter that cannot be understood. `str()` is the filter, carets under the token, and why.

    `position` and `length` count characters of the filter as it was given.
    """

    def __init__(self, text: str, position: int, length: int, message: str) -> None:
        super().__init__(text, position, length, message)
        self.text = text
        self.position = position
        self.length = length
        self.message = message

    def __str__(self) -> str:
        end = self.position + self.length
        before, token = _whole(self.text[: self.position]), _whole(self.text[self.position : end])
        carets = " " * cells(before) + "^" * max(1, cells(token))
        return f"{before}{token}{_whole(self.text[end:])}\n{carets}\n{self.message}"


def _whole(text: str) -> SafeText:
    return safe(text, max_cells=8 * len(text))  # the widest stand-in takes 8 cells


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter, ready to be matched against many records."""

    text: str
    fields: Fields = field(repr=False, hash=False)
    me: frozenset[str] | None
    predicates: tuple[Predicate, ...] = field(repr=False, compare=False)

    def match(self, record: Mapping[str, object] | Get) -> bool:
        """Whether `record`, a mapping by full field name or a getter, satisfies every term."""
        get = record if callable(record) else record.get
        for predicate in self.predicates:  # noqa: SIM110  (all() of a generator is slower)
            if not predicate(get):
                return False
        return True


def parse(text: str, fields: Fields, *, me: frozenset[str] | None = None) -> Filter:
    """Compile `text` for records with these `fields`; `me` are the names of the user
    that `user=me` means.

    Raises:
        FilterError: the text is no filter for these fields; the error points at the token.
    """
    return Filter(text, fields, me, _Parser(text, fields, me).terms())


_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TERM = re.compile(rf'(?:{_QUOTED}|[^\s"])+', re.DOTALL)
_HEAD = re.compile(rf'(-?)({_QUOTED}|[^"|=!<>~]*)([=!<>~]+)', re.DOTALL)
_VALUE = re.compile(rf'(?:{_QUOTED}|[^|"])*', re.DOTALL)
_PIECE = re.compile(rf'({_QUOTED})|(\*)|([^"*]+)', re.DOTALL)
_OPERATOR = re.compile(r"[=!<>~]+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

_OPERATORS = (*COMPARE, "~")
_NUMBER_FORM = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.ASCII)
_DURATION_FORM = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+|\d+(?:\.\d+)?", re.ASCII)
_DURATION_PART = re.compile(r"([\d.]+)([smhdw]?)")
_BYTES_FORM = re.compile(r"(\d+(?:\.\d+)?)([kmgtp]?)(?:i?b)?", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EXAMPLES = {"number": "4", "duration_s": "90s, 15m, 2h or 3d", "bytes": "512M or 40G"}


@dataclass(frozen=True, slots=True)
class _Value:
    """One alternative: its place in the filter, and its case-folded text split at each `*`."""

    position: int
    length: int
    parts: Parts
    quoted: bool

    @property
    def text(self) -> str:
        return "*".join(self.parts)


class _Parser:
    def __init__(self, text: str, fields: Fields, me: frozenset[str] | None) -> None:
        self.text = text
        self.fields = fields
        self.me = me
        self.full_names = {n.casefold(): full for full, f in fields.items() for n in f.aliases}
        self.full_names |= {full.casefold(): full for full in fields}

    def terms(self) -> tuple[Predicate, ...]:
        comparisons: list[Predicate] = []
        words: list[Word] = []
        position = 0
        while position < len(self.text):
            term = _TERM.match(self.text, position)
            end = term.end() if term else position
            if self.text[end : end + 1] == '"':
                raise self.error(end, len(self.text) - end, "this quote is not closed")
            if term is None:
                position += 1
                continue
            if head := _HEAD.match(self.text, position, end):
                comparisons.append(self.comparison_term(head, end))
            else:
                words.append(self.word_term(position, end))
            position = end
        if words:
            comparisons.append(self.all_words(words))
        return tuple(comparisons)

    def all_words(self, words: list[Word]) -> Predicate:
        fields = self.fields.items()
        return words_in(
            words,
            texts=tuple(name for name, spec in fields if spec.kind == "text"),
            sets=tuple(name for name, spec in fields if spec.kind == "set"),
            fuzzy=tuple(name for name, spec in fields if spec.fuzzy),
        )

    def error(self, position: int, length: int, message: str) -> FilterError:
        return FilterError(self.text, position, length, message)

    def word_term(self, start: int, end: int) -> Word:
        negated = self.text[start] == "-"
        values = self.values(start, start + negated, end)
        for value in values:
            if not any(value.parts):
                raise self.error(
                    value.position, value.length, "there is nothing to search for here"
                )
        plain = [value for value in values if len(value.parts) == 1]
        return Word(
            negated,
            substrings=tuple(value.text for value in plain),
            patterns=tuple(("", *value.parts, "") for value in values if len(value.parts) > 1),
            letters=tuple(value.text for value in plain if not value.quoted),
        )

    def comparison_term(self, head: re.Match[str], end: int) -> Predicate:
        minus, name, sign = head.groups()
        if name.startswith('"'):
            name = _ESCAPED.sub(r"\1", name[1:-1])
        known = self.full_names.get(name.casefold())
        if known is None:
            raise self.unknown_field(head.start(2), name, sign)
        if sign not in _OPERATORS:
            message = f'there is no operator "{sign}": use one of {" ".join(_OPERATORS)}'
            raise self.error(head.start(3), len(sign), message)
        values = self.values(head.start(), head.end(), end)
        kind = self.fields[known].kind
        none = any(self.is_none(value, sign) for value in values)
        values = [value for value in values if not self.is_none(value, sign)]
        if kind == "text" or kind == "set":
            if sign not in ("=", "!=", "~"):
                message = f"{known} is text: compare it with = != or ~, not with {sign}"
                raise self.error(head.start(3), len(sign), message)
            patterns = [self.pattern(known, sign, value) for value in values]
            test = set_test(patterns, empty=none) if kind == "set" else text_test(patterns)
        else:
            if sign == "~":
                message = f"{known} is a number: compare it with = != > >= < or <=, not with ~"
                raise self.error(head.start(3), len(sign), message)
            test = number_test(COMPARE[sign], [self.quantity(known, value) for value in values])
        missing = none and sign == "="
        return comparison(known, test, missing=missing, differs=sign == "!=", negated=bool(minus))

    def values(self, term: int, start: int, end: int) -> list[_Value]:
        """The alternatives of `text[start:end]`, in the term that begins at `term`."""
        values: list[_Value] = []
        position = start - 1
        while position < end:
            match = _VALUE.match(self.text, position + 1, end)
            if match is None or not match.group():
                raise self.error(term, end - term, "a word or value is missing here")
            values.append(self.value(match))
            position = match.end()  # at a bar, or at the end
        return values

    def value(self, match: re.Match[str]) -> _Value:
        parts = [""]
        quoted = False
        for piece in _PIECE.finditer(self.text, match.start(), match.end()):
            in_quotes, star, bare = piece.groups()
            if star:
                parts.append("")
            elif bare is None:
                quoted = True
                parts[-1] += _ESCAPED.sub(r"\1", in_quotes[1:-1]).casefold()
            elif sign := _OPERATOR.search(bare):
                message = f'"{sign.group()}" within a word or value must stand in quotes'
                raise self.error(piece.start() + sign.start(), len(sign.group()), message)
            else:
                parts[-1] += bare.casefold()
        return _Value(match.start(), len(match.group()), tuple(parts), quoted)

    def is_none(self, value: _Value, sign: str) -> bool:
        return sign in ("=", "!=") and not value.quoted and value.text == "none"

    def pattern(self, name: str, sign: str, value: _Value) -> Parts:
        if sign == "~":
            return ("", *value.parts, "")
        if name != "user" or value.quoted or value.text != "me":
            return value.parts
        if self.me is None:
            message = '"me" is not known here: write the name of the user'
            raise self.error(value.position, value.length, message)
        return tuple(name.casefold() for name in sorted(self.me))

    def quantity(self, name: str, value: _Value) -> float:
        kind = self.fields[name].kind
        form = value.text.removesuffix("%") if name.endswith("_pct") else value.text
        if kind == "number" and _NUMBER_FORM.fullmatch(form):
            return float(form)
        if kind == "duration_s" and _DURATION_FORM.fullmatch(form):
            return sum(float(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(form))
        if kind == "bytes" and (size := _BYTES_FORM.fullmatch(form)):
            return float(size.group(1)) * float(1024 ** " kmgtp".index(size.group(2) or " "))
        wanted = f"a {kind.removesuffix('_s')}" if kind != "bytes" else "a size"
        message = f"{name} needs {wanted} such as {_EXAMPLES[kind]}"
        raise self.error(value.position, value.length, message)

    def unknown_field(self, position: int, name: str, sign: str) -> FilterError:
        if not name:
            return self.error(position, len(sign), f"a field name is missing before {sign}")
        import difflib  # only needed here, and every command would pay for it

        near = difflib.get_close_matches(name.casefold(), self.full_names, n=1)
        advice = (
            f'did you mean "{near[0]}"?' if near else f"the fields are {', '.join(self.fields)}."
        )
        shown = clip(safe(name), 40)
        message = f'there is no field "{shown}"; {advice} Quotes search for the text itself.'
        return self.error(position, len(name), message)
