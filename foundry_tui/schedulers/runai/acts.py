"""Acts on Run:ai: spelled out as requests, and sent. Workloads go in batches, answered one by one.

The control plane answers 202 or names successes, and does the work later. Creating is sent once,
whatever comes back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from foundry_tui.deadline import Deadline
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    MoveNode,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Release,
    Requeue,
    Resume,
    RunAct,
    Suspend,
    inverse_of,
    refused,
)
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.ports import Denied, Unavailable
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.errors import NoAnswer, Refused, failure, said
from foundry_tui.schedulers.runai.exchange import Answer, Request
from foundry_tui.schedulers.runai.quota import observed
from foundry_tui.schedulers.runai.rights import change_refusal
from foundry_tui.schedulers.runai.tables import Tables
from foundry_tui.schedulers.runai.wire import Tolerant, Word, encoded, text
from foundry_tui.schedulers.runai.words import MOVES_NO_NODES, STOPS

BATCH = "/api/v1/workloads/batch"

CHUNK = 100
"""Workloads in one request."""

UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

UNSUPPORTED: dict[type[Act], str] = {
    Hold: "Run:ai cannot hold a workload: suspend it, or delete it and submit it again later",
    Release: "Run:ai holds no workloads, so there is nothing to release",
    Requeue: "Run:ai has no requeue: suspend and resume it, or submit it again",
    ChangeRun: "a submitted workload cannot be changed: delete it and submit it again",
    MoveNode: MOVES_NO_NODES,
    ChangeNode: "the control plane cannot drain nodes: `kubectl cordon` in the cluster does",
}

ACTIONS = {Cancel: "delete", Suspend: "suspend", Resume: "resume"}

GONE = "404 it is gone already: somebody else has deleted it"


class _Failed(Tolerant):
    id: Word = None
    code: Word = None
    message: Word = None


class _Batch(Tolerant):
    succeeded: list[Word] | None = None
    failed: list[_Failed] | None = None


def preview_runs(act: RunAct, runs: Sequence[Run], tables: Tables, me: str) -> Preview:
    """The request of each workload; they are sent together. Nothing is sent here.

    Raises:
        ValueError: an act that Run:ai does not have.
    """
    why = UNSUPPORTED.get(type(act))
    if why is not None:
        raise ValueError(why)
    known = {run.id: run for run in runs}
    items = tuple(_item(act, target, known.get(target), tables, me) for target in act.runs)
    return Preview(act=act, items=items, inverse=inverse_of(act))


def native_id(source: str, target: str) -> str:
    """The workload's uuid in a run's id."""
    return target.removeprefix(f"{source}/")


def _item(act: RunAct, target: str, run: Run | None, tables: Tables, me: str) -> PreviewItem:
    native = native_id(act.source, target)
    if not UUID.fullmatch(native):
        words = safe(f"{native!r} is no id of a workload")
        return PreviewItem(target=target, command=(), refusal=words)
    action = ACTIONS[type(act)]
    return PreviewItem(
        target=target,
        command=("POST", BATCH, encoded({"ids": [native], "action": action}).decode()),
        owner=run.user if run else None,
        before=run.state.value if run else None,
        loss_gpu_s=_loss_gpu_s(run) if run and not isinstance(act, Resume) else None,
        refusal=_refusal(act, run, tables) if run else None,
        warning=_warning(act, run, native, me),
    )


def _refusal(act: RunAct, run: Run, tables: Tables) -> SafeText | None:
    native = run.native or {}
    if run.state not in LIVE and run.state is not RunState.UNKNOWN:
        return safe(f"it has ended already ({run.state.value})")
    if native.get("phase") in ("Deleting", "Terminating"):
        return safe("it is being deleted already")
    if isinstance(act, Cancel) and native.get("delete_supported") == "false":
        return safe("409 the control plane cannot delete it: actionsSupport.delete is false")
    if isinstance(act, Suspend) and native.get("suspend_supported") == "false":
        return safe("409 the control plane cannot suspend it: actionsSupport.suspend is false")
    if isinstance(act, Suspend) and run.state is RunState.SUSPENDED:
        return safe("it is suspended already")
    if isinstance(act, Resume) and run.state is not RunState.SUSPENDED:
        return safe(f"it is {run.state.value}: only a suspended workload can be resumed")
    project = tables.project(run.queue or "")
    return None if project is None else change_refusal(tables, project)


def _warning(act: RunAct, run: Run | None, native: str, me: str) -> SafeText | None:
    found = [STOPS] if isinstance(act, Suspend) else []
    if run is None:
        found.append(f"no run {native} was seen in the last reading")
    elif run.user != me:
        found.append(f"belongs to {run.user}: its project's access rules decide")
    return safe("; ".join(found), max_cells=400) if found else None


def _loss_gpu_s(run: Run) -> float | None:
    """GPU-seconds of work since the start, which ending it throws away; 0 for one not begun."""
    if run.started_at is None or run.ended_at is not None:
        return 0.0
    if run.read_at is None or run.request.gpu_milli is None:
        return None
    held_s = max(0.0, (run.read_at - run.started_at).total_seconds())
    return held_s * run.request.gpu_milli / 1000


def perform_runs(client: Client, preview: Preview) -> tuple[Receipt, ...]:
    """Send the requests of a preview, many workloads in one.

    Raises:
        Unavailable: nothing was sent, because the control plane does not answer.
    """
    act = preview.act
    sent = [i for i in preview.items if i.refusal is None]
    receipts = {i.target: refused(i, i.refusal) for i in preview.items if i.refusal is not None}
    action, deadline = ACTIONS[type(act)], client.deadline()
    for start in range(0, len(sent), CHUNK):
        chunk = sent[start : start + CHUNK]
        natives = {i.target: native_id(act.source, i.target) for i in chunk}
        receipts |= _batch(client, chunk, natives, action, deadline, first=start == 0)
    return tuple(receipts[i.target] for i in preview.items)


def _batch(
    client: Client,
    items: Sequence[PreviewItem],
    natives: dict[str, str],
    action: str,
    deadline: Deadline,
    *,
    first: bool,
) -> dict[str, Receipt]:
    body = encoded({"ids": list(dict.fromkeys(natives.values())), "action": action})
    try:
        answer = client.send(Request("POST", BATCH, body=body), deadline)
    except NoAnswer as error:
        return {i.target: unsure(i, f"sent, and no answer came: {error.answer}") for i in items}
    except Unavailable as error:
        if first:
            raise
        return {i.target: refused(i, f"not sent: {error.answer}") for i in items}
    except Denied as error:
        return {i.target: refused(i, f"{error.answer}; {error.hint}") for i in items}
    if answer.status >= 500:
        return {i.target: unsure(i, f"{said(answer)}: it may be done or not") for i in items}
    if not 200 <= answer.status < 300:
        words = _words(answer)
        return {i.target: refused(i, words) for i in items}
    return _answered(items, natives, answer, action)


def _answered(
    items: Sequence[PreviewItem], natives: dict[str, str], answer: Answer, action: str
) -> dict[str, Receipt]:
    try:
        told = msgspec.json.decode(answer.body, type=_Batch)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = _Batch()
    done = {text(key) for key in told.succeeded or ()}
    failed = {text(f.id): f for f in told.failed or ()}
    receipts = {}
    for item in items:
        native = natives[item.target]
        if native in failed:
            receipts[item.target] = _failed(item, failed[native], action)
        elif native in done:
            receipts[item.target] = Receipt(
                target=item.target,
                status=ReceiptStatus.ACCEPTED,
                message=safe(f"{action} is accepted"),
                before=item.before,
            )
        else:
            receipts[item.target] = unsure(
                item, f"{answer.status}, but the answer does not name it"
            )
    return receipts


def _failed(item: PreviewItem, told: _Failed, action: str) -> Receipt:
    code, words = text(told.code) or "", text(told.message) or "without a word"
    if code.startswith("404"):
        gone = refused(item, GONE)
        return replace(gone, status=ReceiptStatus.UNCHANGED) if action == "delete" else gone
    return refused(item, words if code and words.startswith(code) else f"{code} {words}".strip())


def perform_submit(client: Client, item: PreviewItem) -> Receipt:
    """Send the one request that creates a workload. It is never sent twice.

    Raises:
        Unavailable: nothing was sent, because the control plane does not answer.
    """
    if item.refusal is not None:
        return refused(item, item.refusal)
    method, path, body = item.command
    try:
        answer = client.send(Request(method, path, body=body.encode()), client.deadline())
    except NoAnswer as error:
        return unsure(item, f"sent, and no answer came: {error.answer}")
    except Denied as error:
        return refused(item, f"{error.answer}; {error.hint}")
    if answer.status >= 500:
        return unsure(item, f"{said(answer)}: it may be created or not")
    if not 200 <= answer.status < 300:
        return refused(item, _words(answer))
    try:
        native = text(msgspec.json.decode(answer.body, type=dict[str, object]).get("workloadId"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        native = None
    if native is None or not UUID.fullmatch(native):
        return unsure(item, f"{answer.status}, but the answer names no workload")
    words = safe(f"{answer.status} Creating")
    return Receipt(target=native, status=ReceiptStatus.ACCEPTED, message=words)


def perform_quota(client: Client, preview: Preview) -> Receipt:
    """Send a change of quota, if what was previewed is still so. A repeat does no more.

    The API has no precondition of its own: the record is read again just before.

    Raises:
        Unavailable: nothing was sent, because the control plane does not answer.
    """
    (item,) = preview.items
    if item.refusal is not None:
        return refused(item, item.refusal)
    assert isinstance(preview.act, ChangeQueue)
    method, path, body = item.command
    request = Request(method, path, body=body.encode(), again=True)
    deadline = client.deadline()
    try:
        now = observed(client, preview.act, path.removesuffix("/resources"), deadline)
        if now != item.before:
            return refused(item, f"it was changed since it was last read: {now}; look again")
        answer = client.send(request, deadline)
    except NoAnswer as error:
        return unsure(item, f"sent, and no answer came: {error.answer}")
    except (Denied, Refused) as error:
        return refused(item, f"{error.answer}; {error.hint}")
    if answer.status >= 500:
        return unsure(item, f"{said(answer)}: it may be done or not")
    if not 200 <= answer.status < 300:
        return refused(item, _words(answer))
    return Receipt(
        target=item.target,
        status=ReceiptStatus.ACCEPTED,
        message=safe(f"{answer.status} accepted"),
        before=item.before,
    )


def supports(act: type[Act]) -> str | None:
    """None when Run:ai can do this kind of act, else why not."""
    return UNSUPPORTED.get(act)


def unsure(item: PreviewItem, words: str) -> Receipt:
    """A receipt for what was sent and may be done or not."""
    return Receipt(
        target=item.target,
        status=ReceiptStatus.UNKNOWN,
        message=safe(words, max_cells=400),
        before=item.before,
    )


def _words(answer: Answer) -> str:
    error = failure("", answer)
    if answer.status == 401:
        return f"{error.answer}; nothing was done; the login is renewed now: send it again"
    return f"{error.answer}; {error.hint}" if error.hint else error.answer
