"""The books of a live cluster: which runs wait, run and ended, and what they hold.

Every step keeps the books and the array state together, so that neither can be changed alone.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import replace

from scheduler_sim.cluster import Allotment, Cluster
from scheduler_sim.jobs import LIVE, Job, Reason, State, Try
from scheduler_sim.limits import STARTS, Limits, LiveSpec


class Books:
    """Runs by key in `jobs`; `pending` in order of rank; `ended` and `tries` in order of time."""

    def __init__(self, spec: LiveSpec) -> None:
        self.spec = spec
        self.now_s = spec.start_s
        self.cluster = Cluster(spec.nodes)
        self.limits = Limits(spec)
        self.jobs: dict[str, Job] = {}
        self.pending: list[Job] = []
        self.running: dict[str, Job] = {}
        self.ended: list[Job] = []
        self.tries: list[Try] = []
        self.next_number = spec.first_number
        self._tasks_running: dict[int, int] = {}
        self.queue_states = {q.name: "up" for q in spec.queues}
        self._queue_max = {q.name: q.max_s for q in spec.queues}

    def take_number(self) -> int:
        """The next free number of a run."""
        self.next_number += 1
        return self.next_number - 1

    def enqueue(self, job: Job) -> None:
        """Put a run among the waiting ones, by rank."""
        self.jobs[job.key] = job
        insort(self.pending, job, key=by_rank)

    def start(self, job: Job, parts: tuple[Allotment, ...], queue: str) -> Job:
        """Move a waiting run, or the next task of a waiting range, to the running ones."""
        if job.tasks:
            job = self._split_task(job)
        else:
            self.pending.remove(job)
        job.state, job.reason, job.parts, job.queue = State.RUNNING, Reason.NONE, parts, queue
        job.started_s = self.now_s
        job.eligible_s = self.now_s if job.eligible_s is None else job.eligible_s
        self.running[job.key] = job
        self.limits.count(job, 1)
        return job

    def _split_task(self, whole: Job) -> Job:
        task, whole.tasks = whole.tasks[0], whole.tasks[1:]
        number = self.take_number() if whole.tasks else whole.number
        if not whole.tasks:
            self.pending.remove(whole)
            del self.jobs[whole.key]
        # Tasks of one array differ a little in length, and a failing array fails in some of them.
        spec = replace(
            whole.spec,
            duration_s=max(1, whole.spec.duration_s * (70 + 37 * task % 61) // 100),
            outcome=whole.spec.outcome if task % 4 == 1 else State.COMPLETED,
            exit_code=whole.spec.exit_code if task % 4 == 1 else 0,
        )
        job = replace(
            whole, key=f"{whole.number}_{task}", number=number, spec=spec, tasks=(), task=task
        )
        self.jobs[job.key] = job
        self._tasks_running[whole.number] = self._tasks_running.get(whole.number, 0) + 1
        return job

    def stop(self, job: Job, state: State, exit_code: int | None, *, again: bool = False) -> None:
        """End a running run, giving back what it holds; with `again` it waits anew."""
        for part in job.parts:
            self.cluster.release(part)
        del self.running[job.key]
        self.limits.count(job, -1)
        if job.array is not None:
            self._tasks_running[job.array] -= 1
        self._record(job, state, exit_code)
        if again:
            job.state, job.parts, job.started_s = State.PENDING, (), None
            job.restarts += 1
            self.enqueue(job)
        else:
            self._close(job, state, exit_code)

    def withdraw(self, job: Job) -> None:
        """End a waiting run."""
        self.pending.remove(job)
        self._record(job, State.CANCELLED, None)
        self._close(job, State.CANCELLED, None)

    def _close(self, job: Job, state: State, exit_code: int | None) -> None:
        job.state, job.reason, job.ended_s = state, Reason.NONE, self.now_s
        job.exit_code, job.closing = exit_code, False
        self.ended.append(job)

    def _record(self, job: Job, state: State, exit_code: int | None) -> None:
        nodes = [self.spec.nodes[p.node] for p in job.parts]
        self.tries.append(
            Try(
                job,
                state,
                job.started_s,
                self.now_s,
                exit_code,
                tuple(n.name for n in nodes),
                nodes[0].model if nodes else None,
                job.restarts,
            )
        )

    def barred(self, job: Job) -> Reason | None:
        """What other than resources keeps a waiting run from starting now; None for nothing."""
        spec = job.spec
        if job.held:
            return Reason.HELD_BY_ADMIN if job.held_by_admin else Reason.HELD
        if job.visible_s > self.now_s or job.closing:
            return Reason.NONE
        first = self.jobs.get(job.after) if job.after is not None else None
        if first is not None and first.state is not State.COMPLETED:
            return Reason.DEPENDENCY if first.state in LIVE else Reason.NEVER
        if job.tasks and 0 < spec.throttle <= self._tasks_running.get(job.number, 0):
            return Reason.TASK_LIMIT
        if not any(self.queue_states[q] in STARTS for q in spec.queues):
            return Reason.QUEUE_CLOSED
        longest = [self._queue_max[q] for q in spec.queues]
        if all(m is not None and (spec.limit_s or m) > m for m in longest):
            return Reason.TIME_LIMIT
        return self.limits.bar(job)


def by_rank(job: Job) -> tuple[int, int]:
    """The order of the queue: lower comes first."""
    return job.rank, job.number
