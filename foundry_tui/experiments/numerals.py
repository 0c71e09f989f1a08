"""Numbers in text: `1e-3` and `0.001` are one value, and so are two NaN."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache

_PLAIN = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?"
)
_NAMED = re.compile(r"(?i)([+-]?)(nan|inf|infinity)")


def key(text: str) -> Decimal | str | None:
    """What two spellings of one number have in common; None for a text that is no number.

    Exact, so that long whole numbers, such as seeds, are not mixed up; NaN is `nan`.
    """
    word = text.strip()
    if _PLAIN.fullmatch(word):
        return Decimal(word)
    named = _NAMED.fullmatch(word)
    if named is None:
        return None
    if named[2].lower() == "nan":
        return "nan"
    return "-inf" if named[1] == "-" else "inf"


@lru_cache(maxsize=16_384)
def canon(text: str) -> Decimal | str:
    """The number of a text, or the text: equal for two texts that say the same."""
    found = key(text)
    return f"={text}" if found is None else found


def spelled(values: Iterable[float | None]) -> tuple[str | None, ...]:
    """Numbers as text: six digits, or as many as it takes to tell unequal ones apart."""
    given = list(values)
    short = [None if v is None else shown(v) for v in given]
    exact = [None if v is None else shown(v, digits=17) for v in given]
    if len(set(short)) == len(set(exact)):
        return tuple(short)
    return tuple(None if v is None else _exact(v) for v in given)


def shown(value: float, *, digits: int = 6) -> str:
    """A number to so many digits; NaN, ∞ and -∞ by name."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value + 0.0:.{digits}g}"


def _exact(value: float) -> str:
    return repr(value + 0.0) if math.isfinite(value) else shown(value)
