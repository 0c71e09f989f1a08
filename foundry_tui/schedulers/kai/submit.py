"""Submitting to a cluster: spelled out, tried, sent once, and found again by its token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import PreviewItem, Receipt, ReceiptStatus, Submit, refused
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai.change import check_priority, check_queue
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.manifest import MIN_MEMBER, NAMESPACE, TOKEN, Manifest, make
from foundry_tui.schedulers.kai.wire import (
    Api,
    Gone,
    Lost,
    NotSent,
    Refused,
    Request,
    Trouble,
    Wrong,
    at,
    create,
    uid_of,
)
from foundry_tui.schedulers.options import Wanted, parse
from foundry_tui.schedulers.ports import Denied, Unavailable

PODS, JOBS = "/api/v1", "/apis/batch/v1"
TRAINING = "/apis/kubeflow.org/v1"

_GANG = (
    f"a KAI older than 0.15 does not know {MIN_MEMBER} and starts the pods of a Job one by one; "
    "a PyTorchJob starts whole everywhere"
)
_EVICTED = "a bare Pod that is evicted is not started again; a Job is"
_OVER_QUOTA = "exceeded quota"


def submit_item(api: Api, config: KubernetesConfig, act: Submit, token: str) -> PreviewItem:
    """The request of a submission, tried; a refusal where it cannot be made or is not taken."""
    item = PreviewItem(target=act.script_name, command=(), owner=user_name())
    try:
        wanted = parse(act.options)
        wanted = replace(wanted, kind=wanted.kind or _kind(api, wanted))
        manifest = make(act, wanted, token, config, namespace=_namespace(api, config, wanted))
    except (ValueError, Trouble) as error:
        return replace(item, refusal=safe(str(error), max_cells=400))
    request = create(manifest.path, manifest.body)
    item = replace(item, command=request.words)
    try:
        notes = [_note(wanted), *_tried(api, wanted, manifest, request)]
    except Trouble as error:
        return replace(item, refusal=safe(str(error), max_cells=400))
    warning = "; ".join(n for n in notes if n)
    return replace(item, warning=safe(warning, max_cells=400) if warning else None)


def _kind(api: Api, wanted: Wanted) -> str:
    """Pods that have to start together are a PyTorchJob where there is such a thing."""
    if wanted.max_replicas is not None:
        return "PyTorchJob"
    if wanted.workers == 1:
        return "Job"
    try:
        found = api.get(TRAINING)
    except Refused:
        return "Job"
    return "PyTorchJob" if any(r["name"] == "pytorchjobs" for r in found["resources"]) else "Job"


def _namespace(api: Api, config: KubernetesConfig, wanted: Wanted) -> str:
    if config.namespaces and wanted.namespace not in (None, *config.namespaces):
        known = ", ".join(config.namespaces)
        raise ValueError(
            f"--namespace: {wanted.namespace} is not among those that {config.name} reads ({known})"
        )
    if wanted.namespace is not None:
        return wanted.namespace
    return config.namespaces[0] if config.namespaces else api.namespace or NAMESPACE


def _note(wanted: Wanted) -> str | None:
    if wanted.kind == "Pod":
        return _EVICTED
    return _GANG if wanted.kind == "Job" and wanted.workers > 1 else None


def _tried(api: Api, wanted: Wanted, manifest: Manifest, request: Request) -> list[str]:
    """What stands against a submission without stopping it. Raises Trouble for what stops it."""
    assert wanted.project is not None
    check_queue(api, wanted.project)
    if wanted.priority is not None:
        check_priority(api, wanted.priority)
    try:
        api.rehearse(request)
    except Gone as error:
        raise Wrong(_missing(wanted, str(error))) from None
    except Refused as error:
        if error.untried is None:
            raise
        return [error.untried]
    if wanted.kind == "Pod":
        return []
    return pods_tried(api, manifest.body["metadata"]["namespace"], manifest.pod)


def pods_tried(api: Api, namespace: str, pod: Mapping[str, object]) -> list[str]:
    """What stands against the pods of a workload without stopping it: admission sees pods alone.

    Raises:
        Trouble: what stops them.
    """
    try:
        api.rehearse(create(f"{PODS}/namespaces/{namespace}/pods", pod))
    except Refused as error:
        # The controller makes the pods: that this user may not is no hindrance.
        if "cannot create resource" in str(error):
            return []
        if _OVER_QUOTA in str(error):
            return [f"its pods are not made before the namespace has quota again: {error}"]
        if error.untried is None:
            raise Wrong(f"its pods would be refused: {error}") from None
        return [error.untried]
    return []


def _missing(wanted: Wanted, answer: str) -> str:
    if wanted.kind == "PyTorchJob" and "namespace" not in answer:
        return "--kind: PyTorchJob is not known there (no training operator); use --kind Job"
    return answer


def perform_submit(api: Api, item: PreviewItem, token: str) -> Receipt:
    """Send the create once.

    Raises:
        Unavailable: the API cannot be reached, and nothing was sent.
    """
    if item.refusal is not None:
        return refused(item, item.refusal)
    (request,) = Request.of(item.command)
    try:
        made = api.send(request)
    except NotSent as error:
        raise Unavailable("submit", str(error)) from error
    except Lost as error:
        words = safe(str(error), max_cells=400)
        return Receipt(target=item.target, status=ReceiptStatus.UNKNOWN, message=words)
    except Refused as error:
        mine = _mine(api, request, token) if error.status == 409 else None
        if mine is None:
            return refused(item, str(error))
        words = safe("an earlier try had arrived")
        return Receipt(target=mine, status=ReceiptStatus.ACCEPTED, message=words)
    name = safe(
        f"{made['kind']} {at(made, 'metadata', 'namespace')}/{at(made, 'metadata', 'name')}"
    )
    return Receipt(target=uid_of(made), status=ReceiptStatus.ACCEPTED, message=name)


def _mine(api: Api, request: Request, token: str) -> str | None:
    """The uid of the object that has the name already, if it is of this same try."""
    name = json.loads(request.body)["metadata"]["name"]
    try:
        found = api.get(f"{request.path}/{name}")
    except Trouble:
        return None
    return uid_of(found) if at(found, "metadata", "labels", TOKEN) == token else None


def find_submitted(cluster: Cluster, token: str, config: KubernetesConfig) -> str | None:
    """The uid of the workload that carries the token.

    Raises:
        Unavailable, Denied: a place could not be looked at, so nothing is known.
    """
    api = Api(cluster)
    for group, plural in ((JOBS, "jobs"), (TRAINING, "pytorchjobs"), (PODS, "pods")):
        for space in config.namespaces or (None,):
            home = f"{group}/namespaces/{space}/{plural}" if space else f"{group}/{plural}"
            for found in _labelled(api, home, token):
                # The pods of a Job carry its token too.
                if not at(found, "metadata", "ownerReferences"):
                    return uid_of(found)
    return None


def _labelled(api: Api, home: str, token: str) -> list[dict[str, object]]:
    asked = f"looking for token {token}"
    try:
        items: list[dict[str, object]] = api.get(home, labelSelector=f"{TOKEN}={token}")["items"]
    except Gone:
        return []  # no such kind there
    except Refused as error:
        raise Denied(asked, str(error), "name the namespaces that you may read") from error
    except Trouble as error:
        raise Unavailable(asked, str(error)) from error
    return items
