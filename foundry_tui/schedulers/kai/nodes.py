"""Changes of nodes: kept from new pods, let in again, given to another node pool.

A pool is a label of the node. KAI runs one scheduler per pool, which sees only the nodes of its
pool; those without the label are the pool `default`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import Act, ChangeNode, MoveNode, Preview, PreviewItem
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai.nouns import DEFAULT_POOL, DRAIN_REASON, DRAINED_BY
from foundry_tui.schedulers.kai.wire import (
    Api,
    Change,
    Gone,
    Refused,
    Request,
    Trouble,
    at,
    patch,
)

NODES = "/api/v1/nodes"
DRAIN, RESUME = "drain", "resume"

DRAINS = "no new pods start there; those that run stay until they end"
STAYS = (
    "pods that run there stay until they end; those that wait in either pool are queued anew over "
    "the nodes that their pool has then"
)

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def change_node(api: Api, act: ChangeNode) -> Preview:
    """Drain or resume nodes: new pods are kept away or let in; those that run stay.

    The inverse names the nodes that the act changes, and drains with the reason that they had.

    Raises:
        ValueError: a state that is none of the two.
    """
    if act.state not in (DRAIN, RESUME):
        raise ValueError(f"state {act.state!r} cannot be set; one of {DRAIN}, {RESUME}")
    found = [_drained(api, act, name) for name in act.nodes]
    items = tuple(item for item, _ in found)
    changed = tuple(item.target for item in items if item.refusal is None)
    if not changed:
        return Preview(act=act, items=items)
    if act.state == DRAIN:
        back = ChangeNode(source=act.source, nodes=changed, state=RESUME)
        return Preview(act=act, items=items, inverse=back)
    reasons = {reason for item, reason in found if item.refusal is None}
    if len(reasons) != 1:  # one act gives one reason
        return Preview(act=act, items=items)
    back = ChangeNode(source=act.source, nodes=changed, state=DRAIN, reason=reasons.pop())
    return Preview(act=act, items=items, inverse=back)


NO_REASON = "cordoned"
"""The reason of a node that was drained without one."""


def _drained(api: Api, act: ChangeNode, name: str) -> tuple[PreviewItem, str]:
    """The item of one node, and the reason for which it was drained before."""
    if not _NAME.fullmatch(name):
        return _refusal(name, f"{name!r} is no name of a node"), NO_REASON
    drain = act.state == DRAIN
    try:
        found = api.get(f"{NODES}/{name}")
        notes = at(found, "metadata", "annotations") or {}
        reason, owner = notes.get(DRAIN_REASON), notes.get(DRAINED_BY)
        if bool(at(found, "spec", "unschedulable")) == drain:
            told = f": {reason}" if reason else ""
            already = f"it is drained already{told}" + (f" [{owner}]" if owner else "")
            return _refusal(name, already if drain else "it is not drained"), NO_REASON
        changes = [
            Change(("spec", "unschedulable"), drain or None, guarded=True),
            Change(("metadata", "annotations", DRAIN_REASON), act.reason if drain else None),
            Change(("metadata", "annotations", DRAINED_BY), user_name() if drain else None),
        ]
        warning = DRAINS if drain else _somebody_elses(reason, owner)
        item = _tried(api, name, _before(found), patch(f"{NODES}/{name}", found, *changes), warning)
    except Gone:
        return _refusal(name, f"there is no node {name}"), NO_REASON
    except Trouble as error:
        return _refusal(name, str(error)), NO_REASON
    return item, reason or NO_REASON


def _somebody_elses(reason: str | None, owner: str | None) -> str | None:
    """What to know before a node is let in that another one has drained."""
    if owner == user_name():
        return None
    if owner is None:
        return f"it was not drained from here ({reason or 'no reason is given'}): ask who did"
    return f"{owner} drained it: {reason or 'no reason is given'}"


def _before(node: Mapping[str, Any]) -> str:
    return "drained" if at(node, "spec", "unschedulable") else "open"


def move_node(api: Api, config: KubernetesConfig, act: MoveNode) -> Preview:
    """Give nodes to another node pool by their label. `default` and None take the label away.

    The inverse gives back the pool that all of them had; of nodes out of several pools there is
    none, because one act names one pool.
    """
    pool = None if act.pool == DEFAULT_POOL else act.pool
    if pool is not None and not _LABEL.fullmatch(pool):
        items = tuple(_refusal(n, f"pool: a value of a label, not {pool!r}") for n in act.nodes)
        return Preview(act=act, items=items)
    empty = _empty(api, config, pool)
    found = [_moved(api, config, pool, name, empty) for name in act.nodes]
    items = tuple(item for item, _ in found)
    changed = tuple(item.target for item in items if item.refusal is None)
    pools = {old for item, old in found if item.refusal is None}
    inverse: Act | None = None
    if len(pools) == 1:
        inverse = MoveNode(source=act.source, nodes=changed, pool=pools.pop())
    return Preview(act=act, items=items, inverse=inverse)


def _empty(api: Api, config: KubernetesConfig, pool: str | None) -> str | None:
    """The warning that no node is in a pool yet; None where some are, or that is not told."""
    label = config.node_pool_label
    selector = f"!{label}" if pool is None else f"{label}={pool}"
    try:
        if api.get(NODES, labelSelector=selector, limit="1").get("items"):
            return None
    except Trouble:
        return None
    name = DEFAULT_POOL if pool is None else pool
    return f"no node is in pool {name} yet: its GPUs stand idle unless a scheduler serves it"


def _moved(
    api: Api, config: KubernetesConfig, pool: str | None, name: str, empty: str | None
) -> tuple[PreviewItem, str | None]:
    """The item of one node, and the pool that it is in."""
    if not _NAME.fullmatch(name):
        return _refusal(name, f"{name!r} is no name of a node"), None
    old: str | None = None
    try:
        found = api.get(f"{NODES}/{name}")
        steps = ("metadata", "labels", config.node_pool_label)
        old = at(found, *steps)
        if old == pool:
            return _refusal(name, f"it is in pool {pool or DEFAULT_POOL} already"), old
        request = patch(f"{NODES}/{name}", found, Change(steps, pool, guarded=True))
        warning = "; ".join(w for w in (STAYS, empty) if w)
        return _tried(api, name, f"pool {old or DEFAULT_POOL}", request, warning), old
    except Gone:
        return _refusal(name, f"there is no node {name}"), old
    except Trouble as error:
        return _refusal(name, str(error)), old


def _tried(
    api: Api, target: str, before: str, request: Request, warning: str | None
) -> PreviewItem:
    try:
        api.rehearse(request)
    except Refused as error:
        if error.untried is None:
            raise
        warning = error.untried
    words = safe(warning, max_cells=400) if warning else None
    return PreviewItem(
        target=target, command=request.words, before=safe(before, max_cells=80), warning=words
    )


def _refusal(target: str, text: str) -> PreviewItem:
    return PreviewItem(target=target, command=(), refusal=safe(text, max_cells=400))
