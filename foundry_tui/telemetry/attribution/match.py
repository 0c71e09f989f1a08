"""Which reading belongs to which GPU and which run.

What a run holds, its scheduler says: so an allocated GPU on which nothing runs is seen. Devices are
joined by uuid where the scheduler knows it, else by node and index. The processes seen on a device
tell what an index means, split a shared GPU among its runs, and show who works where he should not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from foundry_tui.estate import mig, use
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.matched import Key, Matched, Place, RunUse
from foundry_tui.estate.merge import tells
from foundry_tui.estate.node import Node
from foundry_tui.estate.reading import Holder, Reading
from foundry_tui.estate.run import HOLDING, Run
from foundry_tui.estate.text import SafeText
from foundry_tui.telemetry import health
from foundry_tui.telemetry.attribution import indexing, remarks
from foundry_tui.telemetry.attribution.indexing import AUTO, MINOR, NVML, Seats
from foundry_tui.telemetry.attribution.migindex import by_instances, counts_instances
from foundry_tui.telemetry.names import canonical


def match(
    nodes: Iterable[Node],
    gpus: Iterable[Gpu],
    runs: Iterable[Run],
    readings: Iterable[Reading],
    *,
    gpu_index: Mapping[str, str] | None = None,
    before: Mapping[Place, str] | None = None,
) -> Matched:
    """Join readings to the GPUs, nodes and runs of an estate.

    Args:
        nodes, gpus, runs: the estate, as its schedulers told it.
        readings: at most one of each GPU (`precedence.chosen`).
        gpu_index: source of readings -> what an index means there: nvml, minor or auto (default).
        before: what the last match found the indices to mean (`Matched.index`), so that a node does
            not change its order when the processes that told it have gone.

    No reading is used twice, and none where it is not sure whose it is: a GPU is then unknown.
    """
    return _Match(nodes, gpus, runs, gpu_index or {}, before or {}).of(readings)


@dataclass(slots=True)
class _Site:
    """A node of the estate with what was measured on it. `rule` is what its index means."""

    place: Place
    gpus: list[Gpu]
    readings: list[Reading] = field(default_factory=list)
    seats: Seats = field(default_factory=Seats)
    sightings: list[indexing.Sighting] = field(default_factory=list)
    ambiguous: bool = False
    certain: bool = False
    rule: str | None = None


class _Match:
    def __init__(
        self,
        nodes: Iterable[Node],
        gpus: Iterable[Gpu],
        runs: Iterable[Run],
        gpu_index: Mapping[str, str],
        before: Mapping[Place, str],
    ) -> None:
        self.gpus, self.runs = tuple(gpus), {r.id: r for r in runs}
        self.gpu_index, self.before = gpu_index, before
        self.sites: dict[Place, _Site] = {
            (n.source, n.name): _Site((n.source, n.name), []) for n in nodes
        }
        for gpu in self.gpus:
            place = (gpu.source, gpu.node)
            site = self.sites.get(place)
            if site is None:
                site = self.sites[place] = _Site(place, [])
            site.gpus.append(gpu)
        self.named: dict[tuple[str, str], Run] = {}
        self.remarks: list[SafeText] = []
        self.notes: dict[Key, str] = {}
        self.by_gpu: dict[Key, Reading] = {}
        self.refuted: set[Place] = set()
        self.visited: set[Key] = set()
        self.unmatched = 0

    def of(self, readings: Iterable[Reading]) -> Matched:
        found = tuple(readings)
        if any(r.holders for r in found):
            for run in self.runs.values():
                for name in (run.native_id, *run.seen_as):
                    self.named[run.source, name] = run
        self._place(found)
        measured = [s for s in self.sites.values() if s.readings]
        for site in measured:
            self._prepare(site)
        self._agree(measured)
        by_node: dict[Place, float] = {}
        for site in measured:
            self._join(site)
            util = self._node_util(site)
            if util is not None:
                by_node[site.place] = util
        return Matched(
            by_gpu=self.by_gpu,
            by_node=by_node,
            by_run=use.by_run((g, self._use(g)) for g in self.gpus if g.tenants),
            notes=self.notes,
            remarks=remarks.capped(self.remarks),
            unmatched=self.unmatched,
            index={s.place: s.rule for s in measured if s.ambiguous and s.rule},
        )

    def _place(self, readings: Sequence[Reading]) -> None:
        """Give each reading to the node it was made on."""
        names = canonical({r.node for r in readings} | {name for _, name in self.sites})
        called: dict[str, list[_Site]] = {}
        for site in self.sites.values():
            called.setdefault(names[site.place[1]], []).append(site)
        by_host: dict[str, list[Reading]] = {}
        for reading in readings:
            by_host.setdefault(names[reading.node], []).append(reading)
        uuids = self._uuids()
        # A host that is known by its name goes first: no other one can take its place by a uuid.
        for host, made in sorted(by_host.items(), key=lambda one: len(called.get(one[0], ())) != 1):
            sites = called.get(host, [])
            if len(sites) != 1:
                told = {
                    (gpu.source, gpu.node)
                    for r in made
                    if r.uuid and (gpu := uuids.get(r.uuid.casefold())) is not None
                }
                of_uuid = [s for place in told if not (s := self.sites[place]).readings]
                sites = of_uuid if len(told) == 1 and of_uuid else sites
            if len(sites) == 1:
                sites[0].readings += made
                continue
            self.unmatched += len(made)
            sources = ", ".join(sorted(s.place[0] for s in sites))
            for site in sites:
                why = f"not measured: the sources {sources} all have a node {site.place[1]}"
                self.notes.update({(g.source, g.node, g.index): why for g in site.gpus})

    def _uuids(self) -> dict[str, Gpu | None]:
        """GPUs by uuid; None for one that two of them have."""
        found: dict[str, Gpu | None] = {}
        for gpu in self.gpus:
            if gpu.uuid:
                uuid = gpu.uuid.casefold()
                found[uuid] = None if uuid in found else gpu
        return found

    def _prepare(self, site: _Site) -> None:
        """Join what has a uuid on both sides, and hear the processes on what is left."""
        one_each: dict[int, Reading] = {}
        for reading in site.readings:
            other = one_each.get(reading.index)
            if other is None or other.read_at < reading.read_at:
                one_each[reading.index] = reading
        self.unmatched += len(site.readings) - len(one_each)
        site.readings = [one_each[i] for i in sorted(one_each)]
        named = [g for g in site.gpus if g.uuid]
        by_uuid = {r.uuid.casefold(): r for r in site.readings if r.uuid} if named else {}
        for gpu in named:
            found = by_uuid.pop((gpu.uuid or "").casefold(), None)
            if found is not None:
                site.seats.pairs.append((gpu, found))
        left = self._left(site)[1]
        site.ambiguous = indexing.ambiguous(left)
        sources = {r.source for r in left}
        modes = {self.gpu_index.get(source, AUTO) for source in sources} - {AUTO}
        site.certain = len(modes) == 1
        site.rule = modes.pop() if site.certain else None
        if any(r.holders for r in left):
            held, source = _held(site.gpus), site.place[0]
            site.sightings = [
                (r, held[run.id])
                for r in left
                for h in r.holders or ()
                if (run := self.named.get((source, h.job))) is not None and run.id in held
            ]

    def _left(self, site: _Site) -> tuple[list[Gpu], list[Reading]]:
        if not site.seats.pairs:
            return site.gpus, site.readings
        gpus = {g.index for g, _ in site.seats.pairs}
        readings = {r.index for _, r in site.seats.pairs}
        return (
            [g for g in site.gpus if g.index not in gpus],
            [r for r in site.readings if r.index not in readings],
        )

    def _agree(self, sites: Iterable[_Site]) -> None:
        """What the index means where nobody configured it: the node's own processes, what was found
        before, what all deciding nodes of the same scheduler say, NVML's order."""
        open_sites = [s for s in sites if s.rule is None]
        decided: dict[str, set[str]] = {}
        for site in open_sites:
            if site.ambiguous:
                site.rule = indexing.decide(site.sightings) or self.before.get(site.place)
                if site.rule is not None:
                    decided.setdefault(site.place[0], set()).add(site.rule)
        for site in open_sites:
            if site.rule is None:
                others = decided.get(site.place[0]) if site.ambiguous else None
                site.rule = MINOR if others == {MINOR} else NVML

    def _join(self, site: _Site) -> None:
        gpus, readings = self._left(site)
        if counts_instances(gpus, readings):
            held = _held(site.gpus)
            seats = by_instances(
                gpus,
                readings,
                lambda h: held.get(run.id) if (run := self._run(site, h)) else None,
            )
        elif any(g.guessed for g in site.gpus):
            seats = indexing.by_runs(gpus, readings, self._seen(site, readings))
        elif gpus and readings:
            seats = indexing.by_index(
                gpus, readings, site.sightings, rule=site.rule or NVML, certain=site.certain
            )
        else:
            seats = Seats()
        source, node = site.place
        if seats.missing:
            self.remarks.append(remarks.missing(node, seats.missing))
            self.notes.update(
                {(source, node, g.index): f"not measured: {seats.missing}" for g in gpus}
            )
        if seats.refuted:
            self.refuted.add(site.place)
            self.remarks.append(remarks.refuted(node, site.rule or NVML))
        self.notes.update({(source, node, index): words for index, words in seats.notes.items()})
        pairs = site.seats.pairs + seats.pairs
        for gpu, reading in pairs:
            self.by_gpu[source, node, gpu.index] = _whole(reading) if reading.instances else reading
            if gpu.tenants is None or seats.refuted or not reading.holders:
                continue
            if self._visited(gpu, reading.holders):
                self.visited.add((source, node, gpu.index))
        for gpu in seats.lost:
            self._lost(gpu, site.readings[0])
        self.unmatched += len({r.index for r in site.readings} - {r.index for _, r in pairs})
        site.seats = Seats(pairs=pairs)

    def _lost(self, gpu: Gpu, sibling: Reading) -> None:
        self.remarks.append(remarks.lost(gpu))
        self.by_gpu[gpu.source, gpu.node, gpu.index] = Reading(
            node=sibling.node,
            index=gpu.index,
            source=sibling.source,
            read_at=sibling.read_at,
            how=sibling.how,
            faults=health.GONE,
            reason="its node lists the other GPUs and not this one",
        )

    def _run(self, site: _Site, holder: Holder) -> Run | None:
        return self.named.get((site.place[0], holder.job))

    def _seen(self, site: _Site, readings: Iterable[Reading]) -> dict[int, frozenset[str]]:
        return {
            r.index: frozenset(run.id for h in r.holders if (run := self._run(site, h)) is not None)
            for r in readings
            if r.holders
        }

    def _visited(self, gpu: Gpu, holders: Iterable[Holder]) -> bool:
        """Whether anybody but its tenants was seen on a GPU; a remark tells who should not be."""
        visited, runs = False, gpu.runs
        for holder in holders:
            run = self.named.get((gpu.source, holder.job))
            if run is not None and run.id in runs:
                continue
            visited = True
            if run is None and holder.how != "pod":
                self.remarks.append(remarks.stranger(gpu, holder.job, None))
            elif run is not None and run.state in HOLDING:
                self.remarks.append(remarks.stranger(gpu, holder.job, run.id))
        return visited

    def _node_util(self, site: _Site) -> float | None:
        """The mean over all devices of a node where it is not known which is which."""
        if len(site.seats.pairs) == len(site.gpus) or len(site.readings) != len(site.gpus):
            return None
        values = [_whole(r).util_pct for r in site.readings]
        known = [v for v in values if v is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None

    def _use(self, gpu: Gpu) -> dict[str, RunUse]:
        """What each tenant does of a GPU; nothing by a reading from before the tenant started, and
        nothing on a node whose processes say that its readings are of other GPUs."""
        if self.refuted and (gpu.source, gpu.node) in self.refuted:
            return {}
        key = (gpu.source, gpu.node, gpu.index)
        reading = self.by_gpu.get(key)
        if reading is None or not tells(reading):
            return use.on_device(gpu, gpu.util_pct, None)
        if reading.instances and gpu.slices:
            found = use.on_slices(mig.measured(gpu.slices, reading.instances))
            if found:
                return found
        work = None
        told_apart = key in self.visited or len(gpu.runs) > 1 or reading.util_pct is None
        if reading.holders is not None and told_apart:
            work = self._work(gpu, reading.holders)
        uses = use.on_device(gpu, reading.util_pct, work)
        for run_id in tuple(uses):
            run = self.runs.get(run_id)
            if run is not None and run.started_at and run.started_at >= reading.read_at:
                del uses[run_id]
        return uses

    def _work(self, gpu: Gpu, holders: Iterable[Holder]) -> dict[str, float | None]:
        """Run -> SM utilisation on a GPU; who is no run goes by a name that no run has."""
        work: dict[str, float | None] = {}
        for holder in holders:
            run = self.named.get((gpu.source, holder.job))
            name = run.id if run is not None else f"\0{holder.job}"
            before = work.get(name, 0.0)
            told = holder.sm_util_pct
            work[name] = None if told is None or before is None else before + told
        return work


def _held(gpus: Iterable[Gpu]) -> dict[str, set[int]]:
    """Run -> indices of its GPUs."""
    found: dict[str, set[int]] = {}
    for gpu in gpus:
        for run in gpu.runs:
            if run in found:
                found[run].add(gpu.index)
            else:
                found[run] = {gpu.index}
    return found


def _whole(reading: Reading) -> Reading:
    """The reading with the device's utilisation made of its MIG instances where there are any."""
    if reading.util_pct is not None or not reading.instances:
        return reading
    util = mig.device_util_pct(reading.model, reading.instances)
    if util is None:
        return reading
    how = f"{reading.how}; mean of {len(reading.instances)} MIG instances by compute slices"
    return replace(reading, util_pct=util, how=how)
