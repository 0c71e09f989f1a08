"""Workloads, pods, events and history in the shapes of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from foundry_tui.schedulers.runai.fake.cluster import (
    CLUSTER_ID,
    TENANT_ID,
    Cluster,
    Need,
    Seat,
    stable_uuid,
)
from foundry_tui.schedulers.runai.fake.work import ENDED, NOT_ENOUGH, Phase, Workload, whole

Json = dict[str, Any]


def iso(at: datetime | None) -> str | None:
    """A time as the API writes it, with milliseconds."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def quantity(size_bytes: int) -> str:
    """An amount of memory, in the largest unit that leaves no rest."""
    for unit, scale in (("Gi", 1 << 30), ("G", 10**9), ("Mi", 1 << 20), ("M", 10**6)):
        if size_bytes and size_bytes % scale == 0:
            return f"{size_bytes // scale}{unit}"
    return str(size_bytes)


def listed(workload: Workload, cluster: Cluster, now: datetime) -> Json:
    """One workload as the list tells it: without its annotations, and without number of devices."""
    w, refusal = workload, workload.refusals[0] if workload.refusals else None
    running = w.phase is Phase.RUNNING
    idle = running and w.gpu_util_pct == 0
    spent_s = (now - w.phase_at).total_seconds()
    spec = w.spec
    return {
        "tenantId": TENANT_ID,
        "id": w.id,
        "name": w.name,
        "type": w.kind.type,
        "category": w.kind.category,
        "source": "Control-plane",
        "clusterId": CLUSTER_ID,
        "projectId": w.project.id,
        "projectName": w.project.name,
        "departmentId": cluster.department(w.project.department).id,
        "departmentName": w.project.department,
        "namespace": w.project.namespace,
        "submittedBy": w.user,
        "createdAt": iso(w.created_at),
        "updatedAt": iso(w.records[-1].at),
        "deletedAt": iso(w.deleted_at),
        "completedAt": iso(w.ended_at),
        "phase": _phase(w),
        "phaseMessage": w.message,
        "phaseReason": refusal.reason if refusal and w.message != NOT_ENOUGH else None,
        "phaseUpdatedAt": iso(w.phase_at),
        "k8sPhase": _phase(w),
        "k8sPhaseUpdatedAt": iso(w.phase_at),
        "conditions": [
            {
                "type": "Ready",
                "status": "True" if running else "False",
                "reason": _phase(w),
                "message": w.message,
                "lastTransitionTime": iso(w.phase_at),
            }
        ],
        "priority": w.priority,
        "priorityClassName": w.priority_class,
        "preemptible": w.preemptible,
        "runningPods": len(w.seats) if running else 0,
        "requestedPods": {
            "number": len(w.pods),
            "min": spec.get("minReplicas") or len(w.pods),
            "max": spec.get("maxReplicas") or len(w.pods),
            "parallelism": spec.get("parallelism"),
            "completions": spec.get("completions"),
        },
        "workloadRequestedResources": _requested(w.pods),
        "podsRequestedResources": _requested(w.pods[-1:]),
        "allocatedResources": _allocated(w.seats, cluster),
        "actionsSupport": {"delete": True, "suspend": w.kind.can_suspend},
        "requestedNodePools": list(w.pools),
        "currentNodePools": [w.pool] if w.pool else [],
        "images": [spec["image"]],
        "distributedFramework": spec.get("distributedFramework") or "",
        "idleGpus": sum(len(seat.gpus) for seat in w.seats) if idle else 0,
        "idleAllocatedGpus": whole(w.allocated_milli()) if idle else 0,
        "totalPendingTimeSeconds": int(w.pending_s + (spent_s if w.waits else 0)),
        "totalRunningTimeSeconds": int(w.worked_s + (spent_s if running else 0)),
        "command": spec.get("command") or "",
        "arguments": spec.get("args") or "",
        "environmentVariables": {
            pair["name"]: pair.get("value") or ""
            for pair in spec.get("environmentVariables") or ()
            if isinstance(pair, dict) and "name" in pair
        },
        "childrenIds": [],
        "urls": [],
        "datasources": [],
        "environments": [],
        "externalConnections": [],
        "additionalFields": {},
    }


def detailed(workload: Workload, cluster: Cluster, now: datetime) -> Json:
    """One workload with why it waits in each node pool."""
    return {
        **listed(workload, cluster, now),
        "pendingSchedulingMessages": [
            {
                "nodePool": refusal.pool,
                "phaseReason": refusal.reason,
                "reason": refusal.reason,
                "orgType": refusal.org_type,
                "userMessage": refusal.message,
            }
            for refusal in workload.refusals
        ],
    }


def typed(workload: Workload, cluster: Cluster) -> Json:
    """One workload as its own kind's endpoint tells it: with the spec that was asked for."""
    return {
        "name": workload.name,
        "requestedName": workload.requested_name,
        "workloadId": workload.id,
        "projectId": workload.project.id,
        "departmentId": cluster.department(workload.project.department).id,
        "clusterId": CLUSTER_ID,
        "createdBy": workload.user,
        "createdAt": iso(workload.created_at),
        "deletedAt": iso(workload.deleted_at),
        "desiredPhase": workload.desired,
        "actualPhase": _phase(workload),
        **workload.body,
    }


def pods(workload: Workload, cluster: Cluster) -> list[Json]:
    """Its pods: without a node before they are placed, and none while it is stopped."""
    if workload.phase in (Phase.CREATING, Phase.STOPPED, Phase.DELETED):
        return []
    if workload.phase in ENDED and not workload.spans:
        return []
    return [_pod(workload, index, cluster) for index in range(len(workload.pods))]


def _pod(w: Workload, index: int, cluster: Cluster) -> Json:
    span = w.spans[-1] if w.spans and (w.seats or w.phase in ENDED) else None
    seat = span.seats[index] if span else None
    running = w.phase is Phase.RUNNING
    ended = "Failed" if w.phase is Phase.FAILED else "Succeeded"
    return {
        "tenantId": TENANT_ID,
        "id": w.pod_id(index),
        "name": w.pod_name(index),
        "workloadId": w.id,
        "workloadName": w.name,
        "projectId": w.project.id,
        "projectName": w.project.name,
        "clusterId": CLUSTER_ID,
        "priorityClassName": w.priority_class,
        "nodeName": seat.node if seat else None,
        "createdAt": iso(span.started_at if span else w.created_at),
        "updatedAt": iso(w.phase_at),
        "completedAt": iso(w.ended_at),
        "deletedAt": None,
        "containers": [
            {
                "name": w.name,
                "image": w.spec["image"],
                "startedAt": iso(w.phase_at) if running else None,
            }
        ],
        "currentNodePool": span.pool if span else None,
        "requestedNodePools": list(w.pools),
        "requestedResources": _requested(w.pods[index : index + 1]),
        "allocatedResources": _allocated(w.seats[index : index + 1], cluster),
        "tolerations": [],
        "k8sPhase": ended if w.phase in ENDED else "Running" if running else "Pending",
        "k8sPhaseUpdatedAt": iso(w.phase_at),
        "ip": f"10.0.0.{index + 1}" if running else None,
    }


def events(workload: Workload) -> list[Json]:
    """Its events, oldest first."""
    return [
        _event(workload, number)
        for number, record in enumerate(workload.records)
        if record.phase is None
    ]


def history(workload: Workload) -> list[Json]:
    """Its events and changes of phase, oldest first."""
    found = []
    for number, record in enumerate(workload.records):
        if record.phase is None:
            kind, spec = "Event", {"event": _event(workload, number)}
        else:
            update = {"phase": record.phase.value, "phaseMessage": record.message}
            kind, spec = "PhaseUpdate", {"phaseUpdate": update}
        if record.phase is not Phase.DELETED:
            meta = {"creationTimestamp": iso(record.at), "type": kind}
            found.append({"meta": meta, "spec": spec})
    return found


def _event(workload: Workload, number: int) -> Json:
    record = workload.records[number]
    return {
        "id": stable_uuid("event", workload.id, number),
        "createdAt": iso(record.at),
        "type": "Normal" if record.reason == "Scheduled" else "Warning",
        "clusterId": CLUSTER_ID,
        "message": record.message,
        "reason": record.reason,
        "source": "runai-scheduler",
        "involvedObject": {
            "uid": workload.pod_id(0),
            "kind": "Pod",
            "name": workload.pod_name(0),
            "namespace": workload.project.namespace,
        },
    }


def _phase(workload: Workload) -> str:
    return "Deleting" if workload.phase is Phase.DELETED else workload.phase.value


def _requested(needs: tuple[Need, ...]) -> Json:
    """The sum of what pods ask for."""
    gpus = sum(need.devices * need.milli for need in needs)
    memory = sum(need.devices * (need.gpu_memory_bytes or 0) for need in needs)
    fraction = any(need.milli < 1000 for need in needs)
    gpu = None if memory else whole(gpus)
    kind = "memory" if memory else "portion" if fraction else None
    gpu_memory = quantity(memory) if memory else None
    return {
        "gpuRequestType": kind,
        "gpu": {"request": gpu, "limit": gpu},
        "gpuMemory": {"request": gpu_memory, "limit": gpu_memory},
        "cpu": {"request": sum(need.cpu_milli for need in needs) / 1000, "limit": None},
        "cpuMemory": {"request": quantity(sum(n.memory_bytes for n in needs)), "limit": None},
        "extendedResources": [],
    }


def _allocated(seats: tuple[Seat, ...], cluster: Cluster) -> Json:
    memory = sum(s.gpu_milli * cluster.node(s.node).gpu_memory_bytes // 1000 for s in seats)
    return {
        "gpu": whole(sum(seat.gpu_milli for seat in seats)),
        "gpuMemory": quantity(memory),
        "cpu": sum(seat.cpu_milli for seat in seats) / 1000,
        "cpuMemory": quantity(sum(seat.memory_bytes for seat in seats)),
        "extendedResources": [],
    }
