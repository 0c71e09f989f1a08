"""The options of a submission to Run:ai or to KAI, in the words of `runai training submit`.

Both worlds take the same options, so that the same words mean the same request wherever a site has
got to in its move. Amounts are read into integers with their unit, and nothing is guessed: what an
adapter cannot do with an option it has to refuse by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from foundry_tui.estate.acts import Submit

MAX_SCRIPT_BYTES = 96 << 10
"""Cap on a script: it travels as one argument, and Linux takes no argument above 128 KiB."""

MAX_DEVICES = 1024
MAX_WORKERS = 10_000
WHOLE_MILLI = 1000

_SHORT = {"-p": "--project", "-i": "--image", "-g": "--gpu-devices-request"}
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_AMOUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([kKMGT]?)(i?)B?")
_LABEL = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_DASHES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the options ask for; None where they do not say.

    GPU, CPU and memory amounts are those of one pod; `workers` pods start together or not at all.
    `gpu_devices` is 0 when no GPU is asked for, and at least 1 with a portion or with GPU memory.
    `gpu_portion_milli` (1..1000) and `gpu_memory_bytes` are per device and never both given.
    """

    name: str | None = None
    project: str | None = None
    image: str | None = None
    gpu_devices: int = 0
    gpu_portion_milli: int | None = None
    gpu_memory_bytes: int | None = None
    cpu_milli: int | None = None
    memory_bytes: int | None = None
    preemptibility: str | None = None
    priority: str | None = None
    node_pools: tuple[str, ...] = ()
    workers: int = 1
    kind: str | None = None
    namespace: str | None = None

    @property
    def portion(self) -> str | None:
        """The portion as a plain decimal such as 0.5, for annotations and requests."""
        milli = self.gpu_portion_milli
        return None if milli is None else f"{Decimal(milli) / WHOLE_MILLI:f}"


def parse(options: Sequence[str]) -> Wanted:
    """Options such as `--name=a`, `-g 2` or `--gpu-portion-request 0.5`; of two the last counts.

    Raises:
        ValueError: an option that is not known, has no value or a wrong one; the option is named.
    """
    found: dict[str, Any] = {}
    for option, text in _pairs(options):
        field, read = _READERS[option]
        try:
            found[field] = read(text)
        except ValueError as error:
            raise ValueError(f"{option}: {error}, not {text!r}") from None
    if found.get("gpu_portion_milli") is not None and found.get("gpu_memory_bytes") is not None:
        raise ValueError(
            "--gpu-portion-request and --gpu-memory-request exclude each other: give one of them"
        )
    shared = {"gpu_portion_milli", "gpu_memory_bytes"} & found.keys()
    if shared and found.setdefault("gpu_devices", 1) == 0:
        raise ValueError("--gpu-devices-request: a part of a GPU needs at least 1 device, not 0")
    return Wanted(**found)


def _pairs(options: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    waiting: str | None = None
    for word in options:
        if waiting is not None:
            found.append((waiting, word))
            waiting = None
            continue
        head, equals, value = word.partition("=")
        option = _SHORT.get(head, head)
        if option not in _READERS:
            raise ValueError(f"option {word!r} is not known; one of {', '.join(_READERS)}")
        if equals:
            found.append((option, value))
        else:
            waiting = option
    if waiting is not None:
        raise ValueError(f"{waiting}: has no value")
    return found


def shell_command(act: Submit) -> tuple[str, ...]:
    """The command that runs a script inside the image: `/bin/sh -c SCRIPT NAME ARGUMENTS`.

    Raises:
        ValueError: the script is empty, too long, holds NUL bytes or is not UTF-8 text.
    """
    name = act.script_name
    if not act.script.strip():
        raise ValueError(f"{name} is empty")
    if len(act.script) > MAX_SCRIPT_BYTES:
        size = len(act.script) / (1 << 10)
        raise ValueError(
            f"{name} has {size:.0f} KiB and travels as one argument, which may have "
            f"{MAX_SCRIPT_BYTES >> 10}: put it into the image or onto a volume"
        )
    if b"\0" in act.script:
        raise ValueError(f"{name} holds NUL bytes: no script")
    try:
        text = act.script.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8 text: no script") from None
    return ("/bin/sh", "-c", text, name, *act.script_args)


def workload_name(wanted: Wanted, script_name: str) -> str:
    """The name asked for, else one made from the script's: small letters, digits and dashes.

    Raises:
        ValueError: the name asked for is no DNS label, which Kubernetes wants.
    """
    if wanted.name is not None:
        return _label(wanted.name, "--name")
    stem = script_name.rpartition("/")[2].partition(".")[0].lower()
    made = _DASHES.sub("-", stem)[:40].strip("-")
    return made if _LABEL.fullmatch(made) else f"run-{made}".strip("-")


def _label(text: str, option: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(
            f"{option}: small letters, digits and dashes, a letter first, at most 63, not {text!r}"
        )
    return text


def _text(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable():
        raise ValueError("a word of printable characters")
    return text


def _pools(text: str) -> tuple[str, ...]:
    return tuple(_text(part) for part in text.split(","))


def _count(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number of {least}..{most}")
        return int(text)

    return read


def _milli(most: int, what: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            milli = Decimal(text) * WHOLE_MILLI
        except InvalidOperation:
            raise ValueError(what) from None
        if not milli.is_finite() or not 1 <= milli <= most or milli != int(milli):
            raise ValueError(what)
        return int(milli)

    return read


def _bytes(text: str) -> int:
    found = _AMOUNT.fullmatch(text)
    what = "an amount with its unit such as 20G (10^9 bytes) or 20Gi (2^30)"
    if found is None or (found[3] and not found[2]):
        raise ValueError(what)
    unit = (_BINARY if found[3] else _UNITS)[found[2].lower()]
    amount = int(Decimal(found[1]) * unit)
    if amount < 1:
        raise ValueError(what)
    return amount


def _one_of(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return text

    return read


_READERS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "--name": ("name", str),
    "--project": ("project", _text),
    "--image": ("image", _text),
    "--gpu-devices-request": ("gpu_devices", _count(0, MAX_DEVICES)),
    "--gpu-portion-request": (
        "gpu_portion_milli",
        _milli(WHOLE_MILLI, "more than 0 and at most 1, with at most three decimals"),
    ),
    "--gpu-memory-request": ("gpu_memory_bytes", _bytes),
    "--cpu-core-request": (
        "cpu_milli",
        _milli(10**7, "cores above 0, with at most three decimals"),
    ),
    "--cpu-memory-request": ("memory_bytes", _bytes),
    "--preemptibility": ("preemptibility", _one_of("preemptible", "non-preemptible")),
    "--priority": ("priority", _text),
    "--node-pools": ("node_pools", _pools),
    "--workers": ("workers", _count(1, MAX_WORKERS)),
    "--kind": ("kind", _text),
    "--namespace": ("namespace", _text),
}
"""Option -> field of `Wanted`, and how its text is read."""

VALUED = frozenset({*_READERS, *_SHORT})
"""Options whose value may stand in the next word."""
