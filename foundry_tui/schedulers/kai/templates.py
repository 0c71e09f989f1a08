"""The pod templates of a workload: what its pods ask of GPUs, and to which nodes they are bound.

Kubernetes lets a Job's template change in its scheduling directives alone, and only while the Job
is suspended and has no start time; what a pod asks of GPUs never changes.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from foundry_tui.schedulers.kai import quantity
from foundry_tui.schedulers.kai.objects import GPU, MIG
from foundry_tui.schedulers.kai.shares import DEVICES, FRACTION, MEMORY
from foundry_tui.schedulers.kai.wire import Wrong, at

WHOLE_MILLI = 1000
HOSTNAME = "kubernetes.io/hostname"
CONTAINER = "gpu-fraction-container-name"

SELECTOR = ("spec", "nodeSelector", HOSTNAME)
AFFINITY = ("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
TERMS = "nodeSelectorTerms"
EXPRESSIONS = "matchExpressions"

Thing = dict[str, Any]


def paths(kind: str, thing: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The keys that lead to each pod template of a workload; a bare Pod is its own template.

    Raises:
        Wrong: a kind whose templates are not known here.
    """
    if kind == "Pod":
        return ((),)
    if kind == "Job":
        return (("spec", "template"),)
    if kind == "PyTorchJob":
        replicas = at(thing, "spec", "pytorchReplicaSpecs") or {}
        return tuple(("spec", "pytorchReplicaSpecs", role, "template") for role in replicas)
    raise Wrong(f"the pods of a {kind} are not changed from here: only of a Job or a PyTorchJob")


def pods_of(kind: str, thing: Mapping[str, Any]) -> int:
    """How many pods the workload has at a time when it runs whole."""
    if kind == "Job":
        most = int(at(thing, "spec", "parallelism") or 1)
        return min(most, int(at(thing, "spec", "completions") or most))
    if kind == "PyTorchJob":
        replicas = (at(thing, "spec", "pytorchReplicaSpecs") or {}).values()
        return sum(int(1 if r.get("replicas") is None else r["replicas"]) for r in replicas)
    return 1


# -- GPUs


def asked(template: Mapping[str, Any]) -> int | None:
    """Thousandths of a GPU that a pod of the template asks for; None where that is not so told."""
    notes = at(template, "metadata", "annotations") or {}
    if {FRACTION, MEMORY} & set(notes):
        portion = quantity.milli(notes.get(FRACTION))
        return portion if MEMORY not in notes and notes.get(DEVICES, "1") == "1" else None
    limits = [at(c, "resources", "limits") or {} for c in at(template, "spec", "containers") or ()]
    return sum(WHOLE_MILLI * (quantity.whole(found.get(GPU, 0)) or 0) for found in limits)


def ask(template: MutableMapping[str, Any], milli: int) -> None:
    """Make a template ask for so many thousandths of a GPU: whole GPUs, or a part of one.

    Raises:
        Wrong: no such amount, a MIG instance, or GPUs in several containers.
    """
    if milli < 1 or (milli > WHOLE_MILLI and milli % WHOLE_MILLI):
        raise Wrong(f"a pod has a part of one GPU or whole GPUs, not {milli / WHOLE_MILLI:g} of it")
    containers = at(template, "spec", "containers") or []
    notes = template.setdefault("metadata", {}).setdefault("annotations", {})
    holder = _holder(containers, notes)
    for container in containers:
        for amounts in (container.get("resources") or {}).values():
            if isinstance(amounts, dict):
                amounts.pop(GPU, None)
    for name in (FRACTION, MEMORY, DEVICES, CONTAINER):
        notes.pop(name, None)
    if milli < WHOLE_MILLI:
        notes[FRACTION] = f"{milli / WHOLE_MILLI:g}"
        if holder is not containers[0]:
            notes[CONTAINER] = holder["name"]
        return
    limits = holder.setdefault("resources", {}).setdefault("limits", {})
    limits[GPU] = str(milli // WHOLE_MILLI)


def _holder(containers: list[Thing], notes: Mapping[str, str]) -> Thing:
    """The container that has the GPUs."""
    named = [c for c in containers if c.get("name") == notes.get(CONTAINER)]
    holders = []
    for container in containers:
        limits = at(container, "resources", "limits") or {}
        if any(name.startswith(MIG) for name in limits):
            raise Wrong("it asks for a MIG instance, which is no share of a GPU")
        if GPU in limits:
            holders.append(container)
    if len(holders) > 1:
        raise Wrong("several of its containers have GPUs: whose share it would be is not known")
    return (holders or named or containers)[0]


# -- nodes


def pinned(template: Mapping[str, Any]) -> tuple[str, ...]:
    """The nodes that a template names by their host names; empty for none."""
    named = at(template, *SELECTOR)
    if named is not None:
        return (str(named),)
    values: list[tuple[str, ...]] = []
    for term in at(template, *AFFINITY, TERMS) or ():
        of_hosts = [e for e in term.get(EXPRESSIONS) or () if _names_hosts(e)]
        values += [tuple(e.get("values") or ()) for e in of_hosts[:1]]
    return values[0] if values else ()


def pin(template: Thing, nodes: tuple[str, ...]) -> None:
    """Bind the pods of a template to nodes; none sets them free. Other wishes stay as they are."""
    spec = template.setdefault("spec", {})
    (spec.get("nodeSelector") or {}).pop(HOSTNAME, None)
    if not spec.get("nodeSelector"):
        spec.pop("nodeSelector", None)
    terms = _without_hosts(at(template, *AFFINITY, TERMS) or [])
    if len(nodes) == 1:
        spec.setdefault("nodeSelector", {})[HOSTNAME] = nodes[0]
    elif nodes:
        hosts = {"key": HOSTNAME, "operator": "In", "values": list(nodes)}
        # Terms are alternatives, the expressions of one hold together.
        terms = [
            {**term, EXPRESSIONS: [*(term.get(EXPRESSIONS) or ()), hosts]} for term in terms or [{}]
        ]
    _put_terms(spec, terms)


def _names_hosts(expression: Mapping[str, Any]) -> bool:
    return expression.get("key") == HOSTNAME and expression.get("operator") == "In"


def _without_hosts(terms: list[Thing]) -> list[Thing]:
    found = []
    for term in terms:
        kept = [e for e in term.get(EXPRESSIONS) or () if not _names_hosts(e)]
        left = {key: value for key, value in term.items() if key != EXPRESSIONS}
        if kept:
            left[EXPRESSIONS] = kept
        if left:
            found.append(left)
    return found


def _put_terms(spec: Thing, terms: list[Thing]) -> None:
    """Set the terms of the node affinity; without any the emptied parents go too."""
    if terms:
        affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
        affinity[AFFINITY[-1]] = {TERMS: terms}
        return
    affinity = at(spec, "affinity", "nodeAffinity") or {}
    affinity.pop(AFFINITY[-1], None)
    if at(spec, "affinity") is not None and not affinity:
        spec["affinity"].pop("nodeAffinity", None)
    if not spec.get("affinity", True):
        spec.pop("affinity")
