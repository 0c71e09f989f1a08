"""The control plane's JSON as records that forgive: every field may be missing, null or new.

Ids come as texts or numbers, metric values as texts, phases may be words that nobody knows yet.
An item that is not even an object is left out and counted; the rest of the page is kept.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import msgspec

Word = str | int | float | None
"""A value that should be a text or a number, and may be either."""

_AMOUNT = re.compile(r"\+?(\d{1,18}(?:\.\d{1,9})?)\s*([EPTGMKkm]?)(i?)B?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


class Tolerant(msgspec.Struct, rename="camel"):
    """A record of the API."""


class Cores(Tolerant):
    """An amount that is asked for, in devices or cores."""

    request: Word = None


class Requested(Tolerant):
    """What a workload or a pod asks for."""

    gpu_request_type: Word = None
    gpu: Cores | None = None
    gpu_memory: Cores | None = None
    cpu: Cores | None = None
    cpu_memory: Cores | None = None
    extended_resources: list[dict[str, Word]] | None = None


class Allocated(Tolerant):
    """What it was given."""

    gpu: Word = None
    gpu_memory: Word = None


class RequestedPods(Tolerant):
    """How many pods a workload wants; `min` of them start together."""

    number: Word = None
    min: Word = None
    parallelism: Word = None


class Condition(Tolerant):
    """One condition of a workload or node."""

    type: Word = None
    status: Word | bool = None
    reason: Word = None
    message: Word = None


class Support(Tolerant):
    """Which actions a workload takes."""

    delete: bool | None = None
    suspend: bool | None = None


class Workload(Tolerant):
    """One line of the workload list."""

    id: Word = None
    name: Word = None
    type: Word = None
    category: Word = None
    cluster_id: Word = None
    project_id: Word = None
    project_name: Word = None
    department_name: Word = None
    namespace: Word = None
    submitted_by: Word = None
    created_at: Word = None
    completed_at: Word = None
    deleted_at: Word = None
    phase: Word = None
    phase_message: Word = None
    phase_reason: Word = None
    phase_updated_at: Word = None
    conditions: list[Condition] | None = None
    priority: Word = None
    priority_class_name: Word = None
    preemptible: bool | None = None
    running_pods: Word = None
    requested_pods: RequestedPods | None = None
    workload_requested_resources: Requested | None = None
    pods_requested_resources: Requested | None = None
    allocated_resources: Allocated | None = None
    actions_support: Support | None = None
    requested_node_pools: list[Word] | None = None
    current_node_pools: list[Word] | None = None
    distributed_framework: Word = None
    environment_variables: dict[str, Word] | None = None
    total_running_time_seconds: Word = None
    total_pending_time_seconds: Word = None
    idle_allocated_gpus: Word = None
    images: list[Word] | None = None


class PhaseUpdate(Tolerant):
    """A workload entered a phase."""

    phase: Word = None


class HistorySpec(Tolerant):
    """What a line of a workload's history tells: a change of phase, or something else."""

    phase_update: PhaseUpdate | None = None


class HistoryMeta(Tolerant):
    """When it was."""

    creation_timestamp: Word = None


class HistoryRecord(Tolerant):
    """One line of a workload's history."""

    meta: HistoryMeta | None = None
    spec: HistorySpec | None = None


class Container(Tolerant):
    """One container of a pod."""

    started_at: Word = None


class Pod(Tolerant):
    """One pod of a workload."""

    id: Word = None
    name: Word = None
    workload_id: Word = None
    cluster_id: Word = None
    node_name: Word = None
    current_node_pool: Word = None
    k8s_phase: Word = msgspec.field(default=None, name="k8sPhase")
    completed_at: Word = None
    deleted_at: Word = None
    containers: list[Container] | None = None
    requested_resources: Requested | None = None
    allocated_resources: Allocated | None = None


class Taint(Tolerant):
    """A taint of a node."""

    key: Word = None
    effect: Word = None


class GpuInfo(Tolerant):
    """The GPUs of a node."""

    gpu_type: Word = None
    gpu_count: Word = None


class Node(Tolerant):
    """One node."""

    id: Word = None
    name: Word = None
    cluster_uuid: Word = None
    status: Word = None
    conditions: list[Condition] | None = None
    taints: list[Taint] | None = None
    node_pool: Word = None
    gpu_info: GpuInfo | None = None


class Amount(Tolerant):
    """A quota: -1 or null is unlimited."""

    deserved: Word = None
    limit: Word = None
    over_quota_weight: Word = None


class Ref(Tolerant):
    """Something named by id."""

    id: Word = None
    name: Word = None


class PoolQuota(Tolerant):
    """A quota in one node pool."""

    node_pool: Ref | None = None
    gpu: Amount | None = None
    priority: Word = None


class OrgStatus(Tolerant):
    """The state of a project."""

    phase: Word = None


class OrgUnit(Tolerant):
    """A project or a department."""

    id: Word = None
    name: Word = None
    created_at: Word = None
    cluster_id: Word = None
    parent: Ref | None = None
    parent_id: Word = None
    default_node_pools: list[Word] | None = None
    status: OrgStatus | None = None
    resources: list[PoolQuota] | None = None


class Cluster(Tolerant):
    """One cluster of the tenant."""

    uuid: Word = None
    name: Word = None
    version: Word = None
    status: dict[str, msgspec.Raw] | None = None


class Rule(Tolerant):
    """One access rule: a role within a scope."""

    subject_id: Word = None
    subject_type: Word = None
    role_name: Word = None
    scope_id: Word = None
    scope_type: Word = None
    scope_name: Word = None


class Value(Tolerant):
    """One sample of a metric."""

    value: Word = None
    timestamp: Word = None


class Measurement(Tolerant):
    """One series of a metric."""

    type: Word = None
    labels: dict[str, Word] | None = None
    values: list[Value] | None = None


T = TypeVar("T", bound=Tolerant)


def items(raw: list[msgspec.Raw], kind: type[T]) -> tuple[list[T], int]:
    """The items as records, and how many could not be read."""
    found: list[T] = []
    for item in raw:
        try:
            found.append(msgspec.json.decode(item, type=kind))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return found, len(raw) - len(found)


def page(body: bytes, key: str | None) -> tuple[list[msgspec.Raw], int | None]:
    """The items under `key` (None: the answer is the list itself), and the next offset.

    Raises:
        ValueError: the body is no JSON of this shape; the message says what it is.
    """
    try:
        if key is None:
            return msgspec.json.decode(body, type=list[msgspec.Raw]), None
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        listed = msgspec.json.decode(fields.get(key, b"null"), type=list[msgspec.Raw] | None)
        told = msgspec.json.decode(fields.get("next", b"null"), type=Word)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no JSON as the API gives it: {error}") from None
    if listed is None and key not in fields:
        raise ValueError(f"JSON without {key!r}")
    after = number(told)
    return listed or [], None if after is None else int(after)


def text(word: object) -> str | None:
    """A word as text; None when there is none."""
    if word is None or word == "" or isinstance(word, bool | list | dict):
        return None
    return str(word)


def number(word: object) -> float | None:
    """A word as a finite number; None when it is none."""
    if word is None or isinstance(word, bool | list | dict):
        return None
    try:
        found = float(word)  # type: ignore[arg-type]
    except (ValueError, OverflowError, TypeError):
        return None
    return found if math.isfinite(found) else None


def count(word: object) -> int | None:
    """A word as a whole number from 0 to a billion; None when it is none."""
    found = number(word)
    return int(found) if found is not None and 0 <= found <= 1e9 else None


def milli(word: object) -> int | None:
    """Devices or cores as thousandths; None when it is no amount."""
    found = number(word)
    return round(found * 1000) if found is not None and 0 <= found <= 1e9 else None


def amount_bytes(word: object) -> int | None:
    """A quantity such as `20G` or `512Mi` in bytes; None when it is none."""
    if isinstance(word, int | float):
        return count(word)
    found = _AMOUNT.fullmatch(word.strip()) if isinstance(word, str) else None
    if found is None:
        return None
    if found[2] == "m" and not found[3]:  # thousandths, as Kubernetes writes odd sums
        return int(Decimal(found[1]) / 1000)
    base = 1024 if found[3] else 1000
    return int(Decimal(found[1]) * base ** _POWERS[found[2].lower()])


def when(word: object) -> datetime | None:
    """A time in ISO 8601; without a zone it is UTC. None when it is none, or not of this age."""
    if not isinstance(word, str) or not word:
        return None
    try:
        found = datetime.fromisoformat(word)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if 1970 < found.year < 9000 else None


def encoded(body: object) -> bytes:
    """A request's body."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
