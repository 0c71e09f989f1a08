"""Accounting of a cluster that keeps none: what it still remembers of its workloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.gpu import WHOLE_MILLI, Share
from foundry_tui.estate.mig import instance_milli
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import Accounting, HeldGpus, UsageRecord, Window
from foundry_tui.schedulers.kai import gpus, kinds
from foundry_tui.schedulers.kai.nouns import DEFAULT_POOL, ends_of, time_of
from foundry_tui.schedulers.kai.objects import Node, Pod
from foundry_tui.schedulers.kai.shares import Wish, placed, wish
from foundry_tui.schedulers.kai.tries import Piece, pieces, stays
from foundry_tui.schedulers.kai.watch import State
from foundry_tui.schedulers.kai.workloads import workloads

FORGETS = (
    "Kubernetes keeps no history: of workloads that were deleted nothing is known but what "
    "the site's own history saw"
)


@dataclass(frozen=True, slots=True)
class _Floor:
    """What nodes tell of the GPUs that pods hold there."""

    nodes: Mapping[str, Node]
    pool_label: str

    def wish(self, pod: Pod) -> Wish:
        """What a pod holds on its node."""
        node = self.nodes.get(pod.spec.node_name or "")
        return placed(wish(pod), None if node is None else gpus.gpu_memory_bytes(node))

    def model(self, pod: Pod) -> str | None:
        """The GPU model of its node."""
        node = self.nodes.get(pod.spec.node_name or "")
        product = None if node is None else node.metadata.label(gpus.PRODUCT)
        return None if product is None else safe(product)

    def pool(self, pods: Sequence[Pod]) -> str | None:
        """The one node pool that pods are in; None for several, or where a node is gone."""
        found = {
            None if node is None else node.metadata.label(self.pool_label) or DEFAULT_POOL
            for node in (self.nodes.get(pod.spec.node_name or "") for pod in pods)
        }
        pool = found.pop() if len(found) == 1 else None
        return None if pool is None else safe(pool)


def read_accounting(
    state: State,
    config: KubernetesConfig,
    estate: Snapshot,
    window: Window,
    users: tuple[str, ...] | None,
) -> Accounting:
    """A record per try of each workload that is still listed and touches the window.

    `estate` is made of the same `state`.
    """
    floor = _Floor({n.metadata.name: n for n in state.rows(kinds.NODES)}, config.node_pool_label)
    runs = {run.native_id: run for run in estate.runs}
    owners = [*state.rows(kinds.JOBS), *state.rows(kinds.TRAININGS)]
    records: list[UsageRecord] = []
    for one in workloads(
        state.rows(kinds.PODS),
        owners,
        state.rows(kinds.GROUPS),
        state.rows(kinds.BINDS),
        config,
    ):
        run = runs.get(one.uid)
        if run is not None and (users is None or run.user in users):
            records += _records(one.pods, run, floor)
    return Accounting(
        window=window,
        records=tuple(r for r in records if window.overlap_s(r.started_at, r.ended_at) > 0),
        notes=(FORGETS,),
    )


def _records(pods: Sequence[Pod], run: Run, floor: _Floor) -> list[UsageRecord]:
    """The tries of one workload. The last one has its state, unless it waits for another."""
    found, untold = stays(pods)
    parts = pieces(found)
    records = [
        replace(
            _record(part.pods, run, floor),
            state=_state(part),
            started_at=part.start,
            ended_at=part.end,
            eligible_at=_waited_since(part),
            exit_code=_exit_code(part.left),
            restarts=part.number,
        )
        for part in parts
    ]
    if records and run.state is not RunState.PENDING:
        records[-1] = replace(records[-1], state=run.state, exit_code=run.exit_code)
    # its end is unknown, so that it is counted apart and not billed
    records += [
        replace(
            _record([pod], run, floor),
            state=RunState.FAILED if pod.status.phase == "Failed" else RunState.COMPLETED,
            started_at=time_of(pod.status.start_time),
        )
        for pod in untold
    ]
    return records


def _state(part: Piece) -> RunState:
    """What became of a piece that others follow: a failed pod is tried again."""
    failed = any(pod.status.phase == "Failed" for pod in part.left)
    return RunState.REQUEUED if failed else RunState.COMPLETED


def _waited_since(part: Piece) -> datetime | None:
    """When the first of its pods was made; a piece within a try waited for nothing."""
    made = [time_of(pod.metadata.creation_timestamp) for pod in part.pods]
    return min((t for t in made if t is not None), default=None) if part.first else None


def _exit_code(pods: Sequence[Pod]) -> int | None:
    """The first code that is not 0, else 0; None when none was told."""
    codes = [ended.exit_code for pod in pods for ended in ends_of(pod)]
    return next((code for code in codes if code), 0) if codes else None


def _record(pods: Sequence[Pod], run: Run, floor: _Floor) -> UsageRecord:
    wishes = [floor.wish(pod) for pod in pods]
    held = _held(pods, wishes, floor)
    models = {floor.model(pod) for pod, asked in zip(pods, wishes, strict=True) if asked.devices}
    return UsageRecord(
        source=run.source,
        native_id=run.native_id,
        raw_id=run.native_id,
        name=run.name,
        user=run.user,
        account=run.account,
        queue=run.queue,
        qos=run.qos,
        state=run.state,
        submitted_at=run.submitted_at,
        eligible_at=None,
        started_at=None,
        ended_at=None,
        nodes=tuple(dict.fromkeys(safe(p.spec.node_name or "") for p in pods)),
        gpu_count=sum(asked.devices for asked in wishes),
        gpu_milli=_sum([one.milli for one in held]),
        gpu_model=models.pop() if len(models) == 1 else None,
        cpu_milli=_sum([asked.cpu_milli for asked in wishes]),
        memory_bytes=_sum([asked.memory for asked in wishes]),
        submit_token=run.submit_token,
        held=held,
        node_pool=floor.pool(pods),
    )


def _held(pods: Sequence[Pod], wishes: Sequence[Wish], floor: _Floor) -> tuple[HeldGpus, ...]:
    """What pods hold together, kind by kind: whole GPUs, portions, MIG instances."""
    kinds_of: dict[tuple[str | None, Share], list[Wish]] = {}
    for pod, asked in zip(pods, wishes, strict=True):
        if not asked.devices:
            continue
        share = Share.FRACTION if asked.fraction else Share.WHOLE
        kind = (floor.model(pod), share)
        if asked.mig_profile is not None:
            kind = (safe(asked.mig_profile), Share.MIG)
        kinds_of.setdefault(kind, []).append(asked)
    return tuple(
        HeldGpus(gpu_type, sum(w.devices for w in mine), _worth(gpu_type, share, mine), share)
        for (gpu_type, share), mine in sorted(
            kinds_of.items(), key=lambda item: (item[0][0] or "", item[0][1])
        )
    )


def _worth(gpu_type: str | None, share: Share, wishes: Sequence[Wish]) -> int | None:
    if share is Share.MIG:
        return instance_milli(gpu_type, sum(w.devices for w in wishes))
    if share is Share.WHOLE:
        return WHOLE_MILLI * sum(w.devices for w in wishes)
    return _sum([w.total_milli for w in wishes])


def _sum(amounts: Sequence[int | None]) -> int | None:
    known = [a for a in amounts if a is not None]
    return sum(known) if len(known) == len(amounts) else None
