"""Acts on a cluster that KAI schedules: spelled out as requests, tried, and sent one by one.

Every request is tried by the server itself before it is shown (a dry run), so that a refusal by
admission, quota or rights stands in the preview.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    MoveNode,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Requeue,
    Resubmit,
    Resume,
    RunAct,
    Submit,
    Suspend,
    inverse_of,
    refused,
)
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.kai import resubmit
from foundry_tui.schedulers.kai.change import Fields, check_fields, inverse_change, run_changes
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.items import HOMES, SUSPENDED, Facts, pointless
from foundry_tui.schedulers.kai.manifest import HELD
from foundry_tui.schedulers.kai.nodes import change_node, move_node
from foundry_tui.schedulers.kai.quota import change_queue
from foundry_tui.schedulers.kai.submit import perform_submit, submit_item
from foundry_tui.schedulers.kai.wire import (
    Api,
    Change,
    Gone,
    Lost,
    NotSent,
    Refused,
    Request,
    Trouble,
    at,
    delete,
    patch,
    uid_of,
)
from foundry_tui.schedulers.ports import Unavailable

AT_ONCE = 6
"""Items that are asked about at the same time."""

UNSUPPORTED: dict[type[Act], str] = {
    Requeue: "Kubernetes does not put a workload back into the queue: suspend it and resume it, "
    "or cancel it and submit it again",
}

_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")

_HELD = ("metadata", "annotations", HELD)


def supports(act: type[Act]) -> str | None:
    """None when this kind of act can be done on a Kubernetes cluster, else why not."""
    return UNSUPPORTED.get(act)


def preview(
    cluster: Cluster, config: KubernetesConfig, act: Act, runs: tuple[Run, ...], token: str
) -> Preview:
    """The exact requests of each item, tried by the server without effect.

    A server that does not answer makes refusals of the items, with the reason.

    Raises:
        ValueError: an act that `supports` refuses, or a field that cannot be changed.
    """
    if reason := supports(type(act)):
        raise ValueError(reason)
    api = Api(cluster, time.monotonic() + config.timeout_s)
    if isinstance(act, Submit):
        return Preview(act=act, items=(submit_item(api, config, act, token),))
    if isinstance(act, ChangeQueue):
        return change_queue(api, act)
    if isinstance(act, ChangeNode):
        return change_node(api, act)
    if isinstance(act, MoveNode):
        return move_node(api, config, act)
    return _preview_runs(api, config, act, runs, token)


def _preview_runs(
    api: Api, config: KubernetesConfig, act: RunAct, runs: tuple[Run, ...], token: str
) -> Preview:
    if isinstance(act, ChangeRun):
        check_fields(act)
    elif isinstance(act, Resubmit):
        resubmit.check_fields(act)
    known = {run.id: run for run in runs}

    def made(numbered: tuple[int, str]) -> tuple[PreviewItem, Fields | None]:
        number, target = numbered
        own = resubmit.token_of(token, number) if token else ""
        return _run_item(api, config, act, target, known.get(target), own)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        found = tuple(pool.map(made, enumerate(act.runs)))
    items = tuple(item for item, _ in found)
    if isinstance(act, ChangeRun):
        old = {item.target: before for item, before in found if item.refusal is None}
        return Preview(act=act, items=items, inverse=inverse_change(act, old))
    return Preview(act=act, items=items, inverse=inverse_of(act))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The requests of one item, and what has to be known before they are sent.

    The first `tried` of them are rehearsed (None: all): the others need the effect of these. `old`
    are the values that a change replaces.
    """

    requests: tuple[Request, ...]
    warning: str | None = None
    tried: int | None = None
    old: Fields | None = None


def _run_item(
    api: Api, config: KubernetesConfig, act: RunAct, target: str, run: Run | None, token: str
) -> tuple[PreviewItem, Fields | None]:
    """The item of one run, and the values that the act replaces."""
    native = target.partition("/")[2] or target
    if not _UID.fullmatch(native):
        return _no(target, f"{native!r} is no uid of a Kubernetes object"), None
    if run is None:
        return _no(target, f"no run {native} was seen in the last reading"), None
    words = run.native or {}
    kind, space, name = (words.get(k, SafeText("")) for k in ("kind", "namespace", "workload"))
    facts = Facts(target, run, kind, isinstance(act, Cancel | Suspend))
    if why := pointless(act, run, kind):
        return facts.item((), refusal=why), None
    if kind not in HOMES or not _NAME.fullmatch(space) or not _NAME.fullmatch(name):
        return facts.item((), refusal=f"a {kind or 'workload'} is not changed from here"), None
    path = HOMES[kind].format(space, name)
    asked = _Asked(())
    try:
        found = api.get(path)
        if uid_of(found) != native:
            return facts.item((), refusal=REPLACED), None
        asked = _asked(api, config, act, kind, path, found, token)
        for request in asked.requests[: asked.tried]:
            api.rehearse(request)
    except Gone:
        return facts.item((), refusal=GONE), None
    except Refused as error:
        if error.untried is None:
            return facts.item((), refusal=str(error)), None
        return facts.item(asked.requests, warning=error.untried), asked.old
    except Trouble as error:
        return facts.item((), refusal=str(error)), None
    return facts.item(asked.requests, warning=asked.warning), asked.old


GONE = "it is gone already"
UNANSWERED = "not sent: the server gave no answer to the one before"
REPLACED = "it is gone already: another one of the same name was made since"


def _no(target: str, why: str) -> PreviewItem:
    return PreviewItem(target=target, command=(), refusal=safe(why, max_cells=400))


def _asked(
    api: Api,
    config: KubernetesConfig,
    act: RunAct,
    kind: str,
    path: str,
    found: Mapping[str, Any],
    token: str,
) -> _Asked:
    """The requests of one item."""
    if isinstance(act, Cancel):
        return _Asked((delete(path, uid_of(found)),))
    if isinstance(act, ChangeRun):
        stopped = kind in SUSPENDED and bool(at(found, *SUSPENDED[kind]))
        made = run_changes(api, config, act, kind, path, found, stopped=stopped)
        return _Asked(made.requests, made.warning, made.tried, made.old)
    if isinstance(act, Resubmit):
        pair, notes = resubmit.requests(api, config, act, kind, path, found, token)
        return _Asked(pair, notes, tried=0)  # tried already, with its pods
    stop = isinstance(act, Suspend | Hold)
    changes = [Change(SUSPENDED[kind], stop)]
    if isinstance(act, Hold):
        changes.append(Change(_HELD, "true"))
    elif at(found, *_HELD) is not None:
        changes.append(Change(_HELD, None))
    warning = None
    if isinstance(act, Suspend):
        warning = "its pods are deleted and its GPUs given away; resume starts the container anew"
    if isinstance(act, Resume):
        warning = "it waits for GPUs again, and its container starts anew"
    return _Asked((patch(path, found, *changes),), warning)


def perform(cluster: Cluster, sent: Preview, token: str) -> tuple[Receipt, ...]:
    """Send the previewed requests. The first goes alone: if nothing answers, no other is sent.

    Raises:
        Unavailable: the API cannot be reached, and nothing was sent.
    """
    api = Api(cluster)
    if isinstance(sent.act, Submit):
        return (perform_submit(api, sent.items[0], token),)
    receipts: list[Receipt] = []
    todo = list(sent.items)
    alone = True
    while todo and alone:
        item = todo.pop(0)
        alone = item.refusal is not None
        receipts.append(_perform_item(api, sent.act, item, first=True))
    if receipts and receipts[-1].status is ReceiptStatus.UNKNOWN:
        return (*receipts, *(refused(item, UNANSWERED) for item in todo))
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        receipts.extend(
            pool.map(lambda item: _perform_item(api, sent.act, item, first=False), todo)
        )
    return tuple(receipts)


def _perform_item(api: Api, act: Act, item: PreviewItem, *, first: bool) -> Receipt:
    if item.refusal is not None or not item.command:
        return refused(item, item.refusal or "nothing to send")
    if isinstance(act, Resubmit):
        return resubmit.perform(api, item, first=first)
    done = 0
    try:
        for request in Request.of(item.command):
            api.send(request)
            done += 1
    except NotSent as error:
        if first and not done:
            raise Unavailable(" ".join(item.command[:2]), str(error)) from error
        return _broken(item, done, f"not sent: {error}")
    except Lost as error:
        words = safe(f"{error}; look at the run itself", max_cells=400)
        return Receipt(
            target=item.target, status=ReceiptStatus.UNKNOWN, message=words, before=item.before
        )
    except Gone:
        if isinstance(act, Cancel):
            words = safe(GONE)
            return Receipt(target=item.target, status=ReceiptStatus.UNCHANGED, message=words)
        return _broken(item, done, GONE)
    except Refused as error:
        return _broken(item, done, str(error))
    return Receipt(target=item.target, status=ReceiptStatus.ACCEPTED, before=item.before)


def _broken(item: PreviewItem, done: int, text: str) -> Receipt:
    """Refused; of several requests those before may have been carried out."""
    whole = f"{done} of {len(item.command) // 3} changes were made, then: {text}" if done else text
    return refused(item, whole)
