"""How the text of one option is read: numbers, amounts, times, secrets, volumes.

Every reader takes text and raises ValueError with the words for what it wants; who calls it names
the option.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

WHOLE_MILLI = 1000
MAX_TIME_S = 3650 * 86_400

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_AMOUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([kKMGT]?)(i?)B?")
_TIME = re.compile(r"([0-9]{1,9})([smhd]?)")
_STEPS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OBJECT = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_SECRET = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")


@dataclass(frozen=True, slots=True)
class SecretVariable:
    """A variable whose value the cluster takes from `key` of the Secret `secret`."""

    variable: str
    secret: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What every pod sees at `target`: a volume `claim`, or the folder `source` of its node."""

    target: str
    claim: str | None = None
    source: str | None = None
    read_only: bool = False


def word(text: str) -> str:
    """A word as it stands."""
    if not text or text != text.strip() or not text.isprintable():
        raise ValueError("a word of printable characters")
    return text


def word_list(text: str) -> tuple[str, ...]:
    """Words with commas between."""
    return tuple(word(part) for part in text.split(","))


def folder(text: str) -> str:
    """An absolute path inside the container or on a node."""
    if not text.startswith("/") or not text.isprintable() or ".." in text.split("/"):
        raise ValueError("a path that begins with / and has no .. in it")
    return text


def count(least: int, most: int) -> Callable[[str], int]:
    """A reader of whole numbers."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number of {least}..{most}")
        return int(text)

    return read


def milli(most: int, what: str) -> Callable[[str], int]:
    """A reader of decimals as thousandths, of 1 to `most`."""

    def read(text: str) -> int:
        try:
            found = Decimal(text) * WHOLE_MILLI
        except InvalidOperation:
            raise ValueError(what) from None
        if not found.is_finite() or not 1 <= found <= most or found != int(found):
            raise ValueError(what)
        return int(found)

    return read


def size_bytes(text: str) -> int:
    """Bytes in `20G` or `20Gi`."""
    found = _AMOUNT.fullmatch(text)
    what = "an amount with its unit such as 20G (10^9 bytes) or 20Gi (2^30)"
    if found is None or (found[3] and not found[2]):
        raise ValueError(what)
    unit = (_BINARY if found[3] else _UNITS)[found[2].lower()]
    amount = int(Decimal(found[1]) * unit)
    if amount < 1:
        raise ValueError(what)
    return amount


def time_s(least: int) -> Callable[[str], int]:
    """A reader of times such as `90`, `90s`, `5m`, `12h`, `2d`, in seconds."""

    def read(text: str) -> int:
        found = _TIME.fullmatch(text)
        seconds = int(found[1]) * _STEPS_S[found[2]] if found else -1
        if not least <= seconds <= MAX_TIME_S:
            raise ValueError(f"seconds of {least} or more, or a time such as 90s, 5m, 12h, 2d")
        return seconds

    return read


def one_of(*known: str) -> Callable[[str], str]:
    """A reader of one of a few words."""

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return text

    return read


def secret(text: str) -> SecretVariable:
    """`VARIABLE=SECRET:KEY`."""
    variable, _, rest = text.partition("=")
    name, _, key = rest.partition(":")
    fits = _VARIABLE.fullmatch(variable) and _SECRET.fullmatch(name) and _KEY.fullmatch(key)
    if not fits:
        raise ValueError("VARIABLE=SECRET:KEY, with the name of a Secret and a key in it")
    return SecretVariable(variable, name, key)


def claim(text: str) -> Volume:
    """`claimname=CLAIM,path=FOLDER`, and `readonly` behind it where nothing may be written."""
    what = "claimname=CLAIM,path=FOLDER[,readonly]"
    told, flags = _parts(text, {"claimname", "path"}, {"readonly"}, what)
    if not _OBJECT.fullmatch(told["claimname"]):
        raise ValueError(f"{what} with the name of a volume claim")
    return Volume(
        target=folder(told["path"]), claim=told["claimname"], read_only="readonly" in flags
    )


def host_path(text: str) -> Volume:
    """`path=FOLDER,mount=FOLDER`; only with `readwrite` behind it may it be written."""
    what = "path=FOLDER,mount=FOLDER[,readwrite]"
    told, flags = _parts(text, {"path", "mount"}, {"readwrite"}, what)
    return Volume(
        target=folder(told["mount"]),
        source=folder(told["path"]),
        read_only="readwrite" not in flags,
    )


def _parts(
    text: str, named: set[str], flags: set[str], what: str
) -> tuple[dict[str, str], set[str]]:
    """The `name=value` parts and the flags of a text with commas."""
    told: dict[str, str] = {}
    found: set[str] = set()
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals and name in named - told.keys():
            told[name] = value
        elif not equals and name in flags - found:
            found.add(name)
        else:
            raise ValueError(what)
    if told.keys() != named:
        raise ValueError(what)
    return told, found
