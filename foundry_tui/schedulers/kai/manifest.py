"""What is asked for, as the Kubernetes object that asks KAI for it.

Facts of KAI 0.12, from its pod grouper and its admission: a workload's queue, priority class and
preemptibility are read from labels of the top owner before those of its pods; a fraction is an
annotation of the pod and excludes a whole-GPU limit; a PyTorchJob starts as a whole, the pods of a
Job only where `kai.scheduler/batch-min-member` is known (0.15 and later).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import Submit
from foundry_tui.process import user_name
from foundry_tui.schedulers.options import WHOLE_MILLI, Wanted, shell_command, workload_name

TOKEN = "foundry/submit-token"
"""Label and annotation of workload and pods: what a submission is found by."""

USER = "foundry/user"
NAME = "foundry/name"
"""Annotation with the name as asked for: the object's own name ends in a part of the token."""

HELD = "foundry/held"
"""Annotation of a waiting workload that was suspended to keep it from starting."""

MIN_MEMBER = "kai.scheduler/batch-min-member"
PREEMPTIBILITY = "kai.scheduler/preemptibility"
PRIORITY = "priorityClassName"

KINDS = ("Job", "PyTorchJob", "Pod")
DEFAULT_POOL = "default"
"""KAI's word for the nodes that no pool label names."""

MAX_PODS_RETRIED = 6
"""How often an evicted pod of a Job is replaced: the default of Kubernetes."""

_KILLED = [137, 143]
"""Exit codes of a container that SIGKILL or SIGTERM ended, as an eviction does."""

_LABEL = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_ENV_NAME = re.compile(r"[-._A-Za-z][-._A-Za-z0-9]*")
_EXPANDED = re.compile(r"\$(?=[$(])")
_SUFFIX_LETTERS = 6
_MAX_NAME = 63
_MIB = 1 << 20

_HOMES = {
    "Pod": "/api/v1/namespaces/{}/pods",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "PyTorchJob": "/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs",
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object to be created: the address it is posted to, and the object itself.

    `pod` is a pod such as the object's owner will make: admission looks at pods only.
    """

    path: str
    body: dict[str, Any]
    pod: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])


def home(kind: str, namespace: str) -> str | None:
    """The address of a namespace's objects of a kind; None for a kind that is not ours to write."""
    return _HOMES[kind].format(namespace) if kind in _HOMES else None


def make(
    act: Submit, wanted: Wanted, token: str, config: KubernetesConfig, *, namespace: str
) -> Manifest:
    """The object for a submission. `namespace` is used where the options name none.

    Raises:
        ValueError: something that KAI cannot do or Kubernetes would not take; the option is named.
    """
    kind = wanted.kind or "Job"
    _check(wanted, kind, token)
    space = wanted.namespace or namespace
    if not _NAMESPACE.fullmatch(space):
        raise ValueError(f"--namespace: a namespace, not {space!r}")
    name = workload_name(wanted, act.script_name)
    labels = _labels(wanted, token, config)
    notes = {TOKEN: token, USER: user_name(), NAME: name}
    pod = {
        "metadata": {"labels": labels, "annotations": {**notes, **_sharing(wanted)}},
        "spec": _pod_spec(act, wanted, kind, config),
    }
    meta: dict[str, Any] = {
        "name": object_name(name, token),
        "namespace": space,
        "labels": labels,
        "annotations": notes,
    }
    body: dict[str, Any]
    if kind == "Pod":
        meta["annotations"] = pod["metadata"]["annotations"]
        body = {"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": pod["spec"]}
    elif kind == "Job":
        if wanted.workers > 1:
            meta["annotations"] = {**notes, MIN_MEMBER: str(wanted.workers)}
        spec = _job_spec(wanted, pod)
        body = {"apiVersion": "batch/v1", "kind": kind, "metadata": meta, "spec": spec}
    else:
        spec = _pytorch_spec(wanted, pod)
        body = {"apiVersion": "kubeflow.org/v1", "kind": kind, "metadata": meta, "spec": spec}
    alone = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**pod["metadata"], "name": meta["name"], "namespace": space},
        "spec": pod["spec"],
    }
    return Manifest(_HOMES[kind].format(space), body, alone)


def object_name(name: str, token: str) -> str:
    """The object's name: as asked for, and a part that the token decides.

    So the same try has the same name, and a create that arrives twice makes one object.
    """
    suffix = hashlib.sha256(token.encode()).hexdigest()[:_SUFFIX_LETTERS]
    return f"{name[: _MAX_NAME - 1 - _SUFFIX_LETTERS].rstrip('-')}-{suffix}"


def escaped(text: str) -> str:
    """`text` so that it reaches the container unchanged.

    Kubernetes replaces `$(NAME)` in commands and variables and makes `$$` one `$`: a script's own
    `$(date)` may hit a variable of that name, and its `$$` would lose its meaning.
    """
    return _EXPANDED.sub("$$", text)


def _check(wanted: Wanted, kind: str, token: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"--kind: one of {', '.join(KINDS)}, not {kind!r}")
    if wanted.image is None:
        raise ValueError("--image is missing: name the container image that the script runs in")
    if wanted.project is None:
        raise ValueError("--project is missing: name the queue that the run waits in")
    for option, value in (("--project", wanted.project), ("--priority", wanted.priority)):
        if value is not None and not _LABEL.fullmatch(value):
            raise ValueError(f"{option}: a name of Kubernetes (letters, digits, - _ .): {value!r}")
    if len(wanted.node_pools) > 1:
        raise ValueError("--node-pools: KAI takes one node pool for a workload")
    for pool in wanted.node_pools:
        if not _LABEL.fullmatch(pool):
            raise ValueError(f"--node-pools: a value of a label, not {pool!r}")
    if kind == "Pod" and wanted.workers > 1:
        raise ValueError("--workers: a Pod is alone; use --kind Job or --kind PyTorchJob")
    if not _LABEL.fullmatch(token):
        raise ValueError(f"the submit token {token!r} is no value of a label")


def _labels(wanted: Wanted, token: str, config: KubernetesConfig) -> dict[str, str]:
    labels = {config.queue_label: wanted.project or "", TOKEN: token}
    if wanted.priority is not None:
        labels[PRIORITY] = wanted.priority
    if wanted.preemptibility is not None:
        labels[PREEMPTIBILITY] = wanted.preemptibility
    if (pool := _pool(wanted)) is not None:
        labels[config.node_pool_label] = pool
    return labels


def _pool(wanted: Wanted) -> str | None:
    named = wanted.node_pools and wanted.node_pools[0] != DEFAULT_POOL
    return wanted.node_pools[0] if named else None


def _shares(wanted: Wanted) -> bool:
    """Whether the pod asks for parts of GPUs; KAI refuses a fraction of 1."""
    portion = wanted.gpu_portion_milli
    return wanted.gpu_memory_bytes is not None or (portion is not None and portion < WHOLE_MILLI)


def _sharing(wanted: Wanted) -> dict[str, str]:
    """The annotations of a fraction. Admission: above 0 and below 1, or whole MiB from 1."""
    if not _shares(wanted):
        return {}
    if wanted.gpu_memory_bytes is not None:
        share = {"gpu-memory": str(-(-wanted.gpu_memory_bytes // _MIB))}
    else:
        share = {"gpu-fraction": str(wanted.portion)}
    if wanted.gpu_devices > 1:
        share["gpu-fraction-num-devices"] = str(wanted.gpu_devices)
    return share


def _pod_spec(act: Submit, wanted: Wanted, kind: str, config: KubernetesConfig) -> dict[str, Any]:
    shell, flag, *words = shell_command(act)
    container: dict[str, Any] = {
        # The training operator looks for a container of this name.
        "name": "pytorch" if kind == "PyTorchJob" else "main",
        "image": wanted.image,
        "command": [shell, flag, *map(escaped, words)],
    }
    if act.work_dir is not None:
        container["workingDir"] = act.work_dir
    for name, _ in act.environment:
        if not _ENV_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a variable in Kubernetes")
    if act.environment:
        container["env"] = [{"name": n, "value": escaped(v)} for n, v in act.environment]
    if resources := _resources(wanted):
        container["resources"] = resources
    spec: dict[str, Any] = {
        "schedulerName": config.scheduler_name,
        "restartPolicy": "Never",
        "containers": [container],
    }
    if (pool := _pool(wanted)) is not None:
        # A scheduler of a pool sees its nodes only; one that serves all needs the selector.
        spec["nodeSelector"] = {config.node_pool_label: pool}
    return spec


def _resources(wanted: Wanted) -> dict[str, Any]:
    requests: dict[str, str] = {}
    if wanted.cpu_milli is not None:
        requests["cpu"] = f"{wanted.cpu_milli}m"
    if wanted.memory_bytes is not None:
        requests["memory"] = str(wanted.memory_bytes)
    resources: dict[str, Any] = {"requests": requests} if requests else {}
    if wanted.gpu_devices and not _shares(wanted):
        resources["limits"] = {"nvidia.com/gpu": str(wanted.gpu_devices)}
    return resources


def _job_spec(wanted: Wanted, pod: dict[str, Any]) -> dict[str, Any]:
    """A failing script ends the Job at once; a pod that was evicted is replaced."""
    spec: dict[str, Any] = {
        "backoffLimit": MAX_PODS_RETRIED,
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {
                    "action": "FailJob",
                    "onExitCodes": {"operator": "NotIn", "values": _KILLED},
                },
            ]
        },
        "template": pod,
    }
    if wanted.workers > 1:
        spec["parallelism"] = spec["completions"] = wanted.workers
        spec["completionMode"] = "Indexed"
    return spec


def _pytorch_spec(wanted: Wanted, pod: dict[str, Any]) -> dict[str, Any]:
    replicas: dict[str, Any] = {
        "Master": {"replicas": 1, "restartPolicy": "Never", "template": pod}
    }
    if wanted.workers > 1:
        workers = wanted.workers - 1
        replicas["Worker"] = {"replicas": workers, "restartPolicy": "Never", "template": pod}
    return {
        "runPolicy": {"backoffLimit": 0, "cleanPodPolicy": "Running"},
        "pytorchReplicaSpecs": replicas,
    }
