"""A node with its GPUs and the runs on it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node
from foundry_tui.presenters.nodepanel import gpu_facts, node_facts
from foundry_tui.presenters.rows import RUN_ROWS, gpu_rows
from foundry_tui.presenters.runpanel import table as in_columns
from foundry_tui.presenters.toned import heading, pairs
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.nodes import gpus_of
from foundry_tui.tui.screens.onrun import OnRun
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines


class NodePlace(OnRun):
    """One node."""

    DEFAULT_CSS = """
    NodePlace #both { layout: vertical; }
    NodePlace #list_main, NodePlace #list_on { height: 1fr; }
    NodePlace #side { height: 5; }
    NodePlace.wide #both { layout: horizontal; }
    NodePlace.wide #side { height: 1fr; width: 60; margin-right: 1; }
    NodePlace.full #side { width: 84; }
    NodePlace.small #side, NodePlace.small #list_on { display: none; }
    """
    hints = ("open", "back", "next_panel", "filter", "sort", "inspect", "why", "copy")

    def __init__(self, key: str, gpu_key: str | None = None) -> None:
        super().__init__()
        self.key = key
        self.subject = f"node {key}"
        self._gpu_key = gpu_key

    def name_here(self) -> str:
        return self.key.partition("/")[2]

    def panels(self) -> ComposeResult:
        with Container(id="both"):
            yield Panel(Lines(id="facts"), id="side")
            with Vertical(id="tables"):
                yield self.panel_of(gpu_rows(()))
                yield self.panel_of(RUN_ROWS, id="on")

    def node(self, seen: Seen) -> Node | None:
        """The node in a reading."""
        return next((n for n in seen.snapshot.nodes if f"{n.source}/{n.name}" == self.key), None)

    def fill(self, seen: Seen) -> None:
        node, snapshot = self.node(seen), seen.snapshot
        gpus = () if node is None else gpus_of(node, seen)
        main = self.query_one("#main", GridTable)
        model = gpu_rows(snapshot.runs, seen.now, self.foundry.site.idle_after_s)
        main.show(gpus, seen.now, model)
        if self._gpu_key is not None and main.move_to(self._gpu_key):
            self._gpu_key = None
        on = (
            ()
            if node is None
            else tuple(
                run
                for run in snapshot.runs
                if run.source == node.source and any(p.node == node.name for p in run.placement)
            )
        )
        self.query_one("#on", GridTable).show(on, seen.now)

    def title_of(self, table: GridTable[object]) -> str:
        if table.id == "on":
            return f"{table.total} run{'s' * (table.total != 1)} on it"
        return f"{table.total} GPU{'s' * (table.total != 1)} of {self.name_here()}"

    def empty(self, table: GridTable[object], seen: Seen) -> tuple[str, ...]:
        node = self.node(seen)
        if table.state.filter_text and table.total:
            return super().empty(table, seen)
        if node is None:
            return (f"{self.key} is not in this reading: {self.way_out}.",)
        if table.id == "on":
            return ("No run is on this node.",)
        if node.gpu_count:
            return (f"{node.source} tells nothing of the single GPUs of this node.",)
        return ("This node has no GPU.",)

    def draw_beside(self, seen: Seen) -> None:
        node, facts = self.node(seen), self.query_one("#facts", Lines)
        panel = self.query_one("#side", Panel)
        panel.head(self.name_here(), *([(f" · {node.state.value}", "dim")] if node else []))
        width = max(20, facts.size.width - 1)
        if node is None:
            facts.put([[(" It is not in this reading; it may have left or not come yet.", "warn")]])
            return
        told = node_facts(node, gpus_of(node, seen), seen.now)
        if not self.has_class("wide"):
            facts.put(in_columns(dict(told), width, most=len(told)))
            return
        lines = pairs(told, width)
        gpu = self.query_one("#main", GridTable).cursor
        if isinstance(gpu, Gpu):
            lines += [[], heading(f"GPU {gpu.index}"), *pairs(gpu_facts(gpu, seen.now)[1:], width)]
        facts.put(lines)
