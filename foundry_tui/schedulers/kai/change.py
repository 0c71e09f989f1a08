"""Changes of waiting runs: their queue, their priority class, the nodes that they are bound to.

KAI 0.12 schedules by the PodGroup: once it exists, its queue is never read again from the workload,
while its priority class is made anew from the workload's label at each turn. So both places are
changed, the workload first, because it also makes the PodGroups of pods to come.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import ChangeRun
from foundry_tui.schedulers.kai import templates
from foundry_tui.schedulers.kai.manifest import PRIORITY
from foundry_tui.schedulers.kai.nodes import NODES
from foundry_tui.schedulers.kai.quota import QUEUES
from foundry_tui.schedulers.kai.wire import (
    Api,
    Change,
    Gone,
    Refused,
    Request,
    Wrong,
    at,
    patch,
    uid_of,
)

RUN_FIELDS = ("queue", "qos", "nodelist")
"""What can be changed of a waiting run: queue, priority class, nodes (of a suspended one alone)."""

PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
GROUPS = "/apis/scheduling.run.ai/v2alpha2/namespaces/{}/podgroups"

MOST_NODES = 64

PODS_MADE = "its pods are made already and keep their nodes: {} it, change it, then {} it"
FORGETS_START = (
    "it had been started: its start time is taken away first, which a Job needs before its nodes "
    "can change; what comes after that cannot be tried"
)

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """The patches of one run. `old` are the values that they replace, None if they are not known.

    The first `tried` of them can be rehearsed: what follows needs the effect of those before.
    """

    requests: tuple[Request, ...]
    old: Fields | None
    tried: int
    warning: str | None = None


def check_fields(act: ChangeRun) -> None:
    """Raises ValueError for a field of a run that cannot be changed, naming those that can."""
    for name, _ in act.fields:
        if name not in RUN_FIELDS:
            raise ValueError(f"field {name!r} cannot be changed; one of {', '.join(RUN_FIELDS)}")


def run_changes(
    api: Api,
    config: KubernetesConfig,
    act: ChangeRun,
    kind: str,
    path: str,
    found: Mapping[str, Any],
    *,
    stopped: bool,
) -> Changed:
    """The patches of a workload and of its PodGroups. Raises Wrong for what cannot be.

    `stopped` is whether it is suspended, so that its pods are yet to be made.
    """
    fields = dict(act.fields)
    home = GROUPS.format(at(found, "metadata", "namespace"))
    groups = [g for g in api.get(home)["items"] if _owned(g, uid_of(found))]
    owner: list[Change] = []
    grouped: list[Change] = []
    old: list[tuple[str, str | None]] = []
    if (queue := fields.get("queue")) is not None:
        check_queue(api, queue)
        owner.append(Change(("metadata", "labels", config.queue_label), queue))
        grouped.append(Change(("spec", "queue"), queue, guarded=True))
        grouped.append(Change(("metadata", "labels", config.queue_label), queue))
        old.append(("queue", _old(found, config.queue_label, groups, "queue")))
    if (qos := fields.get("qos")) is not None:
        if qos:
            check_priority(api, qos)
        # Without a class of its own a run has the one that KAI gives to its kind.
        owner.append(Change(("metadata", "labels", PRIORITY), qos or None))
        grouped.append(Change(("spec", "priorityClassName"), qos or None, guarded=True))
        old.append(("qos", _old(found, PRIORITY, groups, "priorityClassName", none="")))
    first: tuple[Request, ...] = ()
    tried = 1 + len(groups)
    if "nodelist" in fields:
        owner += _pins(api, kind, found, fields["nodelist"], stopped=stopped)
        old.append(("nodelist", _pinned(kind, found)))
        if kind == "Job" and at(found, "status", "startTime") is not None:
            first = (patch(f"{path}/status", found, *_NEVER_STARTED),)
            tried = 1
    requests = (
        *first,
        patch(path, found, *owner),
        *(patch(f"{home}/{at(g, 'metadata', 'name')}", g, *grouped) for g in groups if grouped),
    )
    known = tuple((name, value) for name, value in old if value is not None)
    return Changed(
        requests,
        known if len(known) == len(old) else None,
        tried,
        FORGETS_START if first else None,
    )


_NEVER_STARTED = (
    Change(("spec", "suspend"), True, guarded=True),
    Change(("status", "startTime"), None),
)
"""The server takes a start time away from a suspended Job alone. Changing `suspend` through the
status does nothing: it stands here for its guard."""


def _old(
    found: Mapping[str, Any],
    label: str,
    groups: list[Mapping[str, Any]],
    field: str,
    *,
    none: str | None = None,
) -> str | None:
    """The value that a run has: what KAI goes by, else the workload's label, else `none`.

    None where its PodGroups differ.
    """
    seen = {at(g, "spec", field) for g in groups} or {at(found, "metadata", "labels", label)}
    if len(seen) != 1:
        return None
    value = seen.pop()
    return none if value is None else str(value)


def _pinned(kind: str, found: Mapping[str, Any]) -> str | None:
    """The nodes that all templates name, as a list with commas; None where they differ."""
    seen = {templates.pinned(at(found, *steps)) for steps in templates.paths(kind, found)}
    return ",".join(seen.pop()) if len(seen) == 1 else None


def _pins(
    api: Api, kind: str, found: Mapping[str, Any], value: str, *, stopped: bool
) -> list[Change]:
    """The changes that bind the pods of a workload to nodes, or set them free."""
    if kind == "Pod":
        raise Wrong("a bare Pod keeps the nodes that it was made for: cancel it and submit it anew")
    paths = templates.paths(kind, found)
    if not stopped:
        raise Wrong(PODS_MADE.format("hold", "release"))
    nodes = check_nodes(api, value)
    changes = []
    for steps in paths:
        new = copy.deepcopy(at(found, *steps))
        templates.pin(new, nodes)
        for part in ("nodeSelector", "affinity"):
            before, after = at(found, *steps, "spec", part), at(new, "spec", part)
            if before != after:
                changes.append(Change((*steps, "spec", part), after, guarded=True))
    if not changes:
        raise Wrong(f"it is bound to {value} already" if value else "it is bound to no node")
    return changes


def check_nodes(api: Api, value: str) -> tuple[str, ...]:
    """The nodes of a list with commas. Raises Wrong for one that is not there."""
    nodes = tuple(dict.fromkeys(name for name in value.split(",") if name))
    if len(nodes) > MOST_NODES:
        raise Wrong(f"nodelist: at most {MOST_NODES} nodes, not {len(nodes)}")
    for name in nodes:
        if not _NAME.fullmatch(name):
            raise Wrong(f"nodelist: {name!r} is no name of a node")
        try:
            found = api.get(f"{NODES}/{name}")
        except Gone:
            raise Wrong(f"nodelist: there is no node {name}") from None
        except Refused:
            continue  # who may not read nodes may still name one
        if at(found, "metadata", "labels", templates.HOSTNAME) != name:
            raise Wrong(f"nodelist: node {name} has another {templates.HOSTNAME} than its name")
    return nodes


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


def inverse_change(act: ChangeRun, old: Mapping[str, Fields | None]) -> ChangeRun | None:
    """The act that gives every run its old values, where all had the same ones.

    `old` is run -> its values, of those that are changed; None where they are not known.
    """
    values = set(old.values())
    fields = values.pop() if len(values) == 1 else None
    if fields is None:
        return None
    return ChangeRun(source=act.source, runs=tuple(old), fields=fields)
