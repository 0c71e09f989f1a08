"""The simulated cluster in Run:ai's manners: uuids, projects with quota, fractions, late effects.

The control plane answers 202 and shows the change some seconds later; a batch can fail in parts;
a workload cannot be held, has no time limit, and is never part of an array.
"""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.acts import ChangeRun, Submit
from foundry_tui.estate.fairshare import with_fair_shares
from foundry_tui.estate.gpu import WHOLE_MILLI, Share
from foundry_tui.estate.queue import Queue, with_use
from foundry_tui.estate.rights import Association, Limit, Rights
from foundry_tui.estate.run import Placement, Run
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Account
from foundry_tui.schedulers.books import accounts_of
from foundry_tui.schedulers.ports import Estimate
from foundry_tui.schedulers.simulated import nouns
from foundry_tui.schedulers.simulated.layout import (
    DEPARTMENTS,
    NODE_POOL,
    USER,
)
from foundry_tui.schedulers.simulated.runai_acts import UNSUPPORTED, RunaiActs, deletable
from foundry_tui.schedulers.simulated.runai_quota import weight
from foundry_tui.schedulers.simulated.runai_request import PROJECTS, to_spec
from foundry_tui.schedulers.simulated.runai_stops import state_of, stopped
from foundry_tui.schedulers.simulated.source import newcomer, words
from scheduler_sim.engine import LiveCluster
from scheduler_sim.jobs import Job, Reason, State

HOW = "Run:ai gives no start times: nothing but a free place now can be told"

REASONS = {
    Reason.PRIORITY: "Unschedulable",
    Reason.RESOURCES: "Unschedulable",
    Reason.NODES_DOWN: "Unschedulable",
    Reason.ACCOUNT_LIMIT: "OverLimit",
    Reason.QUOTA: "NonPreemptibleOverQuota",
}
"""Run:ai's words for why a workload is pending."""

_MESSAGES = {
    "Unschedulable": "Not enough resources in the requested nodepool",
    "OverLimit": "The project has reached its limit",
    "NonPreemptibleOverQuota": "A non-preemptible workload has to fit in the project's quota",
}


class RunaiManners(RunaiActs):
    """`SchedulerReader` and `SchedulerActor` of the simulated Run:ai cluster."""

    scheduler = "runai"
    share = Share.FRACTION

    def raw_id(self, job: Job) -> str:
        """The same uuid: a workload has one try."""
        return self.native_id(job)

    def account(self, job: Job) -> str | None:
        """Run:ai charges the project, which is the queue."""
        return None

    def qos(self, job: Job) -> str | None:
        """The priority class."""
        return "low" if job.spec.preemptible else "very-high"

    def accounts(self) -> tuple[Account, ...]:
        """Projects are charged, below their departments."""
        return accounts_of(self.queues(self.live.engine(), ()))

    def node_pool(self) -> str | None:
        """The one pool that there is."""
        return NODE_POOL

    def remembers(self, job: Job) -> bool:
        """A deleted workload is gone from the list."""
        return job.state is not State.CANCELLED

    def log_path(self, job: Job, *, errors: bool) -> str:
        """Both streams of a pod are one log."""
        return f"runai-{job.spec.account}/{job.spec.name}-0-0"

    def to_run(self, engine: LiveCluster, job: Job, planned_s: int | None) -> Run:
        """A workload as the control plane lists it."""
        spec, at = job.spec, self.live.at
        waits = job.state is State.PENDING and not stopped(job)
        reason = REASONS.get(job.reason) if waits else None
        return Run(
            id=self.id_of(job),
            native_id=self.native_id(job),
            source=self.name,
            scheduler=self.scheduler,
            name=safe(spec.name),
            state=state_of(job),
            user=spec.user,
            queue=spec.account,
            qos=self.qos(job),
            reason=safe(reason) if reason else None,
            priority=40 if spec.preemptible else 150,
            request=nouns.gpu_request(spec),
            placement=nouns.placement(engine, job),
            submitted_at=at(job.submitted_s),
            started_at=None if job.started_s is None else at(job.started_s),
            ended_at=None if job.ended_s is None else at(job.ended_s),
            exit_code=job.exit_code,
            gpu_util_pct=nouns.run_util_pct(job, engine.now_s),
            submit_token=job.token,
            native=words(self._phase(job)),
            read_at=at(engine.now_s),
        )

    def _phase(self, job: Job) -> dict[str, str | int | None]:
        phase = "Stopped" if stopped(job) else job.state.value.capitalize()
        phase = "Deleting" if job.closing else phase
        waits = job.state is State.PENDING and not stopped(job)
        reason = REASONS.get(job.reason) if waits else None
        return {
            "phase": phase,
            "phase_message": _MESSAGES.get(reason or ""),
            "department": DEPARTMENTS[job.spec.account],
            "preemptible": "true" if job.spec.preemptible else "false",
            "node_pools": NODE_POOL,
            "delete_supported": "true" if deletable(job) else "false",
        }

    def details(self, run: Run) -> dict[str, SafeText]:
        """The words of the workload's object; empty for an unknown one."""
        found = self.find(self.live.engine(), run.native_id)
        if not found:
            return {}
        job, need = found[0], found[0].spec.request
        return words(
            {
                "id": self.native_id(job),
                "name": job.spec.name,
                "submittedBy": job.spec.user,
                "projectName": job.spec.account,
                "priorityClassName": self.qos(job),
                "gpuDevicesRequest": need.gpus,
                "gpuPortionRequest": f"{need.gpu_milli / WHOLE_MILLI:g}",
                "cpuCoreRequest": f"{need.cpu_milli / 1000:g}",
                "cpuMemoryRequest": f"{need.memory_mib}Mi",
                "submitToken": job.token,
                **self._phase(job),
            }
        )

    def queues_of(self, row: int) -> tuple[str, ...]:
        """The node pool; projects are not bound to nodes."""
        return (NODE_POOL,)

    def queues(self, engine: LiveCluster, runs: tuple[Run, ...]) -> tuple[Queue, ...]:
        """Departments above projects, with quota, limit, fair share and use."""
        now = self.live.at(engine.now_s)
        spec, total = engine.spec, WHOLE_MILLI * sum(n.gpus for n in engine.spec.nodes)
        projects = with_use(
            (
                Queue(
                    name=project,
                    source=self.name,
                    kind="project",
                    parent=department,
                    quota_gpu_milli=engine.books.limits.quotas[project],
                    limit_gpu_milli=spec.account_limits.get(project),
                    over_quota_weight=weight(self.live, project),
                    total_gpu_milli=total,
                    default=project == PROJECTS[0],
                    read_at=now,
                )
                for project, department in DEPARTMENTS.items()
            ),
            runs,
            now,
        )
        names = dict.fromkeys(DEPARTMENTS.values())
        departments = (_department(n, [q for q in projects if q.parent == n]) for n in names)
        return with_fair_shares((*departments, *projects), total)

    def estimate(self, run: Run, *, changes: tuple[tuple[str, str], ...] = ()) -> Estimate:
        """Now, where there is a free place; otherwise nothing is known.

        Raises:
            ValueError: changes, which a workload does not take.
        """
        if changes:
            raise ValueError(UNSUPPORTED[ChangeRun])
        engine = self.live.engine()
        found = self.find(engine, run.native_id)
        if not found:
            return Estimate(starts_at=None, reason=safe("404 Resource id not found."), how=HOW)
        copy = replace(found[0], key="copy", state=State.PENDING, parts=(), closing=False)
        return self._planned(engine, copy)

    def estimate_submit(self, act: Submit) -> Estimate:
        """Now, where there is a free place; otherwise nothing is known. Nothing is sent."""
        engine = self.live.engine()
        try:
            spec = to_spec(act)
            engine.check(spec)
        except ValueError as error:
            return Estimate(starts_at=None, reason=safe(str(error)), how=HOW)
        return self._planned(engine, newcomer(engine, spec))

    def _planned(self, engine: LiveCluster, copy: Job) -> Estimate:
        barred = engine.books.barred(copy)
        plan = engine.planned(most_ends=1, like=copy).get(copy.key) if barred is None else None
        if plan is None:
            reason = REASONS.get(barred or Reason.RESOURCES, "Unschedulable")
            return Estimate(starts_at=None, reason=safe(_MESSAGES[reason]), how=HOW)
        return Estimate(
            starts_at=self.live.at(plan.at_s),
            placement=tuple(Placement(engine.spec.nodes[p.node].name, p.gpus) for p in plan.parts),
            queue=plan.queue,
            how=HOW,
        )

    def rights(self, user: str | None = None) -> Rights:
        """What the access rules give a user (None: the current one): projects, own workloads.

        The quotas that may be changed are those of one department, of an administrator all.
        """
        spec, limits = self.live.engine().spec, self.live.engine().books.limits
        return Rights(
            user=user or USER,
            admin=self.admin and user in (None, USER),
            may_nodes=False if user in (None, USER) else None,
            may_queues=True if user in (None, USER) else None,
            associations=None
            if user not in (None, USER)
            else tuple(Association(account=p, queues=(p,)) for p in PROJECTS),
            limits=tuple(
                Limit(
                    scope="queue",
                    name=project,
                    what="gpus",
                    value=milli / WHOLE_MILLI,
                    used=limits.by_account.get(project, 0) / WHOLE_MILLI,
                )
                for project, milli in spec.account_limits.items()
            ),
        )


def _department(name: str, projects: list[Queue]) -> Queue:
    """A department: the sums over its projects."""
    waits = [q.oldest_wait_s for q in projects if q.oldest_wait_s is not None]
    return replace(
        projects[0],
        name=name,
        kind="department",
        parent=None,
        default=False,
        limit_gpu_milli=None,
        quota_gpu_milli=sum(q.quota_gpu_milli or 0 for q in projects),
        over_quota_weight=None,
        allocated_gpu_milli=sum(q.allocated_gpu_milli or 0 for q in projects),
        requested_gpu_milli=sum(q.requested_gpu_milli or 0 for q in projects),
        running=sum(q.running or 0 for q in projects),
        waiting=sum(q.waiting or 0 for q in projects),
        oldest_wait_s=max(waits, default=None),
    )
