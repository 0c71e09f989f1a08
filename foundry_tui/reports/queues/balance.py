"""The report `queue-balance`: what each queue is entitled to, has, uses, lends and lacks.

Amounts of GPUs are means over the time in which the queue was seen; quota, limit, weight, priority
and fair share are as they were at the end. A queue is starved while runs of it wait and it has less
than its quota: less than min(quota, demand), where demand is what it has and what its runs wait
for. `used_gpus` is the part of what it has that was busy, measured where it was measured; on a
shared GPU each run has its share of the device's work, for nobody tells whose it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.reports.columns import (
    GPU_PLACES,
    PCT_PLACES,
    Column,
    Kind,
    Row,
    pct,
    rounded,
)
from foundry_tui.reports.queues.held import Held, held_in
from foundry_tui.reports.queues.quotas import Need, recommended
from foundry_tui.reports.queues.steps import Steps, steps_of
from foundry_tui.store.history.window.queuelog import (
    UNKNOWN,
    Facts,
    QueueSamples,
    queue_holdings,
    queue_samples,
)

if TYPE_CHECKING:
    from foundry_tui.estate.queue import Queue
    from foundry_tui.estate.snapshot import Snapshot
    from foundry_tui.store.history.past import Past
    from foundry_tui.store.history.window.readings import Readings

COLUMNS = (
    Column("asof_utc", Kind.TIME, "the last moment that the row tells of"),
    Column("cluster", Kind.TEXT, "the source"),
    Column("queue", Kind.TEXT, "partition, project, department or KAI queue"),
    Column("parent", Kind.TEXT, "the queue above"),
    Column("node_pool", Kind.TEXT, "the pool of all GPUs that its runs held; empty for several"),
    Column("gpu_type", Kind.TEXT, "the model of all GPUs that its runs held; empty for several"),
    Column("quota_gpus", Kind.GPUS, "what it is entitled to; empty without a quota"),
    Column("limit_gpus", Kind.GPUS, "what it can never exceed; empty without a limit"),
    Column("weight", Kind.GPUS, "its part of what is over quota, against its sisters' weights"),
    Column("priority", Kind.COUNT, "higher goes first"),
    Column("allocated_gpus", Kind.GPUS, "what its running runs held"),
    Column("used_gpus", Kind.GPUS, "the part of it that was busy; empty below 5 % coverage"),
    Column("pending_gpus", Kind.GPUS, "what its waiting runs asked for"),
    Column("borrowed_gpus", Kind.GPUS, "what it held above its quota"),
    Column("lent_gpus", Kind.GPUS, "its part of unused quotas that sisters borrowed"),
    Column("fair_share_gpus", Kind.GPUS, "what the scheduler's rule would give it, at the end"),
    Column("starved_minutes", Kind.COUNT, "waiting demand and less than min(quota, demand)"),
    Column("util_pct", Kind.PCT, "mean utilisation of what was measured; empty below 5 % coverage"),
    Column("coverage_pct", Kind.PCT, "how much of the GPU time that its runs held was measured"),
    Column("recommended_quota_gpus", Kind.GPUS, "by the rule below; empty if hardly seen"),
    Column("reason", Kind.TEXT, "why, in words"),
)

DEFINITIONS = (
    "amounts of GPUs are means over the time in which the queue was seen; quota, limit, weight, "
    "priority and fair share are as they were last",
    "used_gpus is the allocated GPUs times the part of what was measured that was above the idle "
    "threshold; on a shared GPU each run has its share of the device's figure",
    "starved: runs wait while the queue has less than min(quota, demand), where demand is what it "
    "has and what its runs wait for; a queue without a quota cannot be starved",
    "lent: of the quotas that sister queues leave unused as much is lent as sisters borrow above "
    "theirs, at each moment, by what each leaves unused",
    "recommended: needed is the busy part of the allocated GPUs (all of them where less than half "
    "was measured) and the pending ones, the nearest-rank 90th percentile of time, in whole GPUs. "
    "A starved queue gets what it needs, within its limit: from what its parent has not given "
    "away, then from sisters that were never starved and needed less than their quota. Otherwise "
    "a quota stays, also where a queue was seen for less than half of the time",
)
"""How the columns are meant, for the sidecar and the documentation."""

LEAST_COVERAGE = 0.05
"""Below it a utilisation says nothing about the rest."""

TRUSTED_COVERAGE = 0.5
"""From it on GPUs that were idle are taken as not needed."""

LEAST_SEEN = 0.5
"""So much of the time a queue must have been seen before its quota is judged."""

DEMAND_PCT = 90

Key = tuple[str, str, str]
"""A queue: its source, its kind, its name."""


@dataclass(frozen=True, slots=True)
class _Line:
    """What came out for one queue in one period, in thousandths of GPUs and seconds."""

    queue: QueueSamples
    facts: Facts
    asof: int
    steps: Steps
    held: Held | None
    lent: float | None
    need: Need | None
    seen: float


def rows(past: Past, readings: Readings | None, edges: Sequence[int]) -> list[Row]:
    """A row per period and queue that was seen in it, by time, source, queue and kind.

    Args:
        past: the site's history.
        readings: what its GPUs did in the window; None without telemetry.
        edges: borders of the periods in unix seconds.

    Raises:
        HistoryError: the history cannot be read.
    """
    samples = queue_samples(past, edges[0], edges[-1])
    holdings = queue_holdings(past, edges[0], edges[-1])
    made: list[Row] = []
    for start, end in itertools.pairwise(edges):
        held = held_in(holdings, _tree(samples, end), readings, start, end)
        lines = _lines(samples, held, start, end)
        made += [_row(line, quota) for line, quota in _with_quotas(lines)]
    return made


def rows_now(snapshot: Snapshot) -> list[Row]:
    """The queues as they are now, where there is no history: of time nothing is said."""
    at = int(snapshot.generated_at.timestamp())
    lines = _lines([_sampled(q, at) for q in snapshot.queues], {}, at, at + 1)
    made = []
    for line in lines:
        row = _row(line, None)
        row |= {
            "asof_utc": snapshot.generated_at,
            "starved_minutes": None,
            "reason": "no history: only the present is known",
        }
        made.append(row)
    return made


def _sampled(queue: Queue, at: int) -> QueueSamples:
    told = {name: getattr(queue, name) for name in _FACTS}
    amounts = (queue.allocated_gpu_milli, queue.requested_gpu_milli, queue.fair_share_gpu_milli)
    allocated, requested, fair = (
        np.array([UNKNOWN if amount is None else amount], np.int64) for amount in amounts
    )
    return QueueSamples(
        source=queue.source,
        kind=queue.kind,
        name=queue.name,
        facts=(Facts(at, at + 1, told),),
        since=np.array([at], np.int64),
        until=np.array([at + 1], np.int64),
        allocated=allocated,
        requested=requested,
        fair_share=fair,
    )


_FACTS = ("parent", "quota_gpu_milli", "limit_gpu_milli", "total_gpu_milli", "priority",
          "over_quota_weight")  # fmt: skip


def _tree(samples: Sequence[QueueSamples], end: int) -> Mapping[Key, Key | None]:
    """Queue -> the queue above it. A parent and its child may have one name, never one kind."""
    keys = [(q.source, q.kind, q.name) for q in samples]
    above = {(source, name): (source, kind, name) for source, kind, name in keys}
    above |= {(key[0], key[2]): key for key in keys if key[1] == "department"}
    found: dict[Key, Key | None] = {}
    for key, queue in zip(keys, samples, strict=True):
        facts = _last(queue, end)
        parent = None if facts is None else facts.told["parent"]
        found[key] = None if parent is None else above.get((queue.source, parent))
    return found


def _last(queue: QueueSamples, end: int) -> Facts | None:
    """What a queue was when it was last seen before `end`."""
    return next((f for f in reversed(queue.facts) if f.since < end), None)


def _lines(
    samples: Sequence[QueueSamples], held: Mapping[Key, Held], start: int, end: int
) -> list[_Line]:
    """The queues of one period, sorted."""
    present = [
        (q, facts)
        for q in samples
        if (facts := _last(q, end)) is not None and any(f.until > start for f in q.facts)
    ]
    lent: dict[int, float | None] = {}
    steps: dict[int, Steps] = {}
    groups: dict[tuple[str, str | None], list[int]] = {}
    for place, (q, facts) in enumerate(present):
        groups.setdefault((q.source, facts.told["parent"]), []).append(place)
    for group in groups.values():
        sisters = steps_of([present[place][0] for place in group], start, end)
        lent |= dict(zip(group, _lent(sisters), strict=True))
        steps |= dict(zip(group, sisters, strict=True))
    made = []
    for place, (q, facts) in enumerate(present):
        mine, one = steps[place], held.get((q.source, q.kind, q.name))
        asof = min(end, int(max([f.until for f in q.facts if f.since < end])))
        seen = mine.seen_s / (end - start)
        need = _need(mine, facts, one) if seen >= LEAST_SEEN else _stays(facts)
        made.append(_Line(q, facts, asof, mine, one, lent[place], need, seen))
    return sorted(made, key=lambda x: (x.queue.source, x.queue.name, x.queue.kind))


def _lent(sisters: Sequence[Steps]) -> list[float | None]:
    """What each queue lent, a mean: of all unused quota as much is lent as all sisters borrow."""
    borrowed = sum((s.borrowed for s in sisters), np.zeros(1))
    unused = sum((s.unused for s in sisters), np.zeros(1))
    part = np.minimum(1.0, borrowed / np.maximum(unused, 1e-9))
    return [s.mean(s.unused * part, s.entitled) for s in sisters]


def _stays(facts: Facts) -> Need | None:
    quota = facts.told["quota_gpu_milli"]
    return None if quota is None else Need(quota, None, None, False)


def _need(steps: Steps, facts: Facts, held: Held | None) -> Need | None:
    quota, limit = facts.told["quota_gpu_milli"], facts.told["limit_gpu_milli"]
    if quota is None:
        return None
    trusted = held is not None and held.coverage >= TRUSTED_COVERAGE
    busy = held.busy_part if held is not None and trusted else 1.0
    needed = steps.percentile(steps.allocated * busy + steps.requested, DEMAND_PCT)
    if needed is None:
        return _stays(facts)
    whole = -(-round(needed) // WHOLE_MILLI) * WHOLE_MILLI
    return Need(quota, limit, whole, bool(steps.starved_s))


def _with_quotas(lines: Sequence[_Line]) -> list[tuple[_Line, int | None]]:
    """Each line with the quota that is recommended, None where nothing can be said.

    From above to below: what a parent should get is there for its children.
    """
    roofs = {(x.queue.source, x.queue.name): x for x in lines if x.queue.kind != "project"}
    groups: dict[tuple[str, str | None], list[_Line]] = {}
    for line in lines:
        if line.need is not None:
            groups.setdefault((line.queue.source, line.facts.told["parent"]), []).append(line)
    found: dict[int, int] = {}
    for place in sorted(groups, key=lambda place: _depth(place, roofs)):
        group, roof = groups[place], roofs.get((place[0], place[1] or ""))
        room = max((x.facts.told["total_gpu_milli"] or 0 for x in group), default=0)
        if roof is not None and roof.need is not None:
            room = found.get(id(roof), roof.need.quota)
        needs = [x.need for x in group if x.need is not None]
        best = recommended(needs, room)
        found |= {id(x): quota for x, quota in zip(group, best, strict=True)}
    return [
        (x, found.get(id(x)) if x.need is not None and x.need.needed is not None else None)
        for x in lines
    ]


def _depth(place: tuple[str, str | None], roofs: Mapping[tuple[str, str], _Line]) -> int:
    """How many queues are above a group of sisters; a ring in the tree is followed once."""
    source, parent = place
    above: list[str] = []
    while parent is not None and parent not in above:
        above.append(parent)
        roof = roofs.get((source, parent))
        parent = None if roof is None else roof.facts.told["parent"]
    return len(above)


def _row(line: _Line, quota: int | None) -> Row:
    told, steps, held = line.facts.told, line.steps, line.held
    measured = held is not None and held.coverage >= LEAST_COVERAGE
    mean = steps.mean(steps.allocated)
    used = mean * held.busy_part if held is not None and measured and mean is not None else None
    weight = told["over_quota_weight"]
    return {
        "asof_utc": datetime.fromtimestamp(line.asof, UTC),
        "cluster": line.queue.source,
        "queue": line.queue.name,
        "parent": told["parent"],
        "node_pool": held.pool if held is not None else None,
        "gpu_type": held.model if held is not None else None,
        "quota_gpus": _gpus(told["quota_gpu_milli"]),
        "limit_gpus": _gpus(told["limit_gpu_milli"]),
        "weight": None if weight is None else rounded(float(weight), GPU_PLACES),
        "priority": told["priority"],
        "allocated_gpus": _gpus(mean),
        "used_gpus": _gpus(used),
        "pending_gpus": _gpus(steps.mean(steps.requested)),
        "borrowed_gpus": _gpus(steps.mean(steps.borrowed, steps.entitled)),
        "lent_gpus": _gpus(line.lent),
        "fair_share_gpus": _gpus(steps.fair_share),
        "starved_minutes": None if steps.starved_s is None else round(steps.starved_s / 60),
        "util_pct": rounded(held.util_pct, PCT_PLACES) if held is not None and measured else None,
        "coverage_pct": pct(held.known, held.allocated) if held is not None else None,
        "recommended_quota_gpus": _gpus(quota),
        "reason": _reason(line, quota),
    }


def _gpus(milli: float | None) -> Decimal | None:
    return None if milli is None else rounded(Fraction(milli) / WHOLE_MILLI, GPU_PLACES)


def _reason(line: _Line, quota: int | None) -> str:
    need = line.need
    if need is None:
        return "it has no quota"
    if need.needed is None or quota is None:
        return f"too little is known: it was seen for {100 * line.seen:.0f} % of the time"
    hungry = round((line.steps.starved_s or 0) / 60)
    needed = f"for {DEMAND_PCT} % of the time {_short(need.needed)} or less were needed"
    if quota > need.quota:
        short = quota < (need.needed if need.limit is None else min(need.needed, need.limit))
        more = "; more is not to be had" if short else ""
        return f"starved for {hungry} min below its quota; {needed}{more}"
    if quota < need.quota:
        return f"{needed} of {_short(need.quota)}; sisters are starved"
    if need.starved:
        why = "nothing is to be had" if need.needed > need.quota else "its quota is enough"
        return f"starved for {hungry} min below its quota; {needed}; {why}"
    return f"{needed}; never starved"


def _short(milli: int) -> str:
    return f"{milli / WHOLE_MILLI:g}"
