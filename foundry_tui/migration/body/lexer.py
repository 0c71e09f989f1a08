"""The commands of a shell program, found without running or expanding anything.

A lexer of bash's grammar as far as batch scripts use it: words, quotes, expansions, here-documents,
lists, pipelines, blocks, functions. It says where a command stands and how deep; what an expansion
would give is never guessed. One pass, whatever the text holds.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from foundry_tui.migration.body.words import LexError, Word, WordLexer

__all__ = ["Command", "LexError", "Lexed", "Word", "lex"]

MAX_NESTING = 40
"""Substitutions inside each other; nobody writes more."""

_BLANKS = re.compile(r"(?:[ \t\r\f\v]|\\\n)+")
_SPACE = re.compile(r"\s+|#[^\n]*")
_ESAC = re.compile(r"esac(?![\w-])")
_REDIRECT = re.compile(r"[0-9]*(?:<<<|<<-|<<|<>|>>|>\||<&|>&|&>>|&>|<|>)")
_OPERATOR = re.compile(r"&&|\|\||;;&|;;|;&|\|&|;|&|\||\n")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=")
_OPENS = {"if": "fi", "for": "done", "while": "done", "until": "done", "select": "done"} | {
    "case": "esac",
    "{": "}",
}
_CLOSES = frozenset(_OPENS.values())
_SKIPPED = frozenset(("then", "do", "else", "elif", "!", "time", "in", "if", "while", "until", "{"))
"""Reserved words behind which a command begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One simple command; `blocks` are the words that opened the blocks around it.

    `before` and `after` are the operators on its sides; `inside` is true in a substitution.
    """

    line: int
    start: int
    end: int
    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Word, ...]
    blocks: tuple[str, ...]
    before: str
    after: str
    inside: bool

    @property
    def name(self) -> str:
        """The program, without its folder; empty where it is expanded or there is none."""
        text = self.words[0].text if self.words else None
        return (text or "").rpartition("/")[2]


@dataclass(slots=True)
class Lexed:
    """Commands in the order of their beginnings; `code` is the text with comments blanked out.

    `documents` are the ranges of here-documents.
    """

    commands: list[Command]
    code: str
    lines: list[int]
    documents: list[tuple[int, int]]

    def line(self, at: int) -> int:
        """The line of an offset, from 1."""
        return bisect_right(self.lines, at)


def lex(text: str) -> Lexed:
    """The commands of a program.

    Raises:
        LexError: a quote, a substitution or a block of parentheses that does not end.
    """
    lexer = _Lexer(text)
    lexer.list_of("", (), 0)
    commands = sorted(lexer.commands, key=lambda command: command.start)
    return Lexed(commands, "".join(lexer.code()), lexer.lines, lexer.documents)


@dataclass(slots=True)
class _Open:
    """A command that is being read."""

    before: str = ""
    start: int = -1
    words: list[Word] = field(default_factory=list)
    assignments: list[tuple[str, Word]] = field(default_factory=list)
    redirects: list[Word] = field(default_factory=list)


class _Lexer(WordLexer):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.commands: list[Command] = []
        self._comments: list[tuple[int, int]] = []
        self._here: list[tuple[str, bool]] = []
        self.documents: list[tuple[int, int]] = []

    def code(self) -> list[str]:
        made, last = [], 0
        for start, end in self._comments:
            made += [self.text[last:start], " " * (end - start)]
            last = end
        return [*made, self.text[last:]]

    def list_of(self, until: str, blocks: tuple[str, ...], nesting: int) -> None:
        """Commands up to the character `until`, which is passed; to the end for an empty one."""
        if nesting > MAX_NESTING:
            raise self._error("substitutions inside each other, too deep to be read")
        self._until.append(until)
        self._list(until, blocks, nesting)
        self._until.pop()

    def _list(self, until: str, blocks: tuple[str, ...], nesting: int) -> None:
        begun, base = self.at, len(blocks)
        now = _Open()
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if (blank := _BLANKS.match(text, self.at)) is not None:
                self.at = blank.end()
            elif until == "`" and char == "`":
                self._close(now, blocks, "`", nesting)
                self.at += 1
                return
            elif char == "#":
                end = text.find("\n", self.at)
                end = len(text) if end < 0 else end
                self._comments.append((self.at, end))
                self.at = end
            elif char == "(":
                blocks = self._parenthesis(now, blocks)
            elif char == ")":
                at_end = until == ")" and "(" not in blocks[base:]
                self._close(now, blocks, ")", nesting)
                self.at += 1
                if at_end:
                    return
                if "(" in blocks[base:]:
                    blocks = _without(blocks, "(")
                now = _Open(before=")")
            elif (redirect := _REDIRECT.match(text, self.at)) is not None and (
                text[self.at + 1 : self.at + 2] != "(" or char not in "<>"
            ):
                self._redirect(now, redirect[0], nesting)
            elif (operator := _OPERATOR.match(text, self.at)) is not None:
                self._close(now, blocks, operator[0], nesting)
                now = _Open(before=operator[0])
                self.at = operator.end()
                if operator[0] == "\n" and self._here:
                    self._documents()
                if operator[0].startswith(";") and len(operator[0]) > 1 and "case" in blocks[-1:]:
                    self._pattern(nesting)
            else:
                word = self._word(nesting)
                now, blocks = self._take(now, word, blocks, nesting)
        self._close(now, blocks, "", nesting)
        if until:
            self.at = begun
            raise self._error(f"a `{'$(' if until == ')' else until}` that is not closed")

    def _take(
        self, now: _Open, word: Word, blocks: tuple[str, ...], nesting: int
    ) -> tuple[_Open, tuple[str, ...]]:
        """Put a word into the command, or open or close a block with it."""
        if not now.words and not now.assignments:
            if word.raw in _CLOSES and word.raw == _OPENS.get(blocks[-1] if blocks else ""):
                return _Open(before=word.raw), blocks[:-1]
            if word.raw in _OPENS:
                blocks = (*blocks, word.raw)
            if word.raw in _SKIPPED:
                return _Open(before=now.before), blocks
            if word.raw == "[[":
                self._test(nesting)
                return _Open(before="[["), blocks
        if now.start < 0:
            now.start = word.start
        found = _ASSIGNMENT.match(word.raw)
        if found is not None and not now.words:
            value = word.raw[found.end() :]
            text = None if word.text is None else word.text[found.end() :]
            if self.text.startswith("(", self.at) and not value:
                self._array(nesting)
                value, text = self.text[word.start + found.end() : self.at], None
            now.assignments.append((found[1], Word(value, text, word.start, self.at)))
        else:
            now.words.append(word)
            if word.raw == "in" and len(now.words) == 3 and now.words[0].raw == "case":
                self._close(now, blocks, "in", nesting)
                self._pattern(nesting)
                return _Open(before="in"), blocks
        return now, blocks

    def _pattern(self, nesting: int) -> None:
        """Pass the pattern of a clause of `case`, and the parenthesis behind it."""
        while (blank := _SPACE.match(self.text, self.at)) is not None:
            self.at = blank.end()
        if _ESAC.match(self.text, self.at):
            return
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == ")":
                self.at += 1
                return
            if char.isspace() or char in ";&|(<>#":
                self.at += 1
            else:
                self._word(nesting)

    def _parenthesis(self, now: _Open, blocks: tuple[str, ...]) -> tuple[str, ...]:
        """A subshell, an arithmetic command, or the parentheses of a function."""
        if self.text.startswith("((", self.at) and not now.words:
            self._arithmetic(self.at + 2)
            return blocks
        self.at += 1
        if now.words:
            closed = _BLANKS.match(self.text, self.at)
            place = closed.end() if closed else self.at
            if self.text.startswith(")", place):
                self.at = place + 1
                now.words.clear()
                now.start = -1
            return blocks
        return (*blocks, "(")

    def _close(self, now: _Open, blocks: tuple[str, ...], after: str, nesting: int) -> None:
        if now.start < 0:
            return
        parts = [*now.words, *(word for _, word in now.assignments), *now.redirects]
        self.commands.append(
            Command(
                line=bisect_right(self.lines, now.start),
                start=now.start,
                end=max(word.end for word in parts),
                assignments=tuple(now.assignments),
                words=tuple(now.words),
                redirects=tuple(now.redirects),
                blocks=blocks,
                before=now.before,
                after=after,
                inside=nesting > 0,
            )
        )

    def _redirect(self, now: _Open, operator: str, nesting: int) -> None:
        start = self.at
        self.at += len(operator)
        if (blank := _BLANKS.match(self.text, self.at)) is not None:
            self.at = blank.end()
        if self.at >= len(self.text) or self.text[self.at] in "\n;|)":
            return
        word = self._word(nesting)
        if now.start < 0:
            now.start = start
        now.redirects.append(Word(self.text[start : word.end], word.text, start, word.end))
        if operator.lstrip("0123456789") in ("<<", "<<-"):
            ends = word.text if word.text is not None else word.raw
            self._here.append((ends, operator.endswith("-")))

    def _documents(self) -> None:
        """Pass the here-documents that begin on this line."""
        for ends, tabs in self._here:
            begin = self.at
            while self.at < len(self.text):
                stop = self.text.find("\n", self.at)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[self.at : stop]
                self.at = min(stop + 1, len(self.text))
                if (line.lstrip("\t") if tabs else line) == ends:
                    break
            self.documents.append((begin, self.at))
        self._here = []


def _without(blocks: tuple[str, ...], opened: str) -> tuple[str, ...]:
    """The blocks up to the last one that `opened` opens."""
    return blocks[: len(blocks) - 1 - blocks[::-1].index(opened)]
