"""Kubernetes' objects as nouns of the estate: workloads are runs, nodes are nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.node import Node as EstateNode
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.run import HOLDING, Placement, Request, Run, RunState, run_id
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.kai import gpus, quantity
from foundry_tui.schedulers.kai.objects import Node, Pod, Terminated
from foundry_tui.schedulers.kai.shares import Wish, wish
from foundry_tui.schedulers.kai.waits import labels, reason_words, reasons
from foundry_tui.schedulers.kai.workloads import Workload, holds

TOKEN = "foundry/submit-token"
USER_KEYS = ("foundry/user", "run.ai/user", "user")
NAME = "foundry/name"
HELD = "foundry/held"
DRAIN_REASON = "foundry/drain-reason"
DRAINED_BY = "foundry/drained-by"
"""Annotations of a node that was drained from here: why, and by whom."""

PREEMPTIBILITY = "kai.scheduler/preemptibility"
PRIORITY = "priorityClassName"

NON_PREEMPTIBLE_FROM = 100
"""A priority class of this value and above is not preemptible, unless a label says otherwise."""

DEFAULT_POOL = "default"
"""KAI's word for the nodes that no pool label names."""

LIVE_PHASES = ("Pending", "Running", "Unknown")
_EVICTED = ("TerminationByKaiScheduler", "Preempted", "PreemptionByScheduler")
_FOREVER = "0001-01-01T00:00:00Z"


def run_of(
    one: Workload,
    source: str,
    config: KubernetesConfig,
    wishes: Mapping[str, Wish],
    values: Mapping[str, int],
    now: datetime,
    *,
    placement: tuple[Placement, ...] = (),
    reserved: Mapping[str, bool] | None = None,
    position: int | None = None,
) -> Run:
    """A workload as a run.

    `wishes` are those of its pods by uid, `values` those of the priority classes; `reserved` is
    GPU group -> whether its reservation tells the device, `position` the place in the queue.
    """
    state = state_of(one)
    live = [p for p in one.pods if p.status.phase in LIVE_PHASES] or one.pods
    asked = [wishes[p.metadata.uid] for p in live]
    class_name = _class(one)
    value = values.get(class_name) if class_name else None
    why = reasons(one, reserved or {}) if state is RunState.PENDING else {}
    words = {**_words(one, config, class_name, value, asked), **why}
    if position is not None:
        words["queue_position"] = safe(str(position))
    return Run(
        id=run_id(source, one.uid),
        native_id=one.uid,
        source=source,
        scheduler="kai",
        name=safe(one.note(NAME) or one.name),
        state=state,
        user=next((u for key in USER_KEYS if (u := _told(one, key)) is not None), None),
        queue=_queue(one, config),
        qos=_safe(class_name),
        reason=reason_words(one, why, state, words),
        priority=value,
        request=_request(one, asked),
        placement=placement if state in HOLDING else (),
        submitted_at=time_of(one.meta.creation_timestamp),
        started_at=_started(one),
        ended_at=None if state in HOLDING or state is RunState.PENDING else _ended(one),
        exit_code=_exit_code(one, state),
        submit_token=_safe(one.note(TOKEN)),
        seen_as=_pod_names(live) if state in HOLDING else (),
        held=one.suspended and one.note(HELD) is not None and state is RunState.PENDING,
        native=words,
        read_at=now,
    )


def _pod_names(pods: Sequence[Pod]) -> tuple[str, ...]:
    """The names by which readings of GPUs know pods: the uid, or namespace and name."""
    found = [p.metadata for p in pods]
    return tuple(safe(n) for m in found for n in (m.uid, f"{m.namespace}/{m.name}"))


def state_of(one: Workload) -> RunState:
    """The state of a workload, from its pods and its object."""
    phases = {p.status.phase for p in one.pods}
    holding = [p for p in one.pods if holds(p)]
    if holding:
        ending = one.meta.deletion_timestamp or all(p.metadata.deletion_timestamp for p in holding)
        return RunState.COMPLETING if ending else RunState.RUNNING
    if one.suspended:
        return RunState.PENDING if one.note(HELD) is not None else RunState.SUSPENDED
    done = one.conditions
    if done.keys() & {"Complete", "Succeeded"} or (one.kind == "Pod" and phases == {"Succeeded"}):
        return RunState.COMPLETED
    if "Failed" in done or (one.owner is None and "Failed" in phases and "Pending" not in phases):
        return _failure(one)
    if one.owner is None and phases == {"Succeeded"}:
        return RunState.COMPLETED
    return RunState.UNKNOWN if phases == {"Unknown"} else RunState.PENDING


def _failure(one: Workload) -> RunState:
    for pod in one.pods:
        for told in pod.status.conditions or ():
            if (
                told.type == "DisruptionTarget"
                and told.status == "True"
                and told.reason in _EVICTED
            ):
                return RunState.PREEMPTED
        if pod.status.reason == "DeadlineExceeded":
            return RunState.TIMEOUT
        if pod.status.reason in ("NodeLost", "Shutdown", "Terminated"):
            return RunState.NODE_FAIL
        if any(ended.reason == "OOMKilled" for ended in ends_of(pod)):
            return RunState.OUT_OF_MEMORY
    return RunState.TIMEOUT if "DeadlineExceeded" in one.conditions.values() else RunState.FAILED


def ends_of(pod: Pod) -> list[Terminated]:
    """How its containers ended, as far as they did."""
    states = [c.state for c in pod.status.container_statuses or () if c.state is not None]
    return [s.terminated for s in states if s.terminated is not None]


def _exit_code(one: Workload, state: RunState) -> int | None:
    """The first code that is not 0, else 0; None while it goes on, or when none was told."""
    if state in HOLDING or state is RunState.PENDING:
        return None
    codes = [ended.exit_code for pod in one.pods for ended in ends_of(pod)]
    return next((c for c in codes if c), 0) if codes else None


def _request(one: Workload, wishes: Sequence[Wish]) -> Request:
    """What the workload asks for when it runs whole; pods not made yet are like the last one.

    Without any pod its templates tell.
    """
    known = [(w, 1) for w in wishes] or [(wish(t.pod), n) for t, n in one.templates]
    missing = one.wanted - sum(n for _, n in known)
    if missing > 0 and known:
        known.append((known[-1][0], missing))
    asks = [w for w, _ in known]
    return Request(
        gpu_count=sum(w.devices * n for w, n in known),
        gpu_milli=_total([(w.total_milli, n) for w, n in known if w.devices]),
        gpu_memory_bytes=next((w.memory_bytes for w in asks if w.memory_bytes), None),
        mig_profile=next((_safe(w.mig_profile) for w in asks if w.mig_profile), None),
        nodes=1,
        cpu_milli=_total([(w.cpu_milli, n) for w, n in known]),
        memory_bytes=_total([(w.memory, n) for w, n in known]),
    )


def _total(amounts: Sequence[tuple[int | None, int]]) -> int | None:
    """The sum of so many of each amount; None where one is not known."""
    total = 0
    for amount, times in amounts:
        if amount is None:
            return None
        total += amount * times
    return total


def _words(
    one: Workload,
    config: KubernetesConfig,
    class_name: str | None,
    value: int | None,
    wishes: Sequence[Wish],
) -> dict[str, SafeText]:
    said = _told(one, PREEMPTIBILITY)
    group = next((g.spec.preemptibility for g in one.groups if g.spec.preemptibility), said)
    free = None if value is None else str(value < NON_PREEMPTIBLE_FROM).lower()
    if group is not None:
        free = str(group == "preemptible").lower()
    members = [g.spec.min_member for g in one.groups if g.spec.min_member is not None]
    phases = sorted({p.status.phase for p in one.pods})
    wrong = next((w.wrong for w in wishes if w.wrong), None)
    pool = next((v for p in one.pods if (v := p.metadata.label(config.node_pool_label))), None)
    found = {
        "kind": one.kind,
        "namespace": one.namespace,
        "workload": one.name,
        "phase": ", ".join(phases) or ("Suspended" if one.suspended else None),
        "phase_message": next((p.status.message for p in one.pods if p.status.message), None),
        "preemptible": free,
        "priority_class": class_name,
        "node_pools": pool,
        "pods_wanted": str(one.wanted),
        "pods_running": str(sum(p.status.phase == "Running" for p in one.pods)),
        "min_member": str(max(members)) if members else None,
        "suspended": "true" if one.suspended else None,
        "amount": wrong,
        **labels(one, config),
    }
    return {k: safe(v, max_cells=600) for k, v in found.items() if v is not None}


def _class(one: Workload) -> str | None:
    """The priority class: the workload's label, else what KAI made of it, else the pod's own."""
    told = _told(one, PRIORITY)
    if told is None:
        told = next((c for g in one.groups if (c := g.spec.priority_class_name)), None)
    return told or next((c for p in one.pods if (c := p.spec.priority_class_name)), None)


def _queue(one: Workload, config: KubernetesConfig) -> SafeText | None:
    """The leaf queue: the label, else that of its PodGroup."""
    told = one.label(config.queue_label)
    if told is None:
        told = next((q for g in one.groups if (q := g.spec.queue)), None)
    return _safe(told)


def _told(one: Workload, key: str) -> str | None:
    """An annotation, else a label, made safe."""
    found = one.note(key)
    return _safe(found if found is not None else one.label(key))


def _started(one: Workload) -> datetime | None:
    starts = [t for p in one.pods if p.spec.node_name and (t := time_of(p.status.start_time))]
    return min(starts, default=None)


def _ended(one: Workload) -> datetime | None:
    ends = [t for p in one.pods for e in ends_of(p) if (t := time_of(e.finished_at))]
    return max(ends, default=None)


def node_of(
    node: Node, source: str, held_milli: int | None, host: tuple[int, int], pool: str, now: datetime
) -> EstateNode:
    """A node; `held_milli` is what its GPUs give away, `host` its requested CPU and memory."""
    allocatable = node.status.allocatable or {}
    ready = next((c for c in node.status.conditions or () if c.type == "Ready"), None)
    taints = [t.key for t in node.spec.taints or () if t.effect in ("NoSchedule", "NoExecute")]
    count = gpus.gpu_count(node)
    if ready is None or ready.status != "True":
        state = NodeState.DOWN
        reason = None if ready is None else (ready.message or ready.reason)
    elif node.spec.unschedulable:
        state = NodeState.DRAINING if held_milli != 0 else NodeState.DRAINED
        why, by = node.metadata.note(DRAIN_REASON), node.metadata.note(DRAINED_BY)
        reason = f"{why or 'cordoned'} [{by}]" if by else why or "cordoned"
    else:
        full = held_milli is not None and count > 0 and held_milli >= 1000 * count
        idle = held_milli == 0  # where it is not known, something is held: MIG, or a lost share
        state = NodeState.ALLOCATED if full else NodeState.IDLE if idle else NodeState.MIXED
        reason = f"taints: {', '.join(taints)}" if taints else None
    model = node.metadata.label(gpus.PRODUCT)
    return EstateNode(
        name=safe(node.metadata.name),
        source=source,
        state=state,
        gpu_model=_safe(model),
        gpu_count=count,
        gpu_milli_allocated=held_milli,
        cpu_milli=quantity.milli(allocatable.get("cpu")),
        cpu_milli_allocated=host[0],
        memory_bytes=quantity.whole(allocatable.get("memory")),
        memory_bytes_allocated=host[1],
        queues=(safe(pool),),
        reason=_safe(reason),
        read_at=now,
    )


def time_of(text: str | None) -> datetime | None:
    """A time of Kubernetes (RFC 3339, UTC); None for none and for what is no time."""
    if not text or text == _FOREVER:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None


def _safe(text: str | None) -> SafeText | None:
    return None if text is None else safe(text)
