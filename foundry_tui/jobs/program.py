"""What runs: the text of a program, and the interpreter that its first line names."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

SHELL = "/bin/sh"
TAKES_TEXT = re.compile(r"(?:ba|da|k|z)?sh|python[0-9.]*")
"""Interpreters that take a program as `-c TEXT`."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program as bytes. `name` is its file, or that of the spec when it is `inline` in one."""

    name: str
    data: bytes
    inline: bool

    def as_batch(self) -> bytes:
        """With a first line that names the interpreter, which a batch script has to have."""
        if not self.inline or self.data.startswith(b"#!"):
            return self.data
        return f"#!{SHELL}\n".encode() + self.data

    def words(self) -> tuple[str, ...]:
        """The program as one command: its interpreter, `-c`, its text.

        Raises:
            ValueError: it is no UTF-8 text, or its interpreter takes no text.
        """
        try:
            text = self.data.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{self.name} is no UTF-8 text") from None
        first, _, rest = text.partition("\n")
        if not first.startswith("#!"):
            return (SHELL, "-c", text)
        interpreter = first[2:].split()
        program = interpreter[-1].rpartition("/")[2] if interpreter else ""
        if not TAKES_TEXT.fullmatch(program):
            raise ValueError(
                f"its first line {first[:60]!r} names no shell and no Python; put the program into "
                "the image and call it with `command`"
            )
        return (*interpreter, "-c", rest)

    def as_shell(self) -> bytes:
        """As text for `/bin/sh`, which is what runs it inside a container.

        Raises:
            ValueError: as `words`.
        """
        words = self.words()
        return self.data if words[0] == SHELL else f"exec {shlex.join(words)}\n".encode()

    @property
    def directives(self) -> int:
        """How many lines are directives for sbatch."""
        return sum(line.startswith(b"#SBATCH") for line in self.data.splitlines())
