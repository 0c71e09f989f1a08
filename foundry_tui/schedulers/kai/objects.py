"""The fields of Kubernetes' and KAI's objects that are read here; everything else is skipped.

Text is still raw: it is made safe where nouns are made of it.
"""

from __future__ import annotations

import msgspec

GPU = "nvidia.com/gpu"
MIG = "nvidia.com/mig-"
Amounts = dict[str, str | int | float]


class Object(msgspec.Struct, rename="camel", gc=False):
    """A part of an object; unknown fields are skipped."""


class Owner(Object):
    kind: str
    name: str
    uid: str
    controller: bool = False


class Meta(Object):
    name: str
    uid: str = ""
    namespace: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    owner_references: list[Owner] | None = None

    def label(self, name: str) -> str | None:
        return (self.labels or {}).get(name)

    def note(self, name: str) -> str | None:
        """An annotation."""
        return (self.annotations or {}).get(name)

    @property
    def owner(self) -> Owner | None:
        """The owner that controls it, else the first one."""
        owners = self.owner_references
        if not owners:
            return None
        return next((o for o in owners if o.controller), owners[0])


class Condition(Object):
    type: str
    status: str = ""
    reason: str | None = None
    message: str | None = None


class Resources(Object):
    requests: Amounts | None = None
    limits: Amounts | None = None


class Container(Object):
    resources: Resources | None = None


class PodSpec(Object):
    node_name: str | None = None
    scheduler_name: str | None = None
    priority_class_name: str | None = None
    containers: list[Container] = []


class Terminated(Object):
    exit_code: int = 0
    reason: str | None = None
    started_at: str | None = None
    finished_at: str | None = None


class Waiting(Object):
    reason: str | None = None
    message: str | None = None


class ContainerState(Object):
    terminated: Terminated | None = None
    waiting: Waiting | None = None


class ContainerStatus(Object):
    state: ContainerState | None = None


class PodStatus(Object):
    phase: str = "Unknown"
    reason: str | None = None
    message: str | None = None
    start_time: str | None = None
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None


class Pod(Object):
    metadata: Meta
    spec: PodSpec
    status: PodStatus = msgspec.field(default_factory=PodStatus)

    @property
    def asks_gpus(self) -> bool:
        """Whether a container asks for GPUs or MIG instances by limit."""
        return any(
            name == GPU or name.startswith(MIG)
            for container in self.spec.containers
            for name in (container.resources and container.resources.limits) or ()
        )


class Taint(Object):
    key: str
    effect: str = ""


class NodeSpec(Object):
    unschedulable: bool = False
    taints: list[Taint] | None = None


class NodeStatus(Object):
    allocatable: Amounts | None = None
    capacity: Amounts | None = None
    conditions: list[Condition] | None = None


class Node(Object):
    metadata: Meta
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


class QueueResource(Object):
    quota: float | None = None
    limit: float | None = None
    over_quota_weight: float | None = None


class QueueResources(Object):
    gpu: QueueResource | None = None


class QueueSpec(Object):
    parent_queue: str | None = None
    priority: int | None = None
    resources: QueueResources | None = None


class KaiQueue(Object):
    metadata: Meta
    spec: QueueSpec = msgspec.field(default_factory=QueueSpec)


class QueueDetails(Object):
    name: str = ""
    queue_requested_resources: Amounts | None = None
    queue_deserved_resources: Amounts | None = None
    queue_allocated_resources: Amounts | None = None
    queue_resource_limits: Amounts | None = None


class ReasonDetails(Object):
    queue_details: QueueDetails | None = None


class Reason(Object):
    reason: str = ""
    message: str | None = None
    details: ReasonDetails | None = None


class GroupCondition(Object):
    node_pool: str | None = None
    reason: str | None = None
    message: str | None = None
    reasons: list[Reason] | None = None


class GroupSpec(Object):
    queue: str | None = None
    min_member: int | None = None
    priority_class_name: str | None = None
    preemptibility: str | None = None


class GroupStatus(Object):
    scheduling_conditions: list[GroupCondition] | None = None


class PodGroup(Object):
    metadata: Meta
    spec: GroupSpec = msgspec.field(default_factory=GroupSpec)
    status: GroupStatus = msgspec.field(default_factory=GroupStatus)


class BindSpec(Object):
    pod_name: str = ""
    selected_node: str | None = None
    selected_gpu_groups: list[str] | None = msgspec.field(default=None, name="selectedGPUGroups")


class BindStatus(Object):
    phase: str | None = None
    reason: str | None = None
    failed_attempts: int | None = None


class BindRequest(Object):
    metadata: Meta
    spec: BindSpec = msgspec.field(default_factory=BindSpec)
    status: BindStatus = msgspec.field(default_factory=BindStatus)


class TemplateMeta(Object):
    annotations: dict[str, str] | None = None


class Template(Object):
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    metadata: TemplateMeta = msgspec.field(default_factory=TemplateMeta)

    @property
    def pod(self) -> Pod:
        """A pod as it is made from this."""
        return Pod(metadata=Meta(name="", annotations=self.metadata.annotations), spec=self.spec)


class JobSpec(Object):
    parallelism: int | None = None
    completions: int | None = None
    suspend: bool = False
    template: Template = msgspec.field(default_factory=Template)


class JobStatus(Object):
    conditions: list[Condition] | None = None


class Job(Object):
    metadata: Meta
    spec: JobSpec = msgspec.field(default_factory=JobSpec)
    status: JobStatus = msgspec.field(default_factory=JobStatus)


class Replica(Object):
    replicas: int | None = None
    template: Template = msgspec.field(default_factory=Template)


class RunPolicy(Object):
    suspend: bool | None = None


class TrainingSpec(Object):
    pytorch_replica_specs: dict[str, Replica] | None = None
    run_policy: RunPolicy | None = None


class PyTorchJob(Object):
    metadata: Meta
    spec: TrainingSpec = msgspec.field(default_factory=TrainingSpec)
    status: JobStatus = msgspec.field(default_factory=JobStatus)


class PriorityClass(Object):
    metadata: Meta
    value: int = 0


class ListMeta(msgspec.Struct, gc=False):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    more: str | None = msgspec.field(default=None, name="continue")


class Page(msgspec.Struct, gc=False):
    """One page of a list, its items still raw: one that cannot be read must not hide the rest."""

    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[msgspec.Raw] | None = None


class Event(msgspec.Struct, gc=False):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class ErrorStatus(msgspec.Struct, gc=False):
    """The object of an ERROR event."""

    code: int = 0
    message: str = ""
