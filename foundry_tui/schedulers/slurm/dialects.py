"""The JSON of `squeue --json` and `scontrol show jobs --json`, in the dialects of 22.05 to 25.11.

- 22.05 (openapi v0.0.38): plain numbers, `null` for unset, one word as `job_state`; `null` as
  `time_limit` means that there is none.
- 23.02 (data_parser v0.0.39): numbers become `{set, infinite, number}`; times stay plain.
- 23.11 and later (v0.0.40 to v0.0.44): times are such objects too, `job_state` is a list with
  flags, `exit_code` is split into return code and signal; from 24.05 on (v0.0.41) the nodes of
  `job_resources` are an object.

One set of types reads them all, because the names of the fields used here never changed. Names
hold any byte that users put there, and Slurm passes it on: text that is not UTF-8 keeps its bytes
as surrogates.
"""

from __future__ import annotations

import json
import time
from typing import TypeVar

import msgspec

from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerError, Unavailable
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.rows import Held, JobRow, JobTable
from foundry_tui.schedulers.slurm.tres import parse_gres

ASKED = "squeue --json"
NO_VAL, INFINITE = 0xFFFF_FFFE, 0xFFFF_FFFF
"""Slurm's numbers for "unset" and "no limit", which some fields print as they are."""

STATE_FLAGS = (
    "COMPLETING",
    "STAGE_OUT",
    "CONFIGURING",
    "EXPEDITING",
    "RESIZING",
    "REQUEUED",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "SPECIAL_EXIT",
    "STOPPED",
    "REVOKED",
    "RESV_DEL_HOLD",
    "SIGNALING",
)
"""Flags that say more than the base state, strongest first: the order of squeue's own STATE."""

T = TypeVar("T")


class DialectError(SchedulerError):
    """An answer that is no JSON, or JSON of a shape that no known Slurm prints."""


class _Object(msgspec.Struct, gc=False):
    """A number as 23.02 and later print it."""

    set: bool = False
    infinite: bool = False
    number: int = 0


_Number = int | _Object | None


class _Signal(msgspec.Struct, gc=False):
    id: _Number = None


class _Exit(_Object, gc=False):
    """A wait status (23.02), or its two halves (23.11 and later)."""

    return_code: _Number = None
    signal: _Signal | None = None


class _NodeList(msgspec.Struct, gc=False):
    list: str = ""


class _Resources(msgspec.Struct, gc=False):
    nodes: str | _NodeList | None = None


class _Job(msgspec.Struct, gc=False):
    job_id: int
    job_state: str | list[str]
    array_job_id: _Number = None
    array_task_id: _Number = None
    array_task_string: str | None = None
    state_reason: str | None = None
    user_name: str | None = None
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    priority: _Number = None
    hold: bool = False
    tres_alloc_str: str | None = None
    tres_req_str: str | None = None
    nodes: str | None = None
    scheduled_nodes: str | None = None
    required_nodes: str | None = None
    features: str | None = None
    dependency: str | None = None
    resv_name: str | None = None
    requeue: bool | None = None
    submit_time: _Number = None
    eligible_time: _Number = None
    start_time: _Number = None
    end_time: _Number = None
    time_limit: _Number = NO_VAL
    node_count: _Number = None
    cpus: _Number = None
    exit_code: int | _Exit | None = None
    comment: str | None = None
    name: str | None = None
    gres_detail: list[str | None] = []
    job_resources: _Resources | None = None


class _Error(msgspec.Struct):
    description: str | None = None
    error: str | None = None


class _Answer(msgspec.Struct):
    errors: list[_Error] = []
    jobs: list[_Job] | None = None


class _Version(msgspec.Struct):
    major: int | str
    minor: int | str


class _Slurm(msgspec.Struct):
    version: _Version | None = None


class _Meta(msgspec.Struct):
    old: _Slurm | None = msgspec.field(default=None, name="Slurm")
    slurm: _Slurm | None = None


class _Head(msgspec.Struct):
    meta: _Meta | None = None


def decode_jobs(data: bytes) -> JobTable:
    """Rows of every job in the answer, and what each running job holds where Slurm tells.

    Raises:
        Unavailable: `errors[]` is not empty. The exit code is 0 even when the controller or munge
            is down, and `jobs` is then empty: no estate without jobs.
        DialectError: the bytes are no JSON, or a field has an unknown shape; names the field.
    """
    answer = _decode(data, _Answer)
    if answer.errors:
        first = answer.errors[0]
        words = ": ".join(filter(None, (first.description, first.error))) or "an unnamed error"
        raise Unavailable(ASKED, safe(words), "slurmctld or munge may be down: try `scontrol ping`")
    if answer.jobs is None:
        raise DialectError(ASKED, "the answer has no field `jobs`", _HINT)
    held = ((str(job.job_id), _held(job)) for job in answer.jobs)
    return JobTable(
        tuple(_row(job) for job in answer.jobs),
        {job_id: items for job_id, items in held if items is not None},
    )


def decode_version(data: bytes) -> tuple[int, int] | None:
    """The Slurm that answered, as (22, 5) or (25, 11); None when the answer does not tell.

    Raises:
        DialectError: the bytes are no JSON, or `meta` has an unknown shape.
    """
    meta = _decode(data, _Head).meta
    slurm = (meta.slurm or meta.old) if meta else None
    if slurm is None or slurm.version is None:
        return None
    try:
        return int(slurm.version.major), int(slurm.version.minor)
    except ValueError:
        return None


_HINT = "let this source be read by text columns, which need no JSON"


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        try:
            return msgspec.json.decode(data, type=kind)
        except UnicodeDecodeError:
            # The slow way, for the rare list in which a name is not UTF-8.
            return msgspec.convert(json.loads(data.decode("utf-8", "surrogateescape")), kind)
    except msgspec.ValidationError as error:
        raise DialectError(ASKED, f"unknown shape: {error}", _HINT) from error
    except (ValueError, RecursionError) as error:  # of malformed text, by msgspec or json
        shown = safe(data[:200], max_cells=80) or "nothing"
        raise DialectError(ASKED, f"the answer is no JSON ({error}): {shown}", _HINT) from error


def _row(job: _Job) -> JobRow:
    task = _count(job.array_task_id)
    return JobRow(
        job_id=str(job.job_id),
        array_job_id=_count(job.array_job_id).lstrip("0"),
        array_task=task or job.array_task_string or "",
        state=_state(job.job_state),
        reason=job.state_reason or "",
        user=job.user_name or "",
        account=job.account or "",
        partition=job.partition or "",
        qos=job.qos or "",
        priority="0" if job.hold else _count(job.priority),
        tres=job.tres_alloc_str or job.tres_req_str or "",
        nodelist=job.nodes or "",
        sched_nodes=job.scheduled_nodes or "",
        required_nodes=job.required_nodes or "",
        features=job.features or "",
        dependency=job.dependency or "",
        reservation=job.resv_name or "",
        requeue="" if job.requeue is None else str(int(job.requeue)),
        submit=_moment(job.submit_time),
        eligible=_moment(job.eligible_time),
        start=_moment(job.start_time),
        end=_moment(job.end_time),
        time_limit="UNLIMITED" if _unlimited(job.time_limit) else _count(job.time_limit),
        num_nodes=_count(job.node_count),
        num_cpus=_count(job.cpus),
        exit_code=_wait_status(job.exit_code),
        comment=job.comment or "",
        name=job.name or "",
    )


def _state(words: str | list[str]) -> str:
    if isinstance(words, str):
        return words
    return next((flag for flag in STATE_FLAGS if flag in words), words[0] if words else "")


def _value(number: _Number) -> int | None:
    """The number, None when it is unset or infinite."""
    if isinstance(number, _Object):
        number = number.number if number.set and not number.infinite else None
    return None if number in (NO_VAL, INFINITE) else number


def _unlimited(number: _Number) -> bool:
    if isinstance(number, _Object):
        return number.infinite or (number.set and number.number == INFINITE)
    return number is None or number == INFINITE


def _count(number: _Number) -> str:
    value = _value(number)
    return "" if value is None else str(value)


def _moment(number: _Number) -> str:
    seconds = _value(number)
    return "" if seconds is None else utc_text(seconds)


def utc_text(seconds: int) -> str:
    """Seconds since 1970 as `YYYY-MM-DDTHH:MM:SS` in UTC; 0 and what is no moment give ``."""
    if not 0 < seconds < NO_VAL:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _wait_status(code: int | _Exit | None) -> str:
    """The wait status that `squeue -O exit_code` prints: code in the higher byte, then signal."""
    if not isinstance(code, _Exit) or (code.return_code is None and code.signal is None):
        return _count(code)
    status = _value(code.return_code)
    signal = _value(code.signal.id) if code.signal else None
    if status is None and signal is None:
        return ""
    return str((status or 0) << 8 | (signal or 0))


def _held(job: _Job) -> tuple[Held, ...] | None:
    """What the job holds on each of its nodes; None when Slurm does not tell.

    `gres_detail` follows the order of slurmctld's node table, as `job_resources` does, while
    `nodes` is sorted by name: the two differ where a topology plugin orders the nodes. So
    `nodes` alone is believed for one node only.
    """
    if not job.gres_detail:
        return None
    told = job.job_resources.nodes if job.job_resources else None
    listed = (told.list if isinstance(told, _NodeList) else told) or job.nodes or ""
    try:
        hosts = expand(listed)
        if len(hosts) != len(job.gres_detail) or (not told and len(hosts) > 1):
            return None
        return tuple(
            Held(host, item.name, item.model, item.count, item.indices)
            for host, detail in zip(hosts, job.gres_detail, strict=True)
            for item in parse_gres(detail or "")
            if item.count
        )
    except ValueError as error:
        answer = f"job {job.job_id}: `nodes` or `gres_detail` cannot be read: {error}"
        raise DialectError(ASKED, safe(answer, max_cells=400), _HINT) from error
