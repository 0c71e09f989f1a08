"""A small cluster that lives: runs arrive, wait, work and end; nodes fail and are repaired.

The state depends only on the seed, on the acts and on the simulated seconds that went by, never on
how often or in which steps `advance` was called. Acts happen at the current second, after all
events of that second.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler_sim.books import Books, by_rank
from scheduler_sim.cluster import Mask
from scheduler_sim.events import Event, Events
from scheduler_sim.faults import Faults
from scheduler_sim.jobs import LIVE, Job, JobSpec, Reason, State
from scheduler_sim.limits import STARTS, TAKES, LiveSpec, NodeNote
from scheduler_sim.places import Places
from scheduler_sim.queueing import Ending, Pass, Planned, plan
from scheduler_sim.workload import Arrivals

GIVE_UP_S = 24 * 3600
"""A run that no passing of time will start is withdrawn by its owner after this long."""

_HOPELESS = frozenset({Reason.HELD, Reason.DEPENDENCY, Reason.NEVER, Reason.TIME_LIMIT})
_POINTS = 10_000
_QOS_MINUTES = {"high": 600, "normal": 0, "low": -600}


class LiveCluster:
    """The cluster at `now_s`. Read `books` and `notes` freely; change them only by the methods."""

    def __init__(self, spec: LiveSpec, seed: int) -> None:
        self.spec = spec
        self.books = Books(spec)
        self.notes: dict[int, NodeNote] = {}
        self._places = Places(spec)
        self._events = Events()
        self._pass_due = False
        self._look: Pass | None = None
        self._new: list[Job] = []
        self._latest: dict[str, str] = {}
        self._faults = Faults(
            len(spec.nodes), every_s=spec.fail_every_s, repair_s=spec.repair_s, seed=seed + 1
        )
        self._arrivals = Arrivals(
            spec.templates,
            spec.people,
            total_milli=1000 * sum(n.gpus for n in spec.nodes),
            load=spec.load,
            start_s=spec.start_s,
            seed=seed,
        )
        self._next = next(self._arrivals)
        self._events.add(self._next[0], Event.ARRIVE)
        self._events.add(self.now_s + self._faults.gap_s(), Event.FAIL)

    @property
    def now_s(self) -> int:
        """The cluster's clock."""
        return self.books.now_s

    def advance(self, to_s: int) -> None:
        """Let time pass until `to_s`; nothing happens if that is already past."""
        while (due := self._events.take(to_s)) is not None:
            self.books.now_s, event, key, number = due
            if event is Event.ARRIVE:
                self._arrive()
            elif event is Event.END:
                self._end(key, number)
            elif event is Event.FAIL:
                self._fail()
            elif event is Event.REPAIR:
                note = self.notes.get(number)
                if note is not None and note.by is None:
                    self.set_node(number, None)
            elif event is Event.CANCEL:
                self.cancel(key)
            elif event is Event.GIVE_UP:
                job = self._waiting(key)
                if job is not None and job.reason in _HOPELESS:
                    self._withdraw(job)
            elif event is Event.APPEAR:
                job = self._waiting(key)
                if job is not None:
                    self._appear(job)
            else:
                self._pass()
        self.books.now_s = max(self.now_s, to_s)

    def fill(self, waiting: int) -> None:
        """Let runs arrive now, and start where they fit, until `waiting` records wait."""
        while len(self.books.pending) < waiting:
            for _ in range(waiting - len(self.books.pending)):
                self._submit_drawn(self._arrivals.draw())
            self._pass()

    # Acts

    def submit(self, spec: JobSpec, token: str | None = None, delay_s: int = 0) -> Job:
        """Take a run into the queue; with `delay_s` it is seen, and can start, only later.

        Raises:
            ValueError: an unknown queue or node, or it would not fit on the empty cluster; names
                the field.
        """
        self.check(spec)
        number = self.books.take_number()
        after = spec.after
        if after == "previous":
            latest = self.books.jobs.get(self._latest.get(spec.user, ""))
            after = latest.key if latest and latest.state in LIVE and not latest.tasks else None
        job = Job(
            key=str(number),
            number=number,
            spec=spec,
            submitted_s=self.now_s,
            rank=self._rank(spec, self.now_s),
            token=token,
            visible_s=self.now_s + delay_s,
            tasks=spec.tasks,
            array=number if spec.tasks else None,
            held=spec.held,
            reason=Reason.HELD if spec.held else Reason.NONE,
            eligible_s=None if spec.held or after else self.now_s,
            after=after,
            queue=spec.queue,
        )
        self._latest[spec.user] = job.key
        self.books.enqueue(job)
        if delay_s:
            self._events.add(self.now_s + delay_s, Event.APPEAR, job.key)
        else:
            self._appear(job)
        return job

    def check(self, spec: JobSpec) -> None:
        """Raise ValueError, naming the field, for a run that this cluster could never start."""
        self._places.check(spec)

    def cancel(self, key: str, delay_s: int = 0) -> bool:
        """End a waiting or running run; False if there is none. With `delay_s` it ends later."""
        job = self.books.jobs.get(key)
        if job is None or job.state not in LIVE:
            return False
        if delay_s:
            job.closing = True
            self._events.add(self.now_s + delay_s, Event.CANCEL, key)
        elif job.state is State.RUNNING:
            self.books.stop(job, State.CANCELLED, None)
            self._look_soon()
        else:
            self._withdraw(job)
        return True

    def hold(self, key: str, by_admin: bool = False) -> bool:
        """Keep a waiting run from starting; False if there is none or it is held already."""
        job = self._waiting(key)
        if job is None or job.held:
            return False
        job.held, job.held_by_admin = True, by_admin
        job.reason = Reason.HELD_BY_ADMIN if by_admin else Reason.HELD
        return True

    def release(self, key: str) -> bool:
        """Let a held run start; False if there is none or it is not held."""
        job = self._waiting(key)
        if job is None or not job.held:
            return False
        job.held, job.held_by_admin, job.reason = False, False, Reason.NONE
        job.eligible_s = self.now_s if job.eligible_s is None else job.eligible_s
        self._look_soon()
        return True

    def requeue(self, key: str) -> bool:
        """Stop a running run and let it wait again from the start; False if there is none."""
        job = self.books.running.get(key)
        if job is None:
            return False
        self.books.stop(job, State.CANCELLED, None, again=True)
        self._look_soon()
        return True

    def change(self, key: str, spec: JobSpec) -> bool:
        """Let a waiting run ask for something else; False if there is none.

        Raises:
            ValueError: the run could never start like that; names the field.
        """
        job = self._waiting(key)
        if job is None:
            return False
        self.check(spec)
        self.books.pending.remove(job)
        job.spec, job.queue = spec, spec.queue
        job.rank = self._rank(spec, job.submitted_s)
        self.books.enqueue(job)
        self._look_soon()
        return True

    def set_quota(self, account: str, milli: int) -> bool:
        """Let an account hold so many GPU thousandths without preemption; False for none such.

        What runs over a smaller quota goes on.
        """
        if account not in self.books.limits.quotas or milli < 0:
            return False
        self.books.limits.quotas[account] = milli
        self._look_soon()
        return True

    def set_queue(self, name: str, state: str) -> bool:
        """Open or close a queue (`STARTS`, `TAKES`) but for what runs; False for no such state."""
        if name not in self.books.queue_states or state not in STARTS | TAKES | {"inactive"}:
            return False
        self.books.queue_states[name] = state
        self._look_soon()
        return True

    def set_node(self, row: int, note: NodeNote | None) -> None:
        """Close a node for new runs, or open it again with None; `down` also stops what runs."""
        if note is None:
            self.notes.pop(row, None)
        else:
            self.notes[row] = note
        self.books.cluster.set_usable(row, note is None)
        if note is not None and note.kind == "down":
            for job in tuple(self.books.running.values()):
                if any(part.node == row for part in job.parts):
                    self.books.stop(job, State.NODE_FAIL, None, again=True)
        self._look_soon()

    # Questions

    def priority(self, job: Job) -> int:
        """Points that grow with waiting, in the order of the queue; 0 for a held run."""
        return 0 if job.held else max(1, _POINTS + self.now_s // 60 - job.rank)

    def planned(self, *, most_ends: int, like: Job | None = None) -> dict[str, Planned]:
        """When and where waiting runs would start, judged by time limits; keys as in the books.

        `like` takes the place of the run of the same key, to ask what a changed run would get.
        """
        waiting = self.books.pending
        if like is not None:
            like = replace(like, rank=self._rank(like.spec, like.submitted_s))
            waiting = sorted([j for j in waiting if j.key != like.key] + [like], key=by_rank)
        return plan(
            self.books.cluster,
            waiting,
            self._endings(),
            self.now_s,
            nodes_of=self._nodes_of,
            barred=self.books.barred,
            most_ends=most_ends,
        )

    # Events

    def _arrive(self) -> None:
        _, spec = self._next
        self._next = next(self._arrivals)
        self._events.add(self._next[0], Event.ARRIVE)
        if len(self.books.pending) < self.spec.max_waiting:
            self._submit_drawn(spec)

    def _submit_drawn(self, spec: JobSpec) -> None:
        if not any(self.books.queue_states[q] in TAKES for q in spec.queues):
            return
        job = self.submit(spec)
        self._events.add(self.now_s + GIVE_UP_S, Event.GIVE_UP, job.key)

    def _end(self, key: str, restarts: int) -> None:
        job = self.books.running.get(key)
        if job is None or job.restarts != restarts:
            return
        spec = job.spec
        if spec.limit_s is not None and spec.limit_s < spec.duration_s:
            self.books.stop(job, State.TIMEOUT, None)
        else:
            self.books.stop(job, spec.outcome, spec.exit_code)
        self._look_soon()

    def _withdraw(self, job: Job) -> None:
        self.books.withdraw(job)
        self._look_soon()

    def _fail(self) -> None:
        self._events.add(self.now_s + self._faults.gap_s(), Event.FAIL)
        fault = self._faults.draw()
        if self.books.cluster.usable[fault.row]:
            self.set_node(fault.row, NodeNote(fault.kind, fault.text, self.now_s))
            self._events.add(self.now_s + fault.repair_s, Event.REPAIR, number=fault.row)

    def _pass(self) -> None:
        self._pass_due = False
        books, look = self.books, self._look
        if look is None:
            look = self._look = Pass(
                books.cluster,
                self.now_s,
                endings=self._endings,
                nodes_of=self._nodes_of,
                barred=books.barred,
            )
            self._new = list(books.pending)
        look.now_s = self.now_s
        looked_at = [job for job in self._new if job.state is State.PENDING]
        self._new = []
        for waiting, parts, queue in look.starts(looked_at):
            job = books.start(waiting, parts, queue)
            stay_s = min(job.spec.duration_s, job.spec.limit_s or job.spec.duration_s)
            self._events.add(self.now_s + stay_s, Event.END, job.key, job.restarts)
        for job in looked_at:
            job.reason = look.why.get(job.key, Reason.NONE)

    # Small things

    def _appear(self, job: Job) -> None:
        """A run that the next pass looks at; nothing else has changed for the others."""
        self._new.append(job)
        self._pass_soon()

    def _look_soon(self) -> None:
        """Something was given back or changed: the next pass looks at every waiting run anew."""
        self._look = None
        self._pass_soon()

    def _pass_soon(self) -> None:
        if not self._pass_due:
            self._pass_due = True
            every_s = self.spec.pass_every_s
            self._events.add((self.now_s // every_s + 1) * every_s, Event.PASS)

    def _waiting(self, key: str) -> Job | None:
        job = self.books.jobs.get(key)
        return job if job is not None and job.state is State.PENDING else None

    def _rank(self, spec: JobSpec, submitted_s: int) -> int:
        return submitted_s // 60 - self._places.rank_minutes(spec) - _QOS_MINUTES.get(spec.qos, 0)

    def _endings(self) -> list[Ending]:
        running = self.books.running.values()
        return [(j.ends_by_s, j.parts) for j in running if j.ends_by_s is not None]

    def _nodes_of(self, job: Job, queue: str) -> Mask:
        nodes = self._places.nodes(queue, job.spec.nodelist)
        return nodes if self.books.queue_states[queue] in STARTS else np.zeros_like(nodes)
