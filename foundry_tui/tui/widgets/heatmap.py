"""The map of the estate's GPUs, with a cursor over its nodes or racks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.run import Run
from foundry_tui.estate.waste import IDLE_AFTER_S
from foundry_tui.presenters.heatmap import Cell, GpuMap, gpu_map
from foundry_tui.tui.tones import tone_style
from foundry_tui.tui.widgets.lines import Lines, Parts

RESTING = Style(underline=True)
"""The cursor without the keys."""


class HeatMap(Lines, inherit_bindings=False):
    """A map of GPUs. Give it a reading with `show`; it tells of its cursor by messages."""

    DEFAULT_CSS = "HeatMap { width: 1fr; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "step(0, 1)", show=False),
        Binding("up,k", "step(0, -1)", show=False),
        Binding("right,l", "step(1, 0)", show=False),
        Binding("left,h", "step(-1, 0)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home,g", "to(0)", show=False),
        Binding("end,G", "to(-1)", show=False),
        Binding("enter", "open", show=False, id="open"),
    ]

    class Moved(Message):
        """The cursor is on another node or rack."""

        def __init__(self, heat_map: HeatMap, cell: Cell) -> None:
            super().__init__()
            self.heat_map, self.cell = heat_map, cell

        @property
        def control(self) -> HeatMap:
            """The map."""
            return self.heat_map

    class NodeEntered(Message):
        """A node is to be opened; `key` is `source/name`."""

        def __init__(self, heat_map: HeatMap, key: str) -> None:
            super().__init__()
            self.heat_map, self.key = heat_map, key

        @property
        def control(self) -> HeatMap:
            """The map."""
            return self.heat_map

    class RackEntered(Message):
        """A rack is to be opened: the keys of its nodes."""

        def __init__(self, heat_map: HeatMap, nodes: tuple[str, ...]) -> None:
            super().__init__()
            self.heat_map, self.nodes = heat_map, nodes

        @property
        def control(self) -> HeatMap:
            """The map."""
            return self.heat_map

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.map: GpuMap | None = None
        self._nouns: tuple[Sequence[Node], Sequence[Gpu], Sequence[Run], datetime] | None = None
        self._idle_after_s = IDLE_AFTER_S
        self._at = 0
        self._key = ""
        self._told = ""

    # -- what is shown

    def show(
        self,
        nodes: Sequence[Node],
        gpus: Sequence[Gpu],
        runs: Sequence[Run],
        now: datetime,
        idle_after_s: float = IDLE_AFTER_S,
    ) -> None:
        """Draw a reading; the cursor stays on its node."""
        self._nouns = (nodes, gpus, runs, now)
        self._idle_after_s = idle_after_s
        self._draw()

    @property
    def cursor(self) -> Cell | None:
        """The node or rack under the cursor."""
        found = self.map.cells if self.map else ()
        return found[self._at] if self._at < len(found) else None

    def move_to(self, key: str) -> bool:
        """Put the cursor on a node, or on the rack that holds it; False when it is not there."""
        for n, cell in enumerate(self.map.cells if self.map else ()):
            if key == cell.key or key in cell.nodes:
                self._move(n)
                return True
        return False

    # -- keys

    def action_step(self, across: int, down: int) -> None:
        """To the next cell in a direction; at the edge it stays."""
        if (cell := self.cursor) is None or self.map is None:
            return
        line = cell.line + down
        same = [(n, c) for n, c in enumerate(self.map.cells) if c.line == line]
        if across:
            same = [(n, c) for n, c in same if (c.x > cell.x if across > 0 else c.x < cell.x)]
        if same:
            self._move(min(same, key=lambda pair: abs(pair[1].x - cell.x))[0])

    def action_page(self, pages: int) -> None:
        """By as many lines as are in sight."""
        if (cell := self.cursor) is None or self.map is None:
            return
        line = cell.line + pages * max(1, self._room() - 1)
        line = max(0, min(line, len(self.lines) - 1))
        nearest = min(
            range(len(self.map.cells)),
            key=lambda n: (
                abs(self.map.cells[n].line - line) if self.map else 0,
                abs(self.map.cells[n].x - cell.x) if self.map else 0,
            ),
        )
        self._move(nearest)

    def action_to(self, place: int) -> None:
        """To the first (0) or the last (-1) cell."""
        if self.map is not None and self.map.cells:
            self._move(place % len(self.map.cells))

    def action_open(self) -> None:
        """Open the node or the rack under the cursor."""
        if (cell := self.cursor) is None or self.map is None:
            return
        if self.map.fold == "racks":
            self.post_message(self.RackEntered(self, cell.nodes))
        else:
            self.post_message(self.NodeEntered(self, cell.key))

    def on_click(self, event: events.Click) -> None:
        """Move there; on the cell under the cursor, open it."""
        line = event.y - len(self._head) + self.top
        for n, cell in enumerate(self.map.cells if self.map else ()):
            if cell.line == line and cell.x <= event.x < cell.x + cell.width:
                if n == self._at:
                    self.action_open()
                self._move(n)
                return

    def on_focus(self) -> None:
        """Draw the cursor as the one that keys move."""
        self._refresh_cell(self.cursor)

    def on_blur(self) -> None:
        """Draw the cursor as a resting one."""
        self._refresh_cell(self.cursor)

    def on_resize(self) -> None:
        """Draw for the new size."""
        self._draw()

    # -- drawing

    def _draw(self) -> None:
        width, height = self.size.width, self.size.height
        if self._nouns is None or width < 1 or height < 1:
            return
        nodes, gpus, runs, now = self._nouns
        drawn = gpu_map(
            nodes,
            gpus,
            runs,
            now=now,
            width=width,
            height=max(1, height - 1),
            idle_after_s=self._idle_after_s,
        )
        before = self.cursor
        self.map = drawn
        self._at = self._found(drawn.cells)
        lines: Sequence[Parts] = drawn.lines or [[("no node with a GPU is known", "dim")]]
        self.put(lines, [drawn.title] if drawn.title else [])
        after = self.cursor
        if before != after:
            self._refresh_cell(before)
            self._refresh_cell(after)
            self._reveal()
        self._tell()

    def _found(self, drawn: Iterable[Cell]) -> int:
        """Where the node of the cursor is now; where it is gone, the place where it was."""
        count = 0
        for n, cell in enumerate(drawn):
            if cell.key == self._key or self._key in cell.nodes:
                return n
            count += 1
        return max(0, min(self._at, count - 1))

    def _move(self, to: int) -> None:
        before = self.cursor
        self._at = to
        self._refresh_cell(before)
        self._refresh_cell(self.cursor)
        self._reveal()
        self._tell()

    def _reveal(self) -> None:
        """Scroll so that the cursor is in sight."""
        if (cell := self.cursor) is not None:
            room = max(1, self._room())
            self._scroll(max(cell.line - room + 1, min(self.top, cell.line)))

    def _refresh_cell(self, cell: Cell | None) -> None:
        y = cell.line - self.top + len(self._head) if cell else -1
        if cell is not None and 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def _tell(self) -> None:
        if (cell := self.cursor) is None:
            return
        self._key = cell.key if self.map and self.map.fold != "racks" else cell.nodes[0]
        if cell.key != self._told:
            self._told = cell.key
            self.post_message(self.Moved(self, cell))

    def draw_line(self, index: int, parts: Parts, width: int) -> Strip:
        """A line with the cursor on it, if it is there: reversed with the keys, else underlined."""
        line = super().draw_line(index, parts, width)
        cell = self.cursor
        if cell is None or cell.line != index:
            return line
        end = min(cell.x + cell.width, width)
        style = tone_style("cursor", self.app.theme) if self.has_focus else RESTING
        under = "".join(segment.text for segment in line.crop(cell.x, end))
        segment = Segment(under, self.base_style + style)
        parts_of = [line.crop(0, cell.x), Strip([segment]), line.crop(end, width)]
        return Strip(Strip.join(parts_of).simplify(), width)
