"""What is wrong with GPUs, in words: grave faults one by one, the others counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.text import SafeText, safe

SHORT = {
    FaultKind.LOST: "lost",
    FaultKind.UNRESPONSIVE: "silent",
    FaultKind.XID: "XID",
    FaultKind.ECC: "ECC",
    FaultKind.ROW_REMAP: "row remap",
    FaultKind.THROTTLED: "throttled",
}
"""A fault in one word, for a table."""


def worst(gpu: Gpu) -> Fault | None:
    """The fault to tell first: a grave one before others."""
    return min(gpu.faults, key=lambda fault: not fault.grave, default=None)


def grave(gpu: Gpu) -> bool:
    """Whether a GPU needs an admin."""
    return bool(gpu.faults) and any(fault.grave for fault in gpu.faults)


def fault_word(gpu: Gpu) -> SafeText:
    """The worst fault in a word, with how many others there are; a grave one has a `!`."""
    if (fault := worst(gpu)) is None:
        return SafeText("")
    code = str(fault.words).partition(":")[0] if fault.kind is FaultKind.XID else SHORT[fault.kind]
    more = f" +{len(gpu.faults) - 1}" if len(gpu.faults) > 1 else ""
    return safe(f"{'!' if fault.grave else ''}{code}{more}")


def fault_words(faults: Sequence[Fault]) -> str:
    """All faults of a GPU in full."""
    return "; ".join(fault.words for fault in faults)


def health(gpus: Iterable[Gpu]) -> list[tuple[str, bool]]:
    """What is wrong in an estate, in parts of a sentence; True for what needs an admin.

    Each grave fault with its GPU, then the others by kind with how many GPUs have them. Empty when
    nothing is known to be wrong.
    """
    told: list[tuple[str, bool]] = []
    others: dict[FaultKind, list[Gpu]] = {}
    for gpu in gpus:
        if not gpu.faults:
            continue  # nearly all of ten thousand
        bad = [fault for fault in gpu.faults if fault.grave]
        told += [(f"FAULT {gpu.node} GPU {gpu.index} {fault.words}", True) for fault in bad]
        for kind in {fault.kind for fault in gpu.faults} if not bad else ():
            others.setdefault(kind, []).append(gpu)
    for kind in FaultKind:
        if here := others.get(kind):
            places = f"{here[0].node} GPU {here[0].index}{', …' if len(here) > 1 else ''}"
            told.append((f"{len(here)} {SHORT[kind]} ({places})", False))
    return told
