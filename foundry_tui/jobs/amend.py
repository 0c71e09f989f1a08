"""One field of a spec file changed, and everything else, its comments too, left as it is."""

from __future__ import annotations

import difflib
import re

from foundry_tui.jobs.document import read
from foundry_tui.jobs.errors import SpecError


def amended(name: str, data: bytes, key: str, value: str, *, after: str = "") -> bytes:
    """The file with `key: value` at its top level, in the words of its format.

    The line of the key is changed where there is one; a new one comes behind the key `after`, else
    at the end of the top table. The value is written as it is.

    Raises:
        SpecError: the file is no spec, or the key stands there with a table or over several lines,
            so that a person has to change it.
    """
    document = read(name, data)
    toml = name.lower().endswith(".toml")
    lines = data.decode("utf-8-sig").splitlines(keepends=True)
    line = f"{key} = {value}" if toml else f"{key}: {value}"
    place = _line_of(lines, key, toml)
    if place is None:
        behind = _line_of(lines, after, toml) if after else None
        place = _end_of_top(lines, toml) if behind is None else behind + 1
        if place and not lines[place - 1].endswith("\n"):
            lines[place - 1] += "\n"
        lines.insert(place, f"{line}\n")
    else:
        ending = "\n" if lines[place].endswith("\n") else ""
        comment = re.search(r"\s+#.*$", lines[place].rstrip("\n"))
        lines[place] = f"{line}{comment[0] if comment else ''}{ending}"
    made = "".join(lines).encode()
    try:
        now = dict(read(name, made).values)
    except SpecError:
        now = {}
    if {**now, key: None} != {**document.values, key: None}:
        raise document.error((key,), f"cannot be changed by itself: write `{line}` there")
    return made


def difference(name: str, before: bytes, after: bytes) -> str:
    """What changes, as a unified diff; empty where nothing does."""
    old, new = (d.decode("utf-8-sig", "replace").splitlines(keepends=True) for d in (before, after))
    lines = difflib.unified_diff(old, new, fromfile=name, tofile=f"{name} (changed)")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _line_of(lines: list[str], key: str, toml: bool) -> int | None:
    """The line on which a key of the top table stands."""
    wanted = re.compile(rf"""(["']?){re.escape(key)}\1\s*{"=" if toml else ":"}""")
    for number, line in enumerate(lines):
        if toml and line.lstrip().startswith("["):
            return None
        if wanted.match(line):
            return number
    return None


def _end_of_top(lines: list[str], toml: bool) -> int:
    """Where a new key of the top table can stand: in TOML before the first table."""
    if toml:
        return next((n for n, x in enumerate(lines) if x.lstrip().startswith("[")), len(lines))
    return len(lines)
