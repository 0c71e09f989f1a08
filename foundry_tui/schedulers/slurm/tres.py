"""Slurm's resource words: TRES lists, gres counts and the device indices after `IDX:`.

A typed job names its GPUs twice, `gres/gpu=3,gres/gpu:h100=3`: the two are never added. Shards and
MPS are parts of GPUs; what one is worth follows from the node that has them (32 shards on 8 GPUs:
a shard is 250 thousandths).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from foundry_tui.estate.gpu import WHOLE_MILLI, Share
from foundry_tui.schedulers.slurm.hostlist import numbers

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
SHARES = {"gpu": Share.WHOLE, "shard": Share.SHARD, "mps": Share.MPS}

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)[nc]?")
# gpu:h100:2(IDX:0-1) | gpu:2(IDX:3) | shard:h100:0(0/4,0/4) | gpu:h100:8(S:0-1)
_GRES = re.compile(
    r"(?<![\w-])(?:gres[:/])?(?P<name>[a-z_]+)(?::(?P<model>[^:(,=]*[^:(,=\d][^:(,=]*))?"
    r"(?:[:=](?P<count>\d+)(?P<unit>[KMGT]?))?(?:\((?P<notes>[^)]*)\))?"
)
_USED = re.compile(r"(\d+)/\d+")


@dataclass(frozen=True, slots=True)
class Gres:
    """One gres: `name` gpu, shard or mps; `indices` the devices it sits on, None if not told."""

    name: str
    model: str | None
    count: int
    indices: tuple[int, ...] | None = None


def parse_tres(text: str) -> dict[str, str]:
    """`cpu=1,mem=1000M,gres/gpu=3` as a mapping; unset gives an empty one."""
    pairs = (item.partition("=") for item in text.split(",") if "=" in item)
    return {key: value for key, _, value in pairs}


def parse_gres(text: str) -> tuple[Gres, ...]:
    """`gpu:h100:8(S:0-1),shard:32` or `gpu:h100:2(IDX:0-1)` as a tuple; `(null)` gives none."""
    if not text or text in ("(null)", "N/A"):
        return ()
    found = []
    for match in _GRES.finditer(text):
        if match["name"] not in SHARES:
            continue
        count = int(match["count"] or 1) * UNITS[match["unit"] or ""]
        found.append(Gres(match["name"], match["model"], count, _devices(match["notes"] or "")))
    return tuple(found)


def _devices(notes: str) -> tuple[int, ...] | None:
    """The devices in the brackets: `IDX:0-1`, or used/total per device (24.11: `0/4,2/4`)."""
    if notes.startswith("IDX:"):
        return numbers(notes[4:])
    parts = [_USED.fullmatch(part) for part in notes.split(",")]
    if all(parts):
        return tuple(i for i, part in enumerate(parts) if part and part[1] != "0")
    return None


def size_bytes(text: str | None) -> int | None:
    """`250G` or `1000M` in bytes; a bare number is in MiB, as Slurm counts. None when unset."""
    match = _SIZE.fullmatch(text or "")
    if match is None:
        return None
    return int(float(match[1]) * UNITS[match[2] or "M"])


def count(tres: Mapping[str, str], name: str) -> int:
    """How many of a gres the list holds: the plain count, else the sum of the typed ones."""
    key = f"gres/{name}"
    if key in tres:
        return int(tres[key])
    return sum(int(v) for k, v in tres.items() if k.startswith(f"{key}:"))


def model(tres: Mapping[str, str], name: str = "gpu") -> str | None:
    """The GPU model a list names, if it names exactly one."""
    found = {k.partition(":")[2] for k in tres if k.startswith(f"gres/{name}:")}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Worth:
    """What one shard and one MPS unit are worth in thousandths of a GPU; None: there are none."""

    shard: float | None = None
    mps: float | None = None

    @classmethod
    def of(cls, gres: tuple[Gres, ...]) -> Worth:
        """From one node's configured gres."""
        gpus = sum(g.count for g in gres if g.name == "gpu")
        totals = {n: sum(g.count for g in gres if g.name == n) for n in ("shard", "mps")}
        return cls(
            **{n: WHOLE_MILLI * gpus / total if total else None for n, total in totals.items()}
        )

    def milli(self, name: str, amount: int) -> int | None:
        """Thousandths of GPU in `amount` of a gres, rounded up; None when that is not known."""
        if name == "gpu":
            return WHOLE_MILLI * amount
        unit = self.shard if name == "shard" else self.mps
        return None if unit is None else -int(-amount * unit // 1)
