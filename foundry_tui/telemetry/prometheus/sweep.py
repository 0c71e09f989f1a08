"""The queries of a sweep: of agents their newest scrape, of exporters the mean of every metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from foundry_tui.deadline import Deadline
from foundry_tui.telemetry.exposition.metrics import BY_NAME
from foundry_tui.telemetry.prometheus.promql import (
    Place,
    Result,
    Series,
    Values,
    by_place,
    over_time,
    selector,
)
from foundry_tui.telemetry.prometheus.read import (
    AGENT_FACTS,
    AGENT_INFOS,
    AGENT_TIME,
    RUNAI_NAMES,
    SAMPLES,
    UTIL,
    UTIL_MAX,
    UTIL_SUM,
    WINDOW_S,
    Window,
)
from foundry_tui.telemetry.prometheus.server import Server

OF_AGENTS = " and on (job, instance) {}"
OF_OTHERS = " unless on (job, instance) {}"
"""Parts of an expression that keep the series of agents, or those of all others."""

EVERYWHERE = ("DCGM_FI_DEV_FB_USED", "dcgm_fb_used", "runai_gpu_memory_used_mebibytes_per_gpu")
"""Memory used: what every exporter tells, of GPUs that are cut by MIG too."""

UTILS = (UTIL, "dcgm_gpu_utilization", "runai_gpu_utilization_per_gpu")
"""Utilisation, for exporters that tell nothing else."""

LAST_KEYS = frozenset({"energy_mj", "xid", "ecc_dbe", "rows_pending", "rows_failure", "fb_total"})
"""What is not averaged: counters, codes, and what does not change."""

MOST_KEYS = frozenset({"throttle"})
"""Of bits that come and go the largest is taken; the grave ones are above the daily ones."""


@dataclass(slots=True)
class Asking:
    """The queries of one sweep; `remarks` are what the server says beside its answers."""

    server: Server
    match: Sequence[tuple[str, str]]
    deadline: Deadline
    remarks: list[str] = field(default_factory=list)

    def agents(self, window: Window, present: Sequence[str], at: float) -> None:
        """The newest scrape of every agent."""
        scraped = f"timestamp({selector((AGENT_TIME,), self.match)})"
        window.agents(self._values(by_place("max", scraped), at))
        names = (
            *AGENT_FACTS,
            *(name for name in present if name.startswith("DCGM_")),
            UTIL_MAX,
            SAMPLES,
        )
        told = (
            f"{selector(names, self.match)}{OF_AGENTS.format(selector((AGENT_TIME,), self.match))}"
        )
        window.agents_told(self._values(by_place("max", told, named=True), at))
        window.agents_infos(self._series(selector(AGENT_INFOS, self.match), at))

    def exporters(self, window: Window, present: Sequence[str], end: float) -> None:
        """The mean of every metric of the exporters, of the window that ends at `end`."""
        others = ""
        if AGENT_TIME in present:
            others = OF_OTHERS.format(selector((AGENT_TIME,), self.match))
        memory, utils = (selector(names, self.match) for names in (EVERYWHERE, UTILS))
        told = self._series(
            f"({memory} or ({utils} unless on (job, instance) {memory})){others}", end
        )
        window.exporters(told)
        if not told:
            return
        slow = {job: span_s for job, span_s in window.spans_s.items() if span_s > WINDOW_S}
        jobs = {one.labels.get("job", "") for one in told} if slow else set()
        groups = [((*self.match, ("job", job)), window.spans_s.get(job, WINDOW_S)) for job in jobs]
        for match, span_s in groups or [(tuple(self.match), WINDOW_S)]:
            for name in present:
                if name in (AGENT_TIME, SAMPLES):
                    continue
                for known_as, grouped_by, over in ways(RUNAI_NAMES.get(name, name)):
                    mean = over_time(over, selector((name,), match), span_s)
                    asked = by_place(grouped_by, f"{mean}{others}")
                    window.exported(known_as, self._values(asked, end))

    def _values(self, asked: str, at: float) -> tuple[tuple[Place, float], ...]:
        found = self.server.values(asked, at, self.deadline)
        self._remark(found)
        return found.rows

    def _series(self, asked: str, at: float) -> tuple[Series, ...]:
        found = self.server.query(asked, at, self.deadline)
        self._remark(found)
        return found.series

    def _remark(self, found: Result | Values) -> None:
        self.remarks += found.warnings
        if found.partial:
            self.remarks.append("the server says that a part of its data is absent")


def ways(name: str) -> tuple[tuple[str, str, str], ...]:
    """How a metric becomes one value: what the value is called, how pieces and samples join."""
    key = BY_NAME[name].key
    if key == "util_pct":
        return (UTIL_SUM, "sum", "sum"), (SAMPLES, "sum", "count"), (UTIL_MAX, "max", "max")
    if key in LAST_KEYS:
        return ((name, "max", "last"),)
    return ((name, "max", "max"),) if key in MOST_KEYS else ((name, "avg", "avg"),)
