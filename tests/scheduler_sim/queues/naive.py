"""A queue simulated second by second, with nothing remembered: slow and plain, to compare with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.fragmentation import Mix
from scheduler_sim.queues.jobs import Jobs
from scheduler_sim.queues.outcome import Fault
from tests.scheduler_sim import reference

FOREVER = 1 << 60
HORIZON_S = 20_000


@dataclass
class Room:
    """What one node has left."""

    gpus: list[int]
    cpu: int
    memory: int
    up: bool = True

    def copy(self) -> Room:
        return Room(list(self.gpus), self.cpu, self.memory, self.up)

    def add(self, request: Request, gpus: Sequence[int], sign: int) -> None:
        for g in gpus:
            self.gpus[g] += sign * request.gpu_milli
        self.cpu += sign * request.cpu_milli
        self.memory += sign * request.memory_mib


@dataclass
class Share:
    """What a run holds, or is planned to hold, on its nodes."""

    job: int
    from_s: int
    till_s: int
    end_s: int
    parts: list[tuple[int, tuple[int, ...]]]


@dataclass
class Naive:
    """`order` is submit, priority or fair, `rule` strict, easy or conservative."""

    nodes: Sequence[NodeSpec]
    jobs: Jobs
    order: str
    rule: str
    placement: str
    mix: Mix
    step_s: int
    faults: Sequence[Fault] = ()
    start_s: dict[int, int] = field(default_factory=dict)
    end_s: dict[int, int] = field(default_factory=dict)
    parts: dict[int, list[tuple[int, tuple[int, ...]]]] = field(default_factory=dict)
    promised_s: dict[int, int] = field(default_factory=dict)
    head_at: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.running: list[Share] = []
        self.plans: dict[int, Share] = {}
        self.waiting: list[int] = []
        self.down: set[str] = set()
        self.used: dict[object, int] = {}
        self.now_s = 0

    def request(self, job: int) -> Request:
        return self.jobs.kinds[int(self.jobs.kind[job])]

    def play(self) -> None:
        jobs = self.jobs
        left = [j for j in range(len(jobs)) if self.possible(j)]
        last_fault = max([0, *(f.at_s for f in self.faults), *(f.back_s or 0 for f in self.faults)])
        while self.now_s < HORIZON_S and (left or self.waiting or self.running):
            while True:
                happened = self.finish() | self.strike()
                new = [j for j in left if jobs.submit_s[j] <= self.now_s]
                left = [j for j in left if j not in new]
                self.waiting += new
                if happened or new or self.rule == "conservative":
                    self.look()
                if not any(r.end_s <= self.now_s for r in self.running):
                    break
            if not left and not self.running and not self.plans and self.now_s > last_fault:
                break
            self.tick()

    def possible(self, job: int) -> bool:
        rooms = [Room([1000] * n.gpus, n.cpu_milli, n.memory_mib) for n in self.nodes]
        fit = [i for i in range(len(rooms)) if self.fits(rooms, i, self.request(job))]
        return len(fit) >= int(self.jobs.nodes[job])

    def finish(self) -> bool:
        over = [r for r in self.running if r.end_s <= self.now_s]
        for share in over:
            self.running.remove(share)
            self.end_s[share.job] = self.now_s
        return bool(over)

    def strike(self) -> bool:
        due = [(0, f) for f in self.faults if f.back_s == self.now_s]
        due += [(1, f) for f in self.faults if f.at_s == self.now_s]
        for going, fault in sorted(due, key=lambda d: d[0]):
            if not going:
                self.down.discard(fault.node)
                continue
            if fault.node in self.down:
                continue
            self.down.add(fault.node)
            row = [n.name for n in self.nodes].index(fault.node)
            for share in [r for r in self.running if row in [n for n, _ in r.parts]]:
                self.running.remove(share)
                if fault.requeue:
                    del self.start_s[share.job]
                    self.waiting.append(share.job)
                else:
                    self.end_s[share.job] = self.now_s
            for job, plan in list(self.plans.items()):
                if row in [n for n, _ in plan.parts]:
                    del self.plans[job]
        return bool(due)

    def tick(self) -> None:
        for share in self.running:
            job = share.job
            account, user = int(self.jobs.account[job]), int(self.jobs.user[job])
            for key in (account, (account, user)):
                self.used[key] = self.used.get(key, 0) + self.charge(job)
        self.now_s += 1
        if self.now_s % self.step_s == 0:
            self.used = {key: used * 32_415 // 32_768 for key, used in self.used.items()}

    def charge(self, job: int) -> int:
        gpu = 1000 * sum(n.gpus for n in self.nodes)
        cpu = sum(n.cpu_milli for n in self.nodes)
        request = self.request(job)
        return int(self.jobs.nodes[job]) * max(
            request.total_milli, request.cpu_milli * (gpu or cpu) // max(cpu, 1)
        )

    def queue(self) -> list[int]:
        jobs = self.jobs
        if self.order == "submit":
            return sorted(self.waiting)
        if self.order == "priority":
            return sorted(self.waiting, key=lambda j: (-int(jobs.priority[j]), j))

        def who(job: int) -> tuple[int, int]:
            return int(jobs.account[job]), int(jobs.user[job])

        first = {who(j): j for j in sorted(self.waiting, reverse=True)}
        return sorted(
            self.waiting,
            key=lambda j: (
                self.used.get(who(j)[0], 0),
                self.used.get(who(j), 0),
                first[who(j)],
                j,
            ),
        )

    def rooms(self, at_s: int, shares: Sequence[Share]) -> list[Room]:
        rooms = [
            Room([1000] * n.gpus, n.cpu_milli, n.memory_mib, n.name not in self.down)
            for n in self.nodes
        ]
        for share in shares:
            if share.from_s <= at_s < share.till_s:
                for node, gpus in share.parts:
                    rooms[node].add(self.request(share.job), gpus, -1)
        return rooms

    def fits(self, rooms: list[Room], node: int, request: Request) -> bool:
        room = rooms[node]
        if not room.up or room.cpu < request.cpu_milli or room.memory < request.memory_mib:
            return False
        if request.gpus == 0:
            return True
        if request.models and self.nodes[node].model not in request.models:
            return False
        return sum(left >= request.gpu_milli for left in room.gpus) >= request.gpus

    def choose(self, rooms: list[Room], job: int) -> list[tuple[int, tuple[int, ...]]] | None:
        request, count = self.request(job), int(self.jobs.nodes[job])
        found = []
        for node in range(len(rooms)):
            if self.fits(rooms, node, request):
                score, gpus = self.score(rooms[node], node, request)
                found.append((-score, node, gpus))
        if len(found) < count:
            return None
        return [(node, gpus) for _, node, gpus in sorted(found)[:count]]

    def score(self, room: Room, node: int, request: Request) -> tuple[int, tuple[int, ...]]:
        fullest = tuple(reference.fullest(room.gpus, request))
        if self.placement == "first_fit":
            return 0, fullest
        if self.placement == "best_fit":
            cpu = room.cpu - request.cpu_milli
            gpu = sum(room.gpus) - request.total_milli
            return int(100 * (1 - (Fraction(cpu, 128_000) + Fraction(gpu, 8000)) / 2)), fullest
        tries = [fullest]
        if request.gpus == 1 and request.gpu_milli < 1000:
            tries = [(g,) for g, left in enumerate(room.gpus) if left >= request.gpu_milli]
        model = self.nodes[node].model
        before = reference.fragmentation(room.gpus, room.cpu, model, self.mix)
        scored = []
        for gpus in tries:
            after = room.copy()
            after.add(request, gpus, -1)
            fall = before - reference.fragmentation(after.gpus, after.cpu, model, self.mix)
            scored.append((-int(100 / (1 + math.exp(-float(fall) / 1000))), gpus))
        score, gpus = min(scored)
        return -score, gpus

    def start(self, job: int, parts: list[tuple[int, tuple[int, ...]]]) -> None:
        jobs, now = self.jobs, self.now_s
        limit, true = int(jobs.limit_s[job]), int(jobs.duration_s[job])
        self.running.append(Share(job, now, now + limit, now + min(limit, true), parts))
        self.waiting.remove(job)
        self.start_s[job], self.parts[job] = now, parts

    def look(self) -> None:
        rule: dict[str, Callable[[], None]] = {
            "strict": self.strict,
            "easy": self.easy,
            "conservative": self.conservative,
        }
        rule[self.rule]()

    def strict(self) -> None:
        for job in self.queue():
            parts = self.choose(self.rooms(self.now_s, self.running), job)
            if parts is None:
                return
            self.start(job, parts)

    def easy(self) -> None:
        head = None
        for job in self.queue():
            rooms = self.rooms(self.now_s, self.running)
            if head is not None:
                shadow_s, kept = self.reserve(head)
                if self.now_s + int(self.jobs.limit_s[job]) > shadow_s:
                    for node, beside in kept.items():
                        room = rooms[node]
                        pairs = zip(room.gpus, beside.gpus, strict=True)
                        room.gpus = [min(a, b) for a, b in pairs]
                        room.cpu = min(room.cpu, beside.cpu)
                        room.memory = min(room.memory, beside.memory)
            parts = self.choose(rooms, job)
            if parts is not None:
                self.start(job, parts)
            elif head is None:
                head = job
                shadow_s, _ = self.reserve(head)
                self.head_at.setdefault(head, []).append(shadow_s)
                if shadow_s < FOREVER:
                    self.promised_s.setdefault(head, shadow_s)

    def reserve(self, head: int) -> tuple[int, dict[int, Room]]:
        request, count = self.request(head), int(self.jobs.nodes[head])
        for at_s in sorted({self.now_s, *(r.till_s for r in self.running)}):
            rooms = self.rooms(at_s, self.running)
            ready = [n for n in range(len(rooms)) if self.fits(rooms, n, request)]
            if len(ready) >= count:
                for node in ready[:count]:
                    left = rooms[node].gpus
                    fit = [g for g, milli in enumerate(left) if milli >= request.gpu_milli]
                    rooms[node].add(request, fit[: request.gpus], -1)
                return at_s, {node: rooms[node] for node in ready[:count]}
        return FOREVER, {}

    def conservative(self) -> None:
        for job in sorted(self.plans, key=lambda j: (self.plans[j].from_s, j)):
            plan = self.plans.pop(job)
            self.plans[job] = self.soonest(job, plan.from_s) or plan
        for job in self.queue():
            if job not in self.plans:
                planned = self.soonest(job, FOREVER)
                if planned is not None:
                    self.plans[job] = planned
                    self.promised_s.setdefault(job, planned.from_s)
        for job in self.queue():
            if job in self.plans and self.plans[job].from_s == self.now_s:
                self.start(job, self.plans.pop(job).parts)

    def soonest(self, job: int, before_s: int) -> Share | None:
        shares = [*self.running, *self.plans.values()]
        length = int(self.jobs.limit_s[job])
        for at_s in sorted({self.now_s, *(s.till_s for s in shares)}):
            if not self.now_s <= at_s < before_s:
                continue
            moments = {at_s, *(s.from_s for s in shares if at_s < s.from_s < at_s + length)}
            states = [self.rooms(moment, shares) for moment in sorted(moments)]
            least = [
                Room(
                    [min(left) for left in zip(*(room.gpus for room in same), strict=True)],
                    min(room.cpu for room in same),
                    min(room.memory for room in same),
                    same[0].up,
                )
                for same in zip(*states, strict=True)
            ]
            parts = self.choose(least, job)
            if parts is not None:
                return Share(job, at_s, at_s + length, 0, parts)
        return None
