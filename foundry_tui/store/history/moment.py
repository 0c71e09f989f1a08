"""The estate as it was at one moment, put together from the intervals and values of then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from foundry_tui.estate import use
from foundry_tui.estate.gpu import Gpu, GpuSlice, Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.run import Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import SafeText
from foundry_tui.store.history import rest
from foundry_tui.store.history.measured import Measured
from foundry_tui.store.history.recorder import GAP_WINDOWS, UNKNOWN_RUN
from foundry_tui.store.history.schema import HOUR_S, QUARTER_S
from foundry_tui.store.history.values import (
    LAYOUT,
    MIB,
    QUEUE_FACTS,
    RUN_COLUMNS,
    maybe,
    maybe_when,
    text,
)  # fmt: skip

_HELD = "x.since <= :at AND (x.until > :at OR (x.until IS NULL AND :at <= {seen} + :gap))"
"""Whether an interval `x` holds a moment; an open one does shortly after its last look too."""

_BY_SOURCE = _HELD.format(seen="s.seen")
_BY_LOOK = _HELD.format(seen=":last")

_Values = tuple[int, float | None, int | None, int | None, float | None, int | None]
"""Row's time, util and its highest in per cent, memory in MiB, power in W, temperature."""


class Moment:
    """One moment of the past. `at` is in whole seconds, `when` the same as asked."""

    def __init__(self, found: Measured, when: datetime) -> None:
        self._db = found.db
        self._found = found
        self._when = when
        self._at = int(when.timestamp())
        self._values: Mapping[str, int] = {
            "at": self._at,
            "gap": GAP_WINDOWS * found.step,
            "last": found.meta.get("last", 0),
        }

    def snapshot(self) -> Snapshot | None:
        """The estate then; None when nobody looked."""
        nodes = list(self._nodes())
        numbered, held = self._gpus()
        gpus = list(numbered.values())
        runs = tuple(self._runs(held))
        sources = tuple(self._sources({n.source for n in nodes} | {g.source for g in gpus}))
        if not sources:
            return None
        return Snapshot(
            generated_at=self._when,
            sources=sources,
            nodes=tuple(_with_util(nodes, gpus)),
            gpus=tuple(rest.with_idle(self._found, self._at, numbered, runs)),
            queues=tuple(self._queues()),
            runs=runs,
            partial=tuple(self._partial()),
        )

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        return iter(self._db.execute(query, self._values))

    def _sources(self, seen: set[str]) -> Iterator[Source]:
        query = (
            "SELECT s.name, s.kind, x.state, x.reason FROM source_state x "
            f"JOIN source s ON s.id = x.source WHERE {_BY_LOOK} ORDER BY s.id"
        )
        for name, kind, state, reason in self._rows(query):
            seen.discard(name)
            bad = state not in (SourceState.OK, SourceState.SLOW)
            was = f"{state} then" + (f": {reason}" if reason else "") if bad else reason
            yield self._source(name, kind, maybe(was))
        for name in sorted(seen):
            yield self._source(name, "", None)

    def _source(self, name: str, kind: str, reason: SafeText | None) -> Source:
        return Source(
            name=name,
            kind=kind,
            state=SourceState.STALE,
            read_at=self._when,
            reason=reason or "as it was then",
        )

    def _nodes(self) -> Iterator[Node]:
        query = (
            "SELECT x.node, x.gpu_model, x.gpu_count, x.cpu_milli, x.memory_bytes, x.features, "
            "x.queues FROM node_facts x JOIN node n ON n.id = x.node "
            f"JOIN source s ON s.id = n.source WHERE {_BY_SOURCE}"
        )
        facts = {row[0]: row[1:] for row in self._rows(query)}
        query = (
            "SELECT n.id, s.name, n.name, x.state, x.reason, x.reason_since, x.gpu_milli, "
            "x.cpu_milli, x.memory_bytes FROM node_state x JOIN node n ON n.id = x.node "
            f"JOIN source s ON s.id = n.source WHERE {_BY_SOURCE} ORDER BY n.id"
        )
        for number, source, name, state, reason, since, gpu, cpu, memory in self._rows(query):
            model, count, cpus, total, features, queues = facts.get(
                number, (None, 0, None, None, "[]", "[]")
            )
            yield Node(
                name=text(name),
                source=source,
                state=NodeState(state),
                gpu_model=maybe(model),
                gpu_count=count,
                gpu_milli_allocated=gpu,
                cpu_milli=cpus,
                cpu_milli_allocated=cpu,
                memory_bytes=total,
                memory_bytes_allocated=memory,
                features=_texts(features),
                queues=_texts(queues),
                reason=maybe(reason),
                reason_since=maybe_when(since),
                read_at=self._when,
            )

    def _gpus(self) -> tuple[dict[int, Gpu], dict[int, list[Gpu]]]:
        """The GPUs by their numbers, and those that each run held, by the run's number."""
        values, how = self._measured()
        tenants: dict[int, list[tuple[int, Tenant]]] = {}
        untold: dict[int, str | None] = {}
        query = (
            "SELECT x.gpu, x.run, r.run, x.milli, x.share FROM allocation x "
            "JOIN device d ON d.id = x.gpu JOIN source s ON s.id = d.source "
            f"LEFT JOIN run r ON r.id = x.run WHERE {_BY_SOURCE} ORDER BY x.id"
        )
        for gpu, number, run, milli, share in self._rows(query):
            if number == UNKNOWN_RUN:
                untold[gpu] = share
            elif run is not None:
                tenant = Tenant(text(run), milli, Share(share))
                tenants.setdefault(gpu, []).append((number, tenant))
        faults, slices = self._faults(), self._slices()
        found: dict[int, Gpu] = {}
        held: dict[int, list[Gpu]] = {}
        query = (
            "SELECT d.id, s.name, d.node, d.idx, d.uuid, d.model, d.minor, d.mem_mib "
            "FROM presence x JOIN device d ON d.id = x.gpu JOIN source s ON s.id = d.source "
            f"WHERE {_BY_SOURCE} ORDER BY s.id, d.node, d.idx"
        )
        for gpu, source, node, index, uuid, model, minor, memory in self._rows(query):
            value = values.get(gpu)
            ts, util, util_max, used, power, temp = value or (None,) * 6
            mine = tenants.get(gpu, ())
            one = Gpu(
                node=text(node),
                index=index,
                source=source,
                model=maybe(model),
                uuid=maybe(uuid),
                minor=minor,
                tenants=None if gpu in untold else tuple(t for _, t in mine),
                slices=slices.get(gpu, ()),
                util_pct=util,
                util_max_pct=util_max,
                mem_used_bytes=None if used is None else used * MIB,
                mem_total_bytes=None if memory is None else memory * MIB,
                power_w=power,
                temp_c=temp,
                faults=tuple(faults.get(gpu, ())),
                how=maybe(untold.get(gpu)) or (how if value else "not measured then"),
                read_at=maybe_when(ts),
            )
            found[gpu] = one
            for number, _ in mine:
                held.setdefault(number, []).append(one)
        return found, held

    def _measured(self) -> tuple[dict[int, _Values], str]:
        """What was measured of each GPU, and in how long a time."""
        found = self._found
        if self._at > found.raw_from:
            rows = self._rows(
                "SELECT gpu, ts, util / 10.0, util_max, mem_mib, power_w, temp_c FROM raw "
                "WHERE ts > :at - :gap AND ts <= :at ORDER BY ts"
            )
            return {row[0]: row[1:] for row in rows}, "as recorded, one minute"
        table, period = (
            ("quarter", QUARTER_S) if self._at > found.quarter_from else ("hour", HOUR_S)
        )
        rows = self._db.execute(
            "SELECT gpu, ts, CASE WHEN n_seen THEN sum_util / 10.0 / n_seen END, max_util, "
            "max_mem_mib, CASE WHEN n_power THEN sum_power_w * 1.0 / n_power END, max_temp_c "
            f"FROM {table} WHERE ts = ?",
            (-(-self._at // period) * period,),
        )
        return {row[0]: row[1:] for row in rows}, (
            f"as recorded: means over {period // 60} minutes, of memory and temperature the most"
        )

    def _faults(self) -> dict[int, list[Fault]]:
        query = (
            "SELECT x.gpu, x.kind, x.words, x.grave FROM fault x JOIN device d ON d.id = x.gpu "
            f"JOIN source s ON s.id = d.source WHERE {_BY_SOURCE} ORDER BY x.id"
        )
        found: dict[int, list[Fault]] = {}
        for gpu, kind, words, grave in self._rows(query):
            fault = Fault(kind=FaultKind(kind), words=text(words), grave=bool(grave))
            found.setdefault(gpu, []).append(fault)
        return found

    def _slices(self) -> dict[int, tuple[GpuSlice, ...]]:
        query = (
            "SELECT x.gpu, x.slices FROM layout x JOIN device d ON d.id = x.gpu "
            f"JOIN source s ON s.id = d.source WHERE {_BY_SOURCE}"
        )
        return {
            gpu: tuple(
                GpuSlice(**dict(zip(LAYOUT, _safe(one), strict=True))) for one in json.loads(cut)
            )
            for gpu, cut in self._rows(query)
        }

    def _queues(self) -> Iterator[Queue]:
        query = (
            "SELECT x.queue, x.facts FROM queue_facts x JOIN queue q ON q.id = x.queue "
            f"JOIN source s ON s.id = q.source WHERE {_BY_SOURCE}"
        )
        facts = dict(self._rows(query))
        query = (
            "SELECT q.id, s.name, q.kind, q.name, x.allocated_gpu_milli, x.requested_gpu_milli, "
            "x.fair_share_gpu_milli, x.non_preemptible_gpu_milli, x.running, x.waiting, x.oldest "
            "FROM queue_sample x JOIN queue q ON q.id = x.queue "
            f"JOIN source s ON s.id = q.source WHERE {_BY_SOURCE} ORDER BY q.id"
        )
        for (
            number,
            source,
            kind,
            name,
            held,
            asked,
            fair,
            firm,
            running,
            waiting,
            oldest,
        ) in self._rows(query):
            if number not in facts:
                continue
            known = dict(zip(QUEUE_FACTS, _safe(json.loads(facts[number])), strict=True))
            for names in ("accounts", "qos"):
                known[names] = None if known[names] is None else tuple(known[names])
            yield Queue(
                name=text(name),
                source=source,
                kind=text(kind),
                **known,
                allocated_gpu_milli=held,
                requested_gpu_milli=asked,
                fair_share_gpu_milli=fair,
                allocated_non_preemptible_gpu_milli=firm,
                running=running,
                waiting=waiting,
                oldest_wait_s=None if oldest is None else float(max(0, self._at - oldest)),
                read_at=self._when,
            )

    def _runs(self, held: Mapping[int, list[Gpu]]) -> Iterator[Run]:
        query = (
            f"SELECT r.id, s.name, x.suspended, {', '.join('r.' + c for c in RUN_COLUMNS)} "
            "FROM allocation x JOIN run r ON r.id = x.run JOIN source s ON s.id = r.source "
            f"WHERE {_BY_SOURCE} GROUP BY r.id ORDER BY r.id"
        )
        for number, source, suspended, *columns in self._rows(query):
            if number in held:
                yield self._run(
                    source, suspended, dict(zip(RUN_COLUMNS, columns, strict=True)), held[number]
                )

    def _run(self, source: str, suspended: int, row: Mapping[str, Any], gpus: list[Gpu]) -> Run:
        by_node: dict[str, list[int]] = {}
        for gpu in gpus:
            by_node.setdefault(gpu.node, []).append(gpu.index)
        utils = [g.util_pct for g in gpus if g.util_pct is not None and not g.shared]
        return Run(
            id=text(row["run"]),
            native_id=text(row["native_id"]),
            source=source,
            scheduler=text(row["scheduler"]),
            name=text(row["name"]),
            state=RunState.SUSPENDED if suspended else RunState.RUNNING,
            user=maybe(row["user"]),
            account=maybe(row["account"]),
            queue=maybe(row["queue"]),
            qos=maybe(row["qos"]),
            request=Request(
                gpu_count=row["gpu_count"],
                gpu_milli=row["gpu_milli"],
                gpu_model=maybe(row["gpu_model"]),
                nodes=row["nodes"],
                cpu_milli=row["cpu_milli"],
                memory_bytes=row["memory_bytes"],
                time_limit_s=row["time_limit_s"],
            ),
            placement=tuple(Placement(n, tuple(sorted(i))) for n, i in by_node.items()),
            submitted_at=maybe_when(row["submitted"]),
            started_at=maybe_when(row["started"]),
            gpu_util_pct=sum(utils) / len(utils) if utils and len(utils) == len(gpus) else None,
            read_at=self._when,
        )

    def _partial(self) -> Iterator[str]:
        yield "the history shows no runs that waited, and no GPU-less ones"
        if self._at <= self._found.raw_from:
            yield "of so long ago it tells since when a GPU was idle only if it still is"
        if self._at <= self._found.quarter_from:
            yield "of so long ago how the queues stood is not kept any more"


def _with_util(nodes: list[Node], gpus: list[Gpu]) -> Iterator[Node]:
    by_node: dict[tuple[str, str], list[Gpu]] = {}
    for gpu in gpus:
        by_node.setdefault((gpu.source, gpu.node), []).append(gpu)
    for node in nodes:
        yield use.on_node(node, by_node.get((node.source, node.name), [])) or node


def _texts(raw: str) -> tuple[SafeText, ...]:
    return tuple(text(one) for one in json.loads(raw))


def _safe(values: list[Any]) -> list[Any]:
    """Texts made safe, also those in lists; everything else as it is."""
    return [
        text(v) if isinstance(v, str) else _safe(v) if isinstance(v, list) else v for v in values
    ]
