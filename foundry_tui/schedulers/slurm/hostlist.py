"""Slurm's compressed host lists: `h[01-03,07],a1` and back to names."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_HOSTS = 65_536
"""Cap on the names of one list, so that a hostile or broken list cannot fill the memory."""

MAX_BRACKETS = 256
"""Cap on the bracket groups of one list."""

_PART = re.compile(r"[^,\[\]]+(?:\[[^\]]*\][^,\[\]]*)*|\[[^\]]*\]")


def expand(text: str) -> tuple[str, ...]:
    """The names in a host list, in its order; `(null)`, `None assigned` and `` give none.

    Raises:
        ValueError: brackets that do not match, a range that runs backwards, or too many names.
    """
    text = text.strip()
    if not text or text in ("(null)", "N/A", "None assigned", "None"):
        return ()
    if text.count("[") > MAX_BRACKETS:
        raise ValueError(f"host list: more than {MAX_BRACKETS} brackets in {text[:80]!r}")
    if text.count("[") != text.count("]"):
        raise ValueError(f"host list: brackets do not match in {text[:80]!r}")
    names: list[str] = []
    for part in _PART.findall(text):
        for name in _names(part):
            names.append(name)
            if len(names) > MAX_HOSTS:
                raise ValueError(f"host list: more than {MAX_HOSTS} names in {text[:80]!r}")
    return tuple(names)


def _names(part: str) -> Iterator[str]:
    head, bracket, rest = part.partition("[")
    if not bracket:
        yield head
        return
    inside, _, tail = rest.partition("]")
    for number in indices(inside, pad=True):
        for end in _names(tail) if tail else ("",):
            yield f"{head}{number}{end}"


def indices(text: str, *, pad: bool = False) -> Iterator[str]:
    """The numbers in `0-3,7` as text; with `pad` they keep the width of the range's start.

    Raises:
        ValueError: something that is no number, or a range that runs backwards.
    """
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        if not dash:
            yield first
            continue
        low, high = int(first), int(last)
        if high < low:
            raise ValueError(f"host list: range {piece!r} runs backwards")
        if high - low > MAX_HOSTS:
            raise ValueError(f"host list: range {piece!r} holds more than {MAX_HOSTS} names")
        width = len(first) if pad else 0
        for number in range(low, high + 1):
            yield f"{number:0{width}d}"


def numbers(text: str) -> tuple[int, ...]:
    """The numbers in `0-1,5`, as used after `IDX:`; `N/A` and an empty text give none.

    Raises:
        ValueError: as `indices`.
    """
    text = text.strip()
    return () if text in ("", "N/A", "(null)") else tuple(int(n) for n in indices(text))
