"""GPU groups: a physical GPU with its list of tenants.

Slurm shards, Slurm MPS and Run:ai fractions are all tenants of one physical GPU. Free share is
1000 minus the tenants' thousandths; a share never spans two GPUs; a request for N devices needs N
GPUs of one node; and on one node MIG instances and shares exclude each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from foundry_tui.estate.reading import Fault

WHOLE_MILLI = 1000
"""Thousandths in one GPU."""


class Share(StrEnum):
    """How a tenant holds its part of the GPU."""

    WHOLE = "whole"
    SHARD = "shard"
    MPS = "mps"
    FRACTION = "fraction"
    MIG = "mig"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One run's part of one GPU, in thousandths."""

    run: str
    milli: int
    share: Share = Share.WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSlice:
    """A MIG instance: hardware part of a GPU, with its own memory and its own run.

    `gi` is the driver's number of the GPU instance on its GPU.
    """

    uuid: str | None
    profile: str
    milli: int
    run: str | None = None
    gi: int | None = None
    util_pct: float | None = None
    mem_used_bytes: int | None = None
    mem_total_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A physical GPU and its tenants.

    `tenants` is None when the scheduler did not say who holds the device (`how` then says why);
    an empty tuple means that nobody does. `idle_since` is the start of the unbroken time in which
    an allocated GPU showed no work; None when that is unknown. `measured_by` names the source of
    the readings, `how` tells how they were made, and what else is to be known of them. `guessed`:
    the scheduler counts the devices of a node and does not say which it gave to whom, so that the
    tenants stand on this one by order alone.
    """

    node: str
    index: int
    source: str
    model: str | None = None
    uuid: str | None = None
    minor: int | None = None
    tenants: tuple[Tenant, ...] | None = ()
    slices: tuple[GpuSlice, ...] = ()
    util_pct: float | None = None
    util_max_pct: float | None = None
    mem_used_bytes: int | None = None
    mem_total_bytes: int | None = None
    power_w: float | None = None
    energy_mj: int | None = None
    temp_c: float | None = None
    sm_clock_mhz: int | None = None
    sm_active_pct: float | None = None
    tensor_active_pct: float | None = None
    dram_active_pct: float | None = None
    faults: tuple[Fault, ...] = ()
    measured_by: str | None = None
    idle_since: datetime | None = None
    guessed: bool = False
    how: str | None = None
    read_at: datetime | None = None

    @property
    def milli_allocated(self) -> int | None:
        """Thousandths held by tenants; None when the tenants are unknown."""
        return None if self.tenants is None else sum(t.milli for t in self.tenants)

    @property
    def milli_free(self) -> int:
        """Thousandths that can still be given away; 0 when the tenants are unknown."""
        allocated = self.milli_allocated
        return 0 if allocated is None else max(0, WHOLE_MILLI - allocated)

    @property
    def runs(self) -> tuple[str, ...]:
        """Ids of the runs that hold a part of this GPU, each once."""
        tenants = self.tenants or ()
        if len(tenants) == 1:
            return (tenants[0].run,)
        return tuple(dict.fromkeys(t.run for t in tenants))

    @property
    def shared(self) -> bool:
        """Whether a tenant holds less than the whole device by shard, MPS or fraction."""
        return any(t.share not in (Share.WHOLE, Share.MIG) for t in self.tenants or ())

    @property
    def partitioned(self) -> bool:
        """Whether the device is cut into MIG instances."""
        return bool(self.slices) or any(t.share is Share.MIG for t in self.tenants or ())


def fitting(group: Iterable[Gpu], *, milli: int, count: int = 1) -> tuple[int, ...] | None:
    """Indices of `count` GPUs of one node that can each take `milli` thousandths, or None.

    The fullest GPUs that still fit are taken first (best fit, lowest index on ties), so that
    whole devices stay whole. Devices cut by MIG take no shares, and a node with MIG devices takes
    no shares at all.

    Raises:
        ValueError: `milli` is not within 1..1000 or `count` is below 1.
    """
    if not 1 <= milli <= WHOLE_MILLI:
        raise ValueError(f"milli: a share of one GPU is 1..1000 thousandths, not {milli}")
    if count < 1:
        raise ValueError(f"count: at least one GPU must be asked for, not {count}")
    gpus = tuple(group)
    if milli < WHOLE_MILLI and any(g.partitioned for g in gpus):
        return None
    free = sorted(
        (g.milli_free, g.index) for g in gpus if not g.partitioned and g.milli_free >= milli
    )
    return tuple(sorted(index for _, index in free[:count])) if len(free) >= count else None


def contradictions(group: Sequence[Gpu]) -> tuple[str, ...]:
    """What cannot be true of the GPUs of one node, in words: used by the tests and the contract."""
    found = [
        f"GPU {g.index} of {g.node} is given away {g.milli_allocated} thousandths, of 1000"
        for g in group
        if (g.milli_allocated or 0) > WHOLE_MILLI
    ]
    if any(g.partitioned for g in group) and any(g.shared for g in group):
        found.append(f"{group[0].node} holds MIG instances and shares at once")
    return tuple(found)
