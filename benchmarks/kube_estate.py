"""A cluster of the size that the budgets name: 2,000 nodes of 8 GPUs and 20,000 pods of KAI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

NODES = 2000
GPUS_PER_NODE = 8
PODS = 20_000
PLACED = 14_000
"""So many of the pods have a node; the others wait."""

QUEUES = 50
NAMESPACES = 20
STARTED = "2026-11-20T00:00:00Z"
WAITS = "no nodes with enough resources were found: 2000 node(s) didn't have enough GPUs"
STAMPS = [{"manager": "m", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {}}}}]


def node_name(number: int) -> str:
    """The name of a node."""
    return f"n{number:04d}"


def namespace(number: int) -> str:
    """The namespace of a pod."""
    return f"team-{number % NAMESPACES:02d}"


def node(number: int) -> Any:
    """A ready node as a kubelet, a device plugin and the feature discovery register it."""
    amounts = {"cpu": "64", "memory": "512Gi", "pods": "250", "nvidia.com/gpu": str(GPUS_PER_NODE)}
    labels = {
        "kubernetes.io/hostname": node_name(number),
        "nvidia.com/gpu.count": str(GPUS_PER_NODE),
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
        "nvidia.com/gpu.memory": "81559",
    }
    conditions = [
        {
            "type": word,
            "status": "True" if word == "Ready" else "False",
            "reason": "Kubelet",
            "message": "as it should be",
            "lastTransitionTime": STARTED,
            "lastHeartbeatTime": STARTED,
        }
        for word in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    images = [{"names": [f"nvcr.io/nvidia/image-{i}:25.01"], "sizeBytes": 1} for i in range(20)]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node_name(number), "labels": labels},
        "spec": {},
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": conditions,
            "images": images,
        },
    }


def pod(number: int, generation: int = 0) -> Any:
    """A pod of one GPU, as it is created; bound to its node where it has one."""
    container = {
        "name": "main",
        "image": "nvcr.io/nvidia/pytorch:25.01",
        "env": [{"name": f"SETTING_{i}", "value": "x" * 20} for i in range(10)],
        "resources": {
            "requests": {"cpu": "4", "memory": "32Gi"},
            "limits": {"nvidia.com/gpu": "1"},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    spec: dict[str, Any] = {
        "schedulerName": "kai-scheduler",
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    }
    if number < PLACED:
        spec["nodeName"] = node_name(number % NODES)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"pod-{number}-{generation}",
            "namespace": namespace(number),
            "labels": {"kai.scheduler/queue": f"q{number % QUEUES}", "priorityClassName": "train"},
            "annotations": {"foundry/user": f"user{number % 60}"},
        },
        "spec": spec,
    }


def queues() -> list[Any]:
    """A root and its leaves."""
    free = {"quota": -1, "limit": -1, "overQuotaWeight": 1}

    def one(name: str, quota: int, parent: str | None) -> Any:
        gpu = {"quota": quota, "limit": -1, "overQuotaWeight": 1}
        spec: dict[str, Any] = {"resources": {"gpu": gpu, "cpu": free, "memory": free}}
        if parent:
            spec["parentQueue"] = parent
        return {
            "apiVersion": "scheduling.run.ai/v2",
            "kind": "Queue",
            "metadata": {"name": name},
            "spec": spec,
        }

    total = NODES * GPUS_PER_NODE
    return [
        one("all", total, None),
        *(one(f"q{i}", total // QUEUES, "all") for i in range(QUEUES)),
    ]


def served() -> Iterator[tuple[str, list[Any]]]:
    """Path and objects of every collection, as an API server and KAI have filled them."""
    version = iter(range(1, 1 << 30))

    def whole(made: Any, uid: str) -> Any:
        meta = made["metadata"]
        meta.update(
            uid=uid,
            resourceVersion=str(next(version)),
            creationTimestamp=STARTED,
            managedFields=STAMPS * 3,
        )
        return made

    priority = {"metadata": {"name": "train"}, "value": 50}
    yield "/api/v1/nodes", [whole(node(i), f"node-{i}") for i in range(NODES)]
    yield "/api/v1/pods", [whole(with_status(pod(i), i), f"uid-{i}") for i in range(PODS)]
    yield (
        "/apis/scheduling.run.ai/v2/queues",
        [whole(made, f"queue-{i}") for i, made in enumerate(queues())],
    )
    yield (
        "/apis/scheduling.run.ai/v2alpha2/podgroups",
        [whole(_group(i), f"group-{i}") for i in range(PODS)],
    )
    yield "/apis/scheduling.run.ai/v1alpha2/bindrequests", []
    yield "/apis/batch/v1/jobs", []
    yield "/apis/scheduling.k8s.io/v1/priorityclasses", [whole(priority, "train")]


def with_status(made: Any, number: int, restarts: int = 0) -> Any:
    """The pod with the annotation of the pod grouper and the status of a kubelet or of KAI."""
    made["metadata"]["annotations"]["pod-group-name"] = f"pg-{number}"
    if number >= PLACED:
        waiting = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        made["status"] = {"phase": "Pending", "conditions": [{**waiting, "message": WAITS}]}
        return made
    made["status"] = {
        "phase": "Running",
        "startTime": STARTED,
        "conditions": [
            {"type": word, "status": "True", "lastTransitionTime": STARTED}
            for word in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ],
        "containerStatuses": [
            {
                "name": "main",
                "state": {"running": {"startedAt": STARTED}},
                "image": "nvcr.io/nvidia/pytorch:25.01",
                "imageID": "sha256:" + "0" * 64,
                "ready": True,
                "restartCount": restarts,
            }
        ],
    }
    return made


def _group(number: int) -> Any:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": f"pod-{number}-0", "uid": f"uid-{number}"}
    reason = {"reason": "PodSchedulingErrors", "message": WAITS}
    told = {"nodePool": "default", "reason": "Unschedulable", "message": WAITS, "reasons": [reason]}
    return {
        "metadata": {
            "name": f"pg-{number}",
            "namespace": namespace(number),
            "ownerReferences": [owner],
        },
        "spec": {"queue": f"q{number % QUEUES}", "minMember": 1, "priorityClassName": "train"},
        "status": {"schedulingConditions": [told]} if number >= PLACED else {},
    }
