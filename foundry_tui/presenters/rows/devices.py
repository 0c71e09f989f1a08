"""The live tables of nodes and of GPUs, made anew for each snapshot: each shows the other's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter

from foundry_tui.estate.fields import GPU_FIELDS, NODE_FIELDS
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText
from foundry_tui.estate.waste import IDLE_AFTER_S, gpu_hours_idle, idle_s, is_idle
from foundry_tui.presenters import heat
from foundry_tui.presenters.filterable import gpu_fields, node_fields
from foundry_tui.presenters.health import fault_word, grave
from foundry_tui.presenters.records import gpu_record, node_record
from foundry_tui.presenters.rows.model import GridColumn, Rows, Tone, folded, natural, state_tone
from foundry_tui.presenters.tables import GPU_COLUMNS, NODE_COLUMNS, Cells, gpu_cells, node_cells
from foundry_tui.presenters.units import since_s

_NODE_GLYPHS = {
    NodeState.DOWN: "x",
    NodeState.DRAINED: "!",
    NodeState.DRAINING: "!",
    NodeState.MAINTENANCE: "!",
    NodeState.UNKNOWN: "?",
}

_NODE_COLUMNS: tuple[GridColumn[Node], ...] = (
    GridColumn(id="node", column=NODE_COLUMNS[0], order=lambda n, _: natural(n.name)),
    GridColumn(
        id="state", column=NODE_COLUMNS[1], order=lambda n, _: n.state.value, tone=state_tone
    ),
    GridColumn(id="gpus", column=NODE_COLUMNS[2], order=lambda n, _: n.gpu_count),
    GridColumn(
        id="alloc", column=NODE_COLUMNS[3], order=lambda n, _: n.gpu_milli_allocated, typical=6
    ),
    GridColumn(id="model", column=NODE_COLUMNS[6], order=lambda n, _: folded(n.gpu_model)),
    GridColumn(id="cpu", column=NODE_COLUMNS[7], order=lambda n, _: n.cpu_milli_allocated),
    GridColumn(id="mem", column=NODE_COLUMNS[8], order=lambda n, _: n.memory_bytes_allocated),
    GridColumn(id="queues", column=NODE_COLUMNS[9], order=lambda n, _: folded(",".join(n.queues))),
    GridColumn(id="reason", column=NODE_COLUMNS[10], order=lambda n, _: folded(n.reason)),
    GridColumn(id="source", column=NODE_COLUMNS[11], order=lambda n, _: folded(n.source)),
)


def node_rows(
    gpus: Iterable[Gpu], now: datetime | None = None, idle_after_s: float = IDLE_AFTER_S
) -> Rows[Node]:
    """The table of nodes; `gpus` are those of all nodes, and `now` says which of them are idle."""
    by_node: dict[tuple[str, str], list[Gpu]] = {}
    for gpu in gpus:
        by_node.setdefault((gpu.source, gpu.node), []).append(gpu)

    def here(node: Node) -> Sequence[Gpu]:
        return by_node.get((node.source, node.name), ())

    def cells(node: Node, at: datetime) -> Cells:
        return node_cells(node, here(node), at, idle_after_s)

    def idle_count(node: Node, at: datetime) -> int:
        return sum(is_idle(gpu, at, idle_after_s) for gpu in here(node))

    def glyph(node: Node) -> str:
        ill = _NODE_GLYPHS.get(node.state, "")
        if ill or now is None:
            return ill
        return "!" if any(grave(gpu) for gpu in here(node)) or idle_count(node, now) else ""

    measured: tuple[GridColumn[Node], ...] = (
        GridColumn(id="util", column=NODE_COLUMNS[4], order=lambda n, _: n.gpu_util_pct, typical=4),
        GridColumn(id="idle", column=NODE_COLUMNS[5], order=idle_count, tone=lambda _n, _t: "warn"),
    )
    return Rows(
        noun="node",
        plural="nodes",
        columns=(*_NODE_COLUMNS[:4], *measured, *_NODE_COLUMNS[4:]),
        key=lambda node: f"{node.source}/{node.name}",
        cells=cells,
        glyph=glyph,
        fields=NODE_FIELDS,
        get=lambda node, _: node_fields(node).get,
        record=node_record,
        copied=(("name", attrgetter("name")),),
    )


def _util_tone(gpu: Gpu, _text: SafeText) -> Tone:
    return "warn" if heat.glyph(gpu, placeable=True) == "!" else ""


def _fault_tone(gpu: Gpu, _text: SafeText) -> Tone:
    return "bad" if grave(gpu) else "warn"


def _warned(_gpu: Gpu, _text: SafeText) -> Tone:
    return "warn"


def gpu_rows(
    runs: Iterable[Run], now: datetime | None = None, idle_after_s: float = IDLE_AFTER_S
) -> Rows[Gpu]:
    """The table of GPUs; `runs` tell whose the runs on them are, `now` which of them are idle."""
    owners = {run.id: run.user for run in runs}

    def users(gpu: Gpu, _now: datetime) -> str | None:
        return folded(",".join(owners.get(run) or "?" for run in gpu.runs))

    def glyph(gpu: Gpu) -> str:
        if grave(gpu):
            return "x"
        if gpu.tenants is None:
            return "?"
        idle = now is not None and is_idle(gpu, now, idle_after_s)
        return "!" if idle or gpu.faults or heat.glyph(gpu, placeable=True) == "!" else ""

    columns: tuple[GridColumn[Gpu], ...] = (
        GridColumn(id="node", column=GPU_COLUMNS[0], order=lambda g, _: (natural(g.node), g.index)),
        GridColumn(id="gpu", column=GPU_COLUMNS[1], order=lambda g, _: g.index),
        GridColumn(id="model", column=GPU_COLUMNS[2], order=lambda g, _: folded(g.model)),
        GridColumn(
            id="util",
            column=GPU_COLUMNS[3],
            order=lambda g, _: g.util_pct,
            tone=_util_tone,
            typical=4,
        ),
        GridColumn(id="max", column=GPU_COLUMNS[4], order=lambda g, _: g.util_max_pct, typical=4),
        GridColumn(id="mem", column=GPU_COLUMNS[5], order=lambda g, _: g.mem_used_bytes, typical=7),
        GridColumn(id="alloc", column=GPU_COLUMNS[6], order=lambda g, _: g.milli_allocated),
        GridColumn(id="owner", column=GPU_COLUMNS[7], order=users),
        GridColumn(
            id="runs",
            column=GPU_COLUMNS[8],
            order=lambda g, _: natural(",".join(g.runs)) if g.runs else None,
        ),
        GridColumn(id="idle", column=GPU_COLUMNS[9], order=idle_s, tone=_warned, typical=6),
        GridColumn(id="gpuh", column=GPU_COLUMNS[10], order=gpu_hours_idle, tone=_warned),
        GridColumn(
            id="fault",
            column=GPU_COLUMNS[11],
            order=lambda g, _: folded(fault_word(g)),
            tone=_fault_tone,
        ),
        GridColumn(id="watt", column=GPU_COLUMNS[12], order=lambda g, _: g.power_w, typical=4),
        GridColumn(id="temp", column=GPU_COLUMNS[13], order=lambda g, _: g.temp_c),
        GridColumn(id="sm", column=GPU_COLUMNS[14], order=lambda g, _: g.sm_active_pct, typical=4),
        GridColumn(id="read", column=GPU_COLUMNS[15], order=lambda g, n: since_s(g.read_at, n)),
        GridColumn(id="how", column=GPU_COLUMNS[16], order=lambda g, _: folded(g.how)),
        GridColumn(id="by", column=GPU_COLUMNS[17], order=lambda g, _: folded(g.measured_by)),
        GridColumn(id="source", column=GPU_COLUMNS[18], order=lambda g, _: folded(g.source)),
    )
    return Rows(
        noun="GPU",
        plural="gpus",
        columns=columns,
        key=lambda gpu: f"{gpu.source}/{gpu.node}/{gpu.index}",
        cells=lambda gpu, at: gpu_cells(
            gpu, tuple(owners.get(run) for run in gpu.runs), at, idle_after_s
        ),
        glyph=glyph,
        fields=GPU_FIELDS,
        get=lambda gpu, now: gpu_fields(gpu, now).get,
        record=gpu_record,
        copied=(
            ("node and index", lambda gpu: f"{gpu.node}:{gpu.index}"),
            ("uuid", lambda gpu: gpu.uuid or ""),
        ),
    )
