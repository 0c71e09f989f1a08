"""MIG instances that a scheduler counts as GPUs of their own, and the readings of them.

With MIG on, Slurm's devices are the instances: GPU by GPU in NVML's order, on each in the order of
the driver. They are joined only where the profiles agree place by place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace

from foundry_tui.estate import mig
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.reading import Holder, InstanceReading, Reading
from foundry_tui.telemetry.attribution.indexing import Seats, Vote

_ELSEWISE = "not measured: the MIG instances that the node lists are not those of the scheduler"


def counts_instances(gpus: Sequence[Gpu], readings: Sequence[Reading]) -> bool:
    """Whether the scheduler's GPUs of a node are MIG instances."""
    return any(r.instances for r in readings) and any(mig.profile_of(g.model) for g in gpus)


def by_instances(
    gpus: Sequence[Gpu],
    readings: Sequence[Reading],
    held: Callable[[Holder], Set[int] | None],
) -> Seats:
    """Join the GPUs of one node that are instances.

    `held` gives the indices that the scheduler gave a holder's run there, None if it is not known.
    """
    seats = Seats()
    units = list(_units(readings))
    listed = sorted(gpus, key=lambda g: g.index)
    same = [mig.profile_of(g.model) for g in listed] == [
        None if i is None else mig.profile_of(i.profile) for _, i in units
    ]
    fits = against = 0
    for gpu, (reading, instance) in zip(listed, units, strict=False):
        for holder in _on(reading, instance):
            indices = held(holder)
            if indices:
                fits += gpu.index in indices
                against += gpu.index not in indices
    seats.refuted = same and Vote(fits, against).refuted
    if not same or seats.refuted:
        why = f"{_ELSEWISE}{', say the processes on them' if seats.refuted else ''}"
        seats.notes = {g.index: why for g in gpus}
    else:
        seats.pairs = [(g, _alone(*unit)) for g, unit in zip(listed, units, strict=True)]
    return seats


def _units(readings: Sequence[Reading]) -> Iterator[tuple[Reading, InstanceReading | None]]:
    for reading in sorted(readings, key=lambda r: r.index):
        if reading.instances:
            yield from ((reading, instance) for instance in reading.instances)
        else:
            yield reading, None


def _on(reading: Reading, instance: InstanceReading | None) -> tuple[Holder, ...]:
    gi = None if instance is None else instance.gi
    return tuple(h for h in reading.holders or () if h.gi == gi)


def _alone(reading: Reading, instance: InstanceReading | None) -> Reading:
    """The instance as a reading of its own; what is only known of the whole device is left out."""
    if instance is None:
        return reading
    return replace(
        reading,
        uuid=instance.uuid,
        util_pct=instance.util_pct,
        util_max_pct=None,
        mem_used_bytes=instance.mem_used_bytes,
        mem_total_bytes=instance.mem_total_bytes,
        power_w=None,
        energy_mj=None,
        sm_active_pct=None,
        sm_occupancy_pct=None,
        tensor_active_pct=None,
        dram_active_pct=None,
        instances=(),
        holders=None if reading.holders is None else _on(reading, instance),
        how=f"{reading.how}; MIG instance {instance.gi} of GPU {reading.index}",
    )
