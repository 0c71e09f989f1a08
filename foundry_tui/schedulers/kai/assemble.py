"""From the cluster's objects to the part of the estate that they make.

Between two readings little changes, so that what was made is kept: a pod's wish, a workload's run
and a node's GPUs are made anew when an object behind them is another one. Objects are never changed
in place; an event replaces them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.node import Node as EstateNode
from foundry_tui.estate.run import Placement, Run, run_id
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.schedulers.kai import gpus, kinds, nouns, queues
from foundry_tui.schedulers.kai.objects import BindRequest, Node, Pod
from foundry_tui.schedulers.kai.seats import Holder
from foundry_tui.schedulers.kai.shares import GROUP, INDEX, Wish, groups, placed, wish
from foundry_tui.schedulers.kai.watch import State
from foundry_tui.schedulers.kai.workloads import Workload, holds, workloads

STAMP_S = 120.0
"""What did not change is stamped anew, as of now, so often; a watch that stands says it holds."""

Parts = tuple[object, ...]


class Assembly:
    """Makes snapshots of one source, each from the one before."""

    def __init__(self, source: str, config: KubernetesConfig) -> None:
        self.source, self.config = source, config
        self._floor = gpus.Floor(source)
        self._made: tuple[int, Mapping[str, int], Snapshot] | None = None
        self._stamp: datetime | None = None
        self._common: Parts = ()
        self._wishes: dict[str, tuple[Pod, Wish]] = {}
        self._holders: dict[str, tuple[Parts, Holder]] = {}
        self._runs: dict[str, tuple[Parts, Run]] = {}
        self._nodes: dict[str, tuple[Parts, EstateNode]] = {}

    def make(self, state: State, positions: Mapping[str, int], now: datetime) -> Snapshot:
        """The cluster as its objects say."""
        changes = state.changes
        if self._stamp is None or not timedelta() <= now - self._stamp < timedelta(seconds=STAMP_S):
            self._stamp, self._made = now, None
        if self._made is None or self._made[:2] != (changes, positions):
            self._made = (changes, positions, self._make(state, positions, self._stamp, now))
        return replace(self._made[2], generated_at=now)

    def _make(
        self, state: State, positions: Mapping[str, int], stamp: datetime, now: datetime
    ) -> Snapshot:
        pods: list[Pod] = state.rows(kinds.PODS)
        nodes: list[Node] = sorted(state.rows(kinds.NODES), key=lambda n: n.metadata.name)
        binds: list[BindRequest] = state.rows(kinds.BINDS)
        owners = [*state.rows(kinds.JOBS), *state.rows(kinds.TRAININGS)]
        memory_of = {n.metadata.name: gpus.gpu_memory_bytes(n) for n in nodes}
        values = {p.metadata.name: p.value for p in state.rows(kinds.PRIORITIES)}
        self._forget_if_other((memory_of, values))
        wishes = self._wishes_of(pods, memory_of)
        found = workloads(pods, owners, state.rows(kinds.GROUPS), binds, self.config)
        held_back = [p for p in pods if p.metadata.namespace == self.config.reservation_namespace]
        seen = self._floor.devices(
            nodes, self._holders_of(pods, found, binds, wishes), held_back, stamp
        )
        runs = self._runs_of(found, wishes, values, seen, held_back, positions, now)
        return Snapshot(
            generated_at=now,
            nodes=self._nodes_of(nodes, seen.gpus, pods, wishes, stamp),
            gpus=seen.gpus,
            queues=queues.queues(
                state.rows(kinds.QUEUES),
                runs,
                sum(WHOLE_MILLI * gpus.gpu_count(n) for n in nodes),
                self.source,
                now,
                {run_id(self.source, one.uid): _use(one, wishes) for one in found},
            ),
            runs=tuple(runs),
        )

    def _forget_if_other(self, common: Parts) -> None:
        """Make everything anew where what all share has changed: GPU memory, priority classes."""
        if common != self._common:
            self._wishes, self._runs = {}, {}
            self._common = common

    def _wishes_of(
        self, pods: Sequence[Pod], memory_of: Mapping[str, int | None]
    ) -> Mapping[str, Wish]:
        """Pod -> what it asks, in portions of its node's GPUs where it has a node."""
        found: dict[str, tuple[Pod, Wish]] = {}
        for pod in pods:
            old = self._wishes.get(pod.metadata.uid)
            if old is None or old[0] is not pod:
                old = (pod, placed(wish(pod), memory_of.get(pod.spec.node_name or "")))
            found[pod.metadata.uid] = old
        self._wishes = found
        return {uid: one[1] for uid, one in found.items()}

    def _holders_of(
        self,
        pods: Sequence[Pod],
        found: Sequence[Workload],
        binds: Sequence[BindRequest],
        wishes: Mapping[str, Wish],
    ) -> list[Holder]:
        """The pods that hold GPUs; those of other schedulers too: nobody's run, yet not free."""
        bound = {(b.metadata.namespace, b.spec.pod_name): b for b in binds}
        run_of = {p.metadata.uid: run_id(self.source, one.uid) for one in found for p in one.pods}
        kept: dict[str, tuple[Parts, Holder]] = {}
        for pod in pods:
            meta = pod.metadata
            if meta.namespace == self.config.reservation_namespace or not holds(pod):
                continue
            asked = wishes[meta.uid]
            if not asked.devices:
                continue
            bind = bound.get((meta.namespace, meta.name))
            run = run_of.get(meta.uid) or run_id(self.source, meta.uid)
            parts = (pod, bind, asked, run)
            old = self._holders.get(meta.uid)
            if old is None or old[0] != parts:
                since = pod.status.start_time or ""
                shared = groups(pod, bind) if asked.fraction else ()
                old = parts, Holder(meta.uid, run, pod.spec.node_name or "", asked, shared, since)
            kept[meta.uid] = old
        self._holders = kept
        return [holder for _, holder in kept.values()]

    def _runs_of(
        self,
        found: Sequence[Workload],
        wishes: Mapping[str, Wish],
        values: Mapping[str, int],
        seen: gpus.Devices,
        held_back: Sequence[Pod],
        positions: Mapping[str, int],
        now: datetime,
    ) -> list[Run]:
        reserved = {
            group: pod.metadata.note(INDEX) is not None
            for pod in held_back
            if (group := pod.metadata.label(GROUP)) is not None
        }
        kept: dict[str, tuple[Parts, Run]] = {}
        for one in found:
            position = next(
                (at for g in one.groups if (at := positions.get(g.metadata.name)) is not None), None
            )
            places = tuple(seen.indices.get(p.metadata.uid, ()) for p in one.pods)
            told = tuple(
                reserved.get(g) for b in one.binds for g in b.spec.selected_gpu_groups or ()
            )
            parts = (one.pods, one.owner, one.groups, one.binds, places, told, position)
            old = self._runs.get(one.uid)
            if old is None or old[0] != parts:
                run = nouns.run_of(
                    one,
                    self.source,
                    self.config,
                    wishes,
                    values,
                    now,
                    placement=_placement(one, seen),
                    reserved=reserved,
                    position=position,
                )
                old = parts, run
            kept[one.uid] = old
        self._runs = kept
        return [run for _, run in kept.values()]

    def _nodes_of(
        self,
        nodes: Sequence[Node],
        devices: Sequence[Gpu],
        pods: Sequence[Pod],
        wishes: Mapping[str, Wish],
        stamp: datetime,
    ) -> tuple[EstateNode, ...]:
        milli, host = _milli_by_node(devices), _host_by_node(pods, wishes)
        kept: dict[str, tuple[Parts, EstateNode]] = {}
        for node in nodes:
            name = node.metadata.name
            held, asked = milli.get(name, 0), host.get(name, (0, 0))
            parts = (node, held, asked, stamp)
            old = self._nodes.get(name)
            if old is None or old[0] != parts:
                pool = node.metadata.label(self.config.node_pool_label) or nouns.DEFAULT_POOL
                old = parts, nouns.node_of(node, self.source, held, asked, pool, stamp)
            kept[name] = old
        self._nodes = kept
        return tuple(made for _, made in kept.values())


def _placement(one: Workload, seen: gpus.Devices) -> tuple[Placement, ...]:
    at = [(p.metadata.uid, p.spec.node_name or "") for p in one.pods if holds(p)]
    return gpus.placements(at, seen.indices)


def _use(one: Workload, wishes: Mapping[str, Wish]) -> queues.Use:
    """What the pods of a workload hold, and what those ask for that have no node yet."""
    held: int | None = 0
    awaited: int | None = 0
    for pod in one.pods:
        milli = wishes[pod.metadata.uid].total_milli
        if holds(pod):
            held = None if held is None or milli is None else held + milli
        elif pod.status.phase == "Pending":
            awaited = None if awaited is None or milli is None else awaited + milli
    return queues.Use(held, awaited)


def _milli_by_node(found: Sequence[Gpu]) -> dict[str, int | None]:
    """Thousandths that are given away on each node; None where a share is not known."""
    totals: dict[str, int | None] = {}
    for gpu in found:
        before = totals.get(gpu.node, 0)
        milli = gpu.milli_allocated
        totals[gpu.node] = None if milli is None or before is None else before + milli
    return totals


def _host_by_node(pods: Sequence[Pod], wishes: Mapping[str, Wish]) -> dict[str, tuple[int, int]]:
    """Thousandths of CPU and bytes of memory that the pods of each node request."""
    totals: dict[str, tuple[int, int]] = {}
    for pod in pods:
        if not holds(pod):
            continue
        asked = wishes[pod.metadata.uid]
        node = pod.spec.node_name or ""
        before = totals.get(node, (0, 0))
        totals[node] = (before[0] + (asked.cpu_milli or 0), before[1] + (asked.memory or 0))
    return totals
