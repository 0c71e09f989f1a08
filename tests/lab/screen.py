"""What a terminal shows: cells, styles and modes, kept by the emulator pyte.

pyte has no second screen (mode 1049) and answers no question about modes. A full-screen program
needs the first to be judged after it left, and the second to know how far the terminal has read.
"""

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pyte
from pyte.screens import Char
from wcwidth import wcwidth

SYNC = 2026
"""Synchronised output: the terminal shows a frame when it is whole."""

KNOWN = frozenset({7, 25, 1000, 1002, 1003, 1004, 1006, 1049, 2004, SYNC})
"""Private modes this terminal knows, besides those that are set."""

_SECOND = 1049
_AROUND = re.compile("[\u0488\u0489\u1abe\u20dd-\u20e0\u20e2-\u20e4\ua670-\ua672]")
_QUERY = re.compile(rb"\x1b\[\?(\d+)\$p")
_QUERY_LENGTH = 12


class _Emulator(pyte.Screen):
    """pyte's screen with a second one, and its answers handed on."""

    def __init__(self, columns: int, lines: int, answer: Callable[[bytes], None]) -> None:
        self._first: dict[int, Any] | None = None
        self._answer = answer
        super().__init__(columns, lines)

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        super().set_mode(*modes, **kwargs)
        if kwargs.get("private") and _SECOND in modes and self._first is None:
            self.save_cursor()
            self._first = deepcopy(dict(self.buffer))
            self.erase_in_display(2)

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        super().reset_mode(*modes, **kwargs)
        if kwargs.get("private") and _SECOND in modes and self._first is not None:
            self.buffer.clear()
            self.buffer.update(self._first)
            self._first = None
            self.restore_cursor()

    def draw(self, data: str) -> None:
        # pyte drops all that follows a mark around a letter
        super().draw(data if data.isascii() else _AROUND.sub("", data))

    def write_process_input(self, data: str) -> None:
        self._answer(data.encode())


class Screen:
    """The cells of a terminal of `columns` x `lines` that was fed a program's bytes.

    `answer` takes what the terminal says to the program when it reads a question. With `sync`
    False it says that it does not know synchronised output, as older terminals do.
    """

    def __init__(
        self, columns: int, lines: int, answer: Callable[[bytes], None], *, sync: bool = True
    ) -> None:
        self._emulator = _Emulator(columns, lines, answer)
        self._stream = pyte.ByteStream(self._emulator)
        self._answer = answer
        self._known = KNOWN if sync else KNOWN - {SYNC}
        self._tail = b""
        self._text: str | None = None

    def feed(self, data: bytes) -> None:
        """Read bytes, then answer the questions that end in them."""
        self._stream.feed(data)
        self._text = None
        seen, old = self._tail + data, len(self._tail)
        for query in _QUERY.finditer(seen):
            if query.end() > old:
                self._answer(self._state(int(query[1])))
        self._tail = seen[-_QUERY_LENGTH:]

    def _state(self, mode: int) -> bytes:
        """Say whether a mode is set (1), reset (2) or unknown (0), as DECRPM does."""
        state = 1 if mode in self.modes else 2 if mode in self._known else 0
        return b"\x1b[?%d;%d$y" % (mode, state)

    @property
    def modes(self) -> frozenset[int]:
        """The private modes that are set: 25 is the cursor shown, 1049 the second screen."""
        return frozenset(mode >> 5 for mode in self._emulator.mode if mode % 32 == 0)

    @property
    def text(self) -> str:
        """What is shown, line by line, without the blanks at the ends of lines."""
        if self._text is None:
            self._text = "\n".join(map(self._line, range(self._emulator.lines)))
        return self._text

    def _line(self, y: int) -> str:
        """A line as it is seen. A wide character has a second cell without anything in it.

        Where the character itself was overwritten that cell is left, and is a blank: pyte's own
        `display` breaks on it.
        """
        row, wide, shown = self._emulator.buffer[y], False, list[str]()
        for x in range(self._emulator.columns):
            data = row[x].data
            if data or not wide:
                shown.append(data or " ")
            wide = bool(data) and wcwidth(data[0]) == 2
        return "".join(shown).rstrip()

    def cell(self, column: int, line: int) -> Char:
        """One cell with its style; both from 0."""
        return self._emulator.buffer[line][column]

    def resize(self, columns: int, lines: int) -> None:
        """Take another size; what stood there is cut."""
        self._emulator.resize(lines, columns)
        self._text = None
