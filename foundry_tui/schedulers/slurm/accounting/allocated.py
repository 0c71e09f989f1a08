"""What a try held, from its `AllocTRES`: GPUs kind by kind, with what they are worth.

The rules of counting: the plain `gres/gpu=N` is the number of GPUs, and typed entries
(`gres/gpu:h100=N`) only say which they are; without a plain one the typed ones are added. The two
are never added together. Shards and MPS stand beside GPUs and are parts of them; what one is worth
follows from the node that has it. A MIG instance is a GPU to Slurm, named by its profile
(`gres/gpu:1g.10gb=1`, `gres/gpu:a100_3g.20gb=2`), and is worth its share of the compute slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from foundry_tui.estate.gpu import WHOLE_MILLI, Share
from foundry_tui.estate.mig import instance_milli
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import HeldGpus
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.nodes import RawNode
from foundry_tui.schedulers.slurm.tres import Worth, parse_tres, size_bytes

REMEMBERED = 65_536
"""So many different allocations are kept: a site's tries repeat a few thousand."""

_DIGITS = 7
"""Digits of the most GPUs, shards or MPS that are believed: sums stay within 63 bits."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the GPUs of one node are: the model if it has exactly one, and the worth of shares."""

    model: SafeText | None
    worth: Worth

    @classmethod
    def of(cls, node: RawNode) -> Kind:
        """From the node's configured gres."""
        models = {g.model for g in node.gres if g.name == "gpu" and g.count}
        model = models.pop() if len(models) == 1 else None
        return cls(safe(model) if model else None, node.worth)


_UNKNOWN = Kind(None, Worth())


@dataclass(frozen=True, slots=True)
class Place:
    """The nodes of a try, and what they all are: where they differ, or are unknown, nothing."""

    nodes: tuple[SafeText, ...]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Allocated:
    """What a try held. `held`, `count` and `milli` are None where the row does not tell.

    `count` is in devices, shares counted as one on each node; `model` where it is only one.
    """

    held: tuple[HeldGpus, ...] | None
    count: int | None
    milli: int | None
    model: str | None
    cpu_milli: int | None
    memory_bytes: int | None


class Allocations:
    """Reads allocations with what is known of the nodes of today; the same text is read once.

    `tracked` says whether the accounting keeps GPUs at all: only then does a row that names none
    mean that none were held.
    """

    def __init__(self, nodes: Iterable[RawNode] = (), *, tracked: bool = True) -> None:
        self._kinds: Mapping[str, Kind] = {n.name: Kind.of(n) for n in nodes}
        self._tracked = tracked
        self.place = lru_cache(maxsize=REMEMBERED)(self._place)
        self.of = lru_cache(maxsize=REMEMBERED)(self._of)

    def _place(self, nodelist: bytes) -> Place:
        """What the cell NodeList tells.

        Raises:
            ValueError: the host list makes no sense.
        """
        names = expand(nodelist.decode("utf-8", "surrogateescape"))
        kinds = {self._kinds.get(name, _UNKNOWN) for name in names}
        models, worths = {k.model for k in kinds}, {k.worth for k in kinds}
        kind = Kind(
            models.pop() if len(models) == 1 else None,
            worths.pop() if len(worths) == 1 else Worth(),
        )
        return Place(tuple(safe(name) for name in names), kind)

    def _of(self, tres_text: bytes, kind: Kind, nodes: int, ran: bool) -> Allocated:
        """What the cell AllocTRES tells of a try on so many nodes; `ran`: it was ever started.

        Raises:
            ValueError: a count is no number.
        """
        tres = parse_tres(tres_text.decode("utf-8", "surrogateescape"))
        held: tuple[HeldGpus, ...] | None = _held(tres, kind)
        if not held and ran and not (tres and self._tracked):
            held = None
        models = {h.gpu_type for h in held or ()}
        return Allocated(
            held=held,
            count=None if held is None else sum(_devices(h, nodes) for h in held),
            milli=None if held is None else _sum(h.milli for h in held),
            model=models.pop() if len(models) == 1 else None,
            cpu_milli=_times(tres.get("cpu"), 1000),
            memory_bytes=size_bytes(tres.get("mem")),
        )


def _held(tres: Mapping[str, str], kind: Kind) -> tuple[HeldGpus, ...]:
    if not any(key.startswith("gres/") for key in tres):
        return ()
    held = [_gpus(model or kind.model, n) for model, n in _kinds(tres, "gpu").items()]
    for name, share in (("shard", Share.SHARD), ("mps", Share.MPS)):
        for model, n in _kinds(tres, name).items():
            held.append(HeldGpus(model or kind.model, n, kind.worth.milli(name, n), share))
    return tuple(held)


def _gpus(model: SafeText | None, count: int) -> HeldGpus:
    each = instance_milli(model, count)
    if each is not None:
        return HeldGpus(model, count, each, Share.MIG)
    return HeldGpus(model, count, WHOLE_MILLI * count)


def _kinds(tres: Mapping[str, str], name: str) -> dict[SafeText | None, int]:
    """How many of a gres by type; None is the type of those that the list does not tell."""
    plain, prefix = f"gres/{name}", f"gres/{name}:"
    typed: dict[SafeText | None, int] = {}
    for key, value in tres.items():
        if key.startswith(prefix) and (n := _number(key, value)):
            typed[safe(key.removeprefix(prefix)) or None] = n
    if plain not in tres:
        return typed
    whole, told = _number(plain, tres[plain]), sum(typed.values())
    if whole > told:  # a type that the accounting does not keep
        return {**typed, None: whole - told + typed.get(None, 0)}
    if whole == told:
        return typed
    return {(next(iter(typed)) if len(typed) == 1 else None): whole} if whole else {}


def _number(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS):
        raise ValueError(f"AllocTRES: {key} is no number that can be: {value[:40]!r}")
    return int(value)


def _times(value: str | None, factor: int) -> int | None:
    return factor * int(value) if value and value.isascii() and value.isdigit() else None


def _sum(parts: Iterable[int | None]) -> int | None:
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def _devices(held: HeldGpus, nodes: int) -> int:
    """A share sits on one device of each node."""
    return held.count if held.share in (Share.WHOLE, Share.MIG) else max(1, nodes)
