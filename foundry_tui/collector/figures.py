"""The figures of a run that has ended: GPU-hours, mean utilisation, energy, nodes and GPU model.

GPU-hours are what the scheduler says that it gave, all tries together. Utilisation and energy are
what the history saw of the devices that the run held; they are written where nearly all of its time
was seen and nobody shared the devices, and else a tag says why not: a figure of a part of the time
would be taken for one of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from foundry_tui.estate.recorded import ENERGY, GPU_HOURS, GPU_MODEL_TAG, GPU_UTIL, NODES_TAG
from foundry_tui.estate.run import LIVE, Run, run_id
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.store.history import HistoryError, Past
from foundry_tui.tracking.link import MAX_TAG_CHARS

UNKNOWN_TAG = "foundry.figures"
"""Says which of the figures are not known, and why."""

SEEN = 0.9
"""Share of the time of a run that has to have been seen for a mean or a sum of it."""

SAME_START_S = 60.0
"""Seconds by which two tries of one run are at least apart."""

_JOULES_PER_KWH = 3_600_000
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a run, of one task: when it held how much of GPUs, and on which nodes."""

    native_id: str
    started_at: datetime | None
    ended_at: datetime | None
    gpu_milli: int | None
    nodes: tuple[str, ...] = ()
    gpu_model: str | None = None
    suspended_s: int = 0

    @property
    def elapsed_s(self) -> float | None:
        """Seconds for which it ran; None where begin or end is not known. Never below 0."""
        if self.started_at is None:
            return 0.0 if self.ended_at is not None else None
        if self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds() - self.suspended_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is written: metrics by name, and tags."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Seen:
    """What the history saw of the devices of a run."""

    held_s: float = 0.0
    seen_s: float = 0.0
    busy_s: float = 0.0
    power_s: float = 0.0
    energy_j: float = 0.0
    shared: bool = False
    models: dict[str, None] = field(default_factory=dict)


def tries(rows: Iterable[Run], records: Sequence[UsageRecord]) -> tuple[Try, ...]:
    """The tries of a run: those of the accounting, and what the job list alone knows."""
    found = [
        Try(
            r.native_id,
            r.started_at,
            r.ended_at,
            _billed_milli(r),
            r.nodes,
            r.gpu_model,
            r.suspended_s,
        )
        for r in records
        if r.ended_at is not None
    ]
    for row in rows:
        if row.state in LIVE or any(_same(one, row) for one in found):
            continue
        nodes = tuple(p.node for p in row.placement)
        asked = row.request
        found.append(
            Try(
                row.native_id,
                row.started_at,
                row.ended_at,
                asked.gpu_milli,
                nodes,
                asked.gpu_model,
            )
        )
    return tuple(found)


def _same(one: Try, row: Run) -> bool:
    """Whether a row of the job list is this try, which the accounting told already."""
    if one.native_id != row.native_id:
        return False
    if one.started_at is None or row.started_at is None:
        return True
    return abs((one.started_at - row.started_at).total_seconds()) < SAME_START_S


def figures(source: str, known: Sequence[Try], past: Past | None, *, whole: bool = True) -> Figures:
    """What is known of a run that has ended. Only the history is read; never raises.

    `whole` says that these are all of its tries.
    """
    metrics: dict[str, float] = {}
    unknown: list[str] = []
    hours = _gpu_hours(known) if whole else None
    if not whole:
        unknown.append("gpu_hours: its earlier tries are not told by the accounting")
    elif hours is None:
        unknown.append("gpu_hours: begin, end or GPUs are not told by the scheduler")
    else:
        metrics[GPU_HOURS] = hours
    models = dict.fromkeys(t.gpu_model for t in known if t.gpu_model)
    if hours != 0:
        seen, why = _seen(source, known, past)
        if seen is not None:
            models = dict.fromkeys(seen.models) or models
            more, because = _measured(seen, max(seen.held_s, (hours or 0.0) * _SECONDS_PER_HOUR))
            metrics |= more
            unknown += because
        else:
            unknown.append(f"gpu_util_pct, energy_kwh: {why}")
    tags = nodes_tag(node for one in known for node in one.nodes)
    if models:
        tags[GPU_MODEL_TAG] = ", ".join(str(model) for model in models)[:MAX_TAG_CHARS]
    if unknown:
        tags[UNKNOWN_TAG] = "; ".join(unknown)[:MAX_TAG_CHARS]
    return Figures(metrics=metrics, tags=tags)


def nodes_tag(nodes: Iterable[str]) -> dict[str, str]:
    """The tag with the nodes of a run, each once; cut where there are very many."""
    names = list(dict.fromkeys(nodes))
    words = ",".join(names)
    if len(words) > MAX_TAG_CHARS:
        head = words[: MAX_TAG_CHARS - 40].rpartition(",")[0]
        words = f"{head},… ({len(names)} nodes)"
    return {NODES_TAG: words} if words else {}


def _billed_milli(record: UsageRecord) -> int | None:
    """Thousandths of GPUs as the scheduler counts them."""
    if record.gpus is None:
        return None
    parts = [held.billed_milli for held in record.gpus]
    return None if any(part is None for part in parts) else sum(p for p in parts if p is not None)


def _gpu_hours(known: Sequence[Try]) -> float | None:
    total = 0.0
    for one in known:
        if one.elapsed_s == 0 or one.gpu_milli == 0:
            continue
        if one.elapsed_s is None or one.gpu_milli is None:
            return None
        total += one.elapsed_s * one.gpu_milli / 1000
    return round(total / _SECONDS_PER_HOUR, 6) if known else None


def _seen(source: str, known: Sequence[Try], past: Past | None) -> tuple[_Seen | None, str]:
    """What was seen of the run's devices, or why nothing was."""
    if past is None:
        return None, "there is no history here"
    starts = [t.started_at for t in known if t.started_at]
    ends = [t.ended_at for t in known if t.ended_at]
    if not starts or not ends or max(ends) <= min(starts):
        return None, "begin or end is not known"
    names = tuple(dict.fromkeys(run_id(source, t.native_id) for t in known))
    try:
        found = _summed(past, names, int(min(starts).timestamp()), int(max(ends).timestamp()) + 1)
    except HistoryError as error:
        return None, f"the history cannot be read: {error}"
    if not found.held_s:
        return None, "the history did not see which GPUs it held"
    return found, ""


def _summed(past: Past, names: Sequence[str], since: int, until: int) -> _Seen:
    held = past.holdings(names, since, until)
    facts = past.devices_of(int(device) for device in held.device)
    seen = _Seen()
    for at, (device, begin, end) in enumerate(
        zip(held.device.tolist(), held.since.tolist(), held.until.tolist(), strict=True)
    ):
        if held.suspended[at] or device not in facts:
            continue
        fact = facts[device]
        if fact.model is not None:
            seen.models[str(fact.model)] = None
        part = held.milli[at] / 1000
        seen.shared |= bool(held.joint[at]) or part != 1
        use = past.use(fact.source, str(fact.node), fact.index, _at(begin), _at(end))
        seen.held_s += end - begin
        seen.seen_s += use.used_s + use.idle_s
        seen.busy_s += use.busy_s
        seen.power_s += use.power_s
        seen.energy_j += use.energy_j
    return seen


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _measured(seen: _Seen, whole_s: float) -> tuple[dict[str, float], list[str]]:
    """Utilisation and energy, and why one is not known; `whole_s` are all its GPU-seconds."""
    if seen.shared:
        return {}, [
            "gpu_util_pct, energy_kwh: it shared its GPUs, and nobody tells whose work it was"
        ]
    metrics, unknown = {}, []
    if seen.seen_s >= SEEN * whole_s:
        metrics[GPU_UTIL] = round(100 * seen.busy_s / seen.seen_s, 3)
    else:
        share = 100 * seen.seen_s / whole_s
        unknown.append(f"gpu_util_pct: {share:.0f} % of its time was seen")
    if seen.power_s >= SEEN * whole_s:
        metrics[ENERGY] = round(seen.energy_j / _JOULES_PER_KWH, 6)
    else:
        share = 100 * seen.power_s / whole_s
        unknown.append(f"energy_kwh: the power is known of {share:.0f} % of its time")
    return metrics, unknown
