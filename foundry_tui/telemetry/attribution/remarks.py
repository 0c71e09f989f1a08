"""What does not agree between schedulers and nodes, in words for an admin."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.telemetry.attribution.indexing import WORDS

MOST = 50
"""More remarks than this are counted, not told."""


def capped(remarks: Sequence[SafeText]) -> tuple[SafeText, ...]:
    """Each remark once, in order; what is beyond the cap as a number."""
    told = tuple(dict.fromkeys(remarks))
    if len(told) <= MOST:
        return told
    return (*told[:MOST], safe(f"{len(told) - MOST} more remarks of GPU readings"))


def missing(node: str, why: str) -> SafeText:
    """Why nothing could be joined on a node."""
    return safe(f"GPUs of node {node} are not measured: {why}; set gpu_index to settle it")


def refuted(node: str, rule: str) -> SafeText:
    """Processes speak against the order in which a node's readings were joined."""
    return safe(
        f"processes on node {node} are not on the GPUs that their runs were given, with the "
        f"scheduler's index taken as {WORDS[rule]}: look at gpu_index, and at who works there"
    )


def lost(gpu: Gpu) -> SafeText:
    """A GPU is gone from its node."""
    return safe(f"GPU {gpu.index} of node {gpu.node} is lost: the node lists only the others")


def stranger(gpu: Gpu, job: str, run: str | None) -> SafeText:
    """A process works on a GPU that its scheduler gave to somebody else, or to nobody."""
    who = f"run {run}" if run is not None else f"{job}, which {gpu.source} does not list,"
    owners = " and ".join(gpu.runs[:3])
    whose = f"allocated to {owners}" if owners else "allocated to nobody"
    return safe(f"process of {who} on GPU {gpu.index} of node {gpu.node}, which is {whose}")
