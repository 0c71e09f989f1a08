"""Workloads of the simulated Run:ai stopped and started again: their GPUs are given away between.

A stopped workload is one that the simulator lets wait and holds; Run:ai itself holds none.
"""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.acts import PreviewItem, Receipt, ReceiptStatus, Resume, Suspend, refused
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.runai.words import STOPS
from foundry_tui.schedulers.simulated.live import Live
from scheduler_sim.jobs import LIVE, Job, State

BATCH = "/api/v1/workloads/batch"


def stopped(job: Job) -> bool:
    """Whether a workload is stopped."""
    return job.held and job.state is State.PENDING


def state_of(job: Job) -> RunState:
    """The estate's word for a workload's state."""
    return RunState.SUSPENDED if stopped(job) else RunState(job.state.value)


def command(act: Suspend | Resume, native: str) -> tuple[str, str, str]:
    """The request for one workload, as on a real control plane."""
    action = "suspend" if isinstance(act, Suspend) else "resume"
    return ("POST", BATCH, f'{{"ids":["{native}"],"action":"{action}"}}')


def warned(act: Suspend | Resume, item: PreviewItem) -> PreviewItem:
    """The item with what a stop costs."""
    if not isinstance(act, Suspend) or item.refusal is not None:
        return item
    notes = "; ".join(note for note in (STOPS, item.warning) if note)
    return replace(item, warning=safe(notes, max_cells=400))


def why_not(act: Suspend | Resume, job: Job) -> str | None:
    """Why an act has no meaning for a workload as it is."""
    if job.state not in LIVE or job.closing:
        return "it has ended already" if job.state not in LIVE else "it is being deleted already"
    if isinstance(act, Suspend) and stopped(job):
        return "it is suspended already"
    if isinstance(act, Resume) and not stopped(job):
        return f"it is {job.state.value}: only a suspended workload can be resumed"
    return None


def perform(live: Live, act: Suspend | Resume, item: PreviewItem, job: Job) -> Receipt:
    """Stop a workload or start it again."""
    if why := why_not(act, job):
        return refused(item, why)
    if isinstance(act, Resume):
        live.act("release", key=job.key)
    elif job.state is State.PENDING:
        live.act("hold", key=job.key)
    else:
        live.act("requeue", key=job.key, text="hold")
    return Receipt(
        target=item.target,
        status=ReceiptStatus.ACCEPTED,
        message=safe(f"{'resume' if isinstance(act, Resume) else 'suspend'} is accepted"),
        before=item.before,
    )


def settled(act: Suspend | Resume, receipt: Receipt, job: Job | None) -> Receipt:
    """The receipt as the list proves it."""
    if receipt.status is not ReceiptStatus.ACCEPTED:
        return receipt
    if job is None:
        return replace(receipt, status=ReceiptStatus.UNCHANGED, message=safe("it is gone"))
    done = stopped(job) is isinstance(act, Suspend)
    status = ReceiptStatus.DONE if done else receipt.status
    return replace(receipt, status=status, after=state_of(job).value)
