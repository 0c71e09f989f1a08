"""The screen Overview: every GPU, every queue, one's own runs, and what is new, on one page."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from foundry_tui.actions import look
from foundry_tui.actions.table import Action
from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run
from foundry_tui.estate.waste import Idle, idle
from foundry_tui.presenters.estatelines import health_line, idle_line
from foundry_tui.presenters.heatmap import gpu_map
from foundry_tui.presenters.nodepanel import node_line, node_lines
from foundry_tui.presenters.queries import quoted
from foundry_tui.presenters.queuebars import queue_bar_rows
from foundry_tui.presenters.queuepanel import queue_line, queue_lines
from foundry_tui.presenters.rows import IDLE_ROWS, RUN_ROWS
from foundry_tui.presenters.runpanel import one_line, run_lines, runs_on
from foundry_tui.presenters.since import news, news_line
from foundry_tui.presenters.toned import Line
from foundry_tui.presenters.totals import waits
from foundry_tui.presenters.yours import longest_waiting, your_lines
from foundry_tui.tui.bars import Bar
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.nodes import Nodes, gpus_of
from foundry_tui.tui.screens.onrun import OnRun, runs_of
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.screens.text import WhyPage
from foundry_tui.tui.widgets.heatmap import HeatMap
from foundry_tui.tui.widgets.lines import Lines

MOST_WAITS = 200
"""Waiting runs that the list of the longest waits holds; the screen Runs has all of them."""

MOST_IDLE = 8
"""Rows of the list of what lies idle; the rest is scrolled."""

YOURS = 2
"""Lines about one's own runs."""

_OF_TABLES = frozenset({"filter", "sort", "mark", "range", "mark_all", "columns", "copy", "export"})


class Overview(OnRun):
    """The estate at a glance."""

    DEFAULT_CSS = """
    Overview #estate { layout: vertical; height: 1fr; }
    Overview #half { layout: vertical; height: 1fr; width: 1fr; }
    Overview #left { height: auto; }
    Overview #map { height: 9; }
    Overview #middle { height: 1fr; }
    Overview #detail_panel, Overview #list_waits, Overview #list_idle { display: none; }
    Overview #foot { height: auto; }
    Overview #idle_line, Overview #health { display: none; }
    Overview #idle_line.told, Overview #health.told { display: block; }

    Overview.wide #estate { layout: horizontal; }
    Overview.wide #detail_panel { display: block; width: 56; margin-left: 1; }
    Overview.wide #here { display: none; }

    Overview.full #half { layout: horizontal; width: 2fr; }
    Overview.full #left { height: 1fr; width: 64; }
    Overview.full #middle { width: 1fr; margin-left: 1; }
    Overview.full #list_waits { display: block; }
    Overview.full #list_idle.told { display: block; height: auto; max-height: 30%; }
    Overview.full #idle_line { display: none !important; }
    Overview.full #detail_panel { width: 1fr; }

    Overview.small #middle, Overview.small #foot, Overview.small #legend { display: none; }
    Overview.small #left { height: 1fr; }
    """
    crumb = "Overview"
    about = "Every GPU, every queue, your own runs and what is new since you last looked."
    main = "#gpus"
    hints = ("open", "next_panel", "why", "filter", "sort", "submit", "command", "pause")

    def __init__(self) -> None:
        super().__init__()
        self._explained: tuple[str, str] | None = None
        self._explaining = ""

    def panels(self) -> ComposeResult:
        with Container(id="estate"):
            with Container(id="half"):
                with Vertical(id="left"):
                    yield Panel(HeatMap(id="gpus"), id="map")
                    yield Bar(id="legend")
                with Vertical(id="middle"):
                    yield self.panel_of(queue_bar_rows((), ()))
                    yield self.panel_of(RUN_ROWS, id="waits")
                    yield self.panel_of(IDLE_ROWS, id="idle")
            yield Panel(Lines(id="detail"), id="detail_panel")
        with Vertical(id="foot"):
            yield from (Bar(id=f"yours{n}") for n in range(YOURS))
            yield Bar(id="idle_line")
            yield Bar(id="health")
            yield Bar(id="since")
            yield Bar(id="here")

    def on_mount(self) -> None:
        columns = ("run", "user", "queue", "gpus", "time", "where")
        self.query_one("#waits", GridTable).choose_columns(columns)

    @property
    def map(self) -> HeatMap:
        """The map of the GPUs."""
        return self.query_one("#gpus", HeatMap)

    # -- what is drawn

    def fill(self, seen: Seen) -> None:
        snapshot = seen.snapshot
        self._draw_map(seen)
        model = queue_bar_rows(snapshot.queues, snapshot.runs, ascii_only=self.foundry.ascii_only)
        self.query_one("#main", GridTable).show(snapshot.queues, seen.now, model)
        waiting = [run for _, run in waits(snapshot.runs, seen.now)[:MOST_WAITS]]
        self.query_one("#waits", GridTable).show(waiting, seen.now)
        found = idle(snapshot.gpus, snapshot.runs, seen.now, self.foundry.site.idle_after_s)
        self.query_one("#idle", GridTable).show(found, seen.now)
        panel = self.query_one("#list_idle", Panel)
        panel.set_class(bool(found), "told")
        panel.styles.height = min(len(found), MOST_IDLE) + 2
        self._draw_wants(seen, found)
        self._draw_foot(seen)

    def _draw_wants(self, seen: Seen, found: Sequence[Idle]) -> None:
        """The lines about what lies idle and what is not well; only where there is something."""
        width = max(20, self.size.width - 2)
        for name, line in (
            ("#idle_line", idle_line(found, seen.now, width)),
            ("#health", health_line(seen.snapshot.gpus)),
        ):
            bar = self.query_one(name, Bar)
            bar.set_class(bool(line), "told")
            bar.put([(" ", ""), *line])

    def _draw_map(self, seen: Seen) -> None:
        snapshot, heat_map = seen.snapshot, self.map
        panel = self.query_one("#map", Panel)
        if self.has_class("full") or self.has_class("small"):
            panel.styles.height = "1fr"
        elif width := heat_map.size.width:
            # As many lines as it takes, up to half of the body; the rest is scrolled.
            drawn = gpu_map(snapshot.nodes, snapshot.gpus, (), now=seen.now, width=width)
            most = max(4, self.query_one("#body").size.height // 2)
            panel.styles.height = min(most, max(1, len(drawn.lines)) + bool(drawn.title) + 1)
        after_s = self.foundry.site.idle_after_s
        heat_map.show(snapshot.nodes, snapshot.gpus, snapshot.runs, seen.now, after_s)
        if heat_map.map is not None:
            panel.head(heat_map.map.head)
            self.query_one("#legend", Bar).put([(f" {heat_map.map.legend}", "dim")])

    def _draw_foot(self, seen: Seen) -> None:
        me, width = self.foundry.site.me, max(20, self.size.width - 1)
        waiting = longest_waiting(seen.runs, me, seen.now)
        why = ""
        if waiting is not None:
            why = self._explained[1] if self._explained and self._explained[0] == waiting.id else ""
            self._explain(seen, waiting)
        lines = your_lines(
            seen.runs,
            me,
            now=seen.now,
            width=width,
            why=why,
            hint="w: the whole reason" if waiting is not None else "",
            most=YOURS,
        )
        for n in range(YOURS):
            line, bar = lines[n] if n < len(lines) else [], self.query_one(f"#yours{n}", Bar)
            bar.display = bool(line)
            bar.put([(" ", ""), *line])
        self.query_one("#since", Bar).put([(" ", ""), *self._news(seen)])

    def _news(self, seen: Seen) -> Line:
        """What is new since the user last looked."""
        site, before = self.foundry.site, self.foundry.looking.before
        if self.foundry.travel.moment is not None:
            return [("This is the past; what is new is told of now.", "dim")]
        if site.mode == "saved":
            return [("A saved estate: nothing changes in it.", "dim")]
        if before is None:
            return [("You look for the first time; from the next time on, what is new.", "dim")]
        advice = self.foundry.advice_count
        return news_line(
            news(before, seen.snapshot, seen.runs, me=site.me, advice=advice), seen.now
        )

    def _explain(self, seen: Seen, run: Run) -> None:
        """Have the reason of one's longest wait put into words, once per run and its reason."""
        asked = f"{run.id} {run.reason}"
        if self._explaining == asked:
            return
        self._explaining = asked
        site = self.foundry.site

        def then(words: str) -> None:
            self._explained = (run.id, words)
            self.foundry.pacer.paint("yours", self.redraw)

        self.foundry.work_on(
            "reason", lambda: look.reason(site, seen.snapshot, run), then, lambda _: None
        )

    def title_of(self, table: GridTable[object]) -> str:
        if table.id == "idle":
            return f"Idle but allocated{self._measured()}"
        return "Longest waits" if table.id == "waits" else super().title_of(table)

    def _measured(self) -> str:
        """How many of the GPUs that are held were measured, where these are not all."""
        if (seen := self.foundry.seen) is None:
            return ""
        held = [g for g in seen.snapshot.gpus if g.milli_allocated]
        count = sum(g.util_pct is not None for g in held)
        return "" if count == len(held) else f" · {count} of {len(held)} measured"

    def empty(self, table: GridTable[object], seen: Seen) -> tuple[str, ...]:
        if table.id == "waits" and not table.total and seen.snapshot.sources:
            past = self.foundry.travel.moment is not None
            return seen.snapshot.partial if past else ("No run waits.",)
        return super().empty(table, seen)

    def draw_nothing(self, told: tuple[str, ...]) -> None:
        super().draw_nothing(told)
        self.query_one("#map", Panel).head("GPUs")
        self.map.put([[(f" {words}", "")] for words in told])
        self.query_one("#list_waits", Panel).head("Longest waits")

    # -- what the cursor is on

    def subject_here(self, seen: Seen) -> Node | Run | Queue | tuple[str, ...] | None:
        """The node, rack, queue or run under the cursor of the panel that has the keys."""
        focused = self.focused
        if isinstance(focused, GridTable):
            row = focused.cursor
            return row if isinstance(row, Queue) else next(iter(runs_of(row, seen)), None)
        cell = self.map.cursor
        if cell is None:
            return None
        if len(cell.nodes) > 1:
            return cell.nodes
        key = cell.nodes[0]
        return next((n for n in seen.snapshot.nodes if f"{n.source}/{n.name}" == key), None)

    def draw_beside(self, seen: Seen) -> None:
        subject = self.subject_here(seen)
        if not self.has_class("wide"):
            self.query_one("#here", Bar).put(self._here(subject, seen))
            return
        detail = self.query_one("#detail", Lines)
        lines = self._detail(subject, seen, max(20, detail.size.width - 1))
        self.query_one("#detail_panel", Panel).head("".join(t for t, _ in lines[0]).strip())
        detail.put(lines[1:])

    def _here(self, subject: Node | Run | Queue | tuple[str, ...] | None, seen: Seen) -> Line:
        width = self.size.width
        if isinstance(subject, Node):
            return node_line(subject, seen.snapshot.runs, seen.now, width)
        if isinstance(subject, Run):
            return [(" ", ""), *one_line(subject, seen.now, width - 1)]
        if isinstance(subject, Queue):
            return queue_line(subject, seen.snapshot.queues)
        return [(f" {len(subject)} nodes: enter lists them", "dim")] if subject else []

    def _detail(
        self, subject: Node | Run | Queue | tuple[str, ...] | None, seen: Seen, width: int
    ) -> list[Line]:
        snapshot = seen.snapshot
        if isinstance(subject, Node):
            runs = snapshot.runs
            lines = node_lines(subject, gpus_of(subject, seen), runs, seen.now, width)
            return [*lines, [], *runs_on(subject, runs, seen.now, width)]
        if isinstance(subject, Run):
            return run_lines(subject, snapshot.gpus, snapshot.runs, seen.now, width)
        if isinstance(subject, Queue):
            ascii_only = self.foundry.ascii_only
            return queue_lines(
                subject, snapshot.queues, snapshot.runs, seen.now, width, ascii_only=ascii_only
            )
        words = f"{len(subject)} nodes" if subject else "Nothing is under the cursor"
        return [[(f" {words}", "title")]]

    # -- moving

    def on_descendant_focus(self) -> None:
        self.retell()
        self.refresh_lines()

    def on_heat_map_moved(self, event: HeatMap.Moved) -> None:
        event.stop()
        self.retell()

    def on_heat_map_node_entered(self, event: HeatMap.NodeEntered) -> None:
        event.stop()
        self.foundry.open_node(event.key)

    def on_heat_map_rack_entered(self, event: HeatMap.RackEntered) -> None:
        event.stop()
        names = "|".join(quoted(key.partition("/")[2]) for key in event.nodes)
        self.foundry.enter(Nodes(f"name={names}", f"{len(event.nodes)} nodes"))

    def do_open(self) -> None:
        if isinstance(self.focused, GridTable):
            super().do_open()
        else:
            self.map.action_open()

    def refusal(self, action: Action) -> str | None:
        if action.id in _OF_TABLES and not isinstance(self.focused, GridTable):
            return "the map has no rows; tab goes to the queues"
        return super().refusal(action)

    def do_back(self) -> None:
        if isinstance(self.focused, GridTable):
            super().do_back()

    def run_here(self) -> Run | None:
        seen = self.foundry.seen
        if isinstance(self.focused, GridTable) and (on := runs_of(self.focused.cursor, seen)):
            return on[0]
        mine = None if seen is None else longest_waiting(seen.runs, self.foundry.site.me, seen.now)
        if mine is None:
            self.say("no run of yours waits", "warn")
        return mine

    def selected_runs(self) -> tuple[Run, ...]:
        focused = self.focused
        if isinstance(focused, GridTable) and focused.id in ("waits", "idle"):
            return super().selected_runs()
        return ()

    def do_why(self) -> None:
        if (run := self.run_here()) is not None:
            self.foundry.enter(WhyPage(run))
