"""Acts on the simulated Run:ai: requests that are answered with 202 and take effect later."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Release,
    Requeue,
    Resume,
    Submit,
    Suspend,
    refused,
)
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.simulated import nouns
from foundry_tui.schedulers.simulated.layout import USER
from foundry_tui.schedulers.simulated.runai_request import DISTRIBUTED, PATH, body, to_spec
from foundry_tui.schedulers.simulated.source import (
    SimulatedSource,
    lost,
    others_run,
    shown_job,
)
from scheduler_sim.engine import LiveCluster
from scheduler_sim.jobs import LIVE, Job

DELAY_S = 40
"""Simulated seconds after which the control plane shows what it accepted."""

UNSUPPORTED: dict[type[Act], str] = {
    Hold: "Run:ai cannot hold a workload: it is deleted, and submitted again later",
    Release: "Run:ai holds no workloads, so there is nothing to release",
    Requeue: "Run:ai has no requeue: delete the workload and submit it again",
    Suspend: "Run:ai stops a workload and gives its GPUs away; it cannot pause one in place",
    Resume: "Run:ai pauses no workloads in place, so there is nothing to resume",
    ChangeRun: "a submitted workload cannot be changed: delete it and submit it again",
    ChangeNode: "nodes are changed by administrators, and the simulated user is none",
    ChangeQueue: "quotas are changed by administrators, and the simulated user is none",
}


class RunaiActs(SimulatedSource):
    """The actor's half of the simulated Run:ai."""

    def native_id(self, job: Job) -> str:
        """The workload's uuid."""
        return nouns.stable_uuid(self.name, job.number)

    def find(self, engine: LiveCluster, native: str) -> list[Job]:
        """The workload of this uuid, if it can be seen already."""
        for job in engine.books.jobs.values():
            if job.visible_s <= engine.now_s and self.native_id(job) == native:
                return [job]
        return []

    def supports(self, act: type[Act]) -> str | None:
        """None when Run:ai can do this kind of act, else why not."""
        return UNSUPPORTED.get(act)

    def preview(self, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
        """Method, path and body of each request; nothing is sent.

        Raises:
            ValueError: an act that `supports` refuses.
        """
        if isinstance(act, Submit):
            return Preview(act=act, items=(_submit_item(act, token),))
        if not isinstance(act, Cancel):
            raise ValueError(self.supports(type(act)))
        known = {run.id: run for run in runs}
        return Preview(
            act=act,
            items=tuple(
                self.item(
                    act, t, known.get(t), ("DELETE", f"{PATH}/{self.native(t)}"), refusal=None
                )
                for t in act.runs
            ),
        )

    def perform(self, preview: Preview, token: str) -> tuple[Receipt, ...]:
        """Send the requests; each item is answered on its own, with 202 or with an error."""
        act = preview.act
        if isinstance(act, Submit):
            return (self._submit(act, preview.items[0], token),)
        return tuple(self._delete(item) for item in preview.items)

    def _submit(self, act: Submit, item: PreviewItem, token: str) -> Receipt:
        if item.refusal is not None:
            return refused(item, item.refusal)
        try:
            key = self.live.act("submit", spec=to_spec(act), token=token, delay_s=DELAY_S)
        except ValueError as error:
            return refused(item, str(error))
        job = self.live.engine().books.jobs.get(key or "")
        if job is None:
            return lost(item)
        return Receipt(
            target=self.native_id(job), status=ReceiptStatus.ACCEPTED, message=safe("202 Creating")
        )

    def _delete(self, item: PreviewItem) -> Receipt:
        found = self.find(self.live.engine(), self.native(item.target))
        if not found:
            return refused(item, "404 Resource id not found.")
        job = found[0]
        if others_run(job.spec.user):
            text = f"403 the workload belongs to {job.spec.user}: no access rule allows it"
            return refused(item, text)
        if not deletable(job):
            return refused(item, "409 the workload's actionsSupport.delete is false")
        if job.state not in LIVE or job.closing:
            text = safe("it is being deleted already" if job.closing else "it has ended already")
            return Receipt(target=item.target, status=ReceiptStatus.UNCHANGED, message=text)
        self.live.act("cancel", key=job.key, delay_s=DELAY_S)
        return Receipt(
            target=item.target,
            status=ReceiptStatus.ACCEPTED,
            message=safe("202 Request has been accepted."),
            before=item.before,
        )

    def read_back(self, preview: Preview, sent: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
        """The receipts as the list shows them now: accepted until the change can be seen."""
        engine = self.live.engine()
        return tuple(self._settle(engine, preview.act, receipt) for receipt in sent)

    def _settle(self, engine: LiveCluster, act: Act, receipt: Receipt) -> Receipt:
        if receipt.status is not ReceiptStatus.ACCEPTED:
            return receipt
        found = self.find(engine, self.native(receipt.target))
        seen = bool(found) if isinstance(act, Submit) else not found or found[0].state not in LIVE
        after = shown_job(found[0]) if found else None
        return replace(receipt, status=ReceiptStatus.DONE if seen else receipt.status, after=after)


def _submit_item(act: Submit, token: str) -> PreviewItem:
    try:
        made = to_spec(act)
        command = ("POST", PATH if made.nodes == 1 else DISTRIBUTED, body(act, made, token))
    except ValueError as error:
        return PreviewItem(target=act.script_name, command=(), owner=USER, refusal=safe(str(error)))
    return PreviewItem(target=act.script_name, command=command, owner=USER)


def deletable(job: Job) -> bool:
    """Services came from a deployment tool, and the control plane cannot delete them."""
    return not job.spec.name.startswith("serve-")
