"""The place of one run: what it is, where it runs, why it waits, its output, its tracked record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Container
from textual.timer import Timer

from foundry_tui.actions import look
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.presenters.details import facts
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.rows import gpu_rows
from foundry_tui.presenters.runpanel import Log, held_gpus, log_lines, state_word, title
from foundry_tui.presenters.toned import Line, beside, pairs, paragraph
from foundry_tui.presenters.why import why_page
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.onrun import OnRun
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.screens.record import RecordPanel
from foundry_tui.tui.widgets.lines import Lines

FOLLOW_S = 10.0
"""The output of a run that is shown is read again after so many seconds."""

GONE = "gone from the job list: as it was last seen"
"""What is said of a run that is in no list any more."""

TAIL_LINES = 200


class RunPlace(OnRun):
    """Everything about one run. Below 120 columns the lower half shows one panel at a time."""

    DEFAULT_CSS = """
    RunPlace #all { layout: vertical; }
    RunPlace .second { display: none; }
    RunPlace .second.current { display: block; }
    RunPlace #top { height: 9; }
    RunPlace.wide #all { layout: grid; grid-size: 2 2; grid-gutter: 0 1; }
    RunPlace.wide #top { height: 1fr; }
    RunPlace.wide .second { display: block; }
    RunPlace.wide #list_main.off, RunPlace.wide #waits.off { display: none; }
    RunPlace.small #top { height: 1fr; }
    RunPlace.small .second.current { display: none; }
    """
    hints = ("back", "next_panel", "why", "logs", "metric", "page", "cancel", "zoom")

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id
        self.subject = f"run {run_id}"
        self._run: Run | None = None
        self._inspection: look.Inspection | None = None
        self._why: look.Why | None = None
        self._asked_in: RunState | None = None
        self._timer: Timer | None = None

    def name_here(self) -> str:
        return self.run_id if self._run is None else self._run.native_id

    def panels(self) -> ComposeResult:
        with Container(id="all"):
            yield Panel(Lines(id="facts"), id="top")
            yield RecordPanel()
            yield self.panel_of(gpu_rows(()))
            yield Panel(Lines(id="why"), id="waits")
            yield Panel(Lines(id="tail", follow=True), id="output")

    def on_mount(self) -> None:
        for panel in self._seconds():
            panel.add_class("second")
        self.query_one("#list_main").add_class("current")
        self._timer = self.set_interval(FOLLOW_S, self._follow)
        self.query_one("#output", Panel).head("Output")

    def _seconds(self) -> list[Panel]:
        ids = ("#list_main", "#waits", "#tracking", "#output")
        return [self.query_one(one, Panel) for one in ids]

    # -- the panels by turns

    def do_next_panel(self) -> None:
        if self.has_class("wide") or self.has_class("zoomed"):
            super().do_next_panel()
            return
        shown = [p for p in self._seconds() if not p.has_class("off")]
        first = self.query_one("#top", Panel)
        order = [first, *shown]
        here = self._panel_with_keys()
        at = order.index(here) if here in order else 0
        panel = order[(at + 1) % len(order)]
        if panel is not first:
            for other in shown:
                other.set_class(other is panel, "current")
        # Where it was hidden it can take the focus only once it is laid out.
        if panel.target is not None:
            self.call_after_refresh(panel.target.focus)
        self.call_after_refresh(self.redraw)

    def focus_body(self) -> None:
        shown = [p for p in self._seconds() if p.has_class("current") and not p.has_class("off")]
        for panel in shown[:1]:
            if panel.target is not None:
                panel.target.focus()

    # -- what is known

    def run_now(self, seen: Seen) -> Run | None:
        """The run in a reading, or as it was last seen."""
        found = next((r for r in seen.runs if r.id == self.run_id), None)
        if found is not None:
            self._run = found
        return self._run

    @property
    def record(self) -> RecordPanel:
        """What the tracking server knows."""
        return self.query_one(RecordPanel)

    def run_here(self) -> Run | None:
        return self._run

    def selected_runs(self) -> tuple[Run, ...]:
        return () if self._run is None else (self._run,)

    def fill(self, seen: Seen) -> None:
        run = self.run_now(seen)
        waits = run is not None and run.state is RunState.PENDING
        gpus, why = self.query_one("#list_main", Panel), self.query_one("#waits", Panel)
        if waits == why.has_class("off") or waits != gpus.has_class("off"):
            gpus.set_class(waits, "off")
            why.set_class(not waits, "off")
            current = why if waits else gpus
            if gpus.has_class("current") or why.has_class("current"):
                gpus.set_class(current is gpus, "current")
                why.set_class(current is why, "current")
            self.focus_body()
        held = () if run is None else held_gpus(run, seen.snapshot.gpus)
        model = gpu_rows(seen.runs, seen.now, self.foundry.site.idle_after_s)
        self.query_one("#main", GridTable).show(held, seen.now, model)
        if run is not None and run.state is not self._asked_in:
            # Anew in every state: what a run wrote and logged last comes after the last look at it.
            self._asked_in = run.state
            self._ask(seen, run)

    def title_of(self, table: GridTable[object]) -> str:
        return f"{table.total} GPU{'s' * (table.total != 1)} held"

    def empty(self, table: GridTable[object], seen: Seen) -> tuple[str, ...]:
        run = self._run
        if (table.state.filter_text and table.total) or run is None:
            return super().empty(table, seen)
        if not run.placement:
            return (f"It holds no GPU: it is {state_word(run)}.",)
        where = ", ".join(part.node for part in run.placement)
        if all(part.gpus == () for part in run.placement):
            return (f"It runs on {where} without a GPU.",)
        return (f"It runs on {where}.", f"Which GPUs it holds there is not told by {run.source}.")

    def draw_beside(self, seen: Seen) -> None:
        run, panel = self._run, self.query_one("#top", Panel)
        lines = self.query_one("#facts", Lines)
        if run is None:
            panel.head(self.run_id)
            lines.put(
                [
                    [(f" {self.run_id} is not known: neither among the live runs nor", "warn")],
                    [(" among yours that ended within a day.", "warn")],
                ]
            )
            return
        width = max(20, lines.size.width - 1)
        first = title(run, seen.now, width)
        panel.head(first[0][0].strip(), *first[1:])
        lines.put(self._facts(run, seen, width))
        # These are fitted too, and stay as they are until the next answer.
        self.record.draw()
        if self._why is not None:
            self._draw_why(self._why)

    def _facts(self, run: Run, seen: Seen, width: int) -> list[Line]:
        told = facts(run, seen.now)
        lines = self._in_columns(told, width) if width >= 76 else pairs(told, width)
        if all(r.id != run.id for r in seen.runs):
            past = self.foundry.travel.moment is not None
            why = "held no GPU at that moment: as it stands now" if past else GONE
            lines.insert(0, [(f" {why}", "warn")])
        looked = self._inspection
        if looked is None:
            return lines
        if looked.details:
            lines += [[], [(f" In {run.scheduler}'s words", "strong")]]
            lines += self._in_columns(list(looked.details.items()), width)
        for missing in looked.missing:
            lines += paragraph(f"not known: {missing}", width, tone="warn")
        return lines

    def _in_columns(self, rows: Sequence[tuple[str, str]], width: int) -> list[Line]:
        """Names and values in two columns, the long ones on lines of their own."""
        half = (width - 2) // 2
        short = [r for r in rows if len(r[0]) + len(r[1]) <= half - 14]
        long = [r for r in rows if r not in short]
        if width < 76:
            return pairs(rows, width)
        deep = -(-len(short) // 2)
        left, right = pairs(short[:deep], half), pairs(short[deep:], half)
        return [*beside(left, right, half), *pairs(long, width)]

    # -- what is asked of others, in threads

    def _ask(self, seen: Seen, run: Run) -> None:
        site = self.foundry.site

        def inspected(found: look.Inspection) -> None:
            self._inspection = found
            self._later("inspect", self.redraw)

        self.foundry.work_on(
            f"inspect {self.run_id}", lambda: look.inspect(site, seen.snapshot, run), inspected
        )
        self._read_tail(seen, run)
        self.record.read(run)
        if run.state is RunState.PENDING:
            self._read_why(seen, run)

    def _later(self, what: str, draw: Callable[[], None]) -> None:
        def once() -> None:
            if self.is_mounted:
                draw()

        self.foundry.pacer.paint(f"{what} {self.run_id}", once)

    def do_refresh(self) -> None:
        """Ask everybody again."""
        self.foundry.do_refresh()
        if self.foundry.seen is not None and self._run is not None:
            self._ask(self.foundry.seen, self._run)

    def _follow(self) -> None:
        run, seen = self._run, self.foundry.seen
        if run is None or seen is None or self.foundry.paused or not self.is_current:
            return
        if run.state in LIVE and run.state is not RunState.PENDING:
            if self.query_one("#output").display:
                self._read_tail(seen, run)
            self.record.read_again(run)

    def _read_tail(self, seen: Seen, run: Run) -> None:
        site, panel = self.foundry.site, self.query_one("#output", Panel)
        tail = self.query_one("#tail", Lines)

        def draw(log: Log) -> None:
            panel.head("Output", *([(f" · {log.path}", "dim")] if log.path else []))
            tail.put(log_lines(log))

        self.foundry.work_on(
            f"tail {self.run_id}",
            lambda: look.logs(site, seen.snapshot, run, tail_lines=TAIL_LINES, errors=False),
            lambda log: self._later("tail", lambda: draw(log)),
            lambda words: self._later("tail", lambda: tail.put([[(f" {words}", "warn")]])),
        )

    def _read_why(self, seen: Seen, run: Run) -> None:
        site, lines = self.foundry.site, self.query_one("#why", Lines)
        told = (" · asking its scheduler …", "dim")
        self.query_one("#waits", Panel).head("Why it waits", told)

        def then(why: look.Why) -> None:
            self._why = why
            self._later("why", lambda: self._draw_why(why))

        self.foundry.work_on(
            f"why {self.run_id}",
            lambda: look.why(site, seen.snapshot, run),
            then,
            lambda words: self._later("why", lambda: lines.put([[(f" {words}", "warn")]])),
        )

    def _draw_why(self, why: look.Why) -> None:
        lines = self.query_one("#why", Lines)
        self.query_one("#waits", Panel).head("Why it waits")
        style = Style(width=max(20, lines.size.width - 2))
        at = why.explanation.diagnosis.at
        page = why_page(why.run, why.explanation, why.command, now=at, style=style)
        lines.put([[(f" {line.removeprefix('  ')}", "")] for line in page.splitlines()[1:]])

    # -- the tracked record

    def do_metric(self) -> None:
        """The next metric's curve."""
        self.record.next_metric()

    def do_page(self) -> None:
        """Show and copy the address of the MLflow page; a browser only where there is a display."""
        self.record.open_page()

    # -- deeper

    def do_open(self) -> None:
        run = self._run
        row = self.query_one("#main", GridTable).cursor
        if run is None or not run.placement:
            self.say("it runs on no node", "warn")
            return
        node = row.node if isinstance(row, Gpu) else run.placement[0].node
        key = f"{run.source}/{node}/{row.index}" if isinstance(row, Gpu) else None
        self.foundry.open_node(f"{run.source}/{node}", key)
