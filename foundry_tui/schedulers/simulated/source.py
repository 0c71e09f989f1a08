"""What both manners of the simulated estate share: one source behind the reader's port.

A manner adds its own words: ids, reasons, queues, and how it answers to acts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime

from foundry_tui.estate.acts import (
    Cancel,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Requeue,
    RunAct,
)
from foundry_tui.estate.gpu import Share
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run, RunState, run_id
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Account, Accounting, OwnTotals, UsageRecord, Window
from foundry_tui.schedulers.ports import Log, Probe
from foundry_tui.schedulers.simulated import logs, nouns
from foundry_tui.schedulers.simulated.layout import USER
from foundry_tui.schedulers.simulated.live import SPEED, Live
from foundry_tui.schedulers.simulated.tries import held
from foundry_tui.schedulers.simulated.turns import in_turn
from scheduler_sim.engine import LiveCluster
from scheduler_sim.jobs import Job, JobSpec, State, Try

FORGET_S = 3600
"""A run that ended longer ago than this is only in the accounting."""

KIND = "simulated"


class SimulatedSource(ABC):
    """One simulated cluster as a source; times are on the simulated clock (`now`)."""

    kind = KIND
    scheduler: str
    share: Share

    def __init_subclass__(cls) -> None:
        in_turn(cls)

    def __init__(self, live: Live) -> None:
        self.turn = live.log.turn
        self.name = live.source
        self.live = live
        self._model_of = {node.name: node.model for node in live.spec.nodes}

    @abstractmethod
    def native_id(self, job: Job) -> str:
        """The scheduler's own id of a run."""

    def submitted_id(self, job: Job) -> str:
        """The id that a submission was answered with."""
        return self.native_id(job)

    def plan(self, engine: LiveCluster) -> dict[str, int]:
        """Planned start seconds of waiting runs by their keys, where the scheduler tells any."""
        return {}

    @abstractmethod
    def to_run(self, engine: LiveCluster, job: Job, planned_s: int | None) -> Run:
        """A run in this scheduler's words."""

    @abstractmethod
    def queues(self, engine: LiveCluster, runs: tuple[Run, ...]) -> tuple[Queue, ...]:
        """The queues with their use."""

    @abstractmethod
    def queues_of(self, row: int) -> tuple[str, ...]:
        """The partitions or node pools that contain a node."""

    @abstractmethod
    def find(self, engine: LiveCluster, native: str) -> list[Job]:
        """The records that an id of this scheduler means; empty for an unknown one."""

    @abstractmethod
    def log_path(self, job: Job, *, errors: bool) -> str:
        """The path of a run's output file."""

    def now(self) -> datetime:
        """The present moment on the simulated clock, by which every age has to be judged."""
        return self.live.now()

    def user(self) -> str | None:
        """The user who plays on the simulated estate."""
        return USER

    def probe(self) -> tuple[Probe, ...]:
        """What there is: a simulation, and whether its acts are kept."""
        nodes = self.live.spec.nodes
        gpus = sum(n.gpus for n in nodes)
        kept = self.live.log.memory_only or f"acts are kept in {self.live.log.path}"
        return (
            Probe(
                what=f"simulated {self.scheduler}",
                state="simulated",
                found=safe(
                    f"no real cluster: a simulation of {len(nodes)} nodes with {gpus} GPUs, "
                    f"{SPEED} times as fast as the clock; {kept}"
                ),
                mend="leave out --demo to see this host's own schedulers",
            ),
        )

    def snapshot(self) -> Snapshot:
        """Nodes, GPUs, queues and runs of the simulated cluster now."""
        engine = self.live.engine()
        jobs = self._visible(engine)
        planned = self.plan(engine)
        runs = tuple(self.to_run(engine, job, planned.get(job.key)) for job in jobs)
        now = self.live.at(engine.now_s)
        return Snapshot(
            generated_at=now,
            sources=(
                Source(
                    name=self.name,
                    kind=self.kind,
                    state=SourceState.OK,
                    read_at=now,
                    reason=f"simulated, {SPEED} times as fast as the clock",
                ),
            ),
            nodes=nouns.nodes(engine, self.name, self.live.at, self.queues_of),
            gpus=nouns.gpus(engine, self.name, self.live.at, self.id_of, self.share),
            queues=self.queues(engine, runs),
            runs=runs,
        )

    def _visible(self, engine: LiveCluster) -> list[Job]:
        """Running, waiting and lately ended runs, as far as this scheduler shows them already."""
        recent = []
        for job in reversed(engine.books.ended):
            if (job.ended_s or 0) < engine.now_s - FORGET_S:
                break
            if self.remembers(job):
                recent.append(job)
        jobs = [*engine.books.running.values(), *engine.books.pending, *reversed(recent)]
        return [job for job in jobs if job.visible_s <= engine.now_s]

    def remembers(self, job: Job) -> bool:
        """Whether an ended run is still listed for a while."""
        return True

    def id_of(self, job: Job) -> str:
        """The estate-wide id of a run."""
        return run_id(self.name, self.native_id(job))

    def accounting(self, window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
        """Every try of every run that touches the window."""
        engine = self.live.engine()
        start_s, end_s = self.live.second(window.start), self.live.second(window.end)
        tries = [
            t
            for t in engine.books.tries
            if t.ended_s >= start_s and (t.ended_s if t.started_s is None else t.started_s) < end_s
        ]
        records = [self._record(t.job, t) for t in tries]
        records += [
            self._record(job, None)
            for job in engine.books.running.values()
            if (job.started_s or 0) < end_s
        ]
        kept = [r for r in records if users is None or r.user in users]
        return Accounting(window=window, records=tuple(kept))

    def usage(
        self, window: Window, *, users: tuple[str, ...] | None = None
    ) -> Iterator[Accounting]:
        """The same in one part: all of it is in memory anyway."""
        return iter((self.accounting(window, users=users),))

    @abstractmethod
    def accounts(self) -> tuple[Account, ...]:
        """Who is charged, with the account above and the quota."""

    def own_totals(self, window: Window) -> OwnTotals | None:
        """The source's own sums; None where its kind of scheduler keeps none."""
        return None

    def held_count(self, gpus: int, milli: int) -> int:
        """How many units of this scheduler so many parts of GPUs are, `milli` thousandths."""
        return gpus

    def node_pool(self) -> str | None:
        """The node pool that runs are in, where the scheduler has any."""
        return None

    def _record(self, job: Job, ended: Try | None) -> UsageRecord:
        spec, at = job.spec, self.live.at
        ran = ended is None or ended.started_s is not None
        request = nouns.gpu_request(spec)
        started_s = job.started_s if ended is None else ended.started_s
        names = (
            ended.nodes if ended else tuple(self.live.spec.nodes[p.node].name for p in job.parts)
        )
        models = [self._model_of[name] for name in names]
        state = nouns.run_state(State.RUNNING if ended is None else ended.state)
        if ended is not None and state is RunState.CANCELLED and ended.restarts < job.restarts:
            state = RunState.REQUEUED
        return UsageRecord(
            source=self.name,
            native_id=self.native_id(job),
            raw_id=self.raw_id(job),
            name=safe(spec.name),
            user=spec.user,
            account=self.account(job),
            queue=job.queue,
            qos=self.qos(job),
            state=state,
            submitted_at=at(job.submitted_s),
            eligible_at=None if job.eligible_s is None else at(job.eligible_s),
            started_at=None if started_s is None else at(started_s),
            ended_at=None if ended is None else at(ended.ended_s),
            nodes=names,
            gpu_count=request.gpu_count if ran else 0,
            gpu_milli=request.gpu_milli if ran else 0,
            gpu_model=models[0] if models else None,
            cpu_milli=request.cpu_milli if ran else 0,
            memory_bytes=request.memory_bytes if ran else 0,
            time_limit_s=spec.limit_s,
            exit_code=ended.exit_code if ended else None,
            work_dir=f"/home/{spec.user}",
            submit_token=job.token,
            restarts=ended.restarts if ended else job.restarts,
            held=held(spec, models, self.share, self.held_count) if ran else (),
            node_pool=self.node_pool() if ran else None,
        )

    @abstractmethod
    def raw_id(self, job: Job) -> str:
        """The id under which the accounting keeps one run or task."""

    @abstractmethod
    def account(self, job: Job) -> str | None:
        """Who is charged, in the scheduler's words."""

    @abstractmethod
    def qos(self, job: Job) -> str | None:
        """The quality of service or priority class of a run."""

    def logs(self, run: Run, *, tail_lines: int, errors: bool = False) -> Log:
        """The last lines that the simulated run would have written."""
        engine = self.live.engine()
        jobs = self.find(engine, run.native_id)
        if not jobs:
            return Log(path=None, reason="the simulated estate knows no run of this id")
        path = safe(self.log_path(jobs[0], errors=errors))
        if jobs[0].started_s is None:
            return Log(path=path, reason="not there yet: the run waits")
        lines = logs.lines(jobs[0], engine.now_s, self.live.at, errors=errors)
        kept = lines[-tail_lines:] if tail_lines > 0 else []
        return Log(path=path, lines=tuple(kept), truncated=len(lines) > len(kept))

    def find_submitted(self, token: str) -> str | None:
        """The native id of the run that carries this submit token, once it can be seen."""
        engine = self.live.engine()
        for job in engine.books.jobs.values():
            if job.token == token and job.visible_s <= engine.now_s:
                return self.submitted_id(job)
        return None

    def item(self, act: RunAct, target: str, run: Run | None, command: tuple[str, ...],
             refusal: str | None) -> PreviewItem:  # fmt: skip
        """One line of a preview; the runs of others are refused, as this user is no operator."""
        loss = None
        milli = run.request.gpu_milli if run else None
        if run and milli is not None and isinstance(act, Cancel | Requeue) and run.started_at:
            held_s = 0.0 if run.ended_at else (self.now() - run.started_at).total_seconds()
            loss = held_s * milli / 1000
        native = self.native(target)
        unseen = run is None and refusal is None
        return PreviewItem(
            target=target,
            command=() if refusal else command,
            owner=run.user if run else None,
            before=shown(run) if run else None,
            loss_gpu_s=loss,
            refusal=safe(refusal) if refusal else None,
            warning=safe(f"no run {native} was seen in the last reading") if unseen else None,
        )

    def native(self, target: str) -> str:
        """The scheduler's own id in a target, which may carry the source's name."""
        return target.removeprefix(f"{self.name}/")


def shown(run: Run) -> str:
    """A run's state in a word or two, for before and after."""
    return "pending (held)" if run.held else run.state.value


def shown_job(job: Job) -> str:
    """The same for a record of the simulator."""
    return "pending (held)" if job.held and job.state is State.PENDING else job.state.value


def lost(item: PreviewItem) -> Receipt:
    """A receipt for a submission whose line in the acts' file did not come back."""
    text = "written to the acts' file, and not found there again; look for its submit token"
    return Receipt(target=item.target, status=ReceiptStatus.UNKNOWN, message=safe(text))


def newcomer(engine: LiveCluster, spec: JobSpec) -> Job:
    """A run that would be submitted now; the cluster does not know it."""
    return Job(
        key="new", number=1 << 40, spec=spec, submitted_s=engine.now_s, rank=0, queue=spec.queue
    )


def others_run(owner: str | None) -> bool:
    """Whether a run belongs to somebody else than the simulated user."""
    return owner is not None and owner != USER


def words(found: dict[str, str | int | None]) -> dict[str, SafeText]:
    """A scheduler's words with the unset ones left out."""
    return {key: safe(str(value)) for key, value in found.items() if value not in (None, "")}


in_turn(SimulatedSource)
