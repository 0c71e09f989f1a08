"""Acts on Slurm: spelled out as exact commands and sent one by one."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from foundry_tui.estate.actrecords import ActError, act_of, act_record
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
    Resubmit,
    Resume,
    RunAct,
    Submit,
    Suspend,
    inverse_of,
)
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.slurm.commands import (
    NOT_SENT,
    UNREACHABLE,
    Commands,
    NoAnswer,
    failure,
    message,
)
from foundry_tui.schedulers.slurm.jobchange import preview_change
from foundry_tui.schedulers.slurm.nodechange import RESUME, preview_node
from foundry_tui.schedulers.slurm.partitionchange import preview_queue
from foundry_tui.schedulers.slurm.receipts import RANGE, WHO_MAY, refused
from foundry_tui.schedulers.slurm.submit import perform_submit, submit_item

_JOB = re.compile(r"\d{1,10}(?:_\d{1,7})?(?:\+\d{1,4})?")

_VERBS = {
    Hold: ("scontrol", "hold"),
    Release: ("scontrol", "release"),
    Requeue: ("scontrol", "requeue"),
    Suspend: ("scontrol", "suspend"),
    Resume: ("scontrol", "resume"),
}


def supports(act: type[Act]) -> str | None:
    """None when this kind of act can be done on Slurm, else why not."""
    return _UNSUPPORTED.get(act)


_UNSUPPORTED: dict[type[Act], str] = {
    MoveNode: "Slurm has no node pools: change the field `nodes` of a partition",
    Resubmit: "Slurm gives back neither the environment nor the arguments with which a waiting "
    "job was submitted, so a new one could not be proven to be the same: submit its script anew, "
    "then cancel it",
}


def preview(commands: Commands, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
    """The exact command of each item. Nothing is sent; what is to be changed is looked at.

    Raises:
        ValueError: an act that `supports` refuses, or a field that cannot be changed.
    """
    if isinstance(act, Submit):
        return Preview(act=act, items=(submit_item(act, token),))
    if isinstance(act, ChangeNode):
        return _on_record(preview_node(commands, act))
    if isinstance(act, ChangeQueue):
        return _on_record(preview_queue(commands, act))
    if isinstance(act, MoveNode | Resubmit):
        raise ValueError(supports(type(act)))
    known = {run.id: run for run in runs}
    items = tuple(_run_item(act, target, known.get(target)) for target in act.runs)
    if isinstance(act, ChangeRun):
        return _on_record(preview_change(commands, act, items))
    return Preview(act=act, items=items, inverse=inverse_of(act))


def _on_record(preview: Preview) -> Preview:
    """The preview without an inverse that no journal would give back.

    Old values are texts of others: a reason may hold what a record does not take. A resume does
    without it.
    """
    back = preview.inverse
    if back is None:
        return preview
    try:
        act_of(act_record(back))
    except ActError:
        resume = isinstance(back, ChangeNode) and back.state == RESUME
        less = replace(back, reason=None) if isinstance(back, ChangeNode) and resume else None
        return replace(preview, inverse=less)
    return preview


def _run_item(act: RunAct, target: str, run: Run | None) -> PreviewItem:
    native = target.partition("/")[2] or target
    if not (_JOB.fullmatch(native) or RANGE.fullmatch(native)):
        return PreviewItem(
            target=target, command=(), refusal=safe(f"{native!r} is no Slurm job id")
        )
    warning: SafeText | None = None
    refusal = None
    if run is not None:
        refusal = _pointless(act, run)
    if run is None:
        warning = safe(f"no run {native} was seen in the last reading")
    elif run.user != user_name() and os.geteuid() != 0:
        warning = safe(f"belongs to {run.user}: {WHO_MAY}")
    loss = _loss_gpu_s(run) if run and isinstance(act, Cancel | Requeue) else None
    return PreviewItem(
        target=target,
        command=_run_command(act, native),
        owner=run.user if run else None,
        before=_state(run) if run else None,
        loss_gpu_s=loss,
        refusal=refusal,
        warning=warning,
    )


def _pointless(act: RunAct, run: Run) -> SafeText | None:
    """Why an act cannot do anything to a run in this state; Slurm itself often says nothing.

    `scontrol hold` of a running job ends with 0 and holds nothing (22.05.8).
    """
    if run.state not in LIVE:
        return safe(f"it has ended already ({run.state.value})")
    if isinstance(act, Hold | Release) and run.state is not RunState.PENDING:
        return safe(f"it is {run.state.value}: only a waiting run can be held or released")
    if isinstance(act, Release) and not run.held:
        return safe("it is not held")
    if isinstance(act, Hold) and run.held:
        return safe("it is held already")
    if isinstance(act, Requeue) and run.state is RunState.PENDING:
        return safe("it waits already")
    return None


def _loss_gpu_s(run: Run) -> float | None:
    """GPU-seconds of work that ending this run would throw away; 0 for one that has not begun."""
    if run.started_at is None or run.ended_at is not None:
        return 0.0
    if run.read_at is None or run.request.gpu_milli is None:
        return None
    held_s = max(0.0, (run.read_at - run.started_at).total_seconds())
    return held_s * run.request.gpu_milli / 1000


def _state(run: Run) -> str:
    return f"{run.state.value} (held)" if run.held else run.state.value


def _run_command(act: RunAct, native: str) -> tuple[str, ...]:
    waiting = RANGE.fullmatch(native)
    job = waiting[1] if waiting else native
    if isinstance(act, Cancel):
        # Of an array only the waiting tasks: the started ones are runs of their own.
        return ("scancel", "--state=PENDING", job) if waiting else ("scancel", native)
    if isinstance(act, ChangeRun):
        return ()  # its command needs the present values
    if isinstance(act, Requeue) and act.hold:
        return ("scontrol", "requeuehold", job)
    return (*_VERBS[type(act)], job)


def perform(commands: Commands, sent: Preview) -> tuple[Receipt, ...]:
    """Send the previewed commands. The first goes alone: if Slurm does not answer, nothing went.

    Raises:
        Unavailable: Slurm could not be reached, and nothing was sent.
    """
    if isinstance(sent.act, Submit):
        return (perform_submit(commands, sent.act, sent.items[0]),)
    receipts: list[Receipt] = []
    todo = list(sent.items)
    alone = True
    while todo and alone:
        item = todo.pop(0)
        alone = item.refusal is not None
        receipts.append(_perform_item(commands, sent.act, item, first=True))
    with ThreadPoolExecutor(max_workers=4) as pool:
        receipts.extend(
            pool.map(lambda item: _perform_item(commands, sent.act, item, first=False), todo)
        )
    return tuple(receipts)


def _perform_item(commands: Commands, act: Act, item: PreviewItem, *, first: bool) -> Receipt:
    if item.refusal is not None or not item.command:
        return refused(item, item.refusal or "nothing to send")
    try:
        done = commands.run(item.command[0], *item.command[1:])
    except NoAnswer as error:
        return Receipt(target=item.target, status=ReceiptStatus.UNKNOWN, message=safe(str(error)))
    text = message(done)
    if done.code and any(mark in text for mark in UNREACHABLE):
        if first and any(mark in text for mark in NOT_SENT):
            raise failure(" ".join(item.command), done)
        return Receipt(target=item.target, status=ReceiptStatus.UNKNOWN, message=text)
    if done.code and "No error" not in text:
        no = refused(item, text)
        # Of several fields it may have taken some, and `Priority=` of an owner it both refuses and
        # sets (22.05): what came of it is read back.
        looked_at = isinstance(act, ChangeRun | ChangeQueue)
        return replace(no, status=ReceiptStatus.ACCEPTED) if looked_at else no
    return Receipt(target=item.target, status=ReceiptStatus.ACCEPTED, before=item.before)
