"""Receipts settled by what the control plane shows afterwards, and lost answers found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import quote

import msgspec

from foundry_tui.deadline import Deadline
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeQueue,
    Preview,
    Receipt,
    ReceiptStatus,
    Resume,
    Submit,
    Suspend,
)
from foundry_tui.estate.run import LIVE, RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerError, Unavailable
from foundry_tui.schedulers.runai.acts import UUID, native_id
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.errors import Refused
from foundry_tui.schedulers.runai.nouns import TOKEN_VARIABLE, state_of
from foundry_tui.schedulers.runai.paging import listed
from foundry_tui.schedulers.runai.quota import reached, shown_unit, unit_of, unit_path
from foundry_tui.schedulers.runai.specs import read_spec
from foundry_tui.schedulers.runai.tables import Tables, Unit
from foundry_tui.schedulers.runai.wire import OrgUnit, Workload, text

WORKLOADS = "/api/v1/workloads"

SETTLE_S = 6.0
"""Seconds for which a workload is looked at again until it shows what was sent."""

POLL_S = 0.5
AT_ONCE = 4

NEWEST = 500
"""So many of the newest workloads are searched for a submit token: one page."""

RECORDS = 16
"""Records that are read where the list tells no variables."""

_OPEN = (ReceiptStatus.ACCEPTED, ReceiptStatus.UNKNOWN)

_DONE: dict[type[Act], Callable[[RunState, str], bool]] = {
    Cancel: lambda state, _: state not in LIVE or state is RunState.COMPLETING,
    Suspend: lambda state, phase: state is RunState.SUSPENDED or phase == "Stopping",
    Resume: lambda state, _: state in (RunState.PENDING, RunState.RUNNING),
    Submit: lambda state, phase: True,
}


def read_workload(client: Client, native: str, deadline: Deadline) -> Workload | None:
    """One workload as it is now; None when there is none of this id.

    Raises:
        Unavailable, Denied, Refused: as `Client.read`.
    """
    path = f"{WORKLOADS}/{quote(native, safe='')}"
    try:
        body = client.read(path, deadline).body
        return msgspec.json.decode(body, type=Workload)
    except Refused as error:
        if error.status == 404:
            return None
        raise
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(f"GET {path}", safe(str(error)), "look again") from None


def read_back(
    client: Client, preview: Preview, sent: tuple[Receipt, ...], pause: Callable[[float], None]
) -> tuple[Receipt, ...]:
    """Receipts of workloads settled by what is shown now; looked at for `SETTLE_S` at most."""
    if not any(_to_settle(preview.act, r) for r in sent):
        return sent
    deadline = Deadline.after(min(SETTLE_S, client.timeout_s))
    settled = sent
    while True:
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                settled = tuple(
                    pool.map(lambda r: _settled(client, preview.act, r, deadline), settled)
                )
        except SchedulerError as error:
            words = safe(f"sent, but not read back: {error}", max_cells=400)
            return tuple(
                replace(r, message=words, status=ReceiptStatus.UNKNOWN)
                if _to_settle(preview.act, r)
                else r
                for r in settled
            )
        if not any(_to_settle(preview.act, r) for r in settled):
            return settled
        if deadline.left_s() <= POLL_S:
            return settled
        pause(POLL_S)


def _to_settle(act: Act, receipt: Receipt) -> bool:
    return receipt.status in _OPEN and bool(UUID.fullmatch(native_id(act.source, receipt.target)))


def _settled(client: Client, act: Act, receipt: Receipt, deadline: Deadline) -> Receipt:
    if not _to_settle(act, receipt):
        return receipt
    workload = read_workload(client, native_id(act.source, receipt.target), deadline)
    if workload is None:
        if isinstance(act, Cancel):
            return replace(receipt, status=ReceiptStatus.DONE, after="gone")
        if isinstance(act, Submit):  # it was answered with its id, and is not listed yet
            return receipt
        words = safe("it is gone: somebody else has deleted it")
        return replace(receipt, status=ReceiptStatus.UNCHANGED, message=words, after="gone")
    phase = text(workload.phase) or "Unknown"
    after = safe(phase.lower())
    if _DONE[type(act)](state_of(workload, ()), phase):
        return replace(receipt, status=ReceiptStatus.DONE, after=after)
    return replace(receipt, after=after)


def read_back_quota(
    client: Client, act: ChangeQueue, tables: Tables, sent: tuple[Receipt, ...]
) -> tuple[Receipt, ...]:
    """The receipt of a change of quota, settled by the project's own record."""
    (receipt,) = sent
    unit = unit_of(tables, act.queue)
    if receipt.status not in _OPEN or unit is None:
        return sent
    path = unit_path(tables, unit)
    try:
        body = client.read(path, client.deadline()).body
        told = msgspec.json.decode(body, type=OrgUnit)
    except (SchedulerError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        words = safe(f"sent, but not read back: {error}", max_cells=400)
        return (replace(receipt, status=ReceiptStatus.UNKNOWN, message=words),)
    now = Unit(unit.id, unit.name, unit.raw_name, unit.cluster, unit.parent, told)
    after = shown_unit(act, now)
    if reached(act, now):
        return (replace(receipt, status=ReceiptStatus.DONE, after=after),)
    words = safe("it is accepted, but the record does not show it")
    return (replace(receipt, status=ReceiptStatus.UNCHANGED, after=after, message=words),)


def find_submitted(client: Client, token: str, known: str | None) -> str | None:
    """The uuid of the workload with this submit token, or None; `known` is its uuid if told.

    The newest workloads are searched, those that were deleted since too. No filter by user is set:
    what a key's workloads are submitted by is not the same on all control planes.

    Raises:
        Unavailable, Denied: nothing is known.
    """
    deadline = client.deadline()
    if known is not None and read_workload(client, known, deadline) is not None:
        return known
    for deleted in ("false", "true"):
        newest = listed(
            client,
            WORKLOADS,
            "workloads",
            Workload,
            deadline,
            (("deleted", deleted), ("sortBy", "createdAt"), ("sortOrder", "desc")),
            most=NEWEST,
        ).items
        found = _with_token(client, newest, token, deadline)
        if found is not None:
            return found
    return None


def _with_token(
    client: Client, newest: Sequence[Workload], token: str, deadline: Deadline
) -> str | None:
    for workload in newest:
        if (workload.environment_variables or {}).get(TOKEN_VARIABLE) == token:
            return text(workload.id)
    silent = [w for w in newest if w.environment_variables is None][:RECORDS]
    for workload in silent:
        spec = read_spec(client, workload, deadline)
        if spec is not None and spec.token == token:
            return text(workload.id)
    return None
