"""The words of a shell program: quotes, expansions and substitutions, none of them carried out."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

_RUN = re.compile(r"[^\s;&|()<>\"'`\\$#]+")
_PLAIN = re.compile(r'[^"\\$`]+')
_NAME = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])")


class LexError(ValueError):
    """A text that no shell would take whole; `line` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True, slots=True)
class Word:
    """One word: `raw` as it stands from `start` to `end`, `text` without its quotes.

    `text` is None where the shell would expand something in it.
    """

    raw: str
    text: str | None
    start: int
    end: int


class WordLexer:
    """Reads one word after the other; the lists of commands in substitutions read `list_of`."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._until: list[str] = [""]

    def list_of(self, until: str, blocks: tuple[str, ...], nesting: int) -> None:
        """Commands up to the character `until`, which is passed; to the end for an empty one."""
        raise NotImplementedError

    def _word(self, nesting: int) -> Word:
        start, made, known = self.at, [], True
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if (run := _RUN.match(text, self.at)) is not None:
                made.append(run[0])
                self.at = run.end()
            elif char == "#" and self.at > start:
                made.append(char)
                self.at += 1
            elif char == "'":
                end = text.find("'", self.at + 1)
                if end < 0:
                    raise self._error("a quote ' that is not closed")
                made.append(text[self.at + 1 : end])
                self.at = end + 1
            elif char == '"':
                known = self._double(made, nesting) and known
            elif char == "\\":
                made.append(text[self.at + 1 : self.at + 2].replace("\n", ""))
                self.at += 2
            elif char == "`" and self._until[-1] == "`":
                break
            elif char in "$`":
                known = self._expansion(made, nesting) and known
            elif char in "<>" and text.startswith("(", self.at + 1):
                self.at += 2
                self.list_of(")", (), nesting + 1)
                known = False
            else:
                break
        self.at = min(self.at, len(text))
        if self.at == start:
            self.at += 1
        return Word(text[start : self.at], "".join(made) if known else None, start, self.at)

    def _double(self, made: list[str], nesting: int) -> bool:
        """Text in double quotes; whether nothing in it is expanded."""
        begun, known, text = self.at, True, self.text
        self.at += 1
        while self.at < len(text):
            char = text[self.at]
            if (run := _PLAIN.match(text, self.at)) is not None:
                made.append(run[0])
                self.at = run.end()
            elif char == '"':
                self.at += 1
                return known
            elif char == "\\":
                behind = text[self.at + 1 : self.at + 2]
                made.append(behind if behind in '$`"\\' else f"\\{behind}".replace("\\\n", ""))
                self.at += 2
            else:
                known = self._expansion(made, nesting) and known
        self.at = begun
        raise self._error('a quote " that is not closed')

    def _expansion(self, made: list[str], nesting: int) -> bool:
        """Pass `$…` or backquotes; true where it is a `$` alone."""
        text = self.text
        if text[self.at] == "`":
            self.at += 1
            self.list_of("`", (), nesting + 1)
            return False
        if text.startswith("$((", self.at):
            self._arithmetic(self.at + 3)
            return False
        if text.startswith("$(", self.at):
            self.at += 2
            self.list_of(")", (), nesting + 1)
            return False
        if text.startswith("${", self.at):
            self._braces()
            return False
        name = _NAME.match(text, self.at)
        self.at = name.end() if name else self.at + 1
        if name is None:
            made.append("$")
        return name is None

    def _braces(self) -> None:
        """Pass `${…}`, whatever stands in it."""
        begun, depth = self.at, 0
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "\\":
                self.at += 1
            elif char == '"' and (end := self.text.find('"', self.at + 1)) > 0:
                self.at = end
            elif self.text.startswith("${", self.at):
                depth += 1
                self.at += 1
            elif char == "}":
                depth -= 1
                if depth == 0:
                    self.at += 1
                    return
            self.at += 1
        self.at = begun
        raise self._error("a `${` that is not closed")

    def _arithmetic(self, inner: int) -> None:
        """Pass `((…))`."""
        begun, self.at, depth = self.at, inner, 2
        while self.at < len(self.text) and depth:
            depth += {"(": 1, ")": -1}.get(self.text[self.at], 0)
            self.at += 1
        if depth:
            self.at = begun
            raise self._error("a `((` that is not closed")

    def _array(self, nesting: int) -> None:
        """Pass `(…)` behind `name=`; its words are no commands."""
        begun = self.at
        self.at += 1
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == ")":
                self.at += 1
                return
            if char.isspace() or char in ";&|(<>":
                self.at += 1
            elif char == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                self._word(nesting)
        self.at = begun
        raise self._error("a `(` that is not closed")

    def _test(self, nesting: int) -> None:
        """Pass `[[ … ]]`."""
        begun = self.at
        while self.at < len(self.text):
            char = self.text[self.at]
            if char.isspace() or char in ";&|()<>#":
                self.at += 1
            elif self._word(nesting).raw == "]]":
                return
        self.at = begun
        raise self._error("a `[[` that is not closed")

    def _error(self, problem: str) -> LexError:
        return LexError(bisect_right(self.lines, min(self.at, len(self.text))), problem)
