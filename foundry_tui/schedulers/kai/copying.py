"""A workload's object as a new one: what its user wrote, without what the cluster put into it.

Of a bare Pod admission has already written into the spec, so what it and Kubernetes add there is
taken out again; a Job and a PyTorchJob keep their templates as they were given.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from foundry_tui.schedulers.kai.manifest import NAME, TOKEN, home, object_name
from foundry_tui.schedulers.kai.shares import GROUP
from foundry_tui.schedulers.kai.templates import Thing, paths
from foundry_tui.schedulers.kai.wire import Wrong, at, uid_of
from foundry_tui.schedulers.kai.workloads import GROUP_NOTE

VERSIONS = {"Pod": "v1", "Job": "batch/v1", "PyTorchJob": "kubeflow.org/v1"}
"""Kind that can be copied -> its API version."""

RESUBMITS = "foundry/resubmits"
"""Annotation with the uid of the run in whose place this one was made."""

SHARED_MAP = "runai/shared-gpu-configmap"
"""Annotation of admission: how the ConfigMaps begin through which a fraction gets its GPU."""

_SERVICE_ACCOUNT = "kube-api-access-"
_LABELS = (
    *("controller-uid", "job-name", "batch.kubernetes.io/controller-uid"),
    *("batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index"),
)
_NOTES = (
    *("kubectl.kubernetes.io/last-applied-configuration", "batch.kubernetes.io/job-tracking"),
    *(GROUP_NOTE, "received-resource-type", SHARED_MAP),
)
_OF_THE_SERVER = ("nodeName", "priority", "preemptionPolicy")
"""Fields of a pod's spec that the server fills in, and takes from nobody else."""


def refuse(kind: str, thing: Mapping[str, Any]) -> None:
    """Raises Wrong for what cannot be made anew without being another thing."""
    if kind not in VERSIONS:
        raise Wrong(f"a {kind} is not copied from here: only {', '.join(VERSIONS)}")
    for owner in at(thing, "metadata", "ownerReferences") or ():
        named = f"{owner.get('kind')} {owner.get('name')}"
        raise Wrong(f"it belongs to {named}, which would make it again: change that one")
    if at(thing, "metadata", "deletionTimestamp") is not None:
        raise Wrong("it is being deleted")
    if at(thing, "spec", "manualSelector"):
        raise Wrong("it names the pods that are its own (manualSelector): two would fight for them")
    if finalizers := at(thing, "metadata", "finalizers"):
        raise Wrong(f"a finalizer ({finalizers[0]}) keeps it: something else takes care of it")


def copied(kind: str, thing: Mapping[str, Any], token: str) -> tuple[str, Thing]:
    """Where the new object is posted to, and the object. Raises Wrong as `refuse`.

    It has the old one's labels and annotations, so that it is still its user's; its name ends in a
    part that the token and the old uid decide, so that the same try makes it once.
    """
    refuse(kind, thing)
    meta = thing["metadata"]
    notes = _kept(meta.get("annotations"), _NOTES)
    name = notes.get(NAME) or meta["name"]
    made: Thing = {
        "apiVersion": VERSIONS[kind],
        "kind": kind,
        "metadata": {
            "name": object_name(name, f"{token}/{uid_of(thing)}"),
            "namespace": meta["namespace"],
            "labels": {**_kept(meta.get("labels"), _LABELS), TOKEN: token},
            "annotations": {**notes, NAME: name, TOKEN: token, RESUBMITS: uid_of(thing)},
        },
        "spec": copy.deepcopy(dict(thing["spec"])),
    }
    made["spec"].pop("selector", None)
    made["spec"].pop("manualSelector", None)
    for steps in paths(kind, made):
        template = at(made, *steps)
        if steps:
            _clean_template(template, token)
    if kind == "Pod":
        _clean_pod(made, str(at(thing, "metadata", "annotations", SHARED_MAP) or ""))
    path = home(kind, meta["namespace"])
    assert path is not None
    return path, made


def _kept(found: Mapping[str, str] | None, without: tuple[str, ...]) -> dict[str, str]:
    return {
        key: value
        for key, value in (found or {}).items()
        if key not in without and key != GROUP and not key.startswith(f"{GROUP}/")
    }


def _clean_template(template: Thing, token: str) -> None:
    meta = template.setdefault("metadata", {})
    meta.pop("creationTimestamp", None)
    for part, without in (("labels", _LABELS), ("annotations", _NOTES)):
        if part in meta:
            meta[part] = _kept(meta[part], without)
            if TOKEN in meta[part]:
                meta[part][TOKEN] = token


def _clean_pod(pod: Thing, shared: str) -> None:
    """Take out what the server and KAI's admission have written into a pod's spec."""
    spec = pod["spec"]
    for field in _OF_THE_SERVER:
        spec.pop(field, None)

    def ours(name: str) -> bool:
        return bool(shared) and name.startswith(f"{shared}-")

    def added(volume: Thing) -> bool:
        return volume["name"].startswith(_SERVICE_ACCOUNT) or ours(
            str(at(volume, "configMap", "name") or "")
        )

    gone = {v["name"] for v in spec.get("volumes") or () if added(v)}
    _without(spec, "volumes", lambda v: v["name"] in gone)
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        _without(container, "volumeMounts", lambda m: m["name"] in gone)
        _without(container, "envFrom", lambda e: ours(str(at(e, "configMapRef", "name") or "")))
        _without(
            container,
            "env",
            lambda e: ours(str(at(e, "valueFrom", "configMapKeyRef", "name") or "")),
        )


def _without(thing: Thing, part: str, dropped: Any) -> None:
    if part in thing:
        thing[part] = [one for one in thing[part] if not dropped(one)]
        if not thing[part]:
            del thing[part]
