"""Changes of quota on the simulated Run:ai: who may, the request, its inverse, and its proof.

The simulated user has a role of the site's own in one department, which sets the quotas of its
projects; those of others are refused as the control plane would.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from foundry_tui.estate.acts import (
    ChangeQueue,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    refused,
)
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.simulated.layout import (
    DEPARTMENTS,
    NODE_POOL,
    OVER_QUOTA_WEIGHT,
    PLANS_QUOTA_OF,
)
from foundry_tui.schedulers.simulated.live import Live

FIELDS = {"quota_gpus": "deserved", "over_quota_weight": "overQuotaWeight"}
"""Field of `ChangeQueue` -> field of the API, as on a real control plane."""

PATH = "/api/v1/org-unit/projects"
MOST = 1e6


def quota_milli(live: Live, project: str) -> int:
    """What a project deserves now, in thousandths of a GPU."""
    return live.engine().books.limits.quotas[project]


def weight(live: Live, project: str) -> float:
    """A project's part of the surplus, as of the last look at the engine."""
    return live.weights.get(project, float(OVER_QUOTA_WEIGHT[project]))


def preview_quota(live: Live, act: ChangeQueue, *, admin: bool = False) -> Preview:
    """The request and the act that would undo it. `admin` may change the quota of every project.

    Raises:
        ValueError: a field that cannot be changed, or a value that is none.
    """
    wanted = _wanted(act)
    item = PreviewItem(target=act.queue, command=())
    if act.queue not in DEPARTMENTS:
        words = safe(f"404 there is no project {act.queue!r} here")
        return Preview(act=act, items=(replace(item, refusal=words),))
    now = _now(live, act.queue)
    gpu = {FIELDS[name]: value for name, value in {**now, **wanted}.items()}
    body = [{"nodePool": {"name": NODE_POOL}, "gpu": gpu}]
    item = PreviewItem(
        target=act.queue,
        command=("PATCH", f"{PATH}/{act.queue}/resources", json.dumps(body)),
        before=_shown(now),
    )
    if DEPARTMENTS[act.queue] != PLANS_QUOTA_OF and not admin:
        words = safe(
            f"403 the quota of {act.queue} is changed by an administrator of department "
            f"{DEPARTMENTS[act.queue]}, and no access rule makes you one"
        )
        return Preview(act=act, items=(replace(item, refusal=words),))
    old = tuple((name, f"{now[name]:g}") for name in wanted)
    inverse = ChangeQueue(source=act.source, queue=act.queue, fields=old)
    return Preview(act=act, items=(item,), inverse=inverse)


def perform_quota(live: Live, act: ChangeQueue, item: PreviewItem) -> Receipt:
    """Send the change, unless the quota is another one by now than the preview told."""
    if item.refusal is not None:
        return refused(item, item.refusal)
    now = _shown(_now(live, act.queue))
    if now != item.before:
        return refused(item, f"it was changed since it was last read: {now}; look again")
    wanted = _wanted(act)
    quota = wanted.get("quota_gpus")
    live.act(
        "quota",
        key=act.queue,
        quota_milli=None if quota is None else round(quota * WHOLE_MILLI),
        weight=wanted.get("over_quota_weight"),
    )
    return Receipt(
        target=act.queue,
        status=ReceiptStatus.ACCEPTED,
        message=safe("202 Request has been accepted."),
        before=item.before,
    )


def settled_quota(live: Live, act: ChangeQueue, receipt: Receipt) -> Receipt:
    """The receipt as the project's own record proves it."""
    if receipt.status is not ReceiptStatus.ACCEPTED:
        return receipt
    now = _now(live, act.queue)
    done = all(now[name] == value for name, value in _wanted(act).items())
    status = ReceiptStatus.DONE if done else ReceiptStatus.UNCHANGED
    return replace(receipt, status=status, after=_shown(now))


def _now(live: Live, project: str) -> dict[str, float]:
    return {
        "quota_gpus": quota_milli(live, project) / WHOLE_MILLI,
        "over_quota_weight": weight(live, project),
    }


def _shown(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def _wanted(act: ChangeQueue) -> dict[str, float]:
    """The new values. Raises ValueError."""
    found: dict[str, float] = {}
    for name, value in act.fields:
        if name == "node_pool":
            if value != NODE_POOL:
                raise ValueError(f"node_pool: there is no node pool {value!r}, only {NODE_POOL}")
            continue
        if name not in FIELDS:
            raise ValueError(f"{name}: cannot be changed; one of {', '.join(FIELDS)}, node_pool")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= MOST:
            raise ValueError(f"{name}: a number from 0, not {value!r}")
        found[name] = number
    if not found:
        raise ValueError(f"nothing to change: give one of {', '.join(FIELDS)}")
    return found
