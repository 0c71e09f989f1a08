"""What stands in the lab's cluster from the start, as Kubernetes objects."""

from collections.abc import Iterator
from typing import Any

NAMESPACES = ("team-a", "team-b")
"""Namespaces of the users, each with a queue of the same name."""

NODES = {"gpu00": (8, "NVIDIA-A100-SXM4-80GB", 81920), "gpu01": (4, "NVIDIA-H200", 143771)}
"""Node -> GPUs, product, MiB of memory per GPU."""

QUEUES: tuple[tuple[str, str | None, dict[str, Any]], ...] = (
    ("research", None, {"quota": 12}),
    ("team-a", "research", {"quota": 4}),
    ("team-b", "research", {"quota": 4}),
)
"""Queue, parent, amounts of GPUs."""

KINDS_OF_KAI = (
    "/apis/scheduling.run.ai/v2/queues",
    "/apis/scheduling.run.ai/v2alpha2/podgroups",
    "/apis/scheduling.run.ai/v1alpha2/bindrequests",
    "/apis/kubeflow.org/v1/pytorchjobs",
)
WORKLOADS = (
    "/apis/kubeflow.org/v1/namespaces/{namespace}/pytorchjobs",
    "/apis/batch/v1/namespaces/{namespace}/jobs",
    "/api/v1/namespaces/{namespace}/pods",
    "/apis/scheduling.run.ai/v2alpha2/namespaces/{namespace}/podgroups",
)
QUEUE_LABEL = "kai.scheduler/queue"
POOL_LABEL = "kai.scheduler/node-pool"

SCHEDULER_CONF = """\
actions: "allocate, consolidation, reclaim, preempt, stalegangeviction"
tiers:
- plugins:
  - name: predicates
  - name: proportion
  - name: priority
  - name: elastic
  - name: kubeflow
  - name: ray
  - name: nodeavailability
  - name: gpusharingorder
  - name: gpupack
  - name: resourcetype
  - name: subgrouporder
  - name: taskorder
  - name: nominatednode
  - name: dynamicresources
  - name: nodeplacement
    arguments:
      cpu: binpack
      gpu: binpack
  - name: minruntime
  - name: topology
  - name: snapshot
  - name: reflectjoborder
"""
"""KAI's own list, and the plugin that tells the order of the queue."""

_KAI_SYSTEM = ("kai-scheduler", "kai-resource-reservation", "kai-scale-adjust")
SYSTEM = ("default", "kube-node-lease", "kube-public", "kube-system", *_KAI_SYSTEM)
"""Namespaces of the cluster itself."""

_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]


def everything() -> Iterator[tuple[str, Any]]:
    """Collections and the objects to create in them."""
    for name in (*_KAI_SYSTEM, *NAMESPACES):
        yield "/api/v1/namespaces", _named("v1", "Namespace", name)
    yield (
        "/api/v1/namespaces/kai-resource-reservation/serviceaccounts",
        _named("v1", "ServiceAccount", "kai-resource-reservation"),
    )
    for name, value in {
        "train": 50,
        "build-preemptible": 75,
        "build": 100,
        "inference": 125,
    }.items():
        yield (
            "/apis/scheduling.k8s.io/v1/priorityclasses",
            {**_named("scheduling.k8s.io/v1", "PriorityClass", name), "value": value},
        )
    yield from _rights()


def _rights() -> Iterator[tuple[str, Any]]:
    """Everybody of the teams reads everything of the scheduler; each team writes its namespace."""
    version = f"{_RBAC}/v1"
    reading = [
        {"apiGroups": [""], "resources": ["pods", "nodes", "events", "namespaces"], "verbs": _READ},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": _READ},
        {"apiGroups": ["kubeflow.org"], "resources": ["pytorchjobs"], "verbs": _READ},
        {"apiGroups": ["scheduling.run.ai"], "resources": ["*"], "verbs": _READ},
        {"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": _READ},
        {
            "apiGroups": ["apiextensions.k8s.io"],
            "resources": ["customresourcedefinitions"],
            "verbs": _READ,
        },
    ]
    writing = [
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["*"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"]},
        {"apiGroups": ["kubeflow.org"], "resources": ["pytorchjobs"], "verbs": ["*"]},
        {"apiGroups": ["scheduling.run.ai"], "resources": ["podgroups"], "verbs": ["*"]},
    ]
    roles = f"/apis/{version}/clusterroles"
    for name, rules in (("lab-reader", reading), ("lab-writer", writing)):
        yield roles, {**_named(version, "ClusterRole", name), "rules": rules}
    subjects = [_group(name) for name in (*NAMESPACES, "viewers")]
    yield (
        f"/apis/{version}/clusterrolebindings",
        _binding("ClusterRoleBinding", "lab-readers", "lab-reader", subjects),
    )
    for name in NAMESPACES:
        yield (
            f"/apis/{version}/namespaces/{name}/rolebindings",
            _binding("RoleBinding", "lab-writers", "lab-writer", [_group(name)]),
        )


def _group(name: str) -> Any:
    return {"kind": "Group", "name": name, "apiGroup": _RBAC}


def _binding(kind: str, name: str, role: str, subjects: list[Any]) -> Any:
    return {
        **_named(f"{_RBAC}/v1", kind, name),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    }


def webhooks(url: str, bundle: str) -> Iterator[tuple[str, Any]]:
    """KAI's admission, which fractions need; it sees the pods of the users' namespaces only."""
    version = "admissionregistration.k8s.io/v1"
    for kind, path, operations in (
        ("MutatingWebhookConfiguration", "mutate--v1-pod", ["CREATE"]),
        ("ValidatingWebhookConfiguration", "validate--v1-pod", ["CREATE", "UPDATE"]),
    ):
        hook = {
            "name": "admission.run.ai",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {"url": f"{url}/{path}", "caBundle": bundle},
            "failurePolicy": "Fail",
            "rules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": operations,
                    "resources": ["pods"],
                    "scope": "*",
                }
            ],
            "namespaceSelector": {
                "matchExpressions": [
                    {
                        "key": "kubernetes.io/metadata.name",
                        "operator": "NotIn",
                        "values": list(_KAI_SYSTEM),
                    }
                ]
            },
        }
        plural = f"{kind[0].lower()}{kind[1:]}s".lower()
        yield (
            f"/apis/{version}/{plural}",
            {**_named(version, kind, "kai-admission"), "webhooks": [hook]},
        )


def node(name: str, gpus: int, product: str, memory_mib: int, pool: str = "") -> Any:
    """A node as the device plugin and the feature discovery would label it."""
    labels = {
        "kubernetes.io/hostname": name,
        "nvidia.com/gpu.count": str(gpus),
        "nvidia.com/gpu.product": product,
        "nvidia.com/gpu.memory": str(memory_mib),
    }
    made = _named("v1", "Node", name)
    made["metadata"]["labels"] = {**labels, **_pool(pool)}
    return {**made, "spec": {"unschedulable": False}}


def node_status(gpus: int) -> Any:
    """A ready node with 64 CPUs, 512 GiB and so many GPUs."""
    amounts = {"cpu": "64", "memory": "512Gi", "pods": "250", "nvidia.com/gpu": str(gpus)}
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "lastHeartbeatTime": "2026-01-01T00:00:00Z",
    }
    return {"capacity": amounts, "allocatable": amounts, "conditions": [ready]}


def queue(
    name: str,
    parent: str | None = None,
    quota: float = 0,
    limit: float = -1,
    weight: float = 1,
    priority: int | None = None,
    pool: str = "",
) -> Any:
    """A queue of one node pool with amounts of GPUs; CPU and memory are without bounds."""
    free = {"quota": -1, "limit": -1, "overQuotaWeight": 1}
    spec: dict[str, Any] = {
        "displayName": name,
        "resources": {
            "gpu": {"quota": quota, "limit": limit, "overQuotaWeight": weight},
            "cpu": free,
            "memory": free,
        },
    }
    if parent is not None:
        spec["parentQueue"] = parent
    if priority is not None:
        spec["priority"] = int(priority)
    made = _named("scheduling.run.ai/v2", "Queue", name)
    made["metadata"]["labels"] = _pool(pool)
    return {**made, "spec": spec}


def pod(
    name: str,
    queue: str | None = "team-a",
    *,
    gpus: int = 0,
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    scheduler: str = "kai-scheduler",
    priority: str | None = None,
) -> Any:
    """A pod of a user: whole GPUs by limit, fractions by annotation."""
    made = _named("v1", "Pod", name)
    made["metadata"]["labels"] = {
        **({QUEUE_LABEL: queue} if queue else {}),
        **({"priorityClassName": priority} if priority else {}),
        **(labels or {}),
    }
    made["metadata"]["annotations"] = annotations or {}
    requests = {"cpu": "1", "memory": "1Gi"}
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    container = {
        "name": "main",
        "image": "lab/none",
        "resources": {"requests": requests, "limits": limits},
    }
    return {
        **made,
        "spec": {
            "schedulerName": scheduler,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


def job(name: str, pods: int, *, queue: str = "team-a", **more: Any) -> Any:
    """A Job of several pods, each of which KAI v0.12 places for itself."""
    template = pod(name, queue, **more)
    made = _named("batch/v1", "Job", name)
    made["metadata"]["labels"] = template["metadata"]["labels"]
    return {
        **made,
        "spec": {
            "parallelism": pods,
            "completions": pods,
            "backoffLimit": 0,
            "template": _template(template),
        },
    }


def gang(name: str, workers: int, *, queue: str = "team-a", **more: Any) -> Any:
    """A PyTorchJob of a master and workers, which KAI starts all together or not at all."""
    template = pod(name, queue, **more)
    made = _named("kubeflow.org/v1", "PyTorchJob", name)
    made["metadata"]["labels"] = template["metadata"]["labels"]
    replicas = {
        "Master": {"replicas": 1, "template": _template(template)},
        "Worker": {"replicas": workers, "template": _template(template)},
    }
    return {**made, "spec": {"pytorchReplicaSpecs": replicas}}


def _template(made: Any) -> Any:
    meta = made["metadata"]
    return {
        "metadata": {"labels": meta["labels"], "annotations": meta["annotations"]},
        "spec": made["spec"],
    }


def _pool(pool: str) -> dict[str, str]:
    return {POOL_LABEL: pool} if pool else {}


def _named(version: str, kind: str, name: str) -> Any:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}
