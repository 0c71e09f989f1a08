"""What is asked for, as the Kubernetes object that asks KAI for it.

Facts of KAI 0.12, from its pod grouper and its admission: a workload's queue, priority class and
preemptibility are read from labels of the top owner before those of its pods; a fraction is an
annotation of the pod and excludes a whole-GPU limit; a PyTorchJob starts as a whole (an elastic
one with its `minReplicas`), the pods of a Job only where `kai.scheduler/batch-min-member` is known
(0.15 and later). Of the training operator 1.9: the pods of an elastic PyTorchJob meet at the first
worker, and its range counts workers; so it has no master.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import Submit
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai.pods import pod_spec, pool_of, sharing
from foundry_tui.schedulers.options import MPI, Wanted, parse, workload_name

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

SUBMIT_TOKEN = "made-when-sent"
"""What stands for the token in a manifest that is only shown."""

NAMESPACE = "default"
"""Where the options, the configuration and the kubeconfig's context name none."""
MAX_PODS_RETRIED = 6
"""How often an evicted pod of a Job is replaced: the default of Kubernetes."""

_KILLED = [137, 143]
"""Exit codes of a container that SIGKILL or SIGTERM ended, as an eviction does."""

_LABEL = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SUFFIX_LETTERS = 6
_MAX_NAME = 63

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
        "metadata": {"labels": labels, "annotations": {**notes, **sharing(wanted)}},
        "spec": pod_spec(act, wanted, kind, config),
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


def document(act: Submit) -> dict[str, Any]:
    """The manifest of a submission for a cluster that is not asked: nothing is read or sent.

    Several pods are taken to be a PyTorchJob, as where the training operator is installed.

    Raises:
        ValueError: as `make`.
    """
    wanted = parse(act.options)
    several = wanted.workers > 1 or wanted.max_replicas is not None
    kind = wanted.kind or ("PyTorchJob" if several else "Job")
    config = KubernetesConfig(name=act.source)
    asked = replace(wanted, kind=kind)
    return make(act, asked, SUBMIT_TOKEN, config, namespace=NAMESPACE).body


def object_name(name: str, token: str) -> str:
    """The object's name: as asked for, and a part that the token decides.

    So the same try has the same name, and a create that arrives twice makes one object.
    """
    suffix = hashlib.sha256(token.encode()).hexdigest()[:_SUFFIX_LETTERS]
    return f"{name[: _MAX_NAME - 1 - _SUFFIX_LETTERS].rstrip('-')}-{suffix}"


def _check(wanted: Wanted, kind: str, token: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"--kind: one of {', '.join(KINDS)}, not {kind!r}")
    if wanted.image is None:
        raise ValueError(
            "--image is missing (`image` of a spec): name the container image of the script"
        )
    if wanted.project is None:
        raise ValueError(
            "--project is missing (`queue` of a spec): name the queue that the run waits in"
        )
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
    if kind != "PyTorchJob" and wanted.max_replicas is not None:
        raise ValueError(f"--max-replicas: a {kind} is not elastic; use --kind PyTorchJob")
    if kind != "Job" and wanted.completions is not None:
        raise ValueError(f"--completions: a {kind} has no tasks; use --kind Job")
    if kind == "Pod" and wanted.retries is not None:
        raise ValueError("--backoff-limit: nothing begins a Pod again; use --kind Job")
    if wanted.framework == MPI:
        raise ValueError(
            "--framework: mpi needs the MPI operator, which KAI does not bring; use torchrun, or "
            "one pod"
        )
    if not _LABEL.fullmatch(token):
        raise ValueError(f"the submit token {token!r} is no value of a label")


def _labels(wanted: Wanted, token: str, config: KubernetesConfig) -> dict[str, str]:
    labels = {config.queue_label: wanted.project or "", TOKEN: token}
    if wanted.priority is not None:
        labels[PRIORITY] = wanted.priority
    if wanted.preemptibility is not None:
        labels[PREEMPTIBILITY] = wanted.preemptibility
    if (pool := pool_of(wanted)) is not None:
        labels[config.node_pool_label] = pool
    return labels


def _job_spec(wanted: Wanted, pod: dict[str, Any]) -> dict[str, Any]:
    """A pod that was evicted is replaced and does not count.

    A failing script ends the Job at once, unless it was said how often it begins again. Of several
    tasks it ends its own, and the others go on.
    """
    tasks = wanted.completions
    rules: list[dict[str, Any]] = [
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        }
    ]
    if wanted.retries is None:
        action = "FailJob" if tasks is None else "FailIndex"
        codes = {"operator": "NotIn", "values": _KILLED}
        rules.append({"action": action, "onExitCodes": codes})
    spec: dict[str, Any] = {
        "backoffLimit" if tasks is None else "backoffLimitPerIndex": _backoff(wanted),
        "podFailurePolicy": {"rules": rules},
        "template": pod,
    }
    if tasks is not None:
        several = {"completions": tasks, "parallelism": wanted.parallelism or tasks}
        spec |= {**several, "completionMode": "Indexed"}
    elif wanted.workers > 1:
        spec["parallelism"] = spec["completions"] = wanted.workers
        spec["completionMode"] = "Indexed"
    return spec


def _backoff(wanted: Wanted) -> int:
    """How often a pod that ended badly is replaced.

    None at all where a deadline ends it, lest the run begins again and again.
    """
    if wanted.retries is not None:
        return wanted.retries
    return MAX_PODS_RETRIED if wanted.deadline_s is None else 0


def _pytorch_spec(wanted: Wanted, pod: dict[str, Any]) -> dict[str, Any]:
    """Master and workers, or workers alone where their number may change."""
    restart = pod["spec"]["restartPolicy"]

    def replica(count: int) -> dict[str, Any]:
        return {"replicas": count, "restartPolicy": restart, "template": pod}

    made: dict[str, Any] = {
        "runPolicy": {"backoffLimit": wanted.retries or 0, "cleanPodPolicy": "Running"},
    }
    if wanted.max_replicas is not None:
        made["elasticPolicy"] = {
            "minReplicas": wanted.min_replicas,
            "maxReplicas": wanted.max_replicas,
            "rdzvBackend": "c10d",
        }
        return {**made, "pytorchReplicaSpecs": {"Worker": replica(wanted.workers)}}
    made["pytorchReplicaSpecs"] = {"Master": replica(1)}
    if wanted.workers > 1:
        made["pytorchReplicaSpecs"]["Worker"] = replica(wanted.workers - 1)
    return made
