"""Changes of waiting runs, of queues and of nodes.

KAI 0.12 schedules by the PodGroup: once it exists, its queue is never read again from the workload,
while its priority class is made anew from the workload's label at each turn. So both places are
changed, the workload first, because it also makes the PodGroups of pods to come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import ChangeNode, ChangeQueue, ChangeRun, Preview, PreviewItem
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai.manifest import PRIORITY
from foundry_tui.schedulers.kai.wire import (
    Api,
    Change,
    Gone,
    Refused,
    Request,
    Trouble,
    Wrong,
    at,
    patch,
    uid_of,
)

RUN_FIELDS = ("queue", "qos")
"""What can be changed of a waiting run: its queue, and its priority class."""

QUEUES = "/apis/scheduling.run.ai/v2/queues"
PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
GROUPS = "/apis/scheduling.run.ai/v2alpha2/namespaces/{}/podgroups"
NODES = "/api/v1/nodes"

UNLIMITED = "unlimited"
_NO_LIMIT = -1

QUEUE_FIELDS = {
    "quota": ("spec", "resources", "gpu", "quota"),
    "limit": ("spec", "resources", "gpu", "limit"),
    "over_quota_weight": ("spec", "resources", "gpu", "overQuotaWeight"),
    "priority": ("spec", "priority"),
}
"""Field of a queue -> where it stands. Quota and limit are GPUs, or the word `unlimited`."""

_ABSENT = {"quota": "0", "limit": "0", "over_quota_weight": "0", "priority": "100"}
"""What KAI takes where a queue does not say."""

REASON = "foundry/drain-reason"

DRAIN, RESUME = "drain", "resume"

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,3})?")
_WHOLE = re.compile(r"[0-9]{1,9}")


def check_fields(act: ChangeRun) -> None:
    """Raises ValueError for a field of a run that cannot be changed, naming those that can."""
    for name, _ in act.fields:
        if name not in RUN_FIELDS:
            raise ValueError(f"field {name!r} cannot be changed; one of {', '.join(RUN_FIELDS)}")


def run_requests(
    api: Api, config: KubernetesConfig, act: ChangeRun, path: str, found: Mapping[str, Any]
) -> tuple[Request, ...]:
    """The patches of the workload and of its PodGroups. Raises Wrong for what cannot be."""
    owner, group = [], []
    for name, value in act.fields:
        if name == "queue":
            check_queue(api, value)
            owner.append(Change(("metadata", "labels", config.queue_label), value))
            group.append(Change(("spec", "queue"), value, guarded=True))
            group.append(Change(("metadata", "labels", config.queue_label), value))
        else:
            check_priority(api, value)
            owner.append(Change(("metadata", "labels", PRIORITY), value))
            group.append(Change(("spec", "priorityClassName"), value, guarded=True))
    home = GROUPS.format(at(found, "metadata", "namespace"))
    groups = [g for g in api.get(home)["items"] if _owned(g, uid_of(found))]
    return (
        patch(path, found, *owner),
        *(patch(f"{home}/{at(g, 'metadata', 'name')}", g, *group) for g in groups),
    )


def _owned(thing: Mapping[str, Any], uid: str) -> bool:
    owners = at(thing, "metadata", "ownerReferences") or []
    return any(owner.get("uid") == uid for owner in owners)


def check_queue(api: Api, name: str) -> None:
    """Raises Wrong where KAI would leave a run of this queue waiting without end."""
    if not _NAME.fullmatch(name):
        raise Wrong(f"{name!r} is no name of a queue")
    try:
        found = api.get(f"{QUEUES}/{name}")
    except Gone:
        raise Wrong(f"there is no queue {name}") from None
    except Refused:
        return  # who may not read queues may still use one
    if children := at(found, "status", "childQueues"):
        below = ", ".join(sorted(map(str, children))[:5])
        raise Wrong(f"{name} has queues below it and takes no runs itself: one of {below}")


def check_priority(api: Api, name: str) -> None:
    """Raises Wrong for a priority class that is not there: KAI silently takes another one."""
    if not _NAME.fullmatch(name):
        raise Wrong(f"{name!r} is no name of a priority class")
    try:
        api.get(f"{PRIORITIES}/{name}")
    except Gone:
        raise Wrong(f"there is no priority class {name}") from None
    except Refused:
        return


def inverse_change(act: ChangeRun, items: tuple[PreviewItem, ...]) -> ChangeRun | None:
    """The act that gives every run its old values, where all had the same ones."""
    befores = {_before(act, item) for item in items if item.refusal is None}
    if len(befores) != 1 or None in befores:
        return None
    (fields,) = befores
    assert fields is not None
    return ChangeRun(source=act.source, runs=act.runs, fields=fields)


def _before(act: ChangeRun, item: PreviewItem) -> tuple[tuple[str, str], ...] | None:
    """The old values as the guards of the item's patches tell them."""
    requests = Request.of(item.command)
    steps = {"queue": "/spec/queue", "qos": "/spec/priorityClassName"}
    found = []
    for name, _ in act.fields:
        seen = {r.guard(steps[name]) for r in requests[1:]}
        if len(seen) != 1 or None in seen:
            return None
        found.append((name, str(seen.pop())))
    return tuple(found)


def change_queue(api: Api, act: ChangeQueue) -> Preview:
    """Quota, limit, weight or priority of one queue, tried without effect.

    Raises:
        ValueError: a field that cannot be changed.
    """
    for name, _ in act.fields:
        if name not in QUEUE_FIELDS:
            raise ValueError(f"field {name!r} cannot be changed; one of {', '.join(QUEUE_FIELDS)}")
    path = f"{QUEUES}/{act.queue}"
    try:
        values = [(name, _number(name, text)) for name, text in act.fields]
        if not _NAME.fullmatch(act.queue):
            raise Wrong(f"{act.queue!r} is no name of a queue")
        found = api.get(path)
        request = patch(path, found, *(Change(QUEUE_FIELDS[n], v, guarded=True) for n, v in values))
        item = _tried(api, act.queue, request, warning=_doubtful(found, dict(values)))
    except Gone:
        item = _refusal(act.queue, f"there is no queue {act.queue}")
    except Trouble as error:
        item = _refusal(act.queue, str(error))
    if item.refusal is not None:
        return Preview(act=act, items=(item,))
    old = tuple((name, _shown(name, at(found, *QUEUE_FIELDS[name]))) for name, _ in act.fields)
    return Preview(
        act=act,
        items=(item,),
        inverse=ChangeQueue(source=act.source, queue=act.queue, fields=old),
    )


def _number(name: str, text: str) -> int | float:
    if name in ("quota", "limit") and text == UNLIMITED:
        return _NO_LIMIT
    if name == "priority":
        if not _WHOLE.fullmatch(text):
            raise Wrong(f"priority: a whole number from 0, not {text!r}")
        return int(text)
    if not _NUMBER.fullmatch(text):
        what = (
            f"GPUs such as 4 or 2.5, or {UNLIMITED}" if name != "over_quota_weight" else "0 or more"
        )
        raise Wrong(f"{name}: {what}, not {text!r}")
    value = Decimal(text)
    return int(value) if value == int(value) else float(value)


def _shown(name: str, value: int | float | None) -> str:
    if value is None:
        return _ABSENT[name]
    if name in ("quota", "limit") and value < 0:
        return UNLIMITED
    return f"{value:g}" if isinstance(value, float) else str(value)


def _doubtful(queue: Mapping[str, Any], changed: Mapping[str, int | float]) -> str | None:
    quota, limit = (
        changed.get(name, at(queue, *QUEUE_FIELDS[name]) or 0) for name in ("quota", "limit")
    )
    if limit >= 0 and (quota < 0 or quota > limit):
        return f"its limit of {limit:g} GPUs is below its quota"
    return None


def change_node(api: Api, act: ChangeNode) -> Preview:
    """Drain or resume nodes: new pods are kept away or let in; those that run stay.

    Raises:
        ValueError: a state that is none of the two.
    """
    if act.state not in (DRAIN, RESUME):
        raise ValueError(f"state {act.state!r} cannot be set; one of {DRAIN}, {RESUME}")
    items = tuple(_node_item(api, act, name) for name in act.nodes)
    other = RESUME if act.state == DRAIN else DRAIN
    inverse = ChangeNode(source=act.source, nodes=act.nodes, state=other)
    return Preview(act=act, items=items, inverse=inverse)


def _node_item(api: Api, act: ChangeNode, name: str) -> PreviewItem:
    if not _NAME.fullmatch(name):
        return _refusal(name, f"{name!r} is no name of a node")
    path = f"{NODES}/{name}"
    drain = act.state == DRAIN
    try:
        found = api.get(path)
        before = bool(at(found, "spec", "unschedulable"))
        if before == drain:
            return _refusal(name, "it is drained already" if drain else "it is not drained")
        changes = [Change(("spec", "unschedulable"), drain or None)]
        if drain and act.reason:
            changes.append(Change(("metadata", "annotations", REASON), act.reason))
        elif not drain:
            changes.append(Change(("metadata", "annotations", REASON), None))
        warning = "no new pods start there; those that run stay until they end" if drain else None
        return _tried(api, name, patch(path, found, *changes), warning=warning)
    except Gone:
        return _refusal(name, f"there is no node {name}")
    except Trouble as error:
        return _refusal(name, str(error))


def _tried(api: Api, target: str, request: Request, *, warning: str | None) -> PreviewItem:
    try:
        api.rehearse(request)
    except Refused as error:
        if error.untried is None:
            raise
        warning = error.untried
    return PreviewItem(
        target=target, command=request.words, warning=safe(warning) if warning else None
    )


def _refusal(target: str, text: str) -> PreviewItem:
    return PreviewItem(target=target, command=(), refusal=safe(text, max_cells=400))
