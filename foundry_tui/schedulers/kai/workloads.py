"""Pods put together to workloads: what a user submitted and can cancel as one.

The workload of a pod is the object that controls it (Job, PyTorchJob, ...); of a Deployment's pod
it is the Deployment, which its PodGroup names; a bare pod is its own. A CronJob is never one: its
Jobs are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.schedulers.kai.objects import (
    BindRequest,
    Job,
    Meta,
    Pod,
    PodGroup,
    PyTorchJob,
    Template,
)

GROUP_NOTE = "pod-group-name"


@dataclass(slots=True)
class Workload:
    """One workload with its pods; `owner` is its object where that was read."""

    uid: str
    kind: str
    namespace: str
    name: str
    pods: list[Pod] = field(default_factory=list)
    owner: Job | PyTorchJob | None = None
    groups: list[PodGroup] = field(default_factory=list)
    binds: list[BindRequest] = field(default_factory=list)

    @property
    def meta(self) -> Meta:
        """The metadata of its object, else of its first pod."""
        return self.owner.metadata if self.owner is not None else self.pods[0].metadata

    def label(self, name: str) -> str | None:
        """A label of the workload, else of a pod."""
        found = self.meta.label(name)
        return self.pods[0].metadata.label(name) if found is None and self.pods else found

    def note(self, name: str) -> str | None:
        """An annotation of the workload, else of a pod."""
        found = self.meta.note(name)
        return self.pods[0].metadata.note(name) if found is None and self.pods else found

    @property
    def suspended(self) -> bool:
        """Whether its object is suspended."""
        if isinstance(self.owner, Job):
            return self.owner.spec.suspend
        policy = self.owner.spec.run_policy if self.owner is not None else None
        return bool(policy is not None and policy.suspend)

    @property
    def templates(self) -> list[tuple[Template, int]]:
        """What its pods are made from, with how many of each it has when it runs whole."""
        if isinstance(self.owner, Job):
            spec = self.owner.spec
            most = 1 if spec.parallelism is None else spec.parallelism
            least = most if spec.completions is None else min(most, spec.completions)
            return [(spec.template, max(1, least))]
        if isinstance(self.owner, PyTorchJob):
            replicas = (self.owner.spec.pytorch_replica_specs or {}).values()
            return [(r.template, 1 if r.replicas is None else max(0, r.replicas)) for r in replicas]
        return []

    @property
    def wanted(self) -> int:
        """How many pods it has when it runs whole."""
        return max(1, sum(n for _, n in self.templates) if self.owner else len(self.pods))

    @property
    def conditions(self) -> dict[str, str]:
        """The conditions of its object that are true, with their messages."""
        found = (self.owner.status.conditions if self.owner is not None else None) or ()
        return {c.type: c.message or "" for c in found if c.status == "True"}


def workloads(
    pods: Iterable[Pod],
    owners: Iterable[Job | PyTorchJob],
    groups: Iterable[PodGroup],
    binds: Iterable[BindRequest],
    config: KubernetesConfig,
) -> tuple[Workload, ...]:
    """The workloads of KAI among these objects; those of other schedulers are left out."""
    by_uid = {owner.metadata.uid: owner for owner in owners}
    named = {(g.metadata.namespace, g.metadata.name): g for g in groups}
    bound = {(b.metadata.namespace, b.spec.pod_name): b for b in binds}
    found: dict[str, Workload] = {}
    for pod in pods:
        if not ours(pod, config):
            continue
        meta = pod.metadata
        group = named.get((meta.namespace, meta.note(GROUP_NOTE) or ""))
        uid, kind, name = _identity(pod, group)
        one = found.get(uid)
        if one is None:
            one = found[uid] = Workload(uid, kind, meta.namespace, name, owner=by_uid.get(uid))
        one.pods.append(pod)
        if group is not None and group not in one.groups:
            one.groups.append(group)
        if (bind := bound.get((meta.namespace, meta.name))) is not None:
            one.binds.append(bind)
    for uid, owner in by_uid.items():
        if uid not in found and _owner_is_ours(owner, config):
            kind = "Job" if isinstance(owner, Job) else "PyTorchJob"
            meta = owner.metadata
            found[uid] = Workload(uid, kind, meta.namespace, meta.name, owner=owner)
    return tuple(found.values())


def holds(pod: Pod) -> bool:
    """Whether a pod has its node and has not ended; a node that is lost may still work."""
    return bool(pod.spec.node_name) and pod.status.phase in ("Pending", "Running", "Unknown")


def ours(pod: Pod, config: KubernetesConfig) -> bool:
    """Whether a pod is a run: KAI's, or one that should be and lacks the scheduler's name."""
    meta, spec = pod.metadata, pod.spec
    if meta.namespace == config.reservation_namespace:
        return False
    return spec.scheduler_name == config.scheduler_name or (
        meta.label(config.queue_label) is not None and not spec.node_name
    )


def _identity(pod: Pod, group: PodGroup | None) -> tuple[str, str, str]:
    """Uid, kind and name of the workload of a pod."""
    owner = pod.metadata.owner
    if owner is not None and owner.kind == "ReplicaSet" and group is not None:
        owner = group.metadata.owner or owner
    if owner is None or not owner.uid:
        return pod.metadata.uid, "Pod", pod.metadata.name
    return owner.uid, owner.kind, owner.name


def _owner_is_ours(owner: Job | PyTorchJob, config: KubernetesConfig) -> bool:
    """Whether a workload without pods is KAI's."""
    if owner.metadata.label(config.queue_label) is not None:
        return True
    specs = [t.spec for t, _ in Workload("", "", "", "", owner=owner).templates]
    return any(spec.scheduler_name == config.scheduler_name for spec in specs)
