"""The live tables of nodes and of GPUs, made anew for each snapshot: each shows the other's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter

from foundry_tui.estate.filter import GPU_FIELDS, NODE_FIELDS
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText
from foundry_tui.presenters import heat
from foundry_tui.presenters.filterable import gpu_fields, node_fields
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
    GridColumn(id="model", column=NODE_COLUMNS[4], order=lambda n, _: folded(n.gpu_model)),
    GridColumn(id="util", column=NODE_COLUMNS[5], order=lambda n, _: n.gpu_util_pct, typical=4),
    GridColumn(id="cpu", column=NODE_COLUMNS[6], order=lambda n, _: n.cpu_milli_allocated),
    GridColumn(id="mem", column=NODE_COLUMNS[7], order=lambda n, _: n.memory_bytes_allocated),
    GridColumn(id="queues", column=NODE_COLUMNS[8], order=lambda n, _: folded(",".join(n.queues))),
    GridColumn(id="reason", column=NODE_COLUMNS[9], order=lambda n, _: folded(n.reason)),
    GridColumn(id="source", column=NODE_COLUMNS[10], order=lambda n, _: folded(n.source)),
)


def node_rows(gpus: Iterable[Gpu]) -> Rows[Node]:
    """The table of nodes; `gpus` are those of all nodes."""
    by_node: dict[tuple[str, str], list[Gpu]] = {}
    for gpu in gpus:
        by_node.setdefault((gpu.source, gpu.node), []).append(gpu)

    def cells(node: Node, _now: datetime) -> Cells:
        return node_cells(node, by_node.get((node.source, node.name), ()))

    return Rows(
        noun="node",
        plural="nodes",
        columns=_NODE_COLUMNS,
        key=lambda node: f"{node.source}/{node.name}",
        cells=cells,
        glyph=lambda node: _NODE_GLYPHS.get(node.state, ""),
        fields=NODE_FIELDS,
        get=lambda node, _: node_fields(node).get,
        record=node_record,
        copied=(("name", attrgetter("name")),),
    )


def _gpu_glyph(gpu: Gpu) -> str:
    if gpu.tenants is None:
        return "?"
    return "!" if gpu.idle_since or heat.glyph(gpu, placeable=True) == "!" else ""


def _idle_tone(gpu: Gpu, _text: SafeText) -> Tone:
    return "warn" if gpu.idle_since else ""


def _util_tone(gpu: Gpu, _text: SafeText) -> Tone:
    return "warn" if heat.glyph(gpu, placeable=True) == "!" else ""


def gpu_rows(runs: Iterable[Run]) -> Rows[Gpu]:
    """The table of GPUs; `runs` tell whose the runs on them are."""
    owners = {run.id: run.user for run in runs}

    def users(gpu: Gpu, _now: datetime) -> str | None:
        return folded(",".join(owners.get(run) or "?" for run in gpu.runs))

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
        GridColumn(id="mem", column=GPU_COLUMNS[4], order=lambda g, _: g.mem_used_bytes, typical=7),
        GridColumn(id="alloc", column=GPU_COLUMNS[5], order=lambda g, _: g.milli_allocated),
        GridColumn(id="owner", column=GPU_COLUMNS[6], order=users),
        GridColumn(
            id="runs",
            column=GPU_COLUMNS[7],
            order=lambda g, _: natural(",".join(g.runs)) if g.runs else None,
        ),
        GridColumn(
            id="idle",
            column=GPU_COLUMNS[8],
            order=lambda g, now: since_s(g.idle_since, now),
            tone=_idle_tone,
            typical=6,
        ),
        GridColumn(id="watt", column=GPU_COLUMNS[9], order=lambda g, _: g.power_w, typical=6),
        GridColumn(id="temp", column=GPU_COLUMNS[10], order=lambda g, _: g.temp_c),
        GridColumn(id="how", column=GPU_COLUMNS[11], order=lambda g, _: folded(g.how)),
        GridColumn(id="source", column=GPU_COLUMNS[12], order=lambda g, _: folded(g.source)),
    )
    return Rows(
        noun="GPU",
        plural="gpus",
        columns=columns,
        key=lambda gpu: f"{gpu.source}/{gpu.node}/{gpu.index}",
        cells=lambda gpu, now: gpu_cells(gpu, tuple(owners.get(run) for run in gpu.runs), now),
        glyph=_gpu_glyph,
        fields=GPU_FIELDS,
        get=lambda gpu, now: gpu_fields(gpu, now).get,
        record=gpu_record,
        copied=(
            ("node and index", lambda gpu: f"{gpu.node}:{gpu.index}"),
            ("uuid", lambda gpu: gpu.uuid or ""),
        ),
    )
