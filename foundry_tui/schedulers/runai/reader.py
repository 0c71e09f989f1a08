"""One refresh: three lists in parallel, readings a few at a time, nouns at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from foundry_tui.deadline import Deadline
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.runai import gpus, nouns, wire
from foundry_tui.schedulers.runai.blocking import held_by_queue, held_by_run, with_quota
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.metrics import NodeReading, Readings
from foundry_tui.schedulers.runai.paging import Listing, Params, listed
from foundry_tui.schedulers.runai.pairing import Paired, Seat, pair
from foundry_tui.schedulers.runai.queues import pool_totals, queues
from foundry_tui.schedulers.runai.specs import Specs
from foundry_tui.schedulers.runai.tables import Tables, read_tables
from foundry_tui.schedulers.runai.wire import Pod, Workload, text

WORKLOADS = "/api/v1/workloads"
PODS = "/api/v1/workloads/pods"
NODES = "/api/v1/nodes"

METRICS_SHARE = 0.4
"""Part of a refresh's time that readings may take: without them the estate is still whole."""


@dataclass(frozen=True, slots=True)
class Lists:
    """The three lists of one refresh; pods by workload id."""

    workloads: list[Workload]
    pods: dict[str, list[Pod]]
    hosts: tuple[gpus.Host, ...]
    missing: tuple[str, ...]


class Reader:
    """Reads the estate of one control plane. `tokens` are submit tokens known by workload id."""

    def __init__(
        self,
        name: str,
        client: Client,
        *,
        cluster: str | None,
        clock: Callable[[], datetime],
        slow_s: float,
        slow_after_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.client = name, client
        self.tokens: dict[str, str] = {}
        self._cluster, self._clock = cluster, clock
        self._slow_s, self._slow_after_s = slow_s, slow_after_s
        self._monotonic = monotonic
        self._readings = Readings(client, clock, monotonic)
        self._specs = Specs(client)
        self._tables: tuple[float, Tables] | None = None
        self._lock = threading.Lock()
        self._known_pairs: dict[Hashable, Paired] = {}
        self.last: Snapshot | None = None

    def tables(self, deadline: Deadline) -> Tables:
        """Clusters, projects, departments and rules, read again every `slow_s`.

        Raises:
            Unavailable, Denied: the control plane does not answer, or refuses the login.
        """
        kept = self._tables
        if kept is None or self._monotonic() - kept[0] >= self._slow_s:
            found = read_tables(self.client, self._cluster, deadline, self._clock())
            self._tables = kept = (self._monotonic(), found)
        return kept[1]

    def forget_tables(self) -> None:
        """Read them anew with the next refresh, after one of them was changed."""
        self._tables = None

    def snapshot(self) -> Snapshot:
        """The estate now.

        Raises:
            Unavailable, Denied: the control plane does not answer, or refuses the lists.
        """
        with self._lock:
            started, deadline = time.monotonic(), self.client.deadline()
            tables = self.tables(deadline)
            lists = self._lists(tables, deadline)
            reading = Deadline.after(deadline.left_s() * METRICS_SHARE)
            self._specs.learn(lists.workloads, reading)
            now = self._clock()
            self.last = self._assembled(lists, tables, reading, now, started)
            return self.last

    def _lists(self, tables: Tables, deadline: Deadline) -> Lists:
        def filtered(field: str) -> Params:
            return () if tables.cluster is None else (("filterBy", f"{field}=={tables.cluster}"),)

        client = self.client
        with ThreadPoolExecutor(3) as pool:
            workloads = pool.submit(
                lambda: listed(
                    client, WORKLOADS, "workloads", Workload, deadline, filtered("clusterId")
                )
            )
            pods = pool.submit(
                lambda: listed(
                    client,
                    PODS,
                    "pods",
                    Pod,
                    deadline,
                    (*filtered("clusterId"), ("completed", "false")),
                )
            )
            nodes = pool.submit(
                lambda: listed(client, NODES, "nodes", wire.Node, deadline, filtered("clusterUuid"))
            )
            found: tuple[Listing[Workload], Listing[Pod], Listing[wire.Node]] = (
                *(workloads.result(), pods.result()),
                nodes.result(),
            )
        by_workload: dict[str, list[Pod]] = {}
        for pod in {text(p.id): p for p in found[1].items}.values():
            by_workload.setdefault(text(pod.workload_id) or "", []).append(pod)
        missing = tuple(words for listing in found for words in listing.missing)
        kept = {text(w.id): w for w in found[0].items if _of(w, tables.cluster)}
        return Lists(list(kept.values()), by_workload, gpus.hosts(found[2].items, tables.cluster),
                     missing)  # fmt: skip

    def _assembled(
        self, lists: Lists, tables: Tables, reading: Deadline, now: datetime, started: float
    ) -> Snapshot:
        runs = [
            run for w in lists.workloads if (run := self._run(w, lists, tables, now)) is not None
        ]
        seats = self._seats(runs, lists)
        hosts = {host.raw: host for host in lists.hosts}
        wanted = [(h.id, _signature(seats.get(h.raw, ()))) for h in lists.hosts if h.gpu_count]
        self._readings.nodes(wanted, reading)
        alive = {s.pod for held in seats.values() for s in held}
        paired = self._paired(hosts, seats)
        unsure = {pod for found in paired.values() for pod in found.unsure}
        if unsure:
            by_pod = {s.pod: s.run.partition("/")[2] for held in seats.values() for s in held}
            asked = [(by_pod[p], p) for p in sorted(unsure)]
            if self._readings.pods(asked, alive, reading):
                seats = self._seats(runs, lists)
                paired = self._paired(hosts, seats)
        return self._nouns(runs, lists, tables, hosts, seats, paired, now, started)

    def _run(self, workload: Workload, lists: Lists, tables: Tables, now: datetime) -> Run | None:
        native, spec = text(workload.id) or "", self._specs.of(workload)
        token = self.tokens.get(native) or spec.token
        pods = lists.pods.get(native, [])
        return nouns.to_run(workload, pods, tables, self.name, now, spec.devices, token)

    def _seats(
        self, runs: Sequence[Run], lists: Lists
    ) -> dict[tuple[str | None, str], list[Seat]]:  # fmt: skip
        """Node -> the pods that hold GPUs there."""
        found: dict[tuple[str | None, str], list[Seat]] = {}
        known = {host.raw for host in lists.hosts}
        for run in runs:
            pods = lists.pods.get(run.native_id, [])
            told = {text(p.id) or "": self._readings.indices(text(p.id) or "") for p in pods}
            for node, seat in gpus.seats(pods, run.id, run.request, told):
                if node in known:
                    found.setdefault(node, []).append(seat)
        return found

    def _reading(self, host: gpus.Host, held: Sequence[Seat]) -> NodeReading | None:
        return self._readings.node(host.id, _signature(held))

    def _paired(
        self,
        hosts: dict[tuple[str | None, str], gpus.Host],
        seats: dict[tuple[str | None, str], list[Seat]],
    ) -> dict[tuple[str | None, str], Paired]:
        found: dict[tuple[str | None, str], Paired] = {}
        pairs: dict[Hashable, Paired] = {}  # the search is not done again while nothing changes
        for raw, host in hosts.items():
            held = seats.get(raw, [])
            reading = self._reading(host, held)
            told = {
                index: gpu.allocated_milli
                for index, gpu in (reading.gpus.items() if reading else ())
                if gpu.allocated_milli is not None
            }
            key = (host.gpu_count, tuple(held), tuple(told.items()))
            known = self._known_pairs.get(key)
            found[raw] = pairs[key] = known or pair(host.gpu_count, held, told)
        self._known_pairs = pairs
        return found

    def _nouns(
        self,
        runs: list[Run],
        lists: Lists,
        tables: Tables,
        hosts: dict[tuple[str | None, str], gpus.Host],
        seats: dict[tuple[str | None, str], list[Seat]],
        paired: dict[tuple[str | None, str], Paired],
        now: datetime,
        started: float,
    ) -> Snapshot:
        mig = {r.id for r in runs if r.request.mig_profile is not None}
        nodes: list[Node] = []
        devices: list[Gpu] = []
        for raw, host in hosts.items():
            sitting = seats.get(raw, [])
            reading = self._reading(host, sitting)
            nodes.append(gpus.to_node(host, sitting, reading, self.name, now))
            cut_node = any(s.run in mig for s in sitting)
            devices += gpus.to_gpus(host, paired[raw], reading, self.name, now, cut_node)
        by_place = {f"{g.node}\0{g.index}": g for g in devices}
        where = {hosts[raw].name: found for raw, found in paired.items()}
        shown = {safe(raw[1]): host.name for raw, host in hosts.items()}
        runs = [gpus.placed(_on_known(r, shown), where, by_place) for r in runs]
        held = held_by_run(hosts, seats)
        listed_queues = queues(tables, lists.hosts, runs, held, self.name, now)
        used, totals = held_by_queue(held, runs), pool_totals(lists.hosts)
        missing = (*tables.missing, *lists.missing)
        return Snapshot(
            generated_at=now,
            sources=(self._source(now, time.monotonic() - started, missing),),
            nodes=tuple(nodes),
            gpus=tuple(devices),
            queues=listed_queues,
            runs=tuple(with_quota(r, listed_queues, tables, totals, used) for r in runs),
            partial=tuple(safe(words) for words in missing),
        )

    def _source(self, now: datetime, took_s: float, missing: tuple[str, ...]) -> Source:
        slow = took_s > self._slow_after_s
        reason = f"answered after {took_s:.1f} s" if slow else None
        if missing and not slow:
            reason = f"not all could be read: {missing[0]}"
        return Source(
            name=self.name,
            kind="runai",
            state=SourceState.SLOW if slow else SourceState.OK,
            read_at=now,
            reason=None if reason is None else safe(reason),
        )


def _of(workload: Workload, cluster: str | None) -> bool:
    return cluster is None or text(workload.cluster_id) in (None, cluster)


def _signature(held: Sequence[Seat]) -> tuple[str, ...]:
    return tuple(sorted(s.pod for s in held))


def _on_known(run: Run, shown: dict[SafeText, SafeText]) -> Run:
    """A run whose parts name nodes as they are shown; parts on unlisted nodes fall away."""
    known = [(p, shown.get(safe(p.node))) for p in run.placement]
    if all(name == part.node for part, name in known):
        return run
    parts = tuple(replace(part, node=name) for part, name in known if name is not None)
    return replace(run, placement=parts)
