"""Kubernetes quantities: `500m`, `2639110113n`, `8Gi`, `1e3`; exact, as integers in small units."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from functools import lru_cache

_FORM = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(n|u|m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei|[eE][+-]?\d{1,3})?",
    re.ASCII,
)
_SUFFIX = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(1000),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(1 << 10),
    "Mi": Decimal(1 << 20),
    "Gi": Decimal(1 << 30),
    "Ti": Decimal(1 << 40),
    "Pi": Decimal(1 << 50),
    "Ei": Decimal(1 << 60),
}
MOST = Decimal(1 << 63)


@lru_cache(maxsize=4096)
def parse(text: str) -> Decimal | None:
    """The amount in its own unit; None for what is no quantity, negative or absurdly large.

    The grammar is that of resource.Quantity in k8s.io/apimachinery.
    """
    found = _FORM.fullmatch(text.strip()) if len(text) <= 64 else None
    if found is None:
        return None
    number, suffix = found[1], found[2] or ""
    try:
        scale = _SUFFIX.get(suffix, None if suffix else Decimal(1))
        value = Decimal(number + suffix) if scale is None else Decimal(number) * scale
    except InvalidOperation:
        return None
    return value if 0 <= value < MOST else None


def milli(amount: str | int | float | None) -> int | None:
    """Thousandths, rounded up as Kubernetes does; None when it is not known."""
    value = None if amount is None else parse(str(amount))
    return None if value is None else int((value * 1000).to_integral_value(ROUND_CEILING))


def whole(amount: str | int | float | None) -> int | None:
    """Whole units (bytes, devices), rounded up; None when it is not known."""
    value = None if amount is None else parse(str(amount))
    return None if value is None else int(value.to_integral_value(ROUND_CEILING))
