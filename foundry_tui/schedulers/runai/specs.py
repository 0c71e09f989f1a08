"""What only a workload's own record tells: how many GPUs one pod has, and its annotations.

The list of workloads gives an amount: 1.0 may be a whole GPU or two halves. So the record of each
workload that asks for parts of GPUs is read once; it never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from foundry_tui.deadline import Deadline
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.nouns import PATHS, TOKEN_ANNOTATION, TOKEN_VARIABLE
from foundry_tui.schedulers.runai.wire import Tolerant, Word, Workload, count, text

CALLS = 16
AT_ONCE = 4
MAX_DEVICES = 64


class _Compute(Tolerant):
    gpu_devices_request: Word = None


class _Pair(Tolerant):
    name: Word = None
    value: Word = None


class _Spec(Tolerant):
    compute: _Compute | None = None
    annotations: list[_Pair] | None = None
    environment_variables: list[_Pair] | None = None


class _Record(Tolerant):
    spec: _Spec | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """`devices` are the GPUs of one pod, `token` the submit token; None is not told."""

    devices: int | None = None
    token: str | None = None


class Specs:
    """The records that were read. Used by one refresh at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: dict[str, Spec] = {}

    def learn(self, workloads: Iterable[Workload], deadline: Deadline) -> None:
        """Read the records that are still needed, the newest first, a few at a time."""
        listed = {text(w.id) or "": w for w in workloads}
        self._kept = {key: spec for key, spec in self._kept.items() if key in listed}
        needed = [w for key, w in listed.items() if key not in self._kept and _unclear(w)]
        needed.sort(key=lambda w: text(w.created_at) or "", reverse=True)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for workload, spec in zip(
                needed[:CALLS],
                pool.map(lambda w: read_spec(self._client, w, deadline), needed[:CALLS]),
                strict=True,
            ):
                if spec is not None:
                    self._kept[text(workload.id) or ""] = spec

    def of(self, workload: Workload) -> Spec:
        """What is known of a workload."""
        return self._kept.get(text(workload.id) or "", Spec())


def _unclear(workload: Workload) -> bool:
    """Whether the list leaves open how many devices a pod has."""
    asked = workload.pods_requested_resources or workload.workload_requested_resources
    return asked is not None and text(asked.gpu_request_type) in ("portion", "memory")


def record_path(workload: Workload) -> str | None:
    """The address of a workload's own record; None for a type that has none."""
    kind, native = PATHS.get(text(workload.type) or ""), text(workload.id)
    return f"/api/v1/workloads/{kind}/{quote(native, safe='')}" if kind and native else None


def read_spec(client: Client, workload: Workload, deadline: Deadline) -> Spec | None:
    """What the record says; None when it cannot be read now."""
    path = record_path(workload)
    if path is None:
        return Spec()
    try:
        body = client.read(path, deadline).body
        spec = msgspec.json.decode(body, type=_Record).spec or _Spec()
    except (SchedulerError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    devices = count(spec.compute.gpu_devices_request) if spec.compute else None
    tokens = [
        text(pair.value)
        for pair in (*(spec.annotations or ()), *(spec.environment_variables or ()))
        if pair.name in (TOKEN_ANNOTATION, TOKEN_VARIABLE)
    ]
    return Spec(
        devices if devices and devices <= MAX_DEVICES else None, next(filter(None, tokens), None)
    )
