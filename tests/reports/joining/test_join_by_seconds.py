"""The join laid beside a simulation that goes through it second by second.

Tries and what the collector saw of them are made at random: several tries of a run, two sources
with the same ids, shares, instances, whole nodes, suspensions, times in which nobody looked, ends
that the collector noticed late, tries in doubt, without an end, and with one before their start.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.run import Run, RunState, run_id
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import HeldGpus, UsageRecord
from foundry_tui.reports.joining.join import Join
from tests.reports.parts import try_of
from tests.store.history import estate
from tests.store.history.estate import START

BEGIN_S = int(START.timestamp())
MINUTES = 40
SOURCES, NODES = ("alpha", "beta"), ("n1", "n2")
IDLE_MILLI = 10
KINDS = {
    "whole": HeldGpus("H200", 1, 1000),
    "two": HeldGpus("H200", 2, 2000),
    "node": HeldGpus("H200", 2, 2000),
    "shard": HeldGpus("H200", 2, 250, Share.SHARD),
    "mig": HeldGpus("1g.18gb", 1, 143, Share.MIG),
}
Place = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Truth:
    """A try, the GPUs it really held, and its part of each."""

    record: UsageRecord
    start: int
    end: int
    places: tuple[Place, ...]
    kind: HeldGpus | None


def truths(random: Random) -> Iterator[Truth]:
    for source in SOURCES:
        for _ in range(6):
            name = random.choice([*KINDS, "whole", "none"])
            kind, node = KINDS.get(name), random.choice(NODES)
            places = {
                "two": ((source, "n1", 0), (source, "n2", 1)),
                "node": ((source, node, 0), (source, node, 1)),
            }.get(name, ((source, node, random.randint(0, 1)),))
            start = random.randint(-300, 60 * MINUTES)
            end = start + random.randint(0, 1200)
            how = random.choice(["plain"] * 4 + ["runs", "no end", "backwards", "rests", "doubt"])
            open_end = how in ("runs", "no end", "doubt")
            told_end = start - 50 if how == "backwards" else end
            state = {"runs": RunState.RUNNING, "doubt": RunState.RUNNING}.get(how)
            native = str(random.randint(1, 4))
            record = try_of(
                native,
                source=source,
                started_at=START + timedelta(seconds=start + random.choice((0, 0.5))),
                ended_at=None if open_end else START + timedelta(seconds=told_end),
                state=state or (RunState.NODE_FAIL if open_end else RunState.COMPLETED),
                suspended_s=random.randint(0, 500) if how == "rests" else 0,
                held=(kind,) if kind else (),
                nodes=tuple(sorted({node for _, node, _ in places})),
                doubt=safe("gone") if how == "doubt" else None,
            )
            yield Truth(record, start, end, places, kind)


def record(folder: Path, tries: Sequence[Truth], random: Random) -> None:
    """What a collector sees of them, with gaps, and each change at the next look."""
    history = estate.opened(folder)
    for minute in range(1, MINUTES):
        if random.random() < 0.15:
            continue
        at = estate.minute(minute, second=random.choice((0, 4, 30)))
        now = int(at.timestamp()) - BEGIN_S
        tenants: defaultdict[Place, dict[str, Tenant]] = defaultdict(dict)
        runs: dict[str, Run] = {}
        for one in tries:
            if one.kind is None or not one.start <= now < one.end + random.choice((0, 40)):
                continue
            source, native = one.record.source, one.record.native_id
            run = run_id(source, native)
            milli = 1000 if one.kind.share is Share.WHOLE else one.kind.milli or 0
            rests = one.record.suspended_s and random.random() < 0.5
            state = RunState.SUSPENDED if rests else RunState.RUNNING
            runs[run] = replace(estate.run(native, at=at, state=state), id=run, source=source)
            for place in one.places:
                tenants[place].setdefault(run, Tenant(run, milli, one.kind.share))
        gpus = [
            estate.gpu(
                index,
                random.choice((None, 0.0, 0.5, 3.0, 70.0, 100.0)),
                at=at,
                node=node,
                source=source,
                tenants=tuple(tenants[source, node, index].values()),
            )
            for source in SOURCES
            for node in NODES
            for index in (0, 1)
        ]
        asked = [Source(name=s, kind="slurm", state=SourceState.OK, read_at=at) for s in SOURCES]
        history.record(
            Snapshot(
                generated_at=at,
                sources=tuple(asked),
                nodes=(),
                gpus=tuple(gpus),
                queues=(),
                runs=tuple(runs.values()),
            )
        )
    history.close()


class Slow:
    """The same join, by loops over the rows of the file and over seconds."""

    def __init__(self, folder: Path, now_s: int) -> None:
        self.now_s = now_s
        self.used: dict[tuple[int, int], bool] = {}
        for ts, gpu, util in estate.tables(
            folder, "SELECT ts, gpu, max(util, coalesce(util_max * 10, 0)) FROM raw "
            "WHERE util IS NOT NULL"
        ):  # fmt: skip
            self.used |= {(gpu, second): util > IDLE_MILLI for second in range(ts - 60, ts)}
        self.held: defaultdict[str, list[tuple[int, ...]]] = defaultdict(list)
        for run, *stretch in estate.tables(
            folder, "SELECT r.run, a.gpu, a.since, coalesce(a.until, s.seen + 1), a.milli, "
            "a.suspended FROM allocation a JOIN run r ON r.id = a.run "
            "JOIN source s ON s.id = r.source"
        ):  # fmt: skip
            self.held[run].append(tuple(stretch))
        self.on: defaultdict[tuple[str, str], list[tuple[int, int, int]]] = defaultdict(list)
        for source, node, *stay in estate.tables(
            folder, "SELECT s.name, d.node, d.id, d.since, coalesce(d.until, 1 << 40) "
            "FROM device d JOIN source s ON s.id = d.source"
        ):  # fmt: skip
            self.on[source, node].append((stay[0], stay[1], stay[2]))

    def cells(self, try_: UsageRecord, edges: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Of each period with time of the try: what was allocated, used, idle and unknown."""
        if not try_.held or try_.started_at is None or try_.doubt is not None:
            return
        start = int(try_.started_at.timestamp())
        if try_.ended_at is None and try_.state is not RunState.RUNNING:
            return
        end = self.now_s if try_.ended_at is None else int(try_.ended_at.timestamp())
        if end <= start:
            return
        (kind,) = try_.held
        stretches = self._stretches(try_, kind, (start, end), (edges[0], edges[-1]))
        work, length = max(0, end - start - try_.suspended_s), end - start
        billed, worth = kind.billed_milli or 0, kind.milli or 1
        for begin, until in pairwise(edges):
            low, high = max(begin, start), min(until, end)
            if high <= low:
                continue
            seconds = (high - start) * work // length - (low - start) * work // length
            used = idle = 0
            for gpu, since, upto, milli in stretches:
                told = [self.used.get((gpu, t)) for t in range(max(low, since), min(high, upto))]
                part = milli * billed // worth
                if kind.share is Share.MIG:
                    part = 1000 * max(1, round(part / 1000))
                used += told.count(True) * part
                idle += told.count(False) * part
            known, allocated = used + idle, seconds * billed
            if known > allocated:
                used, idle = used * allocated // known, allocated - used * allocated // known
            yield allocated, used, idle, allocated - used - idle

    def _stretches(
        self, try_: UsageRecord, kind: HeldGpus, span: tuple[int, int], window: tuple[int, int]
    ) -> list[tuple[int, int, int, int]]:
        low, high = max(span[0], window[0]), min(span[1], window[1])
        seen = [
            stretch
            for stretch in self.held[run_id(try_.source, try_.native_id)]
            if max(stretch[1], low) < min(stretch[2], high)
        ]
        if seen or kind.share is not Share.WHOLE:
            return [(gpu, a, b, milli) for gpu, a, b, milli, rests in seen if not rests]
        found = [
            gpu
            for node in try_.nodes
            for gpu, since, until in self.on[try_.source, node]
            if since < span[1] and until > span[0]
        ]
        return [(gpu, *span, 1000) for gpu in found] if len(found) == kind.count else []


@pytest.mark.parametrize("seed", range(12))
def test_r07_r08_r10_the_join_is_what_every_second_says(seed: int) -> None:
    random = Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tries = list(truths(random))
        record(folder, tries, random)
        records = [one.record for one in tries]
        now_s = BEGIN_S + random.randint(1500, 60 * MINUTES)
        edges = sorted(BEGIN_S + s for s in random.sample(range(-400, 3000), 4))
        past = estate.past(folder)
        readings = past.readings(edges[0], edges[-1])
        assert readings.resolution_s == 60
        part = Join(edges, now_s, past, readings).part(records)
        cells = part.cells
        found: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list)
        columns = (cells.allocated_ms, cells.used_ms, cells.idle_ms, cells.unknown_ms)
        for line, *amounts in zip(cells.line, *columns, strict=True):
            found[int(part.lines.record[line])].append(tuple(map(int, amounts)))
        slow = Slow(folder, now_s)
        expected: Mapping[int, list[tuple[int, ...]]] = {
            number: told
            for number, try_ in enumerate(records)
            if (told := list(slow.cells(try_, edges)))
        }
        assert found.keys() == expected.keys()
        for number, told in expected.items():
            for one, other in zip(found[number], told, strict=True):
                assert one == other
                assert one[0] == sum(one[1:])
        assert sum(o[1] + o[2] for told in found.values() for o in told) > 0
