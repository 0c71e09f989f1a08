"""What workloads held in a window of time, from the lists of present and deleted ones.

The control plane keeps one record per workload, with the time that it ran in all. One that was
stopped and resumed has a record for each try, as its history tells; where that is not to be had it
counts as if it had run in one piece up to its end. What was held is what was allocated, whatever
the GPUs did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from foundry_tui.estate.gpu import WHOLE_MILLI, Share
from foundry_tui.estate.mig import instance_milli
from foundry_tui.estate.run import LIVE, Request, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Accounting, HeldGpus, UsageRecord, Window
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.runai import wire
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.nouns import (
    TOKEN_VARIABLE,
    mig_profile,
    queue_of,
    request_of,
    started_at,
    state_of,
)
from foundry_tui.schedulers.runai.paging import Listing, Params, listed
from foundry_tui.schedulers.runai.reader import NODES, PODS, WORKLOADS
from foundry_tui.schedulers.runai.tables import Tables
from foundry_tui.schedulers.runai.tries import Tries, in_one, read_tries, stopped_between
from foundry_tui.schedulers.runai.wire import Pod, Workload, count, text, when


@dataclass(frozen=True, slots=True)
class _Told:
    """What the lists tell beside the workloads: pods of each, GPU models of nodes and of pools."""

    pods: Mapping[str, Sequence[Pod]]
    model_of_node: Mapping[str, str]
    model_of_pool: Mapping[str, str]


def read_usage(
    client: Client,
    tables: Tables,
    source: str,
    window: Window,
    *,
    users: tuple[str, ...] | None,
    now: datetime,
) -> Accounting:
    """Every try of every workload that touches the window.

    Raises:
        Unavailable, Denied: the control plane does not answer, or refuses the lists.
    """
    deadline = client.deadline()
    asked: Params = (("filterBy", f"createdAt<={_iso(window.end + timedelta(seconds=1))}"),)
    with ThreadPoolExecutor(4) as pool:
        present = pool.submit(
            lambda: listed(client, WORKLOADS, "workloads", Workload, deadline, asked)
        )
        deleted = pool.submit(
            lambda: listed(
                client, WORKLOADS, "workloads", Workload, deadline, (("deleted", "true"), *asked)
            )
        )
        pods = pool.submit(lambda: listed(client, PODS, "pods", Pod, deadline))
        nodes = pool.submit(lambda: listed(client, NODES, "nodes", wire.Node, deadline))
        found = {text(w.id): w for w in (*deleted.result().items, *present.result().items)}
        told = _told(pods.result().items, _nodes(nodes.result), tables.cluster)
        missing = (*deleted.result().missing, *present.result().missing)
    records: list[UsageRecord] = []
    rejects = [safe(words) for words in missing]
    stopped: dict[str, tuple[UsageRecord, Workload]] = {}
    for workload in found.values():
        if text(workload.id) is None or not _of(workload, tables.cluster):
            continue
        if users is not None and text(workload.submitted_by) not in users:
            continue
        record = _record(workload, told, tables, source)
        if isinstance(record, str):
            rejects.append(record)
        elif not _touches(record, window):
            continue
        elif stopped_between(workload, record.started_at, record.ended_at, now):
            stopped[record.native_id] = (record, workload)
        else:
            records.append(record)
    tries = read_tries(client, tuple(stopped), deadline)
    notes: list[str] = []
    for native, (record, workload) in stopped.items():
        if native not in tries:
            records.append(replace(record, eligible_at=None))
            notes.append(_untold(record, workload, now))
    records += [r for record, _ in stopped.values() for r in _apart(record, tries)]
    return Accounting(
        window=window,
        records=tuple(r for r in records if _touches(r, window)),
        rejects=tuple(rejects),
        notes=tuple(notes),
    )


def _nodes(result: Callable[[], Listing[wire.Node]]) -> list[wire.Node]:
    """The nodes; none where they may not be listed, so that no models are known."""
    try:
        return result().items
    except SchedulerError:
        return []


def _told(pods: Sequence[Pod], nodes: Sequence[wire.Node], cluster: str | None) -> _Told:
    by_workload: dict[str, list[Pod]] = {}
    for pod in pods:
        by_workload.setdefault(text(pod.workload_id) or "", []).append(pod)
    of_node: dict[str, set[str]] = {}
    of_pool: dict[str, set[str]] = {}
    for node in nodes:
        model = text(node.gpu_info.gpu_type) if node.gpu_info is not None else None
        if model is None or (
            cluster is not None and text(node.cluster_uuid) not in (None, cluster)
        ):
            continue
        of_node.setdefault(text(node.name) or "", set()).add(model)
        of_pool.setdefault(text(node.node_pool) or "", set()).add(model)
    return _Told(
        by_workload,
        {name: min(models) for name, models in of_node.items() if len(models) == 1},
        {name: min(models) for name, models in of_pool.items() if len(models) == 1},
    )


def _of(workload: Workload, cluster: str | None) -> bool:
    return cluster is None or text(workload.cluster_id) in (None, cluster)


def _record(workload: Workload, told: _Told, tables: Tables, source: str) -> UsageRecord | SafeText:
    """The record of a workload as one piece, or why it is not known when it ran."""
    native = text(workload.id) or ""
    mine = told.pods.get(native, [])
    state = state_of(workload, mine)
    gone = when(workload.deleted_at)
    ended = when(workload.completed_at) or gone
    if ended is None and state not in LIVE:
        ended = when(workload.phase_updated_at)
    if gone is not None and state not in (RunState.COMPLETED, RunState.FAILED):
        state = RunState.CANCELLED
    if state is RunState.SUSPENDED:
        ended = when(workload.phase_updated_at)
    if ended is not None and count(workload.total_running_time_seconds) is None:
        return safe(f"{text(workload.name)}: its running time is not told", max_cells=200)
    start, ended = in_one(workload, started_at(workload, mine), ended)
    request = request_of(workload, None)
    pool = _pool(workload, mine)
    model = _model(mine, pool, told)
    return UsageRecord(
        source=source,
        native_id=native,
        raw_id=native,
        name=safe(text(workload.name) or "?"),
        user=_safe(workload.submitted_by),
        account=None,
        queue=queue_of(workload, tables),
        qos=_safe(workload.priority_class_name),
        state=state,
        submitted_at=when(workload.created_at),
        eligible_at=when(workload.created_at),
        started_at=start,
        ended_at=ended,
        nodes=tuple(dict.fromkeys(safe(n) for p in mine if (n := text(p.node_name)))),
        gpu_count=request.gpu_count,
        gpu_milli=request.gpu_milli,
        gpu_model=model,
        cpu_milli=request.cpu_milli,
        memory_bytes=request.memory_bytes,
        submit_token=_safe((workload.environment_variables or {}).get(TOKEN_VARIABLE)),
        held=_held(workload, request, model),
        node_pool=pool,
    )


def _held(workload: Workload, request: Request, model: str | None) -> tuple[HeldGpus, ...]:
    """What it holds kind by kind: GPUs or portions of them, and MIG instances."""
    found: list[HeldGpus] = []
    if request.gpu_count:
        asked = workload.workload_requested_resources or workload.pods_requested_resources
        kind = text(asked.gpu_request_type) if asked is not None else None
        whole = request.gpu_milli == WHOLE_MILLI * request.gpu_count and kind != "portion"
        share = Share.WHOLE if whole else Share.FRACTION
        found.append(HeldGpus(model, request.gpu_count, request.gpu_milli, share))
    pods = 1
    asked = workload.workload_requested_resources
    if asked is None:
        asked, pods = workload.pods_requested_resources, max(1, request.nodes)
    for item in (asked.extended_resources if asked is not None else None) or ():
        profile = mig_profile(wire.Requested(extended_resources=[item]))
        number = (count(item.get("quantity")) or 0) * pods
        if profile is not None and number:
            worth = instance_milli(profile, number)
            found.append(HeldGpus(profile, number, worth, Share.MIG))
    return tuple(found)


def _pool(workload: Workload, pods: Sequence[Pod]) -> SafeText | None:
    """The node pool it runs or ran in; the one it asked for, where it asked for one alone."""
    told = [p for word in workload.current_node_pools or () if (p := text(word)) is not None]
    told = told or [p for pod in pods if (p := text(pod.current_node_pool)) is not None]
    asked = [p for word in workload.requested_node_pools or () if (p := text(word)) is not None]
    known = set(told or asked)
    return safe(known.pop()) if len(known) == 1 else None


def _model(pods: Sequence[Pod], pool: str | None, told: _Told) -> SafeText | None:
    """The GPU model of its nodes; of a pool that has one alone, where its nodes are not told."""
    nodes = {n for pod in pods if (n := text(pod.node_name)) is not None}
    models = {told.model_of_node.get(node) for node in nodes} or {
        told.model_of_pool.get(pool) if pool is not None else None
    }
    return _safe(models.pop()) if len(models) == 1 else None


def _apart(record: UsageRecord, tries: Tries) -> list[UsageRecord]:
    """A record for each try. All but the last ended because the workload was stopped."""
    mine = tries.get(record.native_id, ())
    last = len(mine) - 1
    return [
        replace(
            record,
            state=record.state if number == last else RunState.REQUEUED,
            eligible_at=one.eligible,
            started_at=one.start,
            ended_at=one.end or record.ended_at,
            nodes=record.nodes if number == last else (),
            restarts=number,
        )
        for number, one in enumerate(mine)
    ]


def _untold(record: UsageRecord, workload: Workload, now: datetime) -> SafeText:
    """What a workload did before it was stopped: how long, but not when."""
    ran_s = count(workload.total_running_time_seconds) or 0
    if record.ended_at is not None:
        words = "was stopped and resumed; its time counts as one piece up to its end"
    else:
        before_s = ran_s - (now - (record.started_at or now)).total_seconds()
        words = f"ran {before_s:.0f} s more before it was stopped and resumed; when is not told"
    return safe(f"{record.name}: it {words}", max_cells=200)


def _touches(record: UsageRecord, window: Window) -> bool:
    begins = record.started_at if record.restarts else record.submitted_at or record.started_at
    if begins is not None and begins >= window.end:
        return False
    return record.ended_at is None or record.ended_at >= window.start


def _safe(word: object) -> SafeText | None:
    found = text(word)
    return None if found is None else safe(found)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
