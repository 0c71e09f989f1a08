"""Workloads of all types as runs of the estate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from foundry_tui.estate.run import Placement, Request, Run, RunState, run_id
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.runai.tables import Tables, shown_name
from foundry_tui.schedulers.runai.wire import (
    Allocated,
    Pod,
    Requested,
    Workload,
    amount_bytes,
    count,
    milli,
    text,
    when,
)

TOKEN_ANNOTATION = "foundry/submit-token"
TOKEN_VARIABLE = "FOUNDRY_SUBMIT_TOKEN"
"""The list of workloads tells variables, but no annotations: so the token stands in both."""

STATES = {
    "Creating": RunState.PENDING,
    "Pending": RunState.PENDING,
    "Resuming": RunState.PENDING,
    "Initializing": RunState.PENDING,
    "Running": RunState.RUNNING,
    "Updating": RunState.RUNNING,
    "Degraded": RunState.RUNNING,
    "Deleting": RunState.COMPLETING,
    "Terminating": RunState.COMPLETING,
    "Stopping": RunState.COMPLETING,
    "Stopped": RunState.SUSPENDED,
    "Completed": RunState.COMPLETED,
    "Failed": RunState.FAILED,
}
"""Phase -> state. `Initializing` with a node is running: its GPUs are given to it already."""

ENDED_PODS = frozenset({"Succeeded", "Failed"})

PATHS = {
    "Training": "trainings",
    "Workspace": "workspaces",
    "Distributed": "distributed",
    "Inference": "inferences",
    "DistributedInference": "distributed-inferences",
}
"""Type of a workload -> its own part of the API's paths."""


def holding(pod: Pod) -> bool:
    """Whether a pod has a node and has not ended."""
    return (
        text(pod.node_name) is not None
        and text(pod.k8s_phase) not in ENDED_PODS
        and text(pod.deleted_at) is None
    )


def state_of(workload: Workload, pods: Sequence[Pod]) -> RunState:
    """The state in the estate's words; UNKNOWN for a phase that is none of the known ones."""
    phase = text(workload.phase) or ""
    if phase == "Initializing" and any(holding(p) for p in pods):
        return RunState.RUNNING
    return STATES.get(phase, RunState.UNKNOWN)


def request_of(workload: Workload, devices: int | None) -> Request:
    """What a workload asks for, over all its pods.

    `devices` is the number of GPUs of one pod as the workload's own spec tells it. The list does
    not: 1.0 may be one whole GPU or two halves. Without it the fewest GPUs are taken.
    """
    pods = max(1, pods_wanted(workload) or 1)
    whole = workload.workload_requested_resources
    one = workload.pods_requested_resources
    asked = whole or one or Requested()
    times = pods if whole is None else 1
    gpu_milli = milli(asked.gpu.request) if asked.gpu else 0
    gpu_milli = None if gpu_milli is None else gpu_milli * times
    memory = amount_bytes(asked.gpu_memory.request) if asked.gpu_memory else None
    if memory:
        gpus = pods * (devices or 1)
        given = _given_milli(workload.allocated_resources)
        gpu_memory, gpu_milli = memory * times // gpus, given or None
    else:
        each = math.ceil((gpu_milli or 0) / pods / 1000)
        gpus = pods * devices if devices is not None else pods * each
        gpu_memory = None
    cpu = milli(asked.cpu.request) if asked.cpu else None
    ram = amount_bytes(asked.cpu_memory.request) if asked.cpu_memory else None
    return Request(
        gpu_count=gpus if gpu_milli != 0 else 0,
        gpu_milli=gpu_milli if gpu_milli is not None or memory else 0,
        gpu_memory_bytes=gpu_memory,
        mig_profile=mig_profile(asked),
        nodes=pods,
        cpu_milli=None if cpu is None else cpu * times,
        memory_bytes=None if ram is None else ram * times,
    )


def mig_profile(asked: Requested) -> str | None:
    """The MIG profile among the extended resources, such as `1g.10gb`."""
    for item in asked.extended_resources or ():
        name = text(item.get("resource")) or ""
        if name.startswith("nvidia.com/mig-"):
            return safe(name.removeprefix("nvidia.com/mig-"))
    return None


def pods_wanted(workload: Workload) -> int | None:
    """How many pods a workload wants."""
    told = workload.requested_pods
    if told is None:
        return None
    return count(told.number) or count(told.parallelism)


def to_run(
    workload: Workload,
    pods: Sequence[Pod],
    tables: Tables,
    source: str,
    now: datetime,
    devices: int | None,
    token: str | None = None,
) -> Run | None:
    """A workload as a run; None for one without an id. `token` is the submit token if known."""
    native = text(workload.id)
    if native is None:
        return None
    state = state_of(workload, pods)
    name = text(workload.name) or "?"
    shown = safe(name)
    variables = workload.environment_variables or {}
    held = tuple(p for p in pods if holding(p))
    priority = count(workload.priority)
    return Run(
        id=run_id(source, native),
        native_id=native,
        source=source,
        scheduler="runai",
        name=shown,
        name_raw=None if shown == name else name.encode("utf-8", "surrogatepass"),
        state=state,
        user=_safe(workload.submitted_by),
        queue=queue_of(workload, tables),
        qos=_safe(workload.priority_class_name),
        reason=reason_of(workload) if state is RunState.PENDING else None,
        priority=priority,
        request=request_of(workload, devices),
        placement=tuple(
            dict.fromkeys(Placement(safe(text(p.node_name) or ""), None) for p in held)
        ),
        submitted_at=when(workload.created_at),
        started_at=None if state is RunState.PENDING else started_at(workload, pods),
        ended_at=when(workload.completed_at) or when(workload.deleted_at),
        submit_token=_safe(variables.get(TOKEN_VARIABLE)) or token,
        seen_as=tuple(safe(uid) for p in held if (uid := text(p.id)) is not None),
        native=native_words(workload, tables, state),
        read_at=now,
    )


def started_at(workload: Workload, pods: Sequence[Pod]) -> datetime | None:
    """When the first container started; else when the phase became Running; else unknown."""
    told = [when(c.started_at) for p in pods for c in p.containers or ()]
    known = [at for at in told if at is not None]
    if known:
        return min(known)
    return when(workload.phase_updated_at) if text(workload.phase) == "Running" else None


def queue_of(workload: Workload, tables: Tables) -> str | None:
    """The project under the name by which it is shown."""
    unit = tables.projects.get(text(workload.project_id) or "")
    if unit is not None:
        return unit.name
    raw = text(workload.project_name)
    return None if raw is None else shown_name(raw)


def reason_of(workload: Workload) -> SafeText | None:
    """The control plane's word for why a workload waits."""
    told = text(workload.phase_reason)
    if told is not None:
        return safe(told)
    return safe("Unschedulable") if text(workload.phase_message) else None


def native_words(
    workload: Workload, tables: Tables, state: RunState
) -> dict[str, SafeText]:  # fmt: skip
    """The words of the control plane that explanations and the detail view need."""
    support = workload.actions_support
    waits = state is RunState.PENDING
    pods = workload.requested_pods
    found: dict[str, object] = {
        "kind": workload.type,
        "namespace": workload.namespace,
        "workload": workload.name,
        "phase": workload.phase,
        "phase_message": workload.phase_message,
        "department": workload.department_name,
        "preemptible": _flag(workload.preemptible),
        "node_pools": ",".join(filter(None, map(text, workload.requested_node_pools or ()))),
        "priority_class": workload.priority_class_name,
        "pods_wanted": pods_wanted(workload),
        "pods_running": count(workload.running_pods),
        "min_member": count(pods.min) if pods else None,
        "unscheduled_reason": workload.phase_reason if waits else None,
        "unscheduled_message": workload.phase_message if waits else None,
        "delete_supported": _flag(support.delete if support else None),
        "suspend_supported": _flag(support.suspend if support else None),
        "suspended": "true" if state is RunState.SUSPENDED else None,
        "framework": workload.distributed_framework,
        "image": next(iter(workload.images or ()), None),
    }
    return words(found)


def words(found: Mapping[str, object]) -> dict[str, SafeText]:
    """Words with the unset ones left out."""
    return {key: safe(str(value)) for key, value in found.items() if value not in (None, "")}


def _flag(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def _given_milli(given: Allocated | None) -> int | None:
    return milli(given.gpu) if given else None


def _safe(word: object) -> SafeText | None:
    found = text(word)
    return None if found is None else safe(found)
