"""Acts on the simulated Run:ai: requests that are answered with 202 and take effect later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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
    Submit,
    Suspend,
    inverse_of,
    refused,
)
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.runai.words import MOVES_NO_NODES
from foundry_tui.schedulers.simulated import nouns, runai_stops
from foundry_tui.schedulers.simulated.layout import USER
from foundry_tui.schedulers.simulated.live import Live
from foundry_tui.schedulers.simulated.runai_quota import (
    perform_quota,
    preview_quota,
    settled_quota,
)
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
    ChangeRun: "a submitted workload cannot be changed: delete it and submit it again",
    Resubmit: "the simulated control plane does not tell what a workload was made from",
    ChangeNode: "the control plane cannot drain nodes: `kubectl cordon` in the cluster does",
    MoveNode: MOVES_NO_NODES,
}


class RunaiActs(SimulatedSource):
    """The actor's half of the simulated Run:ai; with `admin` the user is a System administrator."""

    def __init__(self, live: Live, *, admin: bool = False) -> None:
        super().__init__(live)
        self.admin = admin

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
            ValueError: an act that `supports` refuses, or a field that cannot be changed.
        """
        if isinstance(act, Submit):
            return Preview(act=act, items=(_submit_item(act, token),))
        if isinstance(act, ChangeQueue):
            return preview_quota(self.live, act, admin=self.admin)
        known = {run.id: run for run in runs}
        if isinstance(act, Suspend | Resume):
            return self._preview_stop(act, known)
        if not isinstance(act, Cancel):
            raise ValueError(self.supports(type(act)))
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
        if isinstance(act, ChangeQueue):
            return (perform_quota(self.live, act, preview.items[0]),)
        if isinstance(act, Suspend | Resume):
            return tuple(self._stop(act, item) for item in preview.items)
        return tuple(self._delete(item) for item in preview.items)

    def _preview_stop(self, act: Suspend | Resume, known: Mapping[str, Run]) -> Preview:
        engine = self.live.engine()
        items = []
        for target in act.runs:
            native = self.native(target)
            found = self.find(engine, native)
            why = runai_stops.why_not(act, found[0]) if found else None
            asked = runai_stops.command(act, native)
            item = self.item(act, target, known.get(target), asked, refusal=why)
            items.append(runai_stops.warned(act, item))
        return Preview(act=act, items=tuple(items), inverse=inverse_of(act))

    def _stop(self, act: Suspend | Resume, item: PreviewItem) -> Receipt:
        if item.refusal is not None:
            return refused(item, item.refusal)
        found = self.find(self.live.engine(), self.native(item.target))
        if not found:
            return refused(item, "404 Resource id not found.")
        if (why := self._forbidden(found[0])) is not None:
            return refused(item, why)
        return runai_stops.perform(self.live, act, item, found[0])

    def _forbidden(self, job: Job) -> str | None:
        if self.admin or not others_run(job.spec.user):
            return None
        return f"403 the workload belongs to {job.spec.user}: no access rule allows it"

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
        if (why := self._forbidden(job)) is not None:
            return refused(item, why)
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
        if isinstance(preview.act, ChangeQueue):
            return tuple(settled_quota(self.live, preview.act, receipt) for receipt in sent)
        return tuple(self._settle(engine, preview.act, receipt) for receipt in sent)

    def _settle(self, engine: LiveCluster, act: Act, receipt: Receipt) -> Receipt:
        if isinstance(act, Suspend | Resume):
            jobs = self.find(engine, self.native(receipt.target))
            return runai_stops.settled(act, receipt, jobs[0] if jobs else None)
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
