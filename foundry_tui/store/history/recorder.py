"""What one look at the estate adds to the history. The caller holds the transaction.

Nothing is concluded from the silence of a source: only one that answered says that a node, a GPU
or a tenant is gone; one that had nodes and suddenly names none at all has not answered. Where
nobody looked for more than three windows, what was true before ends with the last look, and what
is true now begins anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Mapping
from datetime import datetime

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.store.history import values
from foundry_tui.store.history.devices import Device, Devices
from foundry_tui.store.history.idle import Idle
from foundry_tui.store.history.names import Names
from foundry_tui.store.history.schema import HOUR_S, QUARTER_S
from foundry_tui.store.history.shapes import GpuKey
from foundry_tui.store.history.tracks import Key, Track, Value

GAP_WINDOWS = 3
"""So many windows may be missing before what was true counts as unseen."""

UNKNOWN_RUN = 0
"""Stands for whoever holds a GPU whose tenants nobody tells."""

_BY_GPU = "SELECT source FROM device WHERE device.id = gpu"
_BY_NODE = "SELECT source FROM node n WHERE n.id = node"
_BY_QUEUE = "SELECT source FROM queue q WHERE q.id = queue"

Row = tuple[int, int, int | None, int | None, int | None, int | None, int | None]


class TooOld(Exception):
    """A late record for a time of which only roll-ups are left."""


class Recorder:
    """The history's memory of what is true now, and how a look changes it."""

    def __init__(self, db: sqlite3.Connection, idle_milli: int) -> None:
        self._db = db
        self.meta: dict[str, int] = dict(db.execute("SELECT key, value FROM meta"))
        self.step = self.meta.get("step_s", 0)
        self._devices = Devices()
        self._devices.load(db)
        self.idle = Idle(idle_milli)
        self.idle.load(db, self.last_ts, self.step)
        self._names = Names(db)
        self._states = Track("source_state", ("source",), ("state", "reason"), "source")
        node = ("gpu_model", "gpu_count", "cpu_milli", "memory_bytes", "features", "queues")
        self._node_facts = Track("node_facts", ("node",), node, _BY_NODE)
        state = ("state", "reason", "reason_since", "gpu_milli", "cpu_milli", "memory_bytes")
        self._node_state = Track("node_state", ("node",), state, _BY_NODE)
        self._queue_facts = Track("queue_facts", ("queue",), ("facts",), _BY_QUEUE)
        sample = ("allocated_gpu_milli", "requested_gpu_milli", "fair_share_gpu_milli",
                  "non_preemptible_gpu_milli", "running", "waiting", "oldest")  # fmt: skip
        self._queue_sample = Track("queue_sample", ("queue",), sample, _BY_QUEUE)
        held = ("milli", "share", "suspended")
        self._held = Track("allocation", ("gpu", "run"), held, _BY_GPU)
        self._presence = Track("presence", ("gpu",), (), _BY_GPU)
        self._layout = Track("layout", ("gpu",), ("slices",), _BY_GPU)
        self._faults = Track("fault", ("gpu", "kind", "words"), ("grave",), _BY_GPU)
        self._tracks = (
            self._node_facts,
            self._node_state,
            self._queue_facts,
            self._queue_sample,
            self._held,
            self._presence,
            self._layout,
            self._faults,
        )
        for track in (self._states, *self._tracks):
            track.load(db)

    @property
    def last(self) -> int | None:
        """The last look at the estate."""
        return self.meta.get("last")

    @property
    def last_ts(self) -> int | None:
        """The end of the last window that was recorded."""
        return None if self.last is None else self.last // self.step * self.step

    def look(self, snapshot: Snapshot, at: int, step: int) -> None:
        """Add what a snapshot of the time `at` shows.

        Raises:
            TooOld: it is older than all minutes that are kept.
        """
        if not self.step:
            self.step = step
            self._put("step_s", step)
        if self.last is not None and at < self.last:
            self._late(snapshot, at)
            return
        answered = self._source_states(snapshot, at)
        self._rows(snapshot, at, answered)
        self._names.answered(answered, at)
        self._put("last", at)

    def _source_states(self, snapshot: Snapshot, at: int) -> dict[int, str]:
        """Record how the sources stand; the ids and names of those that answered."""
        gap = GAP_WINDOWS * self.step
        answered = {}
        listed = {s.name: s for s in snapshot.sources}
        placed = {n.source for n in snapshot.nodes} | {g.source for g in snapshot.gpus}
        named = [*listed, *sorted(placed | {q.source for q in snapshot.queues})]
        for name in dict.fromkeys(named):
            source = listed.get(name)
            known = self._names.source(name, source.kind if source else "")
            if self.last is not None and at - self.last > gap:
                self._states.lapse(self._db, known, self.last + 1)
            if source is not None:
                state: Value = (str(source.state), values.maybe(source.reason))
                self._states.step(self._db, known, {(known,): state}, at)
            emptied = name not in placed and self._node_facts.holds(known)
            if (source is None or source.usable) and not emptied:
                answered[known] = name
        for name, known in self._names.sources.items():
            if name not in listed and known not in answered:
                self._states.lapse(self._db, known, (self.last or at) + 1)
            seen = self._names.seen[known]
            if seen is not None and at - seen > gap:
                for track in self._tracks:
                    track.lapse(self._db, known, seen + 1)
        return answered

    def _rows(self, snapshot: Snapshot, at: int, answered: dict[int, str]) -> None:
        """Record GPUs and what goes with them, nodes and queues, source by source."""
        ts = at // self.step * self.step
        oldest = ts - (GAP_WINDOWS - 1) * self.step
        runs = {r.id: r for r in snapshot.runs}
        here: dict[int, dict[GpuKey, Device]] = {s: {} for s in answered}
        held: dict[int, dict[Key, Value]] = {s: {} for s in answered}
        layout: dict[int, dict[Key, Value]] = {s: {} for s in answered}
        faults: dict[int, dict[Key, Value]] = {s: {} for s in answered}
        rows: list[Row] = []
        devices, idle = self._devices.here, self.idle
        for gpu in snapshot.gpus:
            source = self._names.sources[gpu.source]
            key: GpuKey = (gpu.source, values.text(gpu.node), gpu.index)
            found = values.minute(gpu)
            window = self._window(gpu, at)
            fresh = found is not None and oldest <= window <= ts
            if source not in here and not fresh:
                continue
            device, gone = self._devices.meet(self._db, key, gpu, source, ts, self.step)
            if gone is not None:
                self._leave(gone)
            if found is not None and fresh and idle.last.get(device.id, 0) < window:
                if window <= device.since:
                    self._devices.reach_back(self._db, device, window - self.step)
                rows.append((window, device.id, *found))
                idle.add(device.id, window, found[0], found[1], self.step)
            if source in here:
                here[source][key] = device
                self._tenants(gpu, device.id, source, runs, held[source])
                if gpu.slices:
                    layout[source][device.id,] = (values.slices_text(gpu.slices),)
                for fault in gpu.faults:
                    faults[source][device.id, str(fault.kind), fault.words] = (int(fault.grave),)
        self._db.executemany("INSERT OR IGNORE INTO raw VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        self._again(min((r[0] for r in rows), default=ts))
        idle.save(self._db)
        for place in [k for k, d in devices.items() if k not in here.get(d.source, devices)]:
            self._leave(devices.pop(place))
        for source in answered:
            began, ended = self._exactly(runs, source, at, held[source])
            opened = self._held.step(self._db, source, held[source], at, began=began, ended=ended)
            numbers = {int(key[1]) for key in opened} - {UNKNOWN_RUN}
            self._names.refresh(numbers, runs, source)
            present: dict[Key, Value] = {(d.id,): () for d in here[source].values()}
            self._presence.step(self._db, source, present, at)
            self._layout.step(self._db, source, layout[source], at)
            self._faults.step(self._db, source, faults[source], at)
        self._nodes(snapshot, at, answered)
        self._queues(snapshot, at, answered)

    def _tenants(
        self, gpu: Gpu, device: int, source: int, runs: Mapping[str, Run], into: dict[Key, Value]
    ) -> None:
        if gpu.tenants is None:
            into[device, UNKNOWN_RUN] = (None, values.maybe(gpu.how), 0)
            return
        for tenant in gpu.tenants:
            run = runs.get(tenant.run)
            number = self._names.run(tenant.run, run, source)
            suspended = run is not None and run.state is RunState.SUSPENDED
            before = into.get((device, number))
            milli = tenant.milli + (int(before[0] or 0) if before else 0)  # two MIG instances
            into[device, number] = (milli, str(tenant.share), int(suspended))

    def _exactly(
        self, runs: Mapping[str, Run], source: int, at: int, now: Mapping[Key, Value]
    ) -> tuple[dict[Hashable, int], dict[Hashable, int]]:
        """When runs took and gave back their GPUs, where that was since the last look."""
        seen = self._names.seen[source]
        before = self._held.holds(source)
        if seen is None or before == now:
            return {}, {}
        began: dict[Hashable, int] = {}
        ended: dict[Hashable, int] = {}
        numbers = self._names.runs
        by_number = {numbers[run.id]: run for run in runs.values() if run.id in numbers}
        for keys, name, into in (
            (now.keys() - before.keys(), "started_at", began),
            (before.keys() - now.keys(), "ended_at", ended),
        ):
            for key in keys:
                run = by_number.get(int(key[1]))
                when = values.seconds(None if run is None else getattr(run, name))
                if when is not None and seen < when <= at:
                    into[key] = when
        return began, ended

    def _nodes(self, snapshot: Snapshot, at: int, answered: dict[int, str]) -> None:
        facts: dict[int, dict[Key, Value]] = {}
        states: dict[int, dict[Key, Value]] = {}
        for node in snapshot.nodes:
            source = self._names.sources[node.source]
            number = self._names.node(source, node.name)
            facts.setdefault(source, {})[number,] = values.node_facts(node)
            states.setdefault(source, {})[number,] = values.node_state(node)
        for source in answered:
            self._node_facts.step(self._db, source, facts.get(source, {}), at)
            self._node_state.step(self._db, source, states.get(source, {}), at)

    def _queues(self, snapshot: Snapshot, at: int, answered: dict[int, str]) -> None:
        facts: dict[int, dict[Key, Value]] = {s: {} for s in answered}
        samples: dict[int, dict[Key, Value]] = {s: {} for s in answered}
        for queue in snapshot.queues:
            source = self._names.sources[queue.source]
            if source not in answered:
                continue
            key = (self._names.queue(source, queue.kind, queue.name),)
            facts[source][key] = values.queue_facts(queue)
            sample = values.queue_sample(queue, snapshot.generated_at)
            before = self._queue_sample.holds(source).get(key)
            samples[source][key] = _steady(before, sample, self.step)
        for source in answered:
            self._queue_facts.step(self._db, source, facts[source], at)
            self._queue_sample.step(self._db, source, samples[source], at)

    def _late(self, snapshot: Snapshot, at: int) -> None:
        """Readings of a window before the last one: they fill gaps and change nothing else."""
        ts = at // self.step * self.step
        if ts <= self.meta.get("raw_from", 0):
            raise TooOld
        rows: list[Row] = []
        changed: list[int] = []
        for gpu in snapshot.gpus:
            found = values.minute(gpu)
            window = self._window(gpu, at)
            if found is None or not max(ts - self.step, self.meta.get("raw_from", 0)) < window:
                continue
            source = self._names.source(gpu.source, "")
            key = (gpu.source, values.text(gpu.node), gpu.index)
            then = self._devices.then(self._db, key, gpu, source, window, self.step)
            if then is not None:
                rows.append((window, then[0].id, *found))
                changed.append(then[1])
        self._db.executemany("INSERT OR IGNORE INTO raw VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        if changed:
            self._again(max(min(changed), self.meta.get("raw_from", 0) + 1))

    def _window(self, gpu: Gpu, at: int) -> int:
        """The end of the window that a GPU's reading belongs to."""
        read: datetime | None = gpu.read_at
        when = at if read is None else min(at, int(read.timestamp()))
        return when // self.step * self.step

    def _again(self, ts: int) -> None:
        """Have everything from the period of a window on rolled up once more, if it was."""
        for name, period in (("rolled_900", QUARTER_S), ("rolled_3600", HOUR_S)):
            begin = (ts - 1) // period * period
            if begin < self.meta.get(name, 0):
                self._put(name, begin)

    def _leave(self, device: Device) -> None:
        seen = self._names.seen[device.source] or 0
        until = max(seen // self.step * self.step, self.idle.last.get(device.id, 0))
        self._devices.leave(self._db, device, until)
        self.idle.forget(device.id)
        self._again(max(until, self.meta.get("raw_from", 0)) + 1)

    def idle_marks(self) -> dict[GpuKey, int]:
        """Since when each idle GPU is idle."""
        marks = self.idle.marks(self.last_ts or 0, self.step)
        return {k: marks[d.id] for k, d in self._devices.here.items() if d.id in marks}

    def compacted(self) -> None:
        """Take over what roll-ups and retention changed in the file; let go of runs that ended."""
        self.meta = dict(self._db.execute("SELECT key, value FROM meta"))
        held = {key[1] for source in self._names.seen for key in self._held.holds(source)}
        self._names.keep_runs(held)

    def _put(self, key: str, value: int) -> None:
        self.meta[key] = value
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _steady(before: Value | None, now: Value, step: int) -> Value:
    """The old sample where only the begin of the oldest wait moved, by less than a window."""
    if before is None or before[:-1] != now[:-1]:
        return now
    old, new = before[-1], now[-1]
    if not isinstance(old, int) or not isinstance(new, int):
        return now
    return before if abs(old - new) < step else now
