"""Safe text: the one door for text that comes from outside.

Job names, labels, reasons and error messages can hold escape sequences that drive the terminal,
newlines that forge a table row, bidi overrides that reorder it and bytes that are not UTF-8.
`safe` turns all of that into visible characters once, where the text enters; everything that
draws takes `SafeText` only. What is drawn is not the name itself: two names can look alike after
`safe`, so equality and commands use the raw bytes.

Widths are the sum of the widths of the characters. Terminals disagree on emoji sequences, so the
characters that build them (joiners, variation selectors) are shown instead of obeyed.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Literal, NewType

SafeText = NewType("SafeText", str)
"""Text that may be sent to a terminal: printable characters only, at most 2 marks per base."""

ELLIPSIS = "…"
MARKS_PER_BASE = 2

_FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_INVISIBLE = re.compile(
    # letters and marks that draw nothing: the Default_Ignorable_Code_Point property of Unicode's
    # DerivedCoreProperties.txt, without those that _FORBIDDEN covers
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_NARROW = re.compile("[ -\u02ff\u2010-\u2027\u2030-\u205e\u2400-\u25fc]")
"""Latin letters, punctuation, and what the stand-ins and tables are drawn with: one cell each."""

_LONE_MARK_BASE = "◌"


def safe(raw: str | bytes, *, max_cells: int = 256) -> SafeText:
    """`raw` as printable text of at most `max_cells` display cells, `…` at a cut.

    ESC becomes ␛, a newline ␊, the C1 control 0x9b ‹9b›, the bidi override ‹202e›, and a byte
    that is not UTF-8 ‹xff›. Marks beyond two on one base are dropped, and a mark without a base
    gets a dotted circle. Applying `safe` again changes nothing.
    """
    text = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
    if text.isascii() and text.isprintable():
        if len(text) <= max_cells:
            return SafeText(text)
        return SafeText(text[: max_cells - 1] + ELLIPSIS if max_cells > 0 else "")
    return _safe_unicode(text, max_cells)


def cells(text: SafeText) -> int:
    """The number of terminal cells that `text` takes."""
    return len(text) if text.isascii() else sum(_glyph(char)[1] for char in text)


def clip(text: SafeText, width: int) -> SafeText:
    """`text` cut to `width` cells, with `…` where something was cut off."""
    return safe(text, max_cells=width)


def pad(text: SafeText, width: int, align: Literal["left", "right"] = "left") -> SafeText:
    """`text` as exactly `width` cells: cut, or filled with spaces on the other side."""
    clipped = clip(text, width)
    fill = " " * (width - cells(clipped))
    return SafeText(clipped + fill if align == "left" else fill + clipped)


def _safe_unicode(text: str, max_cells: int) -> SafeText:
    if max_cells < 1:
        return SafeText("")
    units: list[str] = []  # one base with its marks, or one stand-in: never cut apart
    used = fitting = marks = 0  # `fitting` units leave a cell for the ellipsis
    for char in text:
        shown, width = _glyph(char)
        if width:
            marks = 0
        else:
            marks += 1
            if marks > MARKS_PER_BASE:
                continue
            if units:
                units[-1] += shown
                continue
            shown, width = _LONE_MARK_BASE + shown, 1
        used += width
        if used > max_cells:
            return SafeText("".join(units[:fitting]) + ELLIPSIS)
        units.append(shown)
        if used < max_cells:
            fitting = len(units)
    return SafeText("".join(units))


@lru_cache(maxsize=8192)
def _glyph(char: str) -> tuple[str, int]:
    """What stands for one character, and its width in cells; width 0 is a combining mark."""
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code), 1
    if code == 0x7F:
        return "\u2421", 1
    if 0xDC80 <= code <= 0xDCFF:  # a byte that surrogateescape could not decode
        return f"‹x{code - 0xDC00:x}›", 5
    if unicodedata.category(char) in _FORBIDDEN or _INVISIBLE.match(char):
        stand_in = f"‹{code:x}›"
        return stand_in, len(stand_in)
    if _NARROW.match(char):
        return char, 1
    from wcwidth import wcwidth  # takes 40 ms to import, and most names never need it

    return char, wcwidth(char)
