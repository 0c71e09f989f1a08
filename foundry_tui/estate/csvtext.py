"""CSV as every export writes it: RFC 4180, UTF-8 without BOM, the header always there.

A missing value is an empty field, never 0. Text that a spreadsheet would run as a formula gets an
apostrophe in front (OWASP ASVS 1.2.10, CWE-1236); numbers are typed and never get one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from foundry_tui.estate.text import safe

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")
_PLAIN = re.compile(
    r"(?![=+\-@])[ !#-+\--:<-~]*"
)  # most texts: printable ASCII that stays as it is
_QUOTED = re.compile(r'[",;]')  # a semicolon separates cells where the comma is the decimal sign


def write(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> bytes:
    """The rows as a CSV file with these columns; a column that a row lacks is an empty field.

    Raises:
        TypeError: a value is of a kind that has no form in one cell, such as a list.
    """
    lines = [",".join(columns)]
    lines += [line(row.get(name) for name in columns) for row in rows]
    lines.append("")
    return "\r\n".join(lines).encode()


def line(values: Iterable[object]) -> str:
    """One line of a CSV file, without its end.

    Raises:
        TypeError: a value is of a kind that has no form in one cell.
    """
    return ",".join([_field(value) for value in values])


def text(value: str) -> str:
    """The field of a text: no formula, nothing invisible, quoted where that is needed."""
    if _PLAIN.fullmatch(value):
        return value
    shown = "'" + value if value.startswith(_FORMULA) else value
    if not (shown.isascii() and shown.isprintable()):
        shown = safe(shown, max_cells=8 * len(shown))  # the widest stand-in takes 8 cells
    if not _QUOTED.search(shown):
        return shown
    return '"' + shown.replace('"', '""') + '"'


def rfc3339(moment: datetime) -> str:
    """A time to the second in UTC: `2026-01-31T23:59:59Z`."""
    return moment.astimezone(UTC).isoformat()[:19] + "Z"


def _field(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else ""
    if isinstance(value, datetime):
        return rfc3339(value)
    raise TypeError(f"a CSV cell cannot hold a {type(value).__name__}: {value!r}")
