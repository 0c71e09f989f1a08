"""The simulated cluster in Slurm's manners: numbers, partitions, holds, limits, arrays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from foundry_tui.estate.acts import Submit
from foundry_tui.estate.gpu import WHOLE_MILLI, Share
from foundry_tui.estate.queue import Queue, with_use
from foundry_tui.estate.rights import Association, Limit, Rights
from foundry_tui.estate.run import ArrayPart, Placement, Run
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Account, OwnTotals, Window
from foundry_tui.schedulers.ports import BatchScript, Estimate
from foundry_tui.schedulers.simulated import nouns, sbatch, scripts
from foundry_tui.schedulers.simulated.layout import COORDINATES, USER
from foundry_tui.schedulers.simulated.slurm_acts import SlurmActs, sbatch_words
from foundry_tui.schedulers.simulated.slurm_fields import UnknownField, changed
from foundry_tui.schedulers.simulated.source import newcomer, words
from foundry_tui.schedulers.simulated.tries import totals
from foundry_tui.schedulers.slurm.jobs import TOKEN_PREFIX
from scheduler_sim.engine import LiveCluster
from scheduler_sim.jobs import Job, Reason, State

PLANNED_ENDS = 40
"""So many ends are looked ahead for start estimates in a snapshot, as backfill looks at the top."""

ASKED_ENDS = 2000
"""And so many when one run is asked about."""

ROOT = "root"
"""The account above all others."""

SHARES = 1
"""Fair-share points of every account: Slurm's default."""

HOW = "the simulated scheduler's own plan: running work ends at its time limits"

REASONS = {
    Reason.PRIORITY: "Priority",
    Reason.RESOURCES: "Resources",
    Reason.HELD: "JobHeldUser",
    Reason.HELD_BY_ADMIN: "JobHeldAdmin",
    Reason.DEPENDENCY: "Dependency",
    Reason.NEVER: "DependencyNeverSatisfied",
    Reason.USER_LIMIT: "QOSMaxGRESPerUser",
    Reason.ACCOUNT_LIMIT: "AssocGrpGRES",
    Reason.QUOTA: "AssocGrpGRES",
    Reason.TASK_LIMIT: "JobArrayTaskLimit",
    Reason.TIME_LIMIT: "PartitionTimeLimit",
    Reason.NODES_DOWN: "ReqNodeNotAvail",
    Reason.QUEUE_CLOSED: "PartitionDown",
}
"""Slurm's own words for why a job waits."""


class SlurmManners(SlurmActs):
    """`SchedulerReader` and `SchedulerActor` of the simulated Slurm cluster."""

    scheduler = "slurm"
    share = Share.SHARD

    def shards_per_gpu(self) -> int | None:
        """Into how many shards a GPU is cut."""
        return sbatch.SHARDS_PER_GPU

    def plan(self, engine: LiveCluster) -> dict[str, int]:
        """Planned start seconds, for the top of the queue only."""
        planned = engine.planned(most_ends=PLANNED_ENDS)
        return {key: plan.at_s for key, plan in planned.items()}

    def to_run(self, engine: LiveCluster, job: Job, planned_s: int | None) -> Run:
        """A job as `squeue` would show it."""
        spec, at = job.spec, self.live.at
        waits = job.state is State.PENDING
        ends_by_s = job.ends_by_s if job.state is State.RUNNING else None
        name = safe(spec.name)
        raw = spec.name.encode("utf-8", "surrogateescape")
        reason = REASONS.get(job.reason) if waits else None
        return Run(
            id=self.id_of(job),
            native_id=self.native_id(job),
            source=self.name,
            scheduler=self.scheduler,
            name=name,
            name_raw=raw if raw != name.encode() else None,
            state=nouns.run_state(job.state),
            user=spec.user,
            account=spec.account,
            queue=job.queue,
            qos=spec.qos,
            reason=safe(reason) if reason else None,
            priority=engine.priority(job) if waits else None,
            request=nouns.gpu_request(spec),
            placement=nouns.placement(engine, job),
            submitted_at=at(job.submitted_s),
            eligible_at=None if job.eligible_s is None else at(job.eligible_s),
            started_at=None if waits or job.started_s is None else at(job.started_s),
            ended_at=None if job.ended_s is None else at(job.ended_s),
            ends_by=None if ends_by_s is None else at(ends_by_s),
            estimated_start_at=None if planned_s is None else at(planned_s),
            exit_code=job.exit_code,
            gpu_util_pct=nouns.run_util_pct(job, engine.now_s),
            submit_token=job.token,
            array=self._array(job),
            held=waits and job.held,
            native=words(
                {
                    "required_nodes": ",".join(spec.nodelist),
                    "dependency": self._dependency(job),
                    "features": ",".join(spec.request.models),
                    "requeue": "1" if job.state is State.RUNNING else "",
                }
            )
            or None,
            read_at=at(engine.now_s),
        )

    def _array(self, job: Job) -> ArrayPart | None:
        if job.array is None:
            return None
        if job.tasks:
            text = sbatch.array_text(job.tasks, job.spec.throttle)
            return ArrayPart(str(job.array), text, len(job.tasks))
        return ArrayPart(str(job.array), str(job.task), 1)

    def _dependency(self, job: Job) -> str:
        """As Slurm shows it: only while it keeps the job from starting."""
        words_of = {Reason.DEPENDENCY: "unfulfilled", Reason.NEVER: "failed"}
        state = words_of.get(job.reason)
        return f"afterok:{job.after}({state})" if state else ""

    def queues_of(self, row: int) -> tuple[str, ...]:
        """The partitions that contain a node."""
        return tuple(q.name for q in self.live.spec.queues if row in q.nodes)

    def queues(self, engine: LiveCluster, runs: tuple[Run, ...]) -> tuple[Queue, ...]:
        """The partitions with their use."""
        now = self.live.at(engine.now_s)
        partitions = tuple(
            Queue(
                name=q.name,
                source=self.name,
                kind="partition",
                state=engine.books.queue_states[q.name],
                total_gpu_milli=WHOLE_MILLI * sum(engine.spec.nodes[r].gpus for r in q.nodes),
                default=q.name == sbatch.DEFAULT_QUEUE,
                priority=1 + q.rank_minutes // 60,
                time_limit_s=q.max_s,
                read_at=now,
            )
            for q in engine.spec.queues
        )
        return with_use(partitions, runs, now)

    def details(self, run: Run) -> dict[str, SafeText]:
        """The job as `scontrol show job` would describe it; empty for an unknown one."""
        engine = self.live.engine()
        found = self.find(engine, run.native_id)
        if not found:
            return {}
        job, spec = found[0], found[0].spec
        per_node = spec.request
        return words(
            {
                "job_id": job.number,
                "state": job.state.value.upper(),
                "reason": REASONS.get(job.reason) if job.state is State.PENDING else None,
                "user": spec.user,
                "account": spec.account,
                "partition": job.queue,
                "qos": spec.qos,
                "priority": engine.priority(job) if job.state is State.PENDING else None,
                "tres_per_node": _gres(per_node.gpus, per_node.gpu_milli, per_node.models),
                "nodes": spec.nodes,
                "min_cpus": per_node.cpu_milli // 1000,
                "min_memory": f"{per_node.memory_mib}M",
                "nodelist": ",".join(p.node for p in nouns.placement(engine, job)),
                "required_nodes": ",".join(spec.nodelist),
                "dependency": self._dependency(job),
                "time_limit": str(timedelta(seconds=spec.limit_s)) if spec.limit_s else "UNLIMITED",
                "submit": f"{self.live.at(job.submitted_s):%Y-%m-%dT%H:%M:%S}",
                "restarts": job.restarts,
                "work_dir": f"/home/{spec.user}",
                "stdout": self.log_path(job, errors=False),
                "stderr": self.log_path(job, errors=True),
                "comment": f"{TOKEN_PREFIX}{job.token}" if job.token else None,
            }
        )

    def batch_script(self, raw_id: str, *, ended: bool) -> BatchScript:
        """A script that fits the job; those of others are for administrators, as in Slurm."""
        return scripts.answer(self.live, raw_id, admin=self.admin)

    def raw_id(self, job: Job) -> str:
        """The job's own number; `JobIDRaw` of the accounting."""
        return str(job.number)

    def account(self, job: Job) -> str | None:
        """The account that is charged."""
        return job.spec.account

    def qos(self, job: Job) -> str | None:
        """The job's QOS."""
        return job.spec.qos

    def accounts(self) -> tuple[Account, ...]:
        """The accounts of the simulated users, below the root, with their limits as quota."""
        spec = self.live.spec
        names = {p.account for p in spec.people} | set(sbatch.ACCOUNTS)
        return (
            Account(name=ROOT),
            *(
                Account(
                    name=name,
                    parent=ROOT,
                    quota_gpu_milli=spec.account_limits.get(name),
                    shares=SHARES,
                )
                for name in sorted(names)
            ),
        )

    def own_totals(self, window: Window) -> OwnTotals | None:
        """GPU-seconds by account as the simulated `sreport` has them: of whole hours."""
        return totals(self.live, window, self.now())

    def held_count(self, gpus: int, milli: int) -> int:
        """Shards, four to a GPU."""
        return milli * sbatch.SHARDS_PER_GPU // WHOLE_MILLI

    def log_path(self, job: Job, *, errors: bool) -> str:
        """`slurm-120_3.out` in the home folder, or `.err`."""
        return f"/home/{job.spec.user}/slurm-{job.key}.{'err' if errors else 'out'}"

    def estimate(self, run: Run, *, changes: tuple[tuple[str, str], ...] = ()) -> Estimate:
        """When and where a copy of the run, with `changes` applied, would start; nothing is sent.

        Raises:
            ValueError: a field that cannot be changed.
        """
        engine = self.live.engine()
        found = self.find(engine, run.native_id)
        if not found:
            return Estimate(starts_at=None, reason=safe("Invalid job id specified"), how=HOW)
        try:
            spec = changed(found[0].spec, changes)
            engine.check(spec)
        except UnknownField:
            raise
        except ValueError as error:
            return Estimate(starts_at=None, reason=safe(str(error)), how=HOW)
        waits = found[0].state is State.PENDING
        copy = replace(
            found[0],
            key=found[0].key if waits else "copy",
            spec=replace(spec, tasks=()),
            state=State.PENDING,
            submitted_s=found[0].submitted_s if waits else engine.now_s,
            held=False,
            after=None,
            tasks=(),
            parts=(),
        )
        return self._planned(engine, copy)

    def estimate_submit(self, act: Submit) -> Estimate:
        """When and where a new script would start; nothing is sent."""
        engine = self.live.engine()
        refusal = self._submit_item(act, "").refusal
        if refusal is not None:
            return Estimate(starts_at=None, reason=refusal, how=HOW)
        try:
            spec = replace(sbatch.to_spec(act), tasks=(), held=False, after=None)
            engine.check(spec)
        except ValueError as error:
            return Estimate(starts_at=None, reason=safe(sbatch_words(str(error))), how=HOW)
        return self._planned(engine, newcomer(engine, spec))

    def _planned(self, engine: LiveCluster, copy: Job) -> Estimate:
        """When and where a run that waits would start."""
        barred = engine.books.barred(copy)
        if barred is not None:
            return Estimate(starts_at=None, reason=safe(REASONS.get(barred, "None")), how=HOW)
        plan = engine.planned(most_ends=ASKED_ENDS, like=copy).get(copy.key)
        if plan is None:
            text = "Requested node configuration is not available"
            return Estimate(starts_at=None, reason=safe(text), how=HOW)
        return Estimate(
            starts_at=self.live.at(plan.at_s),
            placement=tuple(Placement(engine.spec.nodes[p.node].name, p.gpus) for p in plan.parts),
            queue=plan.queue,
            how=HOW,
        )

    def rights(self, user: str | None = None) -> Rights:
        """What a user (None: the current one) may do: own runs, one account, three QOS."""
        engine = self.live.engine()
        spec, limits = engine.spec, engine.books.limits
        per_user = [
            Limit(
                scope="user_of_qos",
                name=qos,
                what="gpus",
                value=milli / WHOLE_MILLI,
                used=limits.by_user.get((qos, user or USER), 0) / WHOLE_MILLI,
            )
            for qos, milli in spec.user_limits.items()
        ]
        return Rights(
            user=user or USER,
            admin=self.admin and user in (None, USER),
            may_nodes=self.admin and user in (None, USER),
            may_queues=self.admin and user in (None, USER),
            coordinates=COORDINATES if user in (None, USER) else (),
            # Of others it is not told here which accounts they may charge.
            associations=None
            if user not in (None, USER)
            else tuple(
                Association(account=a, qos=sbatch.QOS, default_qos=sbatch.QOS[0])
                for a in sbatch.ACCOUNTS
            ),
            limits=(
                *per_user,
                *(
                    Limit(
                        scope="account",
                        name=account,
                        what="gpus",
                        value=milli / WHOLE_MILLI,
                        used=limits.by_account.get(account, 0) / WHOLE_MILLI,
                    )
                    for account, milli in spec.account_limits.items()
                ),
            ),
        )


def _gres(gpus: int, milli: int, models: tuple[str, ...]) -> str:
    """GPUs per node as Slurm writes them."""
    if not gpus:
        return ""
    if milli < WHOLE_MILLI:
        return f"gres:shard:{milli * sbatch.SHARDS_PER_GPU // WHOLE_MILLI}"
    return ":".join(("gres:gpu", *models, str(gpus)))
