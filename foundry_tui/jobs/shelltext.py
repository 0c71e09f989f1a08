"""Values put into the text of a shell program so that each stays one word and nothing more."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

_PLACE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_HERE = re.compile(r"<<-?[ \t]*(['\"\\]?)([A-Za-z_][A-Za-z0-9_]*)['\"]?")
_IN_DOUBLE = re.compile(r'(["$`\\])')
_SHELLS = re.compile(r"(?:ba|da|k|z)?sh")


class _In(Enum):
    """What a place in the text stands in."""

    NOTHING = "nothing"
    SINGLE = "'"
    DOUBLE = '"'
    COMMENT = "#"
    HERE = "<<"
    HERE_AS_IS = "<<'"


@dataclass(slots=True)
class _Frame:
    """The quotes of one command; `open_parens` counts those of a `$(` inside double quotes."""

    stands_in: _In = _In.NOTHING
    open_parens: int = 0


def is_shell(script: str) -> bool:
    """Whether a program is for a shell: it names none, or one, in its first line."""
    first, _, _ = script.partition("\n")
    if not first.startswith("#!"):
        return True
    words = first[2:].split()
    return bool(words) and any(_SHELLS.fullmatch(w.rpartition("/")[2]) for w in words[:2])


def filled(script: str, params: Mapping[str, str]) -> str:
    """The program with `${name}` replaced by the value of each param; other `${…}` stay.

    A value is quoted for the place where it stands: bare, in quotes, in a here-document. A
    backslash before `${name}` keeps it for the program.
    """
    made: list[str] = []
    frames = [_Frame()]
    waiting: list[tuple[str, _In]] = []
    ends = ""
    at = 0
    while at < len(script):
        frame, char = frames[-1], script[at]
        place = _PLACE.match(script, at) if char == "$" else None
        if place is not None and place[1] in params:
            made.append(_quoted(params[place[1]], frame.stands_in))
            at = place.end()
            continue
        step = 1
        if char == "\n":
            if frame.stands_in is _In.COMMENT:
                frame.stands_in = _In.NOTHING
            if frame.stands_in in (_In.HERE, _In.HERE_AS_IS) and _line_at(script, at + 1) == ends:
                frame.stands_in = _In.NOTHING
            if frame.stands_in is _In.NOTHING and waiting:
                ends, frame.stands_in = waiting.pop(0)
        elif char == "\\" and frame.stands_in in (_In.NOTHING, _In.DOUBLE, _In.HERE):
            step = 2
        elif frame.stands_in is _In.NOTHING:
            here = _HERE.match(script, at) if char == "<" and script[at - 1 : at] != "<" else None
            if here is not None:
                waiting.append((here[2], _In.HERE_AS_IS if here[1] else _In.HERE))
                step = len(here[0])
            else:
                _bare(frames, char, before=script[at - 1] if at else " ")
        elif frame.stands_in is _In.SINGLE:
            frame.stands_in = _In.NOTHING if char == "'" else _In.SINGLE
        elif frame.stands_in is _In.DOUBLE:
            if char == '"':
                frame.stands_in = _In.NOTHING
            elif script.startswith("$(", at):
                frames.append(_Frame(open_parens=1))
                step = 2
        made.append(script[at : at + step])
        at += step
    return "".join(made)


def _bare(frames: list[_Frame], char: str, before: str) -> None:
    """What a character outside quotes begins or ends."""
    frame = frames[-1]
    if char in "'\"":
        frame.stands_in = _In(char)
    elif char == "#" and (before.isspace() or before in ";&|("):
        frame.stands_in = _In.COMMENT
    elif len(frames) > 1 and char in "()":
        frame.open_parens += 1 if char == "(" else -1
        if frame.open_parens == 0:
            frames.pop()


def _line_at(script: str, at: int) -> str:
    end = script.find("\n", at)
    return script[at : end if end >= 0 else None].lstrip("\t")


def _quoted(value: str, stands_in: _In) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if stands_in is _In.NOTHING:
        return shlex.quote(value)
    if stands_in is _In.SINGLE:
        return value.replace("'", "'\"'\"'")
    if stands_in is _In.DOUBLE:
        return _IN_DOUBLE.sub(r"\\\1", value)
    if stands_in is _In.HERE:
        return re.sub(r"([$`\\])", r"\\\1", value)
    return value
