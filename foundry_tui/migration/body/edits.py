"""A shell program that is being changed: its commands, and the changes to its text so far."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field
from functools import cached_property

from foundry_tui.migration.body.lexer import Command, Lexed
from foundry_tui.migration.body.numbers import constants
from foundry_tui.migration.draft import Draft
from foundry_tui.migration.nouns import Class

_FAR = 1 << 62
_NEAR = 8
"""How many commands may begin between a substitution and the command that it stands in."""

LOOPS = frozenset(("for", "while", "until", "select"))


@dataclass(kw_only=True)
class Body:
    """`edits` are (start, end, text) in order; of two that touch each other the first made counts.

    `constants` are the variables of the program that are assigned once, to one word.
    """

    draft: Draft
    text: str
    lexed: Lexed
    edits: list[tuple[int, int, str]] = field(default_factory=list)

    @cached_property
    def constants(self) -> dict[str, str]:
        return constants(self.lexed)

    @cached_property
    def hostfiles(self) -> list[list[Command]]:
        """Pipelines that write the names of the job's nodes somewhere."""
        found: list[list[Command]] = []
        for command in self._plain:
            if found and command.before in ("|", "|&") and found[-1][-1].after in ("|", "|&"):
                found[-1].append(command)
            elif command.name == "scontrol" and any("hostname" in w.raw for w in command.words):
                found.append([command])
        return [piped for piped in found if piped[-1].redirects]

    @cached_property
    def _plain(self) -> list[Command]:
        return [command for command in self.lexed.commands if not command.inside]

    @cached_property
    def _starts(self) -> list[int]:
        return [command.start for command in self._plain]

    @property
    def commands(self) -> list[Command]:
        """The commands that no change has taken out."""
        return [c for c in self.lexed.commands if not self.touched(c.start, c.end)]

    def line(self, at: int) -> int:
        """The line of the file at which an offset of the program stands."""
        return self.draft.script.first_line + self.lexed.line(at) - 1

    def tell(
        self,
        command: Command,
        name: str,
        became: str,
        why: str,
        klass: Class,
        *,
        blocks: bool = False,
    ) -> None:
        """What became of a command."""
        words = self.text[command.start : command.end]
        line = self.line(command.start)
        self.draft.tell(line, name, words, became, why, klass, blocks=blocks)

    def touched(self, start: int, end: int) -> bool:
        """Whether a change covers this part whole."""
        before = bisect_right(self.edits, (start, _FAR, ""))
        return before > 0 and end <= self.edits[before - 1][1]

    def put(self, start: int, end: int, text: str) -> None:
        """Replace a part, unless a change has touched it already."""
        place = bisect_right(self.edits, (start, -1, ""))
        free_before = place == 0 or self.edits[place - 1][1] <= start
        if free_before and (place == len(self.edits) or end <= self.edits[place][0]):
            insort(self.edits, (start, end, text))

    def drop(self, command: Command) -> None:
        """A command that does nothing in its place: the block around it may have no other."""
        self.put(command.start, command.end, ":")

    def outer(self, command: Command) -> Command:
        """The command in whose text a substitution stands."""
        place = bisect_right(self._starts, command.start)
        for found in reversed(self._plain[max(0, place - _NEAR) : place]):
            if command.end <= found.end:
                return found
        return command

    def made(self) -> str:
        """The program with all changes."""
        parts, at = [], 0
        for start, end, text in self.edits:
            parts += [self.text[at:start], text]
            at = end
        return "".join([*parts, self.text[at:]])
