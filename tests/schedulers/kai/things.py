"""Objects of Kubernetes and KAI as the API server tells them, cut to what matters."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from foundry_tui.schedulers.kai import objects

PODS, NODES = "/api/v1/pods", "/api/v1/nodes"
QUEUES = "/apis/scheduling.run.ai/v2/queues"
GROUPS = "/apis/scheduling.run.ai/v2alpha2/podgroups"
BINDS = "/apis/scheduling.run.ai/v1alpha2/bindrequests"
JOBS = "/apis/batch/v1/jobs"
PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
EVERY = (PODS, NODES, QUEUES, GROUPS, BINDS, JOBS, PRIORITIES)

CREATED, STARTED, ENDED = "2026-11-01T08:00:00Z", "2026-11-01T09:00:00Z", "2026-11-01T10:00:00Z"
RESERVED = "kai-resource-reservation"

T = TypeVar("T")


def meta(name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    found = {"name": name, "uid": f"uid-{name}", "creationTimestamp": CREATED, **more}
    return {**found, "namespace": namespace} if namespace else found


def pod(
    name: str,
    node: str | None = None,
    *,
    phase: str | None = None,
    gpus: int | str = 0,
    queue: str | None = "team-a",
    scheduler: str = "kai-scheduler",
    namespace: str = "team-a",
    notes: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    owner: tuple[str, str] | None = None,
    status: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A pod; with a node it runs since `STARTED` unless its phase says otherwise."""
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    named = {**({"kai.scheduler/queue": queue} if queue else {}), **(labels or {})}
    spec: dict[str, Any] = {
        "schedulerName": scheduler,
        "containers": [
            {
                "name": "main",
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": limits},
            }
        ],
    }
    if node is not None:
        spec["nodeName"] = node
    seen = {"phase": phase or ("Running" if node else "Pending")}
    started = {"startTime": STARTED} if node else {}
    made = meta(name, namespace, labels=named, annotations=notes or {}, **more)
    if owner is not None:
        kind, above = owner
        made["ownerReferences"] = [
            {"kind": kind, "name": above, "uid": f"uid-{above}", "controller": True}
        ]
    return {"metadata": made, "spec": spec, "status": {**seen, **started, **(status or {})}}


def shared(name: str, node: str, fraction: str, *group: str, **more: Any) -> dict[str, Any]:
    """A running pod with a portion of one GPU, or of one GPU of each group."""
    labels = {"runai-gpu-group": group[0]} if len(group) == 1 else {}
    if len(group) > 1:
        labels = {f"runai-gpu-group/{one}": one for one in group}
    notes = {"gpu-fraction": fraction}
    if len(group) > 1:
        notes["gpu-fraction-num-devices"] = str(len(group))
    return pod(name, node, notes=notes, labels=labels, **more)


def reservation(group: str | None, node: str, told: str | None) -> dict[str, Any]:
    """The pod that holds a shared GPU for a group."""
    return pod(
        f"gpu-reservation-{node}-{group or 'x'}",
        node,
        gpus=1,
        queue=None,
        scheduler="",
        namespace=RESERVED,
        labels={"runai-gpu-group": group} if group else {},
        notes={"run.ai/reserve_for_gpu_index": told} if told is not None else {},
    )


def node(name: str, gpus: int = 8, memory_mib: int = 81920, /, **labels: str) -> dict[str, Any]:
    """A ready node."""
    told = {
        "nvidia.com/gpu.count": str(gpus),
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
        "nvidia.com/gpu.memory": str(memory_mib),
        **labels,
    }
    amounts = {"cpu": "64", "memory": "512Gi", "nvidia.com/gpu": str(gpus)}
    return {
        "metadata": meta(name, labels=told),
        "spec": {},
        "status": {
            "allocatable": amounts,
            "capacity": amounts,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def queue(name: str, parent: str | None = None, **gpu: float) -> dict[str, Any]:
    """A queue with amounts of GPUs."""
    spec: dict[str, Any] = {"resources": {"gpu": gpu}} if gpu else {}
    if parent is not None:
        spec["parentQueue"] = parent
    return {"metadata": meta(name), "spec": spec}


def group(name: str, namespace: str = "team-a", **spec: Any) -> dict[str, Any]:
    """A PodGroup; `status` stands apart from its spec."""
    status = spec.pop("status", {})
    owner = spec.pop("owner", None)
    made = meta(name, namespace)
    if owner is not None:
        kind, named = owner
        made["ownerReferences"] = [{"kind": kind, "name": named, "uid": f"uid-{named}"}]
    return {"metadata": made, "spec": spec, "status": status}


def bind(name: str, *groups: str, namespace: str = "team-a", **status: Any) -> dict[str, Any]:
    """The BindRequest of a pod."""
    spec = {"podName": name, "selectedNode": "gpu00", "selectedGPUGroups": list(groups)}
    return {"metadata": meta(f"bind-{name}", namespace), "spec": spec, "status": status}


def job(name: str, pods: int = 1, *, suspend: bool = False, **more: Any) -> dict[str, Any]:
    """A Job whose pods ask for one GPU."""
    notes, status = more.pop("notes", {}), more.pop("status", {})
    template = pod(f"{name}-template", gpus=1)
    return {
        "metadata": meta(
            name, "team-a", labels={"kai.scheduler/queue": "team-a"}, annotations=notes, **more
        ),
        "spec": {
            "parallelism": pods,
            "completions": pods,
            "suspend": suspend,
            "template": {"metadata": {}, "spec": template["spec"]},
        },
        "status": status,
    }


def ended(code: int, reason: str = "Error") -> dict[str, Any]:
    """The status of a container that has ended."""
    told = {"exitCode": code, "reason": reason, "startedAt": STARTED, "finishedAt": ENDED}
    return {"containerStatuses": [{"name": "main", "state": {"terminated": told}}]}


def read(kind: type[T], thing: dict[str, Any]) -> T:
    """An object as the adapter reads it."""
    return msgspec.json.decode(msgspec.json.encode(thing), type=kind)


def as_pod(thing: dict[str, Any]) -> objects.Pod:
    return read(objects.Pod, thing)


def as_bind(thing: dict[str, Any]) -> objects.BindRequest:
    return read(objects.BindRequest, thing)


def as_node(thing: dict[str, Any]) -> objects.Node:
    return read(objects.Node, thing)
