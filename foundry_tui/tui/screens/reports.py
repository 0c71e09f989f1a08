"""The screen Reports: choose one, look at its rows, totals and coverage, and write its files."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from foundry_tui.actions.reports import make as report
from foundry_tui.actions.reports.wish import WHOLE, WINDOWS, Wish, window_words
from foundry_tui.presenters.reportchart import Chart, chart_lines, shown_chart
from foundry_tui.presenters.reportpanel import report_lines
from foundry_tui.presenters.rows import Rows
from foundry_tui.presenters.rows.report import NOTHING_YET, report_rows
from foundry_tui.reports.made import Made
from foundry_tui.tui.bars import Part
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.messages import Entered
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.grid.view import ViewState
from foundry_tui.tui.making import Making
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines

FOLDER = Path("reports")
"""Where files go that the configuration names no folder for, from where the program was started."""

_OTHER = "W takes another window, a asks for another report."


class Reports(Listing):
    """One report. It is made for what was asked, and `r` makes it anew."""

    DEFAULT_CSS = """
    Reports #both { layout: vertical; height: 1fr; }
    Reports #sums { height: 9; }
    Reports #drawn { display: none; height: 18; }
    Reports #left { width: 1fr; height: 1fr; }
    Reports.wide #both { layout: horizontal; }
    Reports.wide #sums { width: 40; height: 1fr; }
    Reports.full #sums { width: 64; }
    Reports.full #drawn { display: block; }
    Reports.small #sums { display: none; }
    """
    crumb = "Reports"
    about = "What was used in a window of time and what is not known of it; O writes the files."
    hints = ("ask", "kind", "window", "write", "export", "open", "filter", "sort", "refresh")

    def __init__(self) -> None:
        super().__init__()
        self._wish = Wish()
        self._made: Made | None = None
        self._whole: Chart | None = None
        self._drawn: tuple[object, Chart] | None = None
        self._failed = ""
        self._making = Making(self)

    def panels(self) -> ComposeResult:
        with Container(id="both"):
            with Vertical(id="left"):
                yield self.panel_of(NOTHING_YET)
                yield Panel(Lines(id="chart"), id="drawn")
            yield Panel(Lines(id="figures"), id="sums")

    def fill(self, seen: Seen) -> None:
        made = self._made
        if made is None and not self._making.working and not self._failed:
            self._make()
        if made is not None and self.table.view.model is NOTHING_YET:
            cut = made.asked.by is not None
            self._model(report_rows(made.asked.name, made.columns, cut=cut), seen.now)
        self.table.show(made.rows if made is not None else (), seen.now)

    # -- what is asked for

    def do_refresh(self) -> None:
        """Ask again; what is relative to now moves on."""
        if not self._making.working:
            self._make()

    def do_window(self) -> None:
        """The next window of time."""
        given = (self._wish.start, self._wish.end)
        ends = [(start, end) for _, start, end in WINDOWS]
        at = (ends.index(given) + 1) % len(ends) if given in ends else 0
        self.ask(replace(self._wish, start=ends[at][0], end=ends[at][1]))

    def do_kind(self) -> None:
        """The next report."""
        at = (report.NAMES.index(self._wish.name) + 1) % len(report.NAMES)
        self.ask(replace(self._wish, name=report.NAMES[at]))

    def do_ask(self) -> None:
        """The form in which a report is asked for."""
        from foundry_tui.tui.screens.asking import AskReport

        self.foundry.enter(AskReport(self._wish, self.ask))

    def ask(self, wish: Wish) -> None:
        """Make another report."""
        self._wish, self._made, self._whole, self._drawn = wish, None, None, None
        if (seen := self.foundry.seen) is not None:
            self._model(NOTHING_YET, seen.now)
        self._make()

    # -- making it

    def _make(self) -> None:
        self._failed = ""
        self._making.begin(self._wish, self._came, self._did_not)
        self.redraw()

    def _came(self, made: Made, chart: Chart) -> None:
        self._made, self._whole = made, chart
        self.foundry.pacer.paint("report", self.redraw)

    def _did_not(self, words: str) -> None:
        self._failed = words
        self.redraw()

    def _model(self, model: Rows[Any], now: datetime) -> None:
        """Other columns: filter, order, marks and choice of columns were for those before."""
        table = self.query_one("#main", GridTable)
        if table.marked:
            table.clear_marks()
        table.show((), now, model)
        table.restore(ViewState())

    def do_back(self) -> None:
        """While a report is made: give it up."""
        if not self._making.working or self.table.state.filter_text:
            super().do_back()
            return
        self._making.give_up()
        self._did_not("Given up before its end.")
        self.say("the report is given up; nothing was written")

    def on_unmount(self) -> None:
        self._making.give_up()

    # -- drawing

    def _tell(self, seen: Seen) -> None:
        super()._tell(seen)
        wish, head = self._wish, self.query_one("#list_main", Panel)
        told: list[Part] = [(f" · {window_words(wish)}", "dim")]
        if wish.cut != WHOLE:
            told.append((f" · by {wish.cut}", "dim"))
        chosen = [w for w in (wish.accounts, wish.users, wish.queues) if w.strip()]
        if chosen:
            told.append((f" · only {' '.join(chosen)}", "accent"))
        if wish.anonymise:
            told.append((" · pseudonyms", "accent"))
        if working := self._making.words:
            told.append((f" · {working}", "warn"))
        elif self._failed:
            told.append((" · not made" if self._made is None else " · not made anew", "bad"))
        elif self._made is not None:
            told.append((f" · {self._counted(self._made)}", "dim"))
        head.head(wish.name, *told)

    def _counted(self, made: Made) -> str:
        shown, total = len(self.table.shown), len(made.rows)
        if self.table.state.filter_text:
            return f"{shown} of {total} rows match {self.table.state.filter_text}"
        if total < made.row_count:
            return f"the first {total} of {made.row_count} rows; the file has all"
        return "1 row" if total == 1 else f"{total} rows"

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        if self._making.working:
            bar = self._making.bar(max(8, min(60, table.size.width - 20)))
            return (
                bar,
                self._making.words,
                f"{report.ABOUT[self._wish.name]}.",
                "esc gives it up.",
            )
        if self._failed and self._made is None:
            return (
                self._failed,
                "r asks again, W takes another window, a asks for another report.",
            )
        if table.total:
            return super().empty(table, seen)
        return (
            f"There is nothing to report of {window_words(self._wish)}.",
            _OTHER,
        )

    def draw_beside(self, seen: Seen) -> None:
        figures, chart = self.query_one("#figures", Lines), self.query_one("#chart", Lines)
        self.query_one("#sums", Panel).head("What adds up")
        self.query_one("#drawn", Panel).head("Chart")
        made, ascii_only = self._made, self.foundry.ascii_only
        if made is None:
            figures.put([])
            chart.put([])
            return
        width = max(20, figures.size.width - 1)
        lines = report_lines(made, width, ascii_only=ascii_only)
        drawn = self._chart_of(made)
        if self.has_class("full"):
            chart.put(chart_lines(drawn, max(20, chart.size.width - 1), ascii_only=ascii_only))
        else:
            lines = [*lines, [], *chart_lines(drawn, width, ascii_only=ascii_only)]
        figures.put(lines)

    def _chart_of(self, made: Made) -> Chart:
        """The chart of the whole report, or of the rows that a filter shows, kept while it does."""
        if not self.table.state.filter_text and self._whole is not None:
            return self._whole
        rows = self.table.shown
        if self._drawn is None or self._drawn[0] is not rows:
            self._drawn = (rows, shown_chart(made, rows))
        return self._drawn[1]

    def on_grid_table_entered(self, event: Entered) -> None:
        """One row in full, with what each of its columns is."""
        from foundry_tui.tui.screens.asking import RowPage

        event.stop()
        if (made := self._made) is not None:
            self.foundry.enter(RowPage(made.columns, event.row))

    # -- writing it

    def do_export(self) -> None:
        """The rows that are shown, as a CSV file without a record of its sources."""
        now = self.table.view.now
        self._ask_path(f"foundry-{self._wish.name}-{now:%Y%m%d-%H%M%S}.csv")

    def do_write(self) -> None:
        """The whole report and the record of its sources, into a folder."""
        if self._made is None:
            self.say("there is no report to write yet", "warn")
            return
        folder = self.foundry.site.config.reports.folder or FOLDER
        self._ask_folder(str(folder))

    def _ask_folder(self, folder: str) -> None:
        mark = f" write {self._wish.name} into folder: "
        self.prompt.ask(mark, folder, done=self._write, left=lambda: self.note([]))

    def _write(self, folder: str) -> None:
        self.note([])
        made = self._made
        if made is None or not folder.strip():
            self.say("nothing was written", "warn")
            return
        place = Path(folder.strip()).expanduser()

        def then(written: Made) -> None:
            path = None if written.path is None else written.path.absolute()
            self.app.copy_to_clipboard(str(path))
            self.say(f"wrote {path}: {made.row_count} rows; its path is copied", "good")

        def failed(words: str) -> None:
            self._ask_folder(folder)
            self.note([(f" {words}", "warn")])

        self.say(f"writing into {place} …")
        self.foundry.work_on(
            "write", lambda: report.write(made, place), then, failed, to_the_end=True
        )
