"""Acts on the simulated Slurm: the commands that the real one would get, and their effect."""

from __future__ import annotations

import re
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
    RunAct,
    Submit,
    Suspend,
    refused,
)
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.simulated import sbatch
from foundry_tui.schedulers.simulated.layout import COORDINATES, USER
from foundry_tui.schedulers.simulated.live import Live
from foundry_tui.schedulers.simulated.slurm_fields import changed, value
from foundry_tui.schedulers.simulated.slurm_rules import perform_rule, preview_rule, shown_rule
from foundry_tui.schedulers.simulated.source import (
    SimulatedSource,
    lost,
    others_run,
    shown_job,
)
from foundry_tui.schedulers.slurm.directives import parse
from foundry_tui.schedulers.slurm.fields import update_words
from foundry_tui.schedulers.slurm.submit import sbatch_command
from scheduler_sim.engine import LiveCluster
from scheduler_sim.jobs import LIVE, Job, State
from scheduler_sim.limits import TAKES

_ID = re.compile(r"(\d{1,10})(?:_(?:(\d{1,7})|(\[[0-9,:%-]+\])))?")

AS_ADMIN = "FOUNDRY_DEMO_ROLE=admin makes one of it"
_UNSUPPORTED: dict[type[Act], str] = {
    Suspend: "Slurm lets only its operators suspend jobs, and the simulated user is none",
    Resume: "Slurm lets only its operators resume jobs, and the simulated user is none",
    MoveNode: "Slurm has no node pools: change the node list of a partition",
    Resubmit: "Slurm gives back neither environment nor arguments of a waiting job: submit its "
    "script anew, then cancel it",
}
_RULES: dict[type[Act], str] = {
    ChangeNode: f"nodes are changed by administrators, and the simulated user is none; {AS_ADMIN}",
    ChangeQueue: "partitions are changed by administrators, and the simulated user is none; "
    f"{AS_ADMIN}",
}
_PAUSES = "the simulation pauses no jobs"
_WHO_MAY = "only its owner, a coordinator of its account or a Slurm operator may change it"
_NOT_WAITING = "Job is no longer pending execution"


class SlurmActs(SimulatedSource):
    """The actor's half of the simulated Slurm.

    `admin` says that the user is an administrator: others' runs, nodes and partitions as well.
    """

    def __init__(self, live: Live, *, admin: bool = False) -> None:
        super().__init__(live)
        self.admin = admin

    def native_id(self, job: Job) -> str:
        """`17`, `18_3`, or `18_[4-9%2]` for the waiting range of an array."""
        if job.tasks:
            return f"{job.number}_[{sbatch.array_text(job.tasks, job.spec.throttle)}]"
        return job.key

    def submitted_id(self, job: Job) -> str:
        """The number that `sbatch` printed."""
        return str(job.number if job.array is None else job.array)

    def find(self, engine: LiveCluster, native: str) -> list[Job]:
        """The records an id means: one job or task, a waiting range, or a whole array."""
        match = _ID.fullmatch(native)
        if match is None:
            return []
        jobs = engine.books.jobs
        if match[2] or match[3]:
            found = jobs.get(f"{match[1]}_{match[2]}" if match[2] else match[1])
            return [found] if found is not None and found.array is not None else []
        number = int(match[1])
        members = [j for j in jobs.values() if number in (j.array, j.number)]
        return [j for j in members if j.array is None or j.array == number]

    def supports(self, act: type[Act]) -> str | None:
        """None when the simulated Slurm can do this kind of act, else why not."""
        if self.admin and act in (Suspend, Resume):
            return _PAUSES
        return _UNSUPPORTED.get(act) or (None if self.admin else _RULES.get(act))

    def preview(self, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
        """The exact command of each item; nothing changes.

        Raises:
            ValueError: an act that `supports` refuses, or a field that cannot be changed.
        """
        if isinstance(act, Submit):
            return Preview(act=act, items=(self._submit_item(act, token),))
        if (reason := self.supports(type(act))) is not None:
            raise ValueError(reason)
        if isinstance(act, ChangeNode | ChangeQueue):
            return preview_rule(self.live, act)
        assert not isinstance(act, MoveNode)
        known = {run.id: run for run in runs}
        items = tuple(self._run_item(act, target, known.get(target)) for target in act.runs)
        inverse: Act | None = None
        if isinstance(act, Hold):
            inverse = Release(source=act.source, runs=act.runs)
        elif isinstance(act, Release):
            inverse = Hold(source=act.source, runs=act.runs)
        elif isinstance(act, ChangeRun):
            engine = self.live.engine()
            items = tuple(self._with_values(engine, act, item) for item in items)
            inverse = self._back(engine, act, items)
        return Preview(act=act, items=items, inverse=inverse)

    def _submit_item(self, act: Submit, token: str) -> PreviewItem:
        refusal, wanted = None, dict[str, str]()
        if not act.script.startswith(b"#!"):
            refusal = f"{act.script_name} has no `#!` in its first line: no batch script"
        else:
            try:
                wanted = parse(act.script, act.options)
            except ValueError as error:
                refusal = str(error)
        return PreviewItem(
            target=act.script_name,
            command=() if refusal else sbatch_command(act, token, wanted),
            owner=USER,
            refusal=safe(refusal) if refusal else None,
        )

    def _run_item(self, act: RunAct, target: str, run: Run | None) -> PreviewItem:
        match = _ID.fullmatch(self.native(target))
        if match is None:
            text = f"{self.native(target)!r} is no Slurm job id"
            return self.item(act, target, run, (), text)
        job = match[1] if match[3] else match[0]
        command: tuple[str, ...]
        if isinstance(act, Cancel):
            command = ("scancel", "--state=PENDING", job) if match[3] else ("scancel", job)
        elif isinstance(act, ChangeRun):
            command = ("scontrol", "update", f"JobId={job}", *update_words(act.fields))
        else:
            verb = type(act).__name__.lower()
            held = isinstance(act, Requeue) and act.hold
            command = ("scontrol", f"{verb}hold" if held else verb, job)
        refusal = None
        if run is not None and self._others(run.user, run.account):
            refusal = f"Access/permission denied: the run belongs to {run.user}; {_WHO_MAY}"
        return self.item(act, target, run, command, refusal)

    def _others(self, owner: str | None, account: str | None) -> bool:
        """Whether a run belongs to somebody whose runs this user may not change."""
        return not self.admin and others_run(owner) and account not in COORDINATES

    def _with_values(self, engine: LiveCluster, act: ChangeRun, item: PreviewItem) -> PreviewItem:
        """The item with what the run asks for now beside its state."""
        jobs = self.find(engine, self.native(item.target))
        if item.refusal is not None or not jobs:
            return item
        return replace(item, before=f"{item.before}; {_told(act, jobs[0])}")

    def _back(
        self, engine: LiveCluster, act: ChangeRun, items: tuple[PreviewItem, ...]
    ) -> ChangeRun | None:
        """The act that gives every run its old values, where all had the same ones."""
        going = [i.target for i in items if i.refusal is None]
        olds = {
            tuple((name, value(job.spec, name)) for name, _ in act.fields)
            for target in going
            for job in self.find(engine, self.native(target))
        }
        fields = tuple((n, v) for n, v in (olds.pop() if olds else ()) if v is not None)
        if olds or len(fields) != len(act.fields):
            return None
        return ChangeRun(source=act.source, runs=tuple(going), fields=fields)

    def perform(self, preview: Preview, token: str) -> tuple[Receipt, ...]:
        """Carry out the previewed commands, one receipt per item."""
        act = preview.act
        if isinstance(act, Submit):
            return (self._submit(act, preview.items[0], token),)
        if isinstance(act, ChangeNode | ChangeQueue):
            return tuple(perform_rule(self.live, act, item) for item in preview.items)
        assert not isinstance(act, MoveNode)
        return tuple(self._perform(act, item) for item in preview.items)

    def _submit(self, act: Submit, item: PreviewItem, token: str) -> Receipt:
        if item.refusal is not None:
            return refused(item, item.refusal)
        try:
            states = self.live.engine().books.queue_states
            if not any(states.get(q, "up") in TAKES for q in sbatch.to_spec(act).queues):
                return refused(item, "Requested partition configuration not available now")
            key = self.live.act("submit", spec=sbatch.to_spec(act), token=token)
        except ValueError as error:
            return refused(item, sbatch_words(str(error)))
        if key is None:
            return lost(item)
        return Receipt(target=key, status=ReceiptStatus.ACCEPTED)

    def _perform(self, act: RunAct, item: PreviewItem) -> Receipt:
        if item.refusal is not None:
            return refused(item, item.refusal)
        native = self.native(item.target)
        jobs = [j for j in self.find(self.live.engine(), native) if j.state in LIVE]
        if not jobs:
            text = safe(f"Slurm knows no live job {native}")
            return Receipt(target=item.target, status=ReceiptStatus.UNCHANGED, message=text)
        theirs = (j.spec for j in jobs if self._others(j.spec.user, j.spec.account))
        denied = next((spec.user for spec in theirs), None)
        if denied is not None:
            return refused(item, f"Access/permission denied: the run belongs to {denied}")
        said = [self._one(act, job) for job in jobs]
        problem = next((text for text in said if text), None)
        if problem is not None and all(said):
            return refused(item, problem)
        return Receipt(target=item.target, status=ReceiptStatus.ACCEPTED, before=item.before)

    def _one(self, act: RunAct, job: Job) -> str | None:
        """Do it to one record; the scheduler's objection, None when there is none."""
        if isinstance(act, Cancel):
            self.live.act("cancel", key=job.key)
        elif isinstance(act, Requeue):
            if job.state is not State.RUNNING:
                return "Job is pending execution"
            self.live.act("requeue", key=job.key, text="hold" if act.hold else "")
        elif job.state is not State.PENDING:
            return _NOT_WAITING
        elif isinstance(act, ChangeRun):
            try:
                self.live.act("change", key=job.key, spec=changed(job.spec, act.fields))
            except ValueError as error:
                return sbatch_words(str(error))
        else:
            self.live.act("hold" if isinstance(act, Hold) else "release", key=job.key)
        return None

    def read_back(self, preview: Preview, sent: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
        """The receipts as the simulated cluster shows them now."""
        engine = self.live.engine()
        return tuple(self._settle(engine, preview.act, receipt) for receipt in sent)

    def _settle(self, engine: LiveCluster, act: Act, receipt: Receipt) -> Receipt:
        if receipt.status is not ReceiptStatus.ACCEPTED:
            return receipt
        if isinstance(act, ChangeNode | ChangeQueue):
            proven, shown = shown_rule(engine, act, receipt.target)
            status = ReceiptStatus.DONE if proven else ReceiptStatus.UNCHANGED
            return replace(receipt, status=status, after=shown)
        jobs = self.find(engine, self.native(receipt.target))
        after = ", ".join(sorted({shown_job(j) for j in jobs})) or None
        if isinstance(act, ChangeRun) and jobs:
            after = f"{after}; {_told(act, jobs[0])}"
        if jobs and all(_reached(act, job) for job in jobs):
            return replace(receipt, status=ReceiptStatus.DONE, after=after)
        text = safe(f"Slurm said yes, but still shows: {after or 'nothing'}")
        return replace(receipt, status=ReceiptStatus.UNCHANGED, message=text, after=after)


def _reached(act: Act, job: Job) -> bool:
    """Whether a record shows what an act asked for."""
    if isinstance(act, Cancel):
        return job.state not in LIVE
    if isinstance(act, Hold):
        return job.held or job.state is not State.PENDING
    if isinstance(act, Release):
        return not job.held
    if isinstance(act, Requeue) and act.hold:
        return job.state is State.PENDING and job.held
    if isinstance(act, Requeue):
        return job.state is State.PENDING or job.restarts > 0
    if isinstance(act, ChangeRun):
        return changed(job.spec, act.fields) == job.spec
    return True


def _told(act: ChangeRun, job: Job) -> str:
    """`queue=gpu; nodelist=`: the fields of the act as the run has them."""
    values = {name: value(job.spec, name) for name, _ in act.fields}
    return safe("; ".join(f"{n}={'—' if v is None else v}" for n, v in values.items()))


def sbatch_words(problem: str) -> str:
    """An objection of the simulator in the words of sbatch."""
    known = {
        "queue:": "Invalid partition name specified",
        "nodelist:": "Invalid node name specified",
        "request:": "Requested node configuration is not available",
    }
    words = next((text for field, text in known.items() if problem.startswith(field)), None)
    return f"{words} ({problem})" if words else problem
