"""One GPU: what it does, what it did, and who holds it."""

from __future__ import annotations

from datetime import datetime, timedelta

from textual.app import ComposeResult

from foundry_tui.actions import history
from foundry_tui.actions.onscreen import key_text
from foundry_tui.estate.gpu import Gpu
from foundry_tui.presenters.gpuhistory import SPANS, Curves, curve_lines, history_title, steps
from foundry_tui.presenters.nodepanel import gpu_facts
from foundry_tui.presenters.past import nothing_recorded
from foundry_tui.presenters.rows import RUN_ROWS
from foundry_tui.presenters.runpanel import table as in_columns
from foundry_tui.presenters.toned import Line, pairs, paragraph
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.onrun import OnRun
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines


class GpuPlace(OnRun):
    """One GPU."""

    DEFAULT_CSS = """
    GpuPlace #side { height: 6; }
    GpuPlace #history { height: 8; }
    GpuPlace.wide #history, GpuPlace.small #history { height: 1fr; }
    GpuPlace.full #side { height: 14; }
    GpuPlace #list_main { height: 1fr; }
    GpuPlace.wide #list_main { height: 8; }
    GpuPlace.small #side, GpuPlace.small #list_main { display: none; }
    """
    about = "One GPU: its facts, curves of its use, memory and power, and the runs that hold it."
    hints = ("window", "open", "back", "earlier", "inspect", "why", "logs", "copy", "command")

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.subject = f"gpu {key}"
        self._length = 1
        self._asked: tuple[datetime, int, int] | None = None
        self._reading = False
        self._until: datetime | None = None
        self._series: Curves | None = None
        self._words = "Reading the history …"
        self._tone = "dim"

    def name_here(self) -> str:
        return f"GPU {self.key.rpartition('/')[2]}"

    def panels(self) -> ComposeResult:
        yield Panel(Lines(id="facts"), id="side")
        yield Panel(Lines(id="curves"), id="history")
        yield self.panel_of(RUN_ROWS)

    def gpu(self, seen: Seen) -> Gpu | None:
        """The GPU in a reading."""
        found = (g for g in seen.snapshot.gpus if f"{g.source}/{g.node}/{g.index}" == self.key)
        return next(found, None)

    def fill(self, seen: Seen) -> None:
        gpu = self.gpu(seen)
        held = set() if gpu is None else set(gpu.runs)
        runs = tuple(run for run in seen.snapshot.runs if run.id in held)
        self.query_one("#main", GridTable).show(runs, seen.now)

    def title_of(self, table: GridTable[object]) -> str:
        return f"{table.total} run{'s' * (table.total != 1)} on it"

    def empty(self, table: GridTable[object], seen: Seen) -> tuple[str, ...]:
        gpu = self.gpu(seen)
        if table.state.filter_text and table.total:
            return super().empty(table, seen)
        if gpu is None:
            return (f"{self.key} is not in this reading: {self.way_out}.",)
        if gpu.tenants is None:
            return (f"{gpu.source} does not say who holds it: {gpu.how or 'no reason told'}.",)
        return ("Nobody holds this GPU.",)

    def draw_beside(self, seen: Seen) -> None:
        gpu, facts = self.gpu(seen), self.query_one("#facts", Lines)
        where = self.key.split("/")
        self.query_one("#side", Panel).head(f"GPU {where[-1]} of {where[-2]}")
        width = max(20, facts.size.width - 1)
        if gpu is None:
            facts.put([[(" It is not in this reading.", "warn")]])
        elif self.has_class("full"):
            facts.put(pairs(gpu_facts(gpu, seen.now)[1:], width))
        else:
            told = gpu_facts(gpu, seen.now)[1:]
            facts.put(in_columns(dict(told), width, most=len(told)))
        self._ask(seen)
        self._draw_curves(gpu)

    # -- the history

    def do_window(self) -> None:
        """Another time for the curves."""
        self._length = (self._length + 1) % len(SPANS)
        if (seen := self.foundry.seen) is not None:
            self._series, self._words, self._tone = None, "Reading the history …", "dim"
            self._ask(seen)
            self._draw_curves(self.gpu(seen))

    def _ask(self, seen: Seen) -> None:
        """Have the history read, once a minute of the estate's clock and for every other window."""
        width = self.query_one("#curves", Lines).size.width
        until = seen.now.replace(second=0, microsecond=0)
        asked = (until, self._length, width)
        if asked == self._asked or width < 2:
            return
        if self._reading and self._asked is not None and asked[1:] == self._asked[1:]:
            return  # the minute has changed while it is still being read
        self._asked, self._reading = asked, True
        site, (source, node, index) = self.foundry.site, self.key.split("/", 2)
        length_s = SPANS[self._length][0]

        def read() -> tuple[datetime, Curves]:
            covered, series = history.gpu_history(
                site, source, node, int(index), until=until, length_s=length_s, most=steps(width)
            )
            return covered.first, series

        def then(found: tuple[datetime, Curves]) -> None:
            self._reading = False
            first, series = found
            seen_any = any(series.seen)
            self._until, self._series = until, series if seen_any else None
            self._words, self._tone = "" if seen_any else nothing_recorded(length_s, first), "warn"
            self.foundry.pacer.paint("curves", self.redraw)

        def failed(words: str) -> None:
            self._reading = False
            self._series, self._words, self._tone = None, words.replace("\n", " "), "warn"
            self.foundry.pacer.paint("curves", self.redraw)

        self.foundry.work_on("history", read, then, failed)

    def _draw_curves(self, gpu: Gpu | None) -> None:
        panel, curves = self.query_one("#history", Panel), self.query_one("#curves", Lines)
        key = key_text(self.foundry.keys.key_of("window"))
        title = history_title(SPANS[self._length][0], self._series)
        panel.head("History", (f" · {title} · {key} another time", "dim"))
        width, height = max(20, curves.size.width - 1), max(4, curves.size.height)
        lines: list[Line]
        if self._series is None or self._until is None:
            lines = paragraph(self._words, width, tone=self._tone)
        else:
            lines = curve_lines(
                self._series,
                since=self._until - timedelta(seconds=SPANS[self._length][0]),
                until=self._until,
                mem_total_bytes=None if gpu is None else gpu.mem_total_bytes,
                width=width,
                height=height,
                ascii_only=self.foundry.ascii_only,
            )
        curves.put(lines)
