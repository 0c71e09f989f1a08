"""The body of a create request, checked as the control plane does, to a workload's parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from foundry_tui.schedulers.runai.fake.cluster import GIB, WHOLE_MILLI, Need
from foundry_tui.schedulers.runai.fake.work import PRIORITIES, Kind

DURATION_ANNOTATION = "foundry.fake/duration-s"
"""Annotation that says how long a workload works; without it, the `sleep` lines of its script."""
UTILISATION_ANNOTATION = "foundry.fake/gpu-util-pct"
"""Annotation that says what its GPUs do; without it the fake makes it up."""

WORK_S = 1800.0
"""How long a training works that names neither."""

NON_PREEMPTIBLE_FROM = 100
"""Priority from which a workload is not preemptible where its request does not say."""

_SLEEP = re.compile(r"(?<![\w-])sleep\s+(\d{1,7})\b")
_EXIT = re.compile(r"(?<![\w-])exit\s+(\d{1,3})\b")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"\+?(\d+(?:\.\d+)?)(m|k|K|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?B?")
_SCALE = {"m": 0.001, "": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTP", 1)
}
_DEFAULT_GPU_MEMORY_BYTES = 80 * GIB

MOST_PODS = 1000


class Rejected(Exception):
    """The control plane refuses the request: HTTP status, message, and the fields at fault."""

    def __init__(self, status: int, message: str, issues: tuple[dict[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.issues = status, message, issues


def body_of(value: object) -> dict[str, Any]:
    """The request's body as an object. Raises `Rejected`."""
    if not isinstance(value, dict):
        raise Rejected(400, "The request body is not a JSON object")
    return value


def name_of(body: Mapping[str, Any]) -> str:
    """The requested name. Raises `Rejected`."""
    name = body.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        _issue("name", "must be small letters, digits and dashes, beginning with a letter")
    return name


def spec_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The spec; an image is required. Raises `Rejected`."""
    spec = body.get("spec")
    if not isinstance(spec, dict):
        _issue("spec", "is required")
    if not isinstance(spec.get("image"), str):
        _issue("image", "is required", rule="required")
    return spec


def pods_of(kind: Kind, body: Mapping[str, Any]) -> tuple[Need, ...]:
    """What each pod asks for; a master that is told apart comes first. Raises `Rejected`."""
    spec = spec_of(body)
    need = need_of(spec.get("compute"))
    if kind.path != "distributed":
        return (need,) * _count(spec, "parallelism")
    workers = (need,) * _count(spec, "numWorkers")
    master = body.get("masterSpec")
    if isinstance(master, dict):
        return (need_of(master.get("compute")), *workers)
    return (need, *workers) if body.get("masterSpecSameAsWorker") is True else workers


def need_of(compute: object) -> Need:
    """One pod's request from the `compute` part of a spec. Raises `Rejected`."""
    if compute is None:
        return Need()
    if not isinstance(compute, dict):
        raise Rejected(400, "compute is not a JSON object")
    devices = _number(compute, "compute.gpuDevicesRequest", 0, whole=True)
    kind = compute.get("gpuRequestType")
    milli, memory = WHOLE_MILLI, None
    if kind == "portion":
        portion = _number(compute, "compute.gpuPortionRequest", None)
        milli = round(WHOLE_MILLI * portion)
        if not 0 < milli <= WHOLE_MILLI:
            _issue("compute.gpuPortionRequest", "must be more than 0 and at most 1")
        if (limit := compute.get("gpuPortionLimit")) is not None and limit < portion:
            _issue("compute.gpuPortionLimit", "must be no less than gpuPortionRequest")
    elif kind == "memory":
        memory = bytes_of("compute.gpuMemoryRequest", compute.get("gpuMemoryRequest"))
        milli = round(WHOLE_MILLI * memory / _DEFAULT_GPU_MEMORY_BYTES)
        if not 0 < milli <= WHOLE_MILLI:
            _issue("compute.gpuMemoryRequest", "must be more than 0 and at most one GPU's memory")
    elif kind is not None:
        _issue("compute.gpuRequestType", "must be one of portion, memory", rule="options")
    memory_request = compute.get("cpuMemoryRequest")
    return Need(
        devices=int(devices),
        milli=milli,
        gpu_memory_bytes=memory,
        cpu_milli=round(1000 * _number(compute, "compute.cpuCoreRequest", 0)),
        memory_bytes=0
        if memory_request is None
        else bytes_of("compute.cpuMemoryRequest", memory_request),
    )


def bytes_of(field: str, text: object) -> int:
    """A quantity such as `20G` or `512Mi` in bytes. Raises `Rejected`."""
    found = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        _issue(field, "must be a quantity such as 20G")
    return round(float(found[1]) * _SCALE[found[2] or ""])


def priority_of(kind: Kind, spec: Mapping[str, Any]) -> tuple[str, bool]:
    """Priority class and whether it is preemptible. Raises `Rejected`."""
    name = spec.get("priorityClass") or kind.priority
    if name not in PRIORITIES:
        _issue("priorityClass", f"must be one of {', '.join(PRIORITIES)}", rule="options")
    told = spec.get("preemptibility")
    if told not in (None, "preemptible", "non-preemptible"):
        _issue("preemptibility", "must be one of preemptible, non-preemptible", rule="options")
    preemptible = PRIORITIES[name] < NON_PREEMPTIBLE_FROM if told is None else told == "preemptible"
    return str(name), preemptible


def work_of(kind: Kind, spec: Mapping[str, Any]) -> tuple[float | None, int, int | None]:
    """How long it works (None: without end), its exit code, and what its GPUs do in %."""
    notes = {
        note.get("name"): note.get("value")
        for note in spec.get("annotations") or ()
        if isinstance(note, dict)
    }
    script = f"{spec.get('command') or ''} {spec.get('args') or ''}"
    slept = [int(n) for n in _SLEEP.findall(script)]
    duration_s: float | None = float(sum(slept)) if slept else WORK_S
    if kind.path in ("workspaces", "inferences"):
        duration_s = None
    util = notes.get(UTILISATION_ANNOTATION)
    code = int((_EXIT.findall(script) or ["0"])[-1])
    try:
        if (told := notes.get(DURATION_ANNOTATION)) is not None:
            duration_s = float(told)
        return duration_s, code, None if util is None else int(util)
    except ValueError:
        _issue("annotations", f"{DURATION_ANNOTATION} or {UTILISATION_ANNOTATION} is no number")


def _count(spec: Mapping[str, Any], field: str) -> int:
    count = _number(spec, field, 1, whole=True)
    if not 1 <= count <= MOST_PODS:
        _issue(field, f"value must be 1 to {MOST_PODS}", rule="min")
    return int(count)


def _number(
    words: Mapping[str, Any], field: str, default: float | None, *, whole: bool = False
) -> float:
    value = words.get(field.rpartition(".")[2])
    if value is None:
        value = default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or not is_number or not 0 <= value < 1e9 or (whole and value % 1):
        _issue(field, "must be a number that is no less than 0", rule="min")
    return float(value)


def _issue(field: str, details: str, *, rule: str = "") -> NoReturn:
    rules = {"rule": rule} if rule else {}
    text = "The workload request does not comply with the policy set by the administrator"
    raise Rejected(400, text, ({"field": field, "details": details, **rules},))
