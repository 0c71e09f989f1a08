"""One GPU, put together from the sets of labels under which an exporter tells of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from foundry_tui.estate.reading import Holder, InstanceReading, Reading
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.telemetry.exposition.layout import Labels
from foundry_tui.telemetry.exposition.metrics import BY_NAME, LEAST_BLANK, blank
from foundry_tui.telemetry.health import from_values, gravest
from foundry_tui.telemetry.names import short

HOST_LABELS = ("Hostname", "hostname", "instance")
UUID_LABELS = ("UUID", "uuid")
POD_LABELS = (("exported_pod", "exported_namespace"), ("pod", "namespace"))
"""What an exporter calls `pod` becomes `exported_pod` where a server has a pod of its own."""

_MOST_RATIO = 1.5
"""DCGM tells shares of time of up to 1.2 on instances; what is far beyond 1 is no share."""
_MOST_REMARKS = 4
_WHOLE = re.compile(r"[0-9]{1,10}")
_NO_VALUE: dict[str, float] = {}
_UNITS = {
    name: (metric.key, metric.factor, metric.least, min(metric.most, LEAST_BLANK - 1.0))
    for name, metric in BY_NAME.items()
}
"""By name: the key, the factor, and the numbers between which a value needs no second look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When the values of a page were measured, and what is to be said about all of it.

    `stale` is why they say nothing about now, None when they do; `problem` is what an agent says
    that keeps it from reading at all, `unresponsive` that it is the driver's silence. `processes`
    says that the list of processes is known, so that no holder means that there is none.
    """

    read_at: datetime
    how: str
    window_s: float | None = None
    stale: str | None = None
    remarks: tuple[str, ...] = ()
    problem: str | None = None
    unresponsive: bool = False
    processes: bool = False

    def how_with(self, remarks: Iterable[str] = ()) -> SafeText:
        """How it was measured, with the remarks on the page and these."""
        return safe("; ".join(dict.fromkeys((self.how, *self.remarks, *remarks))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one set of labels tells, safe to show: which GPU or instance, and who holds it.

    `host` is the short name that the node gives itself, "" without one, not made safe. `holder`
    comes from our own agent's series about a run, or from labels that dcgm-exporter puts on every
    value.
    """

    index: int | None
    host: str
    gi: int | None
    uuid: str | None
    minor: int | None
    pci_bus_id: str | None
    model: str | None
    mig: bool | None
    profile: str | None
    instance_uuid: str | None
    holder: Holder | None
    reason: str | None
    xid: int | None


def told(labels: Mapping[str, str]) -> Told:
    """What labels tell; asked again for the same labels it costs nothing."""
    if not isinstance(labels, Labels):
        return _told(labels)
    if not isinstance(labels.memo, Told):
        labels.memo = _told(labels)
        assert isinstance(labels.memo, Told)
    return labels.memo


def _told(labels: Mapping[str, str]) -> Told:
    take = labels.get
    gi = _number(take("GPU_I_ID"))
    return Told(
        index=_number(take("gpu")),
        host=short(_first(labels, HOST_LABELS) or ""),
        gi=gi,
        uuid=_text(_first(labels, UUID_LABELS)),
        minor=_number(take("minor")),
        pci_bus_id=_text(take("pci_bus_id")),
        model=_text(take("modelName")),
        mig={"0": False, "1": True}.get(take("mig", "")),
        profile=_text(take("GPU_I_PROFILE")),
        instance_uuid=_text(take("instance_uuid")),
        holder=_holder(labels, gi),
        reason=_text(take("reason")),
        xid=_number(take("xid")),
    )


def _holder(labels: Mapping[str, str], gi: int | None) -> Holder | None:
    take = labels.get
    if job := take("jobid"):
        how, uid = safe(take("how") or "cgroup", max_cells=32), _number(take("uid"))
        return Holder(job=safe(job), how=how, uid=uid, gi=gi)
    if job := take("hpc_job"):
        return Holder(job=safe(job), how="prolog", gi=gi)
    pod = take("pod_uid") or next(
        (f"{take(space) or 'default'}/{labels[pod]}" for pod, space in POD_LABELS if take(pod)), ""
    )
    return Holder(job=safe(pod), how="pod", gi=gi) if pod else None


@dataclass(slots=True)
class Instance:
    """A MIG instance while it is put together."""

    profile: str | None = None
    uuid: str | None = None
    values: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class OneGpu:
    """What the sets of labels of one GPU say, put together. `told` is of the first of them."""

    node: str
    index: int
    told: Told
    values: dict[str, float] = field(default_factory=dict)
    instances: dict[int, Instance] = field(default_factory=dict)
    holders: dict[tuple[str, int], Holder] = field(default_factory=dict)
    failure: str | None = None
    xids: dict[int, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def take(self, told: Told, values: dict[str, float]) -> None:
        """One more set of labels; what two of them say (one for each job) counts once."""
        if told.holder is not None:
            self._hold(told.holder, values.get("foundry_gpu_process_sm_util", -1.0))
        if "foundry_gpu_failure_info" in values:
            self.failure = told.reason or "the GPU cannot be read"
        elif told.gi is not None:
            instance = self.instances.setdefault(told.gi, Instance())
            instance.profile = told.profile or instance.profile
            instance.uuid = told.instance_uuid or instance.uuid
            self._add(instance.values, values)
        else:
            if "foundry_gpu_info" in values:
                self.told = told
            if told.xid is not None:
                self.xids[told.xid] = values.get("foundry_gpu_xid_timestamp_seconds", 0.0)
            if not _UNITS.keys().isdisjoint(values):
                self._add(self.values, values)

    def reading(self, source: str, when: Moment) -> Reading:
        """All of it as one reading."""
        values = self._in_units(self.values)
        for one in self.instances.values():  # what an exporter tells of the GPU by its instances
            for name, value in self._in_units(one.values, shared=True).items():
                values.setdefault(name, value)
        told, mig = self.told, self._mig(values)
        reason = self.failure or when.problem or when.stale
        if reason is not None:
            values = _NO_VALUE
        elif mig:
            values.pop("util_pct", None)
        if reason is None and "util_pct" not in values:
            reason = "not told: the utilisation"
            if mig:
                reason = "the utilisation of a GPU that is cut by MIG is that of its instances"
        take = values.get
        return Reading(
            node=self.node,
            index=self.index,
            source=source,
            read_at=when.read_at,
            how=when.how_with(self.remarks) if self.remarks or when.remarks else when.how,
            uuid=told.uuid,
            minor=told.minor,
            pci_bus_id=told.pci_bus_id,
            model=told.model,
            util_pct=take("util_pct"),
            util_max_pct=take("util_max_pct"),
            mem_used_bytes=_int(take("fb_used")),
            mem_total_bytes=_total(take),
            power_w=take("power_w"),
            energy_mj=_int(take("energy_mj")),
            temp_c=take("temp_c"),
            sm_clock_mhz=_int(take("sm_clock_mhz")),
            mem_clock_mhz=_int(take("mem_clock_mhz")),
            sm_active_pct=take("sm_active_pct"),
            sm_occupancy_pct=take("sm_occupancy_pct"),
            tensor_active_pct=take("tensor_active_pct"),
            dram_active_pct=take("dram_active_pct"),
            mig=mig,
            instances=tuple([self._instance(gi, when) for gi in sorted(self.instances)]),
            holders=self._holders(when),
            faults=from_values(
                xid=self._xid() if self.xids else take("xid"),
                ecc_dbe=take("ecc_dbe"),
                rows_pending=take("rows_pending"),
                rows_failure=take("rows_failure"),
                throttle=take("throttle"),
                lost=self.failure is not None and "lost" in self.failure.lower(),
                unresponsive=when.unresponsive,
            ),
            window_s=when.window_s,
            samples=_int(take("samples")),
            reason=None if reason is None else safe(reason),
        )

    def _hold(self, holder: Holder, sm_util_pct: float) -> None:
        at = holder.job, -1 if holder.gi is None else holder.gi
        known = self.holders.get(at)
        if known is not None and known.uid is not None:
            holder = known
        if sm_util_pct < 0 and known is not None and known.sm_util_pct is not None:
            sm_util_pct = known.sm_util_pct
        self.holders[at] = Holder(
            job=holder.job,
            how=holder.how,
            uid=holder.uid,
            gi=holder.gi,
            sm_util_pct=None if sm_util_pct < 0 else sm_util_pct,
        )

    def _holders(self, when: Moment) -> tuple[Holder, ...] | None:
        if when.stale or when.problem or not (self.holders or when.processes):
            return None
        return tuple([self.holders[at] for at in sorted(self.holders)])

    def _instance(self, gi: int, when: Moment) -> InstanceReading:
        one = self.instances[gi]
        values = {} if when.stale or when.problem else self._in_units(one.values)
        return InstanceReading(
            gi=gi,
            profile=one.profile,
            uuid=one.uuid,
            util_pct=values.get("gr_engine_pct"),
            mem_used_bytes=_int(values.get("fb_used")),
            mem_total_bytes=_total(values.get),
        )

    def _xid(self) -> float | None:
        return gravest(code for code, _ in sorted(self.xids.items(), key=lambda one: one[1]))

    def _mig(self, values: Mapping[str, float]) -> bool | None:
        if self.instances or self.told.mig is not None:
            return bool(self.instances or self.told.mig)
        return False if "util_pct" in values else None

    def _add(self, held: dict[str, float], values: Mapping[str, float]) -> None:
        """Two different values for one thing are none."""
        if held and not held.keys().isdisjoint(values):
            for name in held.keys() & values.keys():
                if not (held[name] == values[name] or name.startswith("foundry_")):
                    held[name] = math.nan
                    self._remark(f"{name} is told with different values")
            values = {**values, **held}
        held.update(values)

    def _in_units(self, values: Mapping[str, float], *, shared: bool = False) -> dict[str, float]:
        """The values that are some, by key; with `shared` those alone that a GPU has as a whole."""
        found: dict[str, float] = {}
        for name, value in values.items():
            if name in _UNITS and not (shared and not BY_NAME[name].shared):
                key, factor, least, most = _UNITS[name]
                if least <= value <= most:
                    found[key] = value * factor
                else:
                    self._odd(name, value, found)
        return found

    def _odd(self, name: str, value: float, found: dict[str, float]) -> None:
        """A value that is large, none, or one that its unit cannot have."""
        metric = BY_NAME[name]
        if metric.least <= value <= metric.most and not blank(value):
            found[metric.key] = value * metric.factor
        elif metric.ratio and 1 < value <= _MOST_RATIO:
            found[metric.key] = 100.0
            self._remark(f"{name} of {value:.3g} is shown as 100 %")
        elif not blank(value) and not math.isnan(value):
            self._remark(f"{name} of {value:.6g} is not believed")

    def _remark(self, words: str) -> None:
        if words not in self.remarks and len(self.remarks) < _MOST_REMARKS:
            self.remarks.append(words)


def _total(take: Callable[[str], float | None]) -> int | None:
    """All of the memory: told, or the sum of its parts, which exporters tell without the whole."""
    total, used, free = take("fb_total"), take("fb_used"), take("fb_free")
    if total is None and used is not None and free is not None:
        total = used + free + (take("fb_reserved") or 0.0)
    return _int(total)


def _first(labels: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((labels[name] for name in names if labels.get(name)), None)


def _text(raw: str | None) -> str | None:
    return safe(raw, max_cells=128) if raw else None


def _number(text: str | None) -> int | None:
    """A small whole number that a label tells; None for anything else."""
    return int(text) if text is not None and _WHOLE.fullmatch(text) else None


def _int(value: float | None) -> int | None:
    return None if value is None else round(value)
