"""Receipts of acts on a Kubernetes cluster, settled by what its API shows afterwards.

What was sent is looked at again in the API itself and not in the watched copy, which may be older
than the change.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from foundry_tui.estate.acts import (
    Act,
    Cancel,
    Hold,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Release,
    Resubmit,
    Resume,
    Submit,
    Suspend,
)
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai import resubmit
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.manifest import TOKEN
from foundry_tui.schedulers.kai.wire import Api, Gone, Request, Trouble, at, uid_of
from foundry_tui.schedulers.ports import SchedulerError

SETTLE_S = 6.0
"""Seconds for which the API is asked again until it shows what was sent."""

POLL_S = 0.2


def read_back(
    cluster: Cluster, sent: Preview, receipts: tuple[Receipt, ...]
) -> tuple[Receipt, ...]:
    """Receipts as the API proves them; those that it does not yet show stay accepted."""
    until = time.monotonic() + SETTLE_S
    return tuple(
        _settled(cluster, sent.act, item, receipt, until)
        for item, receipt in zip(sent.items, receipts, strict=True)
    )


def _settled(
    cluster: Cluster, act: Act, item: PreviewItem, receipt: Receipt, until: float
) -> Receipt:
    if receipt.status not in (ReceiptStatus.ACCEPTED, ReceiptStatus.UNKNOWN):
        return receipt
    if not item.command:  # asked about what is refused: there is nothing that could show
        return replace(receipt, status=ReceiptStatus.UNCHANGED, message=item.refusal)
    api = Api(cluster)
    while True:
        try:
            seen = _look(api, act, item, receipt)
        except (Trouble, SchedulerError) as error:
            words = safe(f"sent, but not read back: {error}", max_cells=400)
            return replace(receipt, status=ReceiptStatus.UNKNOWN, message=words)
        if seen.status is not ReceiptStatus.ACCEPTED or time.monotonic() > until:
            return seen
        time.sleep(POLL_S)


def _look(api: Api, act: Act, item: PreviewItem, receipt: Receipt) -> Receipt:
    requests = Request.of(item.command)
    first = requests[0]
    if isinstance(act, Submit):
        return _made(api, first, receipt)
    if isinstance(act, Resubmit):
        return resubmit.settle(api, item, receipt)
    try:
        found = api.get(first.object_path)
    except Gone:
        if isinstance(act, Cancel):
            return replace(receipt, status=ReceiptStatus.DONE, after="gone")
        return replace(receipt, status=ReceiptStatus.UNCHANGED, message=safe("it is gone"))
    if uid_of(found) != first.uid:
        # A namesake that was made since: what was meant is gone.
        status = ReceiptStatus.DONE if isinstance(act, Cancel) else ReceiptStatus.UNCHANGED
        return replace(receipt, status=status, after="gone")
    if isinstance(act, Cancel):
        return _ending(found, receipt)
    for request in requests:
        same = request.object_path == first.object_path
        thing = found if same else api.get(request.object_path)
        if missing := request.not_shown_by(thing):
            words = safe(f"the cluster said yes and shows {missing}", max_cells=400)
            return replace(receipt, status=ReceiptStatus.UNCHANGED, message=words)
    if isinstance(act, Suspend | Hold) and (left := _pods(found)):
        words = safe(f"{left} of its pods are still ending")
        return replace(receipt, status=ReceiptStatus.ACCEPTED, message=words, after="ending")
    after = _AFTER.get(type(act))
    return replace(receipt, status=ReceiptStatus.DONE, after=after(found) if after else None)


def _made(api: Api, request: Request, receipt: Receipt) -> Receipt:
    """The receipt of a submission; a lost answer is made up for by the name, which is known."""
    body = json.loads(request.body)
    try:
        found = api.get(f"{request.path}/{body['metadata']['name']}")
    except Gone:
        if receipt.status is ReceiptStatus.UNKNOWN:
            return receipt
        words = safe("it was made, and is gone already")
        return replace(receipt, status=ReceiptStatus.DONE, after="gone", message=words)
    labels = at(found, "metadata", "labels") or {}
    if labels.get(TOKEN) != body["metadata"]["labels"][TOKEN]:
        return receipt
    return replace(receipt, target=uid_of(found), status=ReceiptStatus.DONE, after="submitted")


def _ending(found: Mapping[str, Any], receipt: Receipt) -> Receipt:
    if at(found, "metadata", "deletionTimestamp") is None:
        words = safe("the cluster said yes and has not begun to delete it")
    else:
        words = safe("it is being deleted; its pods are given their time to end")
    return replace(receipt, status=ReceiptStatus.ACCEPTED, message=words, after="ending")


def _pods(owner: Mapping[str, Any]) -> int:
    """Pods of a workload that have not ended, by its own count."""
    active = int(at(owner, "status", "active") or 0) + int(at(owner, "status", "terminating") or 0)
    replicas = at(owner, "status", "replicaStatuses") or {}
    return active + sum(int(at(r, "active") or 0) for r in replicas.values())


_AFTER: Mapping[type[Act], Callable[[Mapping[str, Any]], str]] = {
    Suspend: lambda _: "suspended",
    Hold: lambda _: "held",
    Resume: lambda _: "pending",
    Release: lambda _: "pending",
}
