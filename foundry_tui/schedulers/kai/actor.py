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
    Release,
    Requeue,
    Resubmit,
    Resume,
    RunAct,
    Submit,
    Suspend,
    inverse_of,
    refused,
)
from foundry_tui.estate.run import HOLDING, LIVE, Run, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai.change import (
    change_node,
    change_queue,
    check_fields,
    inverse_change,
    run_requests,
)
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.manifest import HELD
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
    MoveNode: "node pools are not changed from here yet",
    Resubmit: "a waiting workload is not submitted anew from here yet",
    Requeue: "Kubernetes does not put a workload back into the queue: suspend it and resume it, "
    "or cancel it and submit it again",
}

_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")

HOMES = {
    "Pod": "/api/v1/namespaces/{}/pods/{}",
    "Job": "/apis/batch/v1/namespaces/{}/jobs/{}",
    "PyTorchJob": "/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs/{}",
    "TFJob": "/apis/kubeflow.org/v1/namespaces/{}/tfjobs/{}",
    "XGBoostJob": "/apis/kubeflow.org/v1/namespaces/{}/xgboostjobs/{}",
    "JAXJob": "/apis/kubeflow.org/v1/namespaces/{}/jaxjobs/{}",
    "MPIJob": "/apis/kubeflow.org/v2beta1/namespaces/{}/mpijobs/{}",
    "RayJob": "/apis/ray.io/v1/namespaces/{}/rayjobs/{}",
    "JobSet": "/apis/jobset.x-k8s.io/v1alpha2/namespaces/{}/jobsets/{}",
    "TrainingWorkload": "/apis/run.ai/v2alpha1/namespaces/{}/trainingworkloads/{}",
    "InteractiveWorkload": "/apis/run.ai/v2alpha1/namespaces/{}/interactiveworkloads/{}",
    "DistributedWorkload": "/apis/run.ai/v2alpha1/namespaces/{}/distributedworkloads/{}",
}
"""Kind of a top owner that is a run of its own -> its address. Services are not ended from here."""

SUSPENDED = {
    "Job": ("spec", "suspend"),
    "JobSet": ("spec", "suspend"),
    "RayJob": ("spec", "suspend"),
    "PyTorchJob": ("spec", "runPolicy", "suspend"),
    "TFJob": ("spec", "runPolicy", "suspend"),
    "XGBoostJob": ("spec", "runPolicy", "suspend"),
    "JAXJob": ("spec", "runPolicy", "suspend"),
    "MPIJob": ("spec", "runPolicy", "suspend"),
}
"""Kind -> where it says that it is suspended; other kinds cannot be."""

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
    assert not isinstance(act, MoveNode)
    if isinstance(act, ChangeRun):
        check_fields(act)
    known = {run.id: run for run in runs}
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        items = tuple(
            pool.map(
                lambda target: _run_item(api, config, act, target, known.get(target)), act.runs
            )
        )
    inverse = inverse_change(act, items) if isinstance(act, ChangeRun) else inverse_of(act)
    return Preview(act=act, items=items, inverse=inverse)


def _run_item(
    api: Api, config: KubernetesConfig, act: RunAct, target: str, run: Run | None
) -> PreviewItem:
    native = target.partition("/")[2] or target
    if not _UID.fullmatch(native):
        return _no(target, f"{native!r} is no uid of a Kubernetes object")
    if run is None:
        return _no(target, f"no run {native} was seen in the last reading")
    words = run.native or {}
    kind, space, name = (words.get(k, SafeText("")) for k in ("kind", "namespace", "workload"))
    facts = _Facts(target, run, kind, isinstance(act, Cancel | Suspend))
    if why := _pointless(act, run, kind):
        return facts.item((), refusal=why)
    if kind not in HOMES or not _NAME.fullmatch(space) or not _NAME.fullmatch(name):
        return facts.item((), refusal=f"a {kind or 'workload'} is not changed from here")
    path = HOMES[kind].format(space, name)
    requests: tuple[Request, ...] = ()
    try:
        found = api.get(path)
        if uid_of(found) != native:
            return facts.item((), refusal=REPLACED)
        requests, warning = _requests(api, config, act, kind, path, found)
        for request in requests:
            api.rehearse(request)
    except Gone:
        return facts.item((), refusal=GONE)
    except Refused as error:
        if error.untried is None:
            return facts.item((), refusal=str(error))
        return facts.item(requests, warning=error.untried)
    except Trouble as error:
        return facts.item((), refusal=str(error))
    return facts.item(requests, warning=warning)


GONE = "it is gone already"
UNANSWERED = "not sent: the server gave no answer to the one before"
REPLACED = "it is gone already: another one of the same name was made since"


def _no(target: str, why: str) -> PreviewItem:
    return PreviewItem(target=target, command=(), refusal=safe(why, max_cells=400))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of an item before anything is asked."""

    target: str
    run: Run
    kind: str
    ends: bool

    def item(
        self,
        requests: tuple[Request, ...],
        *,
        refusal: str | None = None,
        warning: str | None = None,
    ) -> PreviewItem:
        notes = [warning] if warning else []
        if self.run.user not in (None, user_name()):
            notes.append(f"belongs to {self.run.user}")
        return PreviewItem(
            target=self.target,
            command=tuple(word for request in requests for word in request.words),
            owner=self.run.user,
            before=f"{self.run.state.value} (held)" if self.run.held else self.run.state.value,
            loss_gpu_s=_loss_gpu_s(self.run) if self.ends else None,
            refusal=safe(refusal, max_cells=400) if refusal else None,
            warning=safe("; ".join(notes), max_cells=400) if notes else None,
        )


def _loss_gpu_s(run: Run) -> float | None:
    """GPU-seconds of work that ending its pods throws away; 0 for a run that has none."""
    if run.state not in HOLDING - {RunState.SUSPENDED}:
        return 0.0
    if run.started_at is None or run.read_at is None or run.request.gpu_milli is None:
        return None
    held_s = max(0.0, (run.read_at - run.started_at).total_seconds())
    return held_s * run.request.gpu_milli / 1000


def _pointless(act: RunAct, run: Run, kind: str) -> str | None:
    """Why an act has no meaning for a run in this state."""
    if run.state not in LIVE:
        return f"it has ended already ({run.state.value})"
    if isinstance(act, Cancel):
        return None
    waits, stopped = run.state is RunState.PENDING, run.state is RunState.SUSPENDED
    if isinstance(act, ChangeRun):
        return None if waits or stopped else "it runs: only a waiting run can be changed"
    if kind not in SUSPENDED:
        what = "a bare Pod" if kind == "Pod" else f"a {kind or 'workload'}"
        return f"{what} cannot be stopped and started again: cancel it and submit it again"
    if isinstance(act, Hold | Release) and not waits:
        return f"it is {run.state.value}: only a waiting run can be held or released"
    if isinstance(act, Hold) and run.held:
        return "it is held already"
    if isinstance(act, Release) and not run.held:
        return "it is not held"
    if isinstance(act, Suspend) and waits:
        return "it waits: hold it"
    if isinstance(act, Suspend) and stopped:
        return "it is suspended already"
    if isinstance(act, Resume) and not stopped:
        return "it is held: release it" if run.held else "it is not suspended"
    return None


def _requests(
    api: Api,
    config: KubernetesConfig,
    act: RunAct,
    kind: str,
    path: str,
    found: Mapping[str, Any],
) -> tuple[tuple[Request, ...], str | None]:
    """The requests of one item and what has to be known before they are sent."""
    if isinstance(act, Cancel):
        return (delete(path, uid_of(found)),), None
    if isinstance(act, ChangeRun):
        return run_requests(api, config, act, path, found), None
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
    return (patch(path, found, *changes),), warning


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
