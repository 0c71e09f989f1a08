"""Objects cut down to what nouns are made of, before they are kept.

A real pod has dozens of labels, notes and conditions. 20,000 of them as read hold 85 MiB more than
the program itself; what most of them have in common is kept once.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import intern

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.schedulers.kai import gpus, nouns, shares, workloads
from foundry_tui.schedulers.kai.objects import (
    Amounts,
    Condition,
    Container,
    ContainerStatus,
    Job,
    Meta,
    Node,
    Pod,
    PodGroup,
    PodSpec,
    PyTorchJob,
)

_NAMES = (
    *(nouns.TOKEN, *nouns.USER_KEYS, nouns.NAME, nouns.HELD),
    *(nouns.DRAIN_REASON, nouns.DRAINED_BY),
    *(nouns.PREEMPTIBILITY, nouns.PRIORITY, workloads.GROUP_NOTE),
    *(shares.FRACTION, shares.MEMORY, shares.DEVICES, shares.GROUP, shares.INDEX),
    *(gpus.COUNT, gpus.PRODUCT, gpus.MEMORY),
)
_GROUPS = f"{shares.GROUP}/"
_TOLD = ("PodScheduled", "DisruptionTarget")

MOST_SHARED = 4096
"""So many different amounts are kept once; a cluster with more of them has none in common."""


class Slim:
    """Cuts the objects of one collection, in place."""

    def __init__(self, config: KubernetesConfig) -> None:
        self._names = {*_NAMES, config.queue_label, config.node_pool_label}
        self._amounts: dict[tuple[tuple[str, str | int | float], ...], Amounts] = {}
        self._cuts: dict[type[object], Callable[..., None]] = {
            Pod: self._pod,
            Node: self._node,
            Job: self._job,
            PyTorchJob: self._training,
            PodGroup: self._group,
        }

    def cut(self, thing: object) -> None:
        """Take away what nobody reads, and share what many have."""
        cut = self._cuts.get(type(thing))
        if cut is not None:
            cut(thing)

    def _pod(self, pod: Pod) -> None:
        self._meta(pod.metadata)
        self._spec(pod.spec)
        status = pod.status
        status.phase = intern(status.phase)
        if status.conditions:
            status.conditions = [c for c in status.conditions if _matters(c)] or None
        if status.container_statuses:
            status.container_statuses = [s for s in status.container_statuses if _says(s)] or None

    def _node(self, node: Node) -> None:
        self._meta(node.metadata)
        status = node.status
        status.conditions = [c for c in status.conditions or () if c.type == "Ready"] or None
        status.allocatable = self._shared(status.allocatable)
        status.capacity = self._shared(status.capacity)

    def _job(self, job: Job) -> None:
        self._meta(job.metadata)
        self._spec(job.spec.template.spec)

    def _training(self, training: PyTorchJob) -> None:
        self._meta(training.metadata)
        for replica in (training.spec.pytorch_replica_specs or {}).values():
            self._spec(replica.template.spec)

    def _group(self, group: PodGroup) -> None:
        self._meta(group.metadata)

    def _meta(self, meta: Meta) -> None:
        meta.namespace = intern(meta.namespace)
        meta.labels = self._kept(meta.labels)
        meta.annotations = self._kept(meta.annotations)

    def _kept(self, told: dict[str, str] | None) -> dict[str, str] | None:
        if not told:
            return None
        names = self._names
        for name in [k for k in told if k not in names and not k.startswith(_GROUPS)]:
            del told[name]
        return told or None

    def _spec(self, spec: PodSpec) -> None:
        if spec.node_name is not None:
            spec.node_name = intern(spec.node_name)
        if spec.scheduler_name is not None:
            spec.scheduler_name = intern(spec.scheduler_name)
        for container in spec.containers:
            self._container(container)

    def _container(self, container: Container) -> None:
        asked = container.resources
        if asked is not None:
            asked.limits, asked.requests = self._shared(asked.limits), self._shared(asked.requests)

    def _shared(self, amounts: Amounts | None) -> Amounts | None:
        """The same amounts as one object."""
        if not amounts:
            return None
        key = tuple(amounts.items())
        found = self._amounts.get(key)
        if found is None:
            if len(self._amounts) >= MOST_SHARED:
                return amounts
            found = self._amounts[key] = amounts
        return found


def _matters(condition: Condition) -> bool:
    """Whether a condition of a pod is one that is looked at."""
    return condition.type in _TOLD and (condition.status == "False") == (
        condition.type == "PodScheduled"
    )


def _says(status: ContainerStatus) -> bool:
    """Whether a container waits or has ended."""
    state = status.state
    return state is not None and (state.terminated is not None or state.waiting is not None)
