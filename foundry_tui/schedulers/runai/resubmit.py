"""A waiting training made anew with another request, and the old one deleted when the new is there.

The API changes nothing of a submitted workload. Of a training its own record answers with the same
`spec` that creates one (published document of 2.24: TrainingSpec in both), so that it can be copied
as a whole; of other types the record is not the request. The request is sent once: a broken-off try
is found by its submit token.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

from foundry_tui.deadline import Deadline
from foundry_tui.estate.acts import (
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Resubmit,
    refused,
)
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable
from foundry_tui.schedulers.runai.acts import GONE, UUID, native_id, perform_submit, unsure
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.copying import Cannot, copied
from foundry_tui.schedulers.runai.errors import NoAnswer, Refused, said
from foundry_tui.schedulers.runai.exchange import Request
from foundry_tui.schedulers.runai.nouns import TOKEN_VARIABLE, state_of
from foundry_tui.schedulers.runai.receipts import POLL_S, SETTLE_S, find_submitted, read_workload
from foundry_tui.schedulers.runai.request import TRAININGS
from foundry_tui.schedulers.runai.rights import submit_refusal
from foundry_tui.schedulers.runai.tables import Tables
from foundry_tui.schedulers.runai.wire import encoded

FIELDS = ("gpu_milli", "qos")
"""What the new run can have otherwise: thousandths of a GPU over all its pods, priority class."""

TRAINING = "training"

BEGINS_ANEW = (
    "the new run begins to wait anew; nothing can be tried beforehand, and where the control plane "
    "refuses it the old one stays"
)


def preview(
    client: Client, act: Resubmit, runs: tuple[Run, ...], tables: Tables, me: str, token: str
) -> Preview:
    """The two requests of each workload; nothing is sent but readings.

    Raises:
        ValueError: a field that a new run cannot have otherwise, or a value that is none.
    """
    for name, value in act.fields:
        if name not in FIELDS:
            raise ValueError(f"field {name!r} cannot be changed; one of {', '.join(FIELDS)}")
        if name == "gpu_milli" and not (value.isascii() and value.isdecimal() and len(value) < 8):
            raise ValueError(f"gpu_milli: thousandths of a GPU, such as 500, not {value!r}")
    if not act.fields:
        raise ValueError(f"nothing to change: give one of {', '.join(FIELDS)}")
    known, deadline = {run.id: run for run in runs}, client.deadline()
    items = tuple(
        _item(client, act, target, known.get(target), tables, me, _token(token, n), deadline)
        for n, target in enumerate(act.runs)
    )
    return Preview(act=act, items=items)


def _token(token: str, number: int) -> str:
    """The submit token of the so-and-so-many-th run of one act, counted from 0."""
    return token if number == 0 else f"{token}-{number + 1}"


def _item(
    client: Client,
    act: Resubmit,
    target: str,
    run: Run | None,
    tables: Tables,
    me: str,
    token: str,
    deadline: Deadline,
) -> PreviewItem:
    item = PreviewItem(
        target=target,
        command=(),
        owner=run.user if run else None,
        before=run.state.value if run else None,
    )
    native = native_id(act.source, target)
    try:
        if run is None or not UUID.fullmatch(native):
            raise Cannot(f"no run {native} was seen in the last reading")
        if why := _refusal(run, tables, me):
            raise Cannot(why)
        path = f"{TRAININGS}/{quote(native, safe='')}"
        record = json.loads(client.read(path, deadline).body)
        body = copied(record, dict(act.fields), token)
    except Cannot as error:
        return _refused(item, str(error))
    except (SchedulerError, ValueError) as error:
        return _refused(item, f"it could not be read: {error}")
    command = ("POST", TRAININGS, encoded(body).decode(), "DELETE", path, "")
    return PreviewItem(
        target=target,
        command=command,
        owner=item.owner,
        before=item.before,
        warning=safe(BEGINS_ANEW),
    )


def _refused(item: PreviewItem, text: str) -> PreviewItem:
    words: SafeText = safe(text, max_cells=400)
    return PreviewItem(
        target=item.target, command=(), owner=item.owner, before=item.before, refusal=words
    )


def _refusal(run: Run, tables: Tables, me: str) -> str | None:
    """Why a run is not made anew, as far as its last reading tells."""
    native = run.native or {}
    if run.state is not RunState.PENDING:
        return f"it is {run.state.value}: only a waiting run is made anew"
    kind = str(native.get("kind") or "").lower()
    if kind != TRAINING:
        named = kind or "workload of a type that is not told"
        return f"a {named} is not copied from here: its record is not the request that made it"
    if run.user != me:
        return f"it belongs to {run.user}, and made anew it would belong to {me}"
    if native.get("delete_supported") == "false":
        return "the control plane cannot delete it: actionsSupport.delete is false"
    project = tables.project(run.queue or "")
    return None if project is None else submit_refusal(tables, project)


def perform(client: Client, sent: Preview) -> tuple[Receipt, ...]:
    """Make each workload anew, one after the other.

    Raises:
        Unavailable: nothing was sent, because the control plane does not answer.
    """
    act = sent.act
    assert isinstance(act, Resubmit)
    receipts: list[Receipt] = []
    for item in sent.items:
        try:
            receipts.append(_perform(client, act, item))
        except Unavailable as error:
            if all(r.status is ReceiptStatus.REFUSED for r in receipts):
                raise
            receipts.append(refused(item, f"not sent: {error}"))
    return tuple(receipts)


def _perform(client: Client, act: Resubmit, item: PreviewItem) -> Receipt:
    """Create the new workload, once; delete the old one when the new is there.

    Raises:
        Unavailable: nothing was sent, because the control plane does not answer.
    """
    if item.refusal is not None or not item.command:
        return refused(item, item.refusal or "nothing to send")
    try:
        if (why := _moved_on(client, act, item)) is not None:
            return refused(item, why)
    except (Denied, Refused) as error:
        return refused(item, str(error))
    made = PreviewItem(target=item.target, command=item.command[:3], before=item.before)
    receipt = perform_submit(client, made)
    if receipt.status is not ReceiptStatus.ACCEPTED:
        return receipt
    new = f"{act.source}/{receipt.target}"
    try:
        if (why := _moved_on(client, act, item)) is not None and why != GONE:
            _delete(client, f"{TRAININGS}/{receipt.target}")
            return refused(item, f"{why}; the new run was taken back")
        _delete(client, item.command[4])
    except SchedulerError as error:
        words = f"{new} was made; whether the old one was deleted is not known: {error}"
        return _receipt(unsure(item, words), new)
    words = safe(f"made anew as {new}", max_cells=400)
    return Receipt(
        target=item.target,
        status=ReceiptStatus.ACCEPTED,
        message=words,
        before=item.before,
        after=new,
    )


def _moved_on(client: Client, act: Resubmit, item: PreviewItem) -> str | None:
    """Why the old workload is not the waiting one any more. Raises SchedulerError."""
    found = read_workload(client, native_id(act.source, item.target), client.deadline())
    if found is None:
        return GONE
    state = state_of(found, ())
    if state is RunState.PENDING:
        return None
    return f"it is {state.value} since it was last read: only a waiting run is made anew"


def _delete(client: Client, path: str) -> None:
    """Delete a workload; one that is gone already is fine. Raises SchedulerError."""
    answer = client.send(Request("DELETE", path, again=True), client.deadline())
    if answer.status != 404 and not 200 <= answer.status < 300:
        raise NoAnswer(f"DELETE {path}", said(answer), "look at both runs")


def read_back(
    client: Client, sent: Preview, receipts: tuple[Receipt, ...], pause: Callable[[float], None]
) -> tuple[Receipt, ...]:
    """The receipts as the control plane shows both workloads, looked at for `SETTLE_S` at most."""
    act = sent.act
    assert isinstance(act, Resubmit)
    deadline = Deadline.after(min(SETTLE_S, client.timeout_s))
    while True:
        receipts = tuple(
            _settled(client, act, item, receipt)
            for item, receipt in zip(sent.items, receipts, strict=True)
        )
        waits = any(r.status is ReceiptStatus.ACCEPTED for r in receipts)
        if not waits or deadline.left_s() <= POLL_S:
            return receipts
        pause(POLL_S)


def _settled(client: Client, act: Resubmit, item: PreviewItem, receipt: Receipt) -> Receipt:
    if receipt.status not in (ReceiptStatus.ACCEPTED, ReceiptStatus.UNKNOWN) or not item.command:
        return receipt
    try:
        native = native_id(act.source, receipt.after) if receipt.after else None
        token = _token_in(item.command[2])
        native = native or find_submitted(client, token, None)
        old = read_workload(client, native_id(act.source, item.target), client.deadline())
    except SchedulerError as error:
        words = safe(f"sent, but not read back: {error}", max_cells=400)
        return _receipt(receipt, receipt.after, ReceiptStatus.UNKNOWN, words)
    ending = old is None or state_of(old, ()) in (RunState.COMPLETING, RunState.CANCELLED)
    if native is None:
        return receipt
    new = f"{act.source}/{native}"
    if ending:
        return _receipt(receipt, new, ReceiptStatus.DONE, safe(f"made anew as {new}"))
    if receipt.status is ReceiptStatus.UNKNOWN:
        words = safe(f"both are there: {new} is the new one; cancel one of them", max_cells=400)
        return _receipt(receipt, new, ReceiptStatus.UNKNOWN, words)
    return _receipt(receipt, new)


def _token_in(body: str) -> str:
    pairs = json.loads(body)["spec"]["environmentVariables"]
    return next(str(p["value"]) for p in pairs if p["name"] == TOKEN_VARIABLE)


def _receipt(
    receipt: Receipt,
    after: str | None,
    status: ReceiptStatus | None = None,
    message: SafeText | None = None,
) -> Receipt:
    return Receipt(
        target=receipt.target,
        status=status or receipt.status,
        message=message or receipt.message,
        before=receipt.before,
        after=after,
    )
