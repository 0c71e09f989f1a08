"""The screen Nodes: each node with a digit per GPU, and one node's GPUs beside them."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node
from foundry_tui.presenters.heat import legend
from foundry_tui.presenters.nodepanel import node_lines
from foundry_tui.presenters.rows import node_rows
from foundry_tui.tui.bars import Bar
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.intime import InTime
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines


class Nodes(Listing, InTime):
    """The nodes."""

    DEFAULT_CSS = """
    Nodes #side { display: none; width: 60; margin-left: 1; }
    Nodes.wide #side { display: block; }
    Nodes.full #side { width: 84; }
    Nodes.small #legend { display: none; }
    """
    crumb = "Nodes"
    about = "Every node with a sign per GPU; enter shows one of them with its runs."
    hints = ("open", "filter", "sort", "columns", "copy", "export", "command", "pause")

    def __init__(self, where: str = "", name: str = "") -> None:
        super().__init__(where)
        self._name = name
        self.subject = f"nodes {where}" if where else ""

    def name_here(self) -> str:
        return self._name or self.crumb

    def panels(self) -> ComposeResult:
        with Horizontal():
            yield self.panel_of(node_rows(()))
            yield Panel(Lines(id="detail"), id="side")
        yield Bar(id="legend")

    def fill(self, seen: Seen) -> None:
        model = node_rows(seen.snapshot.gpus, seen.now, self.foundry.site.idle_after_s)
        self.table.show(seen.snapshot.nodes, seen.now, model)

    def draw_beside(self, seen: Seen) -> None:
        model, node = self.table.view.model, self.table.cursor
        rows = self.table.shown[:500]
        told = legend(model.cells(row, seen.now)[2] for row in rows)
        self.query_one("#legend", Bar).put([(f" {told}", "dim")])
        if not self.has_class("wide"):
            return
        side, detail = self.query_one("#side", Panel), self.query_one("#detail", Lines)
        side.head("Node" if node is None else node.name)
        if node is None:
            detail.put([])
            return
        width = max(20, detail.size.width - 1)
        here = gpus_of(node, seen)
        detail.put(node_lines(node, here, seen.snapshot.runs, seen.now, width)[1:])


def gpus_of(node: Node, seen: Seen) -> tuple[Gpu, ...]:
    """The GPUs of one node, by index."""
    found = (g for g in seen.snapshot.gpus if g.node == node.name and g.source == node.source)
    return tuple(sorted(found, key=lambda gpu: gpu.index))
