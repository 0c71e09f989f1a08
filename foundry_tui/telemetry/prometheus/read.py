"""From what a Prometheus server answers to the readings of a minute, every GPU once.

A page of `foundry agent` speaks of a minute already: its newest scrape is put together again and
read as if the agent had been asked. Of every other exporter the server gives means over the minute.
Nothing is ever added up: of two exporters that tell of one GPU the more complete one is taken, and
the pieces of one exporter's series, whose pod labels change with every run, are one mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec

from foundry_tui.estate.reading import Reading
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.telemetry.exposition.gpu import Moment
from foundry_tui.telemetry.exposition.layout import Labels, LabelSet
from foundry_tui.telemetry.exposition.metrics import BY_NAME
from foundry_tui.telemetry.exposition.normalise import moment_of, readings
from foundry_tui.telemetry.exposition.text import Page
from foundry_tui.telemetry.names import short
from foundry_tui.telemetry.prometheus.promql import Place, Series

WINDOW_S = 60.0
UTIL = "DCGM_FI_DEV_GPU_UTIL"
UTIL_MAX = "foundry_gpu_util_max_pct"
SAMPLES = "foundry_gpu_window_samples"
UTIL_SUM = "sum of the utilisation's samples"
"""Not a metric: by it and the number of samples a mean is exact, whatever it is made of."""

AGENT_TIME = "foundry_agent_time_seconds"
AGENT_PROBLEM = "foundry_agent_problem_info"
AGENT_FACTS = (
    AGENT_TIME,
    "foundry_agent_window_end_timestamp_seconds",
    "foundry_agent_window_seconds",
    "foundry_agent_processes_known",
)
"""What an agent tells of itself in numbers."""

AGENT_INFOS = (
    AGENT_PROBLEM,
    "foundry_gpu_info",
    "foundry_gpu_instance_info",
    "foundry_gpu_failure_info",
    "foundry_gpu_job_info",
    "foundry_gpu_process_sm_util",
)
"""What it tells in labels."""

RUNAI_NAMES = {
    "runai_gpu_utilization_per_gpu": "DCGM_FI_DEV_GPU_UTIL",
    "runai_gpu_memory_used_mebibytes_per_gpu": "DCGM_FI_DEV_FB_USED",
}
"""Run:ai's own names, deprecated since 2.17 and still what sites have; the units are DCGM's."""

NAMES = (*(name for name in BY_NAME if name != UTIL_MAX), *RUNAI_NAMES)
"""Every number that is read of a GPU."""

Target = tuple[str, str]
"""Who told it: the `job` and `instance` of the scrape."""
LabelKey = frozenset[tuple[str, str]]
Gpu = tuple[str, int]
"""A node and the index of a GPU on it."""

_NODE_LABELS = ("Hostname", "hostname", "node", "kubernetes_node", "nodename", "instance")
_DROPPED = frozenset({"__name__", "job", *_NODE_LABELS})
_OWN_POD = frozenset({"pod", "namespace", "container", "pod_uid"})
MOST_KNOWN = 200_000
_PLACE = tuple(one.name for one in msgspec.structs.fields(Place) if one.name != "name")


@dataclass(slots=True)
class Naming:
    """Which node a series speaks of, as the schedulers call it."""

    nodes: Sequence[str]
    _known: dict[str, str] = field(init=False)
    _found: dict[tuple[str, ...], str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._known = {short(name).lower(): name for name in self.nodes}
        self._known |= {name.lower(): name for name in self.nodes}

    def node(self, labels: Mapping[str, str]) -> str:
        """The first label that names a node that a scheduler has; else the first there is.

        The Hostname of an exporter in a pod is that of the pod, and its `node` the right one.
        """
        told = tuple(labels.get(label, "") for label in _NODE_LABELS)
        found = self._found.get(told)
        if found is None:
            names = [short(text) for text in told if text]
            known = (self._known.get(name.lower()) for name in names)
            found = next(filter(None, known), names[0] if names else "")
            self._found[told] = found
        return found


@dataclass(slots=True)
class Known:
    """Labels that were seen before, with what their reader has made of them."""

    by_key: dict[LabelKey, Labels] = field(default_factory=dict)

    def labels(self, key: LabelKey) -> Labels:
        """The labels of a key; always the same object, as long as there are not too many."""
        found = self.by_key.get(key)
        if found is None:
            if len(self.by_key) > MOST_KNOWN:
                self.by_key.clear()
            found = self.by_key[key] = Labels(dict(key))
        return found


@dataclass(slots=True)
class _Told:
    """What one target tells of one GPU: values by instance, and the labels that they are under."""

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    labels: set[LabelKey] = field(default_factory=set)

    def rank(self, target: Target) -> tuple[int, float, Target]:
        """How complete it is: values, samples; of two that are alike one for good."""
        samples = max(values.get(SAMPLES, 0.0) for values in self.values.values())
        return sum(map(len, self.values.values())), samples, target


@dataclass(slots=True)
class _Agent:
    """The page of an agent, put together from its newest scrape."""

    scraped_at: float
    labels: Mapping[str, str]
    facts: dict[str, float] = field(default_factory=dict)
    values: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    infos: dict[LabelKey, dict[str, float]] = field(default_factory=dict)

    def readings(self, naming: Naming, source: str, known: Known) -> tuple[Reading, ...]:
        told = [LabelSet(known.labels(key), values) for key, values in self.infos.items()]
        for (gpu, instance), values in self.values.items():
            pairs = (("gpu", gpu), ("GPU_I_ID", instance)) if instance else (("gpu", gpu),)
            told.append(LabelSet(known.labels(frozenset(pairs)), values))
        page = Page(sets=(LabelSet({}, self.facts), *told))
        node = naming.node(self.labels) or None
        now = _utc(self.scraped_at)
        moment = moment_of(page, now)
        moment = replace(moment, how=f"Prometheus, {moment.how}")
        return readings(page, node=node, source=source, now=now, moment=moment)

    def problem(self) -> str | None:
        """Why it has nothing fresh, in its own words."""
        for key, values in self.infos.items():
            if AGENT_PROBLEM in values:
                labels = dict(key)
                return labels.get("reason") or labels.get("problem") or "it has nothing fresh"
        return None


@dataclass(slots=True, kw_only=True)
class Window:
    """The answers of one sweep, taken in one by one, and then its readings.

    The window is the minute that ends at `end` on the server's clock, or the whole minutes between
    two scrapes that are further apart: `spans_s` by job. `shift_s` is added to the server's times
    to have ours. `doubled` counts the GPUs that several targets tell of; `silent` are the nodes
    whose agents have nothing to tell, with their reason.
    """

    naming: Naming
    source: str
    end: float
    known: Known = field(default_factory=Known)
    spans_s: Mapping[str, float] = field(default_factory=dict)
    shift_s: float = 0.0
    doubled: int = field(init=False, default=0)
    silent: dict[str, SafeText] = field(init=False, default_factory=dict)
    _agents: dict[Target, _Agent] = field(init=False, default_factory=dict)
    _gpus: dict[Gpu, dict[Target, _Told]] = field(init=False, default_factory=dict)
    _slots: dict[Place, dict[str, float]] = field(init=False, default_factory=dict)
    _relabelled: set[str] = field(init=False, default_factory=set)

    def exporters(self, series: Sequence[Series]) -> None:
        """The GPUs that exporters tell of now, under all their labels; before their values."""
        for one in series:
            gpu, target = gpu_of(one.labels, self.naming), target_of(one)
            if gpu is None:
                continue
            told = self._gpus.setdefault(gpu, {}).setdefault(target, _Told())
            values = told.values.setdefault(one.labels.get("GPU_I_ID", ""), {})
            told.labels.add(label_key(one.labels))
            self._slots[place_of(one.labels)] = values
            if "exported_pod" in one.labels:
                self._relabelled.add(target[0])

    def exported(self, name: str, rows: Sequence[tuple[Place, float]]) -> None:
        """The values of one metric over the window."""
        slots = self._slots
        for place, value in rows:
            values = slots.get(place)
            if values is not None:
                known = values.get(name)
                values[name] = value if known is None else max(value, known)

    def agents(self, rows: Sequence[tuple[Place, float]]) -> None:
        """When each agent was scraped last; before all else of them."""
        for place, at in rows:
            self._agents[place.job, place.instance] = _Agent(at, labels_of(place))

    def agents_told(self, rows: Sequence[tuple[Place, float]]) -> None:
        """What agents tell in numbers."""
        for place, value in rows:
            agent = self._agents.get((place.job, place.instance))
            if agent is None:
                continue
            if place.gpu:
                if place.Hostname and "gpu" not in agent.labels:
                    agent.labels = labels_of(place)
                held = agent.values.setdefault((place.gpu, place.GPU_I_ID), {})
                held[place.name] = value
            else:
                agent.facts[place.name] = value

    def agents_infos(self, series: Sequence[Series]) -> None:
        """What agents tell in labels."""
        for one in series:
            agent = self._agents.get(target_of(one))
            if agent is not None:
                key = label_key(one.labels, own_pod=True)
                agent.infos.setdefault(key, {})[one.name] = one.points[-1][1]
                if "gpu" in one.labels:
                    agent.labels = one.labels

    def readings(self) -> tuple[Reading, ...]:
        """A reading of every GPU, by node and index."""
        found: dict[Gpu, list[Reading]] = {}
        for _, agent in sorted(self._agents.items()):
            told = agent.readings(self.naming, self.source, self.known)
            for one in told:
                found.setdefault((one.node, one.index), []).append(one)
            problem = agent.problem()
            if problem and not told:
                self.silent[safe(self.naming.node(agent.labels))] = safe(problem)
        for gpu, targets in self._gpus.items():
            best = max(targets, key=lambda target: targets[target].rank(target))
            if any(targets[best].values.values()):
                one = self._mean(gpu, targets[best], job=best[0])
                found.setdefault(gpu, []).extend([one] * len(targets))
        self.doubled = sum(1 for several in found.values() if len(several) > 1)
        chosen = [self._choose(several) for _, several in sorted(found.items())]
        if self.shift_s:
            shift = timedelta(seconds=self.shift_s)
            chosen = [replace(one, read_at=one.read_at + shift) for one in chosen]
        return _once(chosen)

    def _choose(self, several: list[Reading]) -> Reading:
        """The first that has values; agents come first, whose windows and processes are exact."""
        one = next(filter(_measured, several), several[0])
        if len(several) == 1:
            return one
        return replace(one, how=f"{one.how}, one of {len(several)} that tell of it")

    def _mean(self, gpu: Gpu, told: _Told, job: str) -> Reading:
        """One reading of what one exporter told."""
        left = {instance: dict(values) for instance, values in told.values.items()}
        for values in left.values():
            total, samples = values.pop(UTIL_SUM, None), values.get(SAMPLES, 0.0)
            if total is not None and samples:
                values[UTIL] = total / samples
        sets = []
        for key in sorted(told.labels, key=sorted):
            if job in self._relabelled:  # `exported_pod` works on the GPU, `pod` is the exporter's
                key = frozenset(pair for pair in key if pair[0] not in _OWN_POD)
            labels = self.known.labels(key)
            sets.append(LabelSet(labels, left.pop(labels.get("GPU_I_ID", ""), {})))
        span_s = self.spans_s.get(job, WINDOW_S)
        how = "Prometheus" if span_s == WINDOW_S else f"Prometheus, over {span_s:.0f} s"
        moment = Moment(read_at=_utc(self.end), how=how, window_s=span_s)
        page = Page(sets=tuple(sets))
        (one,) = readings(page, node=gpu[0], source=self.source, now=moment.read_at, moment=moment)
        return one


def gpu_of(labels: Mapping[str, str], naming: Naming) -> Gpu | None:
    """The GPU that a series speaks of, None for one that does not name its index and host."""
    index, node = labels.get("gpu", ""), naming.node(labels)
    if node and index.isascii() and index.isdecimal() and len(index) < 5:
        return node, int(index)
    return None


def target_of(one: Series) -> Target:
    """Who told a series."""
    return one.labels.get("job", ""), one.labels.get("instance", "")


def label_key(labels: Mapping[str, str], *, own_pod: bool = False) -> LabelKey:
    """The labels that say something of the GPU, without those of the scrape and the host.

    With `own_pod` the pod is that of the exporter, which is not one that works on the GPU.
    """
    dropped = _DROPPED | _OWN_POD if own_pod else _DROPPED
    return frozenset(pair for pair in labels.items() if pair[0] not in dropped)


def place_of(labels: Mapping[str, str]) -> Place:
    """The place of a series, as the server groups it."""
    return Place(**{name: labels.get(name, "") for name in _PLACE})


def labels_of(place: Place) -> dict[str, str]:
    """The labels of a place that are there."""
    told = {name: getattr(place, name) for name in _PLACE}
    return {name: value for name, value in told.items() if value}


def _measured(one: Reading) -> bool:
    return one.util_pct is not None or one.mem_used_bytes is not None or bool(one.instances)


def _once(found: Sequence[Reading]) -> tuple[Reading, ...]:
    """Without a second reading of the same device under another node's name."""
    seen: set[str] = set()
    kept = []
    for one in found:
        if one.uuid is None or one.uuid not in seen:
            kept.append(one)
            seen.add(one.uuid or "")
    return tuple(kept)


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
