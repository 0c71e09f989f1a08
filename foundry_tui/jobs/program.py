"""What runs: the text of a program, and the interpreter that its first line names."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

SHELL = "/bin/sh"
TAKES_TEXT = re.compile(r"(?:ba|da|k|z)?sh|python[0-9.]*")
"""Interpreters that take a program as `-c TEXT`."""

_SHELLS = re.compile(r"(?:ba|da|k|z)?sh")

MAX_ARGUMENT_BYTES = 96 << 10
"""Cap on a program that travels as one argument: Linux takes 128 KiB with what stands around it."""

_DIRECTIVE = (b"#SBATCH", b"#SLURM")


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

    @property
    def is_shell(self) -> bool:
        """Whether a shell runs it: what stands in a shell's own words may stand in it too."""
        first = self.data.partition(b"\n")[0].decode("utf-8", "replace")
        return not first.startswith("#!") or bool(_SHELLS.fullmatch(_interpreter(first)))

    def words(self, before: str = "") -> tuple[str, ...]:
        """The program as one command: its interpreter, `-c`, its text.

        `before` are lines that a shell runs first; other interpreters do not get them.

        Raises:
            ValueError: it is no UTF-8 text, too long, or its interpreter takes no text.
        """
        if len(self.data) > MAX_ARGUMENT_BYTES:
            raise ValueError(
                f"has {len(self.data) >> 10} KiB and has to travel as one argument, which has at "
                f"most {MAX_ARGUMENT_BYTES >> 10}; call a program of its own with `command`"
            )
        try:
            text = self.data.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{self.name} is no UTF-8 text") from None
        first, _, rest = text.partition("\n")
        if not first.startswith("#!"):
            return (SHELL, "-c", before + text)
        interpreter = first[2:].split()
        if not TAKES_TEXT.fullmatch(_interpreter(first)):
            raise ValueError(
                f"its first line {first[:60]!r} names no shell and no Python; put the program into "
                "the image and call it with `command`"
            )
        return (*interpreter, "-c", before + rest if self.is_shell else rest)

    def as_shell(self) -> bytes:
        """As text for `/bin/sh`, which is what runs it inside a container.

        Raises:
            ValueError: as `words`.
        """
        words = self.words()
        return self.data if words[:2] == (SHELL, "-c") else f"exec {shlex.join(words)}\n".encode()

    @property
    def directives(self) -> int:
        """How many lines are directives for sbatch."""
        return sum(line.startswith(b"#SBATCH") for line in self.data.splitlines())

    def split_head(self) -> tuple[bytes, bytes]:
        """As a batch script, cut behind its first comments: sbatch reads directives that far."""
        lines = self.as_batch().splitlines(keepends=True)
        plain = (i for i, line in enumerate(lines) if line.strip() and not _is_comment(line))
        end = next(plain, len(lines))
        return b"".join(lines[:end]), b"".join(lines[end:])

    def directive_lines(self) -> bytes:
        """The lines that sbatch reads as directives, to stand at the head of another script."""
        lines = self.split_head()[0].splitlines(keepends=True)
        return b"".join(line for line in lines if line.startswith(_DIRECTIVE))


def _is_comment(line: bytes) -> bool:
    return line.lstrip().startswith(b"#")


def _interpreter(first: str) -> str:
    """The program that a first line `#!…` names, without its folder and options, behind `env`."""
    words = [word for word in first[2:].split() if not word.startswith("-")]
    names = [word.rpartition("/")[2] for word in words]
    if names[:1] == ["env"]:
        names = [name for name in names[1:] if "=" not in name]
    return names[0] if names else ""
