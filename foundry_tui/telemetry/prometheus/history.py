"""The past of a Prometheus server: readings of windows that nobody was there to see.

The server averages (`query_range` of `avg_over_time`, `max_over_time`), over a number of windows at
a time that suits its limits and our memory. The page of an agent speaks of the minute before its
scrape: its samples are taken from the window after the one that they are about.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from foundry_tui.deadline import Deadline
from foundry_tui.estate.reading import Reading
from foundry_tui.telemetry.exposition.gpu import Moment
from foundry_tui.telemetry.exposition.layout import Labels, LabelSet
from foundry_tui.telemetry.exposition.metrics import BY_NAME
from foundry_tui.telemetry.exposition.normalise import readings
from foundry_tui.telemetry.exposition.text import Page
from foundry_tui.telemetry.prometheus.promql import Series, over_time, selector
from foundry_tui.telemetry.prometheus.read import (
    RUNAI_NAMES,
    UTIL_MAX,
    WINDOW_S,
    Gpu,
    LabelKey,
    Naming,
    Target,
    gpu_of,
    label_key,
    target_of,
)
from foundry_tui.telemetry.prometheus.server import Server, ServerError

MOST_POINTS = 10_000
"""Prometheus answers with at most 11,000 points of a series."""

MOST_VALUES = 200_000
"""Points of one answer that are held at a time."""

FIRST_CHUNK = 30
"""Windows that are asked for before it is known how many GPUs there are."""

KEYS = frozenset({"util_pct", "fb_used", "fb_free", "fb_total", "power_w"})
"""What the history of a GPU is made of."""

AGENT_UP = "foundry_agent_up"
AGENT_SAMPLES = "foundry_gpu_window_samples"
_AGENT_S = 600.0
_BASE = tuple(name for name, metric in BY_NAME.items() if metric.key in KEYS)
_NAMES = (*_BASE, *RUNAI_NAMES, AGENT_UP)


@dataclass(frozen=True, slots=True)
class Asker:
    """A server, and what is asked of it: the series with these labels, as this source."""

    server: Server
    match: Sequence[tuple[str, str]]
    naming: Naming
    source: str
    timeout_s: float

    def deadline(self) -> Deadline:
        """The deadline of one request."""
        return Deadline.after(self.timeout_s)


@dataclass(slots=True)
class _Chunk:
    """Values by GPU, target, time, instance and name; and the labels of each instance."""

    values: dict[Gpu, dict[Target, dict[float, dict[str | None, dict[str, float]]]]] = field(
        default_factory=dict
    )
    labels: dict[tuple[Gpu, Target], dict[str | None, LabelKey]] = field(default_factory=dict)

    def take(self, series: Sequence[Series], name: str, naming: Naming) -> None:
        for one in series:
            gpu = gpu_of(one.labels, naming)
            if gpu is None:
                continue
            target, instance = target_of(one), one.labels.get("GPU_I_ID")
            known = self.labels.setdefault((gpu, target), {})
            if instance not in known:
                known[instance] = label_key(one.labels, own_pod=True)
            times = self.values.setdefault(gpu, {}).setdefault(target, {})
            for at, value in one.points:
                held = times.setdefault(at, {}).setdefault(instance, {})
                # Pieces of one series, under other labels of a pod, meet in one window only.
                held[name] = max(value, held.get(name, value))


def history(
    asker: Asker, start: datetime, end: datetime, step_s: float, shift_s: float
) -> Iterator[tuple[datetime, tuple[Reading, ...]]]:
    """The readings of every window that ends from `start` to `end`, both included.

    `shift_s` is added to our times to have the server's.

    Raises:
        ServerError: the server did not answer, even when asked for one window alone.
    """
    if step_s < WINDOW_S or step_s % WINDOW_S:
        raise ValueError(f"step_s = {step_s!r}: asked for a multiple of {WINDOW_S:.0f} seconds")
    at = math.ceil(start.timestamp() / step_s) * step_s
    last = math.floor(end.timestamp() / step_s) * step_s
    size = FIRST_CHUNK
    while at <= last:
        until = min(last, at + (size - 1) * step_s)
        try:
            chunk, series = _chunk(asker, at + shift_s, until + shift_s, step_s)
        except ServerError as error:
            if not error.too_much or size == 1:
                raise
            size = max(1, size // 4)
            continue
        yield from _readings(asker, chunk, step_s, shift_s)
        at = until + step_s
        size = max(1, min(MOST_POINTS, MOST_VALUES // max(1, series)))


def _chunk(asker: Asker, first: float, last: float, step_s: float) -> tuple[_Chunk, int]:
    """All values of the windows that end from `first` to `last`, and how many series there are."""
    span_s = last - first + step_s
    listed = f"count by (__name__) ({over_time('last', selector(_NAMES, asker.match), span_s)})"
    found = asker.server.query(listed, last, asker.deadline())
    present = {one.name: round(one.points[-1][1]) for one in found.series}
    agents = present.pop(AGENT_UP, 0)
    chunk = _Chunk()

    def ask(name: str, expression: str) -> None:
        result = asker.server.query_range(expression, first, last, step_s, asker.deadline())
        chunk.take(result.series, name, asker.naming)

    up = over_time("last", selector((AGENT_UP,), asker.match), _AGENT_S, ahead_s=step_s)
    by_agent, by_others = f" and on (job, instance) {up}", f" unless on (job, instance) {up}"
    for asked in present:
        name, chosen = RUNAI_NAMES.get(asked, asked), selector((asked,), asker.match)
        others = by_others if agents else ""
        ask(name, over_time("avg", chosen, step_s) + others)
        if BY_NAME[name].key == "util_pct":
            ask(UTIL_MAX, over_time("max", chosen, step_s) + others)
            ask(AGENT_SAMPLES, over_time("count", chosen, step_s) + others)
        if agents:
            ask(name, over_time("avg", chosen, step_s, ahead_s=WINDOW_S) + by_agent)
    if agents:
        largest = selector((UTIL_MAX,), asker.match)
        ask(UTIL_MAX, over_time("max", largest, step_s, ahead_s=WINDOW_S))
        counted = over_time(
            "avg", selector((AGENT_SAMPLES,), asker.match), step_s, ahead_s=WINDOW_S
        )
        ask(AGENT_SAMPLES, f"{counted} * {step_s / WINDOW_S:g}")
    return chunk, max(present.values(), default=0)


def _readings(
    asker: Asker, chunk: _Chunk, step_s: float, shift_s: float
) -> Iterator[tuple[datetime, tuple[Reading, ...]]]:
    """The readings of a chunk by window. Of two targets the one that has more windows counts."""
    windows: dict[float, list[Reading]] = {}
    for gpu, targets in sorted(chunk.values.items()):
        target = max(targets, key=lambda one: (len(targets[one]), one))
        labels = {one: Labels(dict(key)) for one, key in chunk.labels[gpu, target].items()}
        for at, instances in targets[target].items():
            sets = tuple(LabelSet(labels[one], values) for one, values in instances.items())
            ours = datetime.fromtimestamp(at - shift_s, UTC)
            moment = Moment(read_at=ours, how="Prometheus, looked up later", window_s=step_s)
            windows.setdefault(at, []).extend(
                readings(Page(sets=sets), node=gpu[0], source=asker.source, now=ours, moment=moment)
            )
    for at in sorted(windows):
        yield datetime.fromtimestamp(at - shift_s, UTC), tuple(windows[at])
