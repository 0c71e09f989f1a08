"""A waiting workload made anew with another request, and the old one deleted when the new is there.

For what Kubernetes never changes on a workload, such as a whole GPU into a fraction. A program that
is killed between the two leaves both: the new one is found by its submit token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import PreviewItem, Receipt, ReceiptStatus, Resubmit, refused
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai import templates
from foundry_tui.schedulers.kai.change import check_nodes, check_priority, check_queue
from foundry_tui.schedulers.kai.copying import copied
from foundry_tui.schedulers.kai.manifest import PRIORITY, TOKEN
from foundry_tui.schedulers.kai.submit import PODS, pods_tried
from foundry_tui.schedulers.kai.wire import (
    Api,
    Changed,
    Gone,
    Lost,
    NotSent,
    Refused,
    Request,
    Trouble,
    Wrong,
    at,
    create,
    delete,
    uid_of,
)
from foundry_tui.schedulers.ports import Unavailable

FIELDS = ("gpu_milli", "queue", "qos", "nodelist")
"""What the new run can have otherwise. `gpu_milli` are thousandths of a GPU over all its pods."""

BEGINS_ANEW = "the new run begins to wait anew, behind those of its class that wait already"
STARTED = "it has started: only a run that waits is made anew"
STARTED_SINCE = "it has started since it was last read: nothing was changed"
NO_TOKEN = "no submit token: without one a broken-off try cannot be found again"

_MEMBERS = {
    "Job": "batch.kubernetes.io/job-name",
    "PyTorchJob": "training.kubeflow.org/job-name",
}
"""Kind -> the label by which its pods are found."""


def check_fields(act: Resubmit) -> None:
    """Raises ValueError for a field that a new run cannot have otherwise, and for none at all."""
    for name, value in act.fields:
        if name not in FIELDS:
            raise ValueError(f"field {name!r} cannot be changed; one of {', '.join(FIELDS)}")
        if name == "gpu_milli" and not (value.isascii() and value.isdecimal() and len(value) < 8):
            raise ValueError(f"gpu_milli: thousandths of a GPU, such as 500, not {value!r}")
    if not act.fields:
        raise ValueError(f"nothing to change: give one of {', '.join(FIELDS)}")


def token_of(token: str, number: int) -> str:
    """The submit token of the so-and-so-many-th run of one act, counted from 0."""
    return token if number == 0 else f"{token}-{number + 1}"


def requests(
    api: Api,
    config: KubernetesConfig,
    act: Resubmit,
    kind: str,
    path: str,
    found: Mapping[str, Any],
    token: str,
) -> tuple[tuple[Request, Request], str]:
    """The creation of the new workload and the deletion of the old one, both tried.

    Raises:
        Wrong: it has started, or cannot be made anew; names why.
        Trouble: what the server says against it.
    """
    if not token:
        raise Wrong(NO_TOKEN)
    home, made = copied(kind, found, token)
    if started(api, kind, found):
        raise Wrong(STARTED)
    fields = dict(act.fields)
    if all(_has(name, value, config, kind, made) for name, value in fields.items()):
        raise Wrong("it asks for that already: nothing to change")
    _change(api, config, fields, kind, made)
    asked, gone = create(home, made), delete(path, uid_of(found))
    notes = [BEGINS_ANEW, *_tried(api, asked)]
    if kind != "Pod":
        notes += pods_tried(api, made["metadata"]["namespace"], _pod(kind, made))
    notes += _tried(api, gone)
    return (asked, gone), "; ".join(notes)


def _tried(api: Api, request: Request) -> list[str]:
    """Why a request could not be tried without effect. Raises Trouble where it would be refused."""
    try:
        api.rehearse(request)
    except Refused as error:
        if error.untried is None:
            raise
        return [error.untried]
    return []


def _pod(kind: str, made: Mapping[str, Any]) -> dict[str, Any]:
    """A pod as the new workload will make them."""
    template = at(made, *templates.paths(kind, made)[0])
    meta = {**(template.get("metadata") or {}), "name": made["metadata"]["name"]}
    meta["namespace"] = made["metadata"]["namespace"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


def _has(
    name: str, value: str, config: KubernetesConfig, kind: str, made: Mapping[str, Any]
) -> bool:
    """Whether a workload asks for that as it is."""
    found = [at(made, *steps) for steps in templates.paths(kind, made)]
    if name == "gpu_milli":
        share, rest = divmod(int(value), templates.pods_of(kind, made))
        return not rest and all(templates.asked(t) == share for t in found)
    if name == "nodelist":
        return all(templates.pinned(t) == tuple(value.split(",") if value else ()) for t in found)
    label = config.queue_label if name == "queue" else PRIORITY
    return bool(at(made, "metadata", "labels", label) == value)


def _change(
    api: Api, config: KubernetesConfig, fields: Mapping[str, str], kind: str, made: dict[str, Any]
) -> None:
    found = [at(made, *steps) for steps in templates.paths(kind, made)]
    if (milli := fields.get("gpu_milli")) is not None:
        share, rest = divmod(int(milli), templates.pods_of(kind, made))
        if rest:
            pods = templates.pods_of(kind, made)
            raise Wrong(f"gpu_milli: {milli} is not the same share for each of its {pods} pods")
        for template in found:
            templates.ask(template, share)
    labelled = [made["metadata"], *(t.setdefault("metadata", {}) for t in found)]
    for name, label, check in (
        ("queue", config.queue_label, check_queue),
        ("qos", PRIORITY, check_priority),
    ):
        if (value := fields.get(name)) is not None:
            check(api, value)
            for meta in labelled:
                meta.setdefault("labels", {})[label] = value
    if (value := fields.get("nodelist")) is not None:
        nodes = check_nodes(api, value)
        for template in found:
            templates.pin(template, nodes)


def started(api: Api, kind: str, found: Mapping[str, Any]) -> bool:
    """Whether a workload has pods on nodes, or some that have ended. Raises Trouble."""
    if kind == "Pod":
        return at(found, "spec", "nodeName") is not None
    if any(int(at(found, "status", word) or 0) for word in ("ready", "succeeded", "failed")):
        return True
    meta = found["metadata"]
    home = f"{PODS}/namespaces/{meta['namespace']}/pods"
    pods = api.get(home, labelSelector=f"{_MEMBERS[kind]}={meta['name']}").get("items") or ()
    return any(at(pod, "spec", "nodeName") is not None for pod in pods)


# -- sending


def perform(api: Api, item: PreviewItem, *, first: bool) -> Receipt:
    """Create the new run, once; delete the old one when the new is there.

    Raises:
        Unavailable: with `first` alone: the API cannot be reached, and nothing was sent.
    """
    if item.refusal is not None or not item.command:
        return refused(item, item.refusal or "nothing to send")
    asked, gone = Request.of(item.command)
    kind = json.loads(asked.body)["kind"]
    try:
        if uid_of(found := api.get(gone.path)) != gone.uid:
            return refused(item, "it is gone already: another one of its name was made since")
        if started(api, kind, found):
            return refused(item, STARTED_SINCE)
        made = api.send(asked)
    except NotSent as error:
        if first:
            raise Unavailable("resubmit", str(error)) from error
        return refused(item, f"not sent: {error}")
    except Lost as error:
        words = f"{error}; whether the new run was made is not known, the old one is untouched"
        return _receipt(item, ReceiptStatus.UNKNOWN, words)
    except Gone:
        return refused(item, "it is gone already")
    except Refused as error:
        # The name follows from the token: an earlier try that had arrived is this same one.
        earlier = at_name(api, asked) if error.status == 409 else None
        if earlier is None:
            return refused(item, str(error))
        made = earlier
    return _end_old(api, item, kind, gone, f"{asked.path}/{at(made, 'metadata', 'name')}", made)


def _end_old(
    api: Api, item: PreviewItem, kind: str, gone: Request, path: str, made: Mapping[str, Any]
) -> Receipt:
    """Delete the old run, or take the new one back where the old one must not end."""
    new = _new_id(item, made)
    try:
        if uid_of(old := api.get(gone.path)) == gone.uid and started(api, kind, old):
            api.send(delete(path, uid_of(made)))
            return refused(item, "it started just now: the new run was taken back, it goes on")
        api.send(gone)
    except (Gone, Changed):
        pass  # somebody else has ended it
    except Refused as error:
        try:
            api.send(delete(path, uid_of(made)))
        except Trouble as second:
            words = f"{error}; {new} was made and could not be taken back: {second}"
            return _receipt(item, ReceiptStatus.UNKNOWN, words, after=new)
        return refused(item, f"{error}; the new run was taken back")
    except Trouble as error:
        words = f"{new} was made; whether the old one has ended is not known: {error}"
        return _receipt(item, ReceiptStatus.UNKNOWN, words, after=new)
    return _receipt(item, ReceiptStatus.ACCEPTED, f"made anew as {new}", after=new)


def at_name(api: Api, asked: Request) -> dict[str, Any] | None:
    """The object that a creation meant, if it is there and of this same try. Raises Trouble."""
    meta = json.loads(asked.body)["metadata"]
    try:
        found = api.get(f"{asked.path}/{meta['name']}")
    except Gone:
        return None
    same = at(found, "metadata", "labels", TOKEN) == meta["labels"][TOKEN]
    return found if same else None


def settle(api: Api, item: PreviewItem, receipt: Receipt) -> Receipt:
    """The receipt as the API proves it: the new run is there and the old one gone or ending.

    Raises:
        Trouble: the API did not say.
    """
    asked, gone = Request.of(item.command)
    made = at_name(api, asked)
    try:
        old: Mapping[str, Any] | None = api.get(gone.path)
    except Gone:
        old = None
    if old is not None and uid_of(old) != gone.uid:
        old = None
    if made is None:
        if old is None:
            return _receipt(item, ReceiptStatus.UNKNOWN, "neither the new run nor the old is there")
        words = "the new run was not made, or is gone again; the old one is untouched"
        return _receipt(item, ReceiptStatus.UNCHANGED, words)
    new = _new_id(item, made)
    if old is None or at(old, "metadata", "deletionTimestamp") is not None:
        return _receipt(item, ReceiptStatus.DONE, f"made anew as {new}", after=new)
    if receipt.status is ReceiptStatus.UNKNOWN:
        words = f"both are there: {new} is the new one; cancel one of them"
        return _receipt(item, ReceiptStatus.UNKNOWN, words, after=new)
    return replace(receipt, after=new)


def _new_id(item: PreviewItem, made: Mapping[str, Any]) -> str:
    """The estate-wide id of the new run, of the old one's source."""
    source, slash, _ = item.target.rpartition("/")
    return f"{source}{slash}{uid_of(made)}"


def _receipt(
    item: PreviewItem, status: ReceiptStatus, text: str, *, after: str | None = None
) -> Receipt:
    return Receipt(
        target=item.target,
        status=status,
        message=safe(text, max_cells=400),
        before=item.before,
        after=after,
    )
