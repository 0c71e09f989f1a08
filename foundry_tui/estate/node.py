"""A node: one computer of the estate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from foundry_tui.estate.text import SafeText


class NodeState(StrEnum):
    """One word per node; an administrative state wins over how busy the node is."""

    IDLE = "idle"
    MIXED = "mixed"
    ALLOCATED = "allocated"
    DRAINING = "draining"
    DRAINED = "drained"
    MAINTENANCE = "maintenance"
    RESERVED = "reserved"
    DOWN = "down"
    UNKNOWN = "unknown"


PLACEABLE = frozenset({NodeState.IDLE, NodeState.MIXED, NodeState.ALLOCATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One computer. CPU in thousandths of a core, memory in bytes, GPU in thousandths of a GPU.

    `gpu_milli_allocated` is the sum over the node's GPUs as the scheduler accounts it.
    `gpu_util_pct` is the mean over `gpu_measured_count` of its GPUs; without that number it is
    what the node's source told. `queues` names the partitions or node pools that contain the node.
    """

    name: str
    source: str
    state: NodeState
    gpu_model: str | None = None
    gpu_count: int = 0
    gpu_milli_allocated: int | None = None
    gpu_util_pct: float | None = None
    gpu_measured_count: int | None = None
    cpu_milli: int | None = None
    cpu_milli_allocated: int | None = None
    memory_bytes: int | None = None
    memory_bytes_allocated: int | None = None
    features: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    reason: SafeText | None = None
    reason_since: datetime | None = None
    read_at: datetime | None = None

    @property
    def placeable(self) -> bool:
        """Whether the scheduler starts new runs on this node."""
        return self.state in PLACEABLE

    @property
    def gpu_milli_free(self) -> int | None:
        """Thousandths of GPU that are not allocated; None when the allocation is unknown."""
        if self.gpu_milli_allocated is None:
            return None
        return max(0, 1000 * self.gpu_count - self.gpu_milli_allocated)
