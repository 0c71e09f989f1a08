"""MIG: how large an instance is, what its device does, and which slice an instance is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from foundry_tui.estate.gpu import WHOLE_MILLI, GpuSlice
from foundry_tui.estate.reading import InstanceReading

SLICES = 7
"""Compute slices of a device that can be cut."""

_FEWER = (("A30", 4), ("RTX PRO", 4))
_OF_FOUR = frozenset({"1g.6gb", "2g.12gb", "4g.24gb", "1g.24gb", "2g.48gb", "4g.96gb"})
"""Profiles that only devices of four compute slices have: A30, RTX PRO 6000."""

_PROFILE = re.compile(r"(?:^|[._:-])(?:\d+c\.)?((\d+)g\.\d+gb)", re.IGNORECASE)


def profile_of(text: str | None) -> str | None:
    """The plain profile within a name (`1g.10gb` of `a100_1g.10gb+me`); None if there is none."""
    found = _PROFILE.search(text) if text else None
    return found[1].lower() if found else None


def compute_slices(profile: str | None) -> int | None:
    """Compute slices of an instance: the 3 of `3g.40gb`."""
    found = _PROFILE.search(profile) if profile else None
    return int(found[2]) if found else None


def instance_milli(profile: str | None, count: int = 1) -> int | None:
    """Thousandths of a device in `count` instances of a profile, rounded down; None if it is none.

    By compute slices, the seven of a device or the four of a smaller one, which its model in the
    name or its own profiles tell. So all the instances of one device are worth 1000 at the most.
    """
    slices = compute_slices(profile)
    if slices is None or profile is None:
        return None
    few = next((n for word, n in _FEWER if word in profile.upper().replace("_", " ")), SLICES)
    whole = 4 if profile_of(profile) in _OF_FOUR else few
    return min(WHOLE_MILLI * count, WHOLE_MILLI * slices * count // whole)


def device_util_pct(model: str | None, instances: Iterable[InstanceReading]) -> float | None:
    """Utilisation of a device from all of its instances, each by its share of the compute slices.

    What is not cut into instances does nothing. None without instances, or when one is not known.
    """
    whole = next((n for word, n in _FEWER if model and word in model.upper()), SLICES)
    total, some = 0.0, False
    for instance in instances:
        slices = compute_slices(instance.profile)
        if instance.util_pct is None or slices is None:
            return None
        total, some = total + instance.util_pct * slices, True
    return min(100.0, total / whole) if some else None


def measured(
    slices: Sequence[GpuSlice], instances: Sequence[InstanceReading]
) -> tuple[GpuSlice, ...]:
    """The slices with their instances' values: by uuid or by the driver's number.

    Slices of which neither is known take instances in order where nobody holds one of them and both
    sides have the same profiles; else they stay unknown.
    """
    by_uuid = {i.uuid: i for i in instances if i.uuid}
    by_gi = {i.gi: i for i in instances}
    found: list[InstanceReading | None] = [
        by_uuid.get(s.uuid) if s.uuid else by_gi.get(s.gi) if s.gi is not None else None
        for s in slices
    ]
    if all(s.uuid is None and s.gi is None and s.run is None for s in slices):
        found = _in_order(slices, instances)
    return tuple(s if i is None else _filled(s, i) for s, i in zip(slices, found, strict=True))


def _in_order(
    slices: Sequence[GpuSlice], instances: Sequence[InstanceReading]
) -> list[InstanceReading | None]:
    profiles = [profile_of(s.profile) for s in slices]
    if Counter(profiles) != Counter(profile_of(i.profile) for i in instances):
        return [None] * len(slices)
    left: dict[str | None, list[InstanceReading]] = {}
    for instance in sorted(instances, key=lambda i: -i.gi):
        left.setdefault(profile_of(instance.profile), []).append(instance)
    return [left[profile].pop() for profile in profiles]


def _filled(one: GpuSlice, instance: InstanceReading) -> GpuSlice:
    return replace(
        one,
        uuid=one.uuid or instance.uuid,
        gi=instance.gi,
        util_pct=instance.util_pct,
        mem_used_bytes=instance.mem_used_bytes,
        mem_total_bytes=instance.mem_total_bytes,
    )
