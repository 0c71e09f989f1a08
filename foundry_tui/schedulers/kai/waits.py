"""Why a workload waits, in the words of KAI's own objects: the keys that `explain` reads.

A PodGroup tells it (schedulingConditions), a BindRequest that fails, and the pod's own condition.
"""

from __future__ import annotations

from collections.abc import Mapping

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.kai import quantity
from foundry_tui.schedulers.kai.objects import GPU, Amounts, QueueDetails
from foundry_tui.schedulers.kai.workloads import Workload

MESSAGE_CELLS = 600

_AMOUNTS = (
    ("unscheduled_requested", "queue_requested_resources"),
    ("unscheduled_deserved", "queue_deserved_resources"),
    ("unscheduled_allocated", "queue_allocated_resources"),
    ("unscheduled_limit", "queue_resource_limits"),
)


def reasons(one: Workload, reserved: Mapping[str, bool]) -> dict[str, SafeText]:
    """The native keys about waiting that can be told of a workload that waits.

    `reserved` is GPU group -> whether its reservation pod tells the device.
    """
    words: dict[str, str] = {}
    for group in one.groups:
        for condition in group.status.scheduling_conditions or ():
            words.setdefault("unscheduled_pool", condition.node_pool or "")
            for told in condition.reasons or ():
                words.setdefault("unscheduled_reason", told.reason)
                words.setdefault("unscheduled_message", told.message or "")
                if told.details is not None and told.details.queue_details is not None:
                    _quota(told.details.queue_details, words)
            words.setdefault("unscheduled_reason", condition.reason or "")
            words.setdefault("unscheduled_message", condition.message or "")
    for pod in one.pods:
        for state in pod.status.conditions or ():
            if state.type == "PodScheduled" and state.status == "False" and state.message:
                words.setdefault("unscheduled_message", state.message)
                words.setdefault("node_fit", _fit(state.message))
    if "unscheduled_message" in words:
        words.setdefault("node_fit", _fit(words["unscheduled_message"]))
    for bind in one.binds:
        if bind.status.phase != "Succeeded":
            words["bind_phase"] = bind.status.phase or "Pending"
            words["bind_failures"] = str(bind.status.failed_attempts or 0)
            words["bind_reason"] = bind.status.reason or ""
            for shared in bind.spec.selected_gpu_groups or ():
                ready = reserved.get(shared)
                word = "missing" if ready is None else "ready" if ready else "waiting"
                words["reservation"] = word
    return {k: safe(v.strip(), max_cells=MESSAGE_CELLS) for k, v in words.items() if v.strip()}


def reason_words(
    one: Workload, why: Mapping[str, str], state: RunState, words: Mapping[str, str]
) -> SafeText | None:
    """The one native word for why a workload waits, or for what its container waits."""
    if state is RunState.RUNNING:
        return _container_waits(one)
    if state is not RunState.PENDING:
        return None
    if "amount" in words:
        return safe("AbsurdRequest")
    return safe(why["unscheduled_reason"]) if "unscheduled_reason" in why else None


def _container_waits(one: Workload) -> SafeText | None:
    """`ImagePullBackOff` and the like: the pod has its GPUs and does not work."""
    for pod in one.pods:
        for container in pod.status.container_statuses or ():
            waiting = container.state.waiting if container.state is not None else None
            if waiting is not None and waiting.reason:
                return safe(waiting.reason)
    return None


def labels(one: Workload, config: KubernetesConfig) -> dict[str, str | None]:
    """What decides whether KAI looks at the workload at all."""
    specs = [p.spec for p in one.pods] or [t.spec for t, _ in one.templates]
    return {
        "scheduler_name": next((s.scheduler_name for s in specs), None),
        "queue_label": one.label(config.queue_label),
    }


def _quota(details: QueueDetails, words: dict[str, str]) -> None:
    words.setdefault("unscheduled_queue", details.name)
    for key, name in _AMOUNTS:
        amounts: Amounts = getattr(details, name) or {}
        milli = quantity.milli(amounts.get(GPU))
        # A limit of 0 stands for none (seen on 0.12 and 0.17).
        if milli is not None and not (key == "unscheduled_limit" and milli == 0):
            words.setdefault(key, str(milli))


def _fit(message: str) -> str:
    """The part of a message that speaks of nodes."""
    at = message.find("no nodes with enough resources")
    return message[at:] if at >= 0 else ""
