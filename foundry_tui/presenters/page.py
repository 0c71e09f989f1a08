"""A page of text: how wide it is, what it is drawn with, and the lines below every table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import ELLIPSIS, SafeText, cells, safe
from foundry_tui.estate.waste import IDLE_AFTER_S
from foundry_tui.presenters.units import UNKNOWN, age

_ASCII = {UNKNOWN: "-", ELLIPSIS: "~", "·": "|"}

_GREEN, _YELLOW, _RED, _GREY = "32", "33", "31", "90"
_COLOURS = {
    _GREEN: "ok running idle completed found done",
    _YELLOW: "slow stale pending held completing suspended draining drained maintenance reserved "
    "accepted part open",
    _RED: "down denied failed timeout preempted out_of_memory node_fail missing broken refused",
    _GREY: "off cancelled unknown unchanged",
}
_COLOUR_OF = {word: code for code, words in _COLOURS.items() for word in words.split()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a page is drawn: `width` in cells; `colour` by the 16 colours of any terminal.

    `ascii` draws with ASCII only, `wide` shows every column whole, whatever the width.
    """

    width: int = 80
    colour: bool = False
    ascii: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a table is shown with: its sources, the time now, and how its rows were chosen.

    `where` is the filter and `total` the number of rows before it; `notes` are lines that the
    reader should know, such as what is missing. A GPU counts as idle after `idle_after_s` seconds.
    """

    now: datetime
    sources: Sequence[Source] = ()
    style: Style = Style()
    where: str | None = None
    total: int = 0
    notes: Sequence[str] = ()
    idle_after_s: float = IDLE_AFTER_S


def coloured(word: str, shown: str) -> str:
    """`shown` in the colour of the state `word`; unchanged when the word has none."""
    code = _COLOUR_OF.get(word)
    return f"\x1b[{code}m{shown}\x1b[0m" if code else shown


def finish(lines: Iterable[str], style: Style) -> str:
    """The lines as one text; with `ascii` every other character becomes `?`, cell by cell."""
    text = "\n".join(line.rstrip() for line in lines)
    if not style.ascii or text.isascii():
        return text
    return "".join(c if c.isascii() else _ASCII.get(c, "?" * cells(SafeText(c))) for c in text)


def wrap(text: str, width: int, *, first: str = "", rest: str = "") -> list[str]:
    """`text`, made safe, in lines of at most `width` cells, broken at spaces where possible.

    `first` stands before the first line and `rest`, which is blank and takes at most half of a
    line, before the others. Where the words have no room beside `first`, it stands alone.
    """
    rest = rest[: width // 2]
    lines: list[str] = []
    line, used = first, cells(SafeText(first))
    start = used
    for word in _words(text, max(1, width - len(rest))):
        gap = 1 if used > start else 0
        if used + gap + cells(word) > width and (gap or start > len(rest)):
            lines.append(line)
            line, used = rest, len(rest)
            start, gap = used, 0
        line += " " * gap + word
        used += gap + cells(word)
    return [*lines, line]


def _words(text: str, width: int) -> Iterable[SafeText]:
    """The words of a text; one that is wider than a line comes in pieces."""
    for word in safe(text, max_cells=8 * len(text)).split():
        piece, used = "", 0
        for char in word:
            taken = cells(SafeText(char))
            if piece and used + taken > width:
                yield SafeText(piece)
                piece, used = "", 0
            piece += char
            used += taken
        yield SafeText(piece)


def source_words(source: Source, now: datetime) -> str:
    """Where data comes from and how old it is: `slurm lab: 3s old`."""
    aged = source.age_s(now)
    known = "never read" if aged is None else f"{age(aged)} old"
    state = "" if source.state is SourceState.OK else f"{source.state.value.upper()}, "
    reason = f" ({source.reason})" if source.reason else ""
    return f"{source.kind} {source.name}: {state}{known}{reason}"


def footer(listing: Listing, *, hidden: Sequence[str] = (), extra: str = "") -> list[str]:
    """The lines below a table: what is not shown, where the rows come from and how old they are."""
    width = listing.style.width
    lines = wrap(extra, width) if extra else []
    if hidden:
        words = f"not shown at {width} columns: {', '.join(hidden).lower()} (--wide shows all)"
        lines += wrap(words, width)
    for note in listing.notes:
        lines += wrap(f"note: {note}", width, rest="  ")
    good = [s for s in listing.sources if s.state is SourceState.OK and not s.reason]
    if good:
        lines += wrap(" · ".join(source_words(s, listing.now) for s in good), width, rest="  ")
    for source in listing.sources:
        if source not in good:
            lines += wrap(source_words(source, listing.now), width, rest="  ")
    return lines


def nothing(noun: str, listing: Listing) -> list[str]:
    """Why a table is empty and what to do: never an empty screen."""
    width = listing.style.width
    if listing.where is not None and listing.total:
        words = f"No {noun} matches `{listing.where}`; {listing.total} {noun}s in all."
        return wrap(words, width)
    if not listing.sources:
        return wrap(f"No {noun}: there is no source. `foundry doctor` says why.", width)
    if all(s.read_at is None for s in listing.sources):
        words = f"No {noun} is known: no source was ever read. `foundry doctor` says why."
        return wrap(words, width)
    names = ", ".join(s.name for s in listing.sources if s.read_at is not None)
    return wrap(f"No {noun}: {names} told of none.", width)
