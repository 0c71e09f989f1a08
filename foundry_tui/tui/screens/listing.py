"""A place with a table: filter, order, marks, copy, export, columns, and why it is empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.export import write_new
from foundry_tui.estate.filter import FilterError
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import cells, safe
from foundry_tui.estate.waste import Idle
from foundry_tui.presenters import csvout
from foundry_tui.presenters import page as pages
from foundry_tui.presenters.queries import command_of, where_queue
from foundry_tui.presenters.rows import Rows
from foundry_tui.tui.bars import Part
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.copying import copies
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.grid.view import ViewState
from foundry_tui.tui.screens.estate import EstatePlace
from foundry_tui.tui.screens.panel import Panel

_UNWRAPPED = 10_000
"""A width in which no sentence is broken; the table breaks it at its own."""


class Listing(EstatePlace):
    """Tables of nouns, and whatever a subclass puts beside them.

    The keys work on the table that has the focus, else on the first one, whose id is `main`.
    """

    hints: ClassVar[tuple[str, ...]] = (
        "open",
        "filter",
        "sort",
        "mark",
        "copy",
        "export",
        "command",
        "pause",
    )

    def __init__(self, where: str = "") -> None:
        super().__init__()
        self._opened_with = where
        self._noted: list[Part] = []

    # -- what a subclass gives

    def fill(self, seen: Seen) -> None:
        """Give the tables their rows."""

    def draw_beside(self, seen: Seen) -> None:
        """Draw what stands beside the tables: the detail of what the cursor is on."""

    # -- the tables

    @property
    def table(self) -> GridTable[Any]:
        """The table that has the keys."""
        focused = self.focused
        return focused if isinstance(focused, GridTable) else self.query_one("#main", GridTable)

    def panel_of(self, model: Rows[Any], *, id: str = "main") -> Panel:
        """A table in its panel, whose id is `list_` and that of the table."""
        table = GridTable(model, id=id, ascii_only=self.foundry.ascii_only)
        return Panel(table, id=f"list_{id}")

    def on_mount(self) -> None:
        if self._opened_with:
            self.query_one("#main", GridTable).filter(self._opened_with, self.foundry.site.me)

    def draw(self, seen: Seen) -> None:
        self.fill(seen)
        self._tell(seen)
        self.draw_beside(seen)

    def draw_nothing(self, told: tuple[str, ...]) -> None:
        for panel, table in self._tables():
            table.empty = told
            panel.head(table.view.model.plural)

    def _tables(self) -> Iterator[tuple[Panel, GridTable[Any]]]:
        for panel in self.query(Panel):
            if isinstance(panel.content, GridTable):
                yield panel, panel.content

    def title_of(self, table: GridTable[Any]) -> str:
        """What the title of a table begins with."""
        model = table.view.model
        return f"{table.total} {model.noun if table.total == 1 else model.plural}"

    def _tell(self, seen: Seen) -> None:
        """The titles of the tables, and the words in place of rows."""
        for panel, table in self._tables():
            panel.head(self.title_of(table), *table_told(table))
            table.empty = self.empty(table, seen)

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        """Why a table shows nothing, and what to do."""
        text, total, model = table.state.filter_text, table.total, table.view.model
        if text and total:
            hidden = f"{total} hidden" if total > 1 else "one is hidden"
            return (f"No {model.plural} match `{text}`; {hidden}: esc clears the filter.",)
        sources = seen.snapshot.sources
        listing = pages.Listing(
            now=seen.now, sources=sources, style=pages.Style(width=_UNWRAPPED), total=total
        )
        return (*pages.nothing(model.noun, listing), *seen.snapshot.partial, *seen.notes)

    def retell(self) -> None:
        """Draw what follows from the tables' state."""
        if (seen := self.foundry.seen) is not None:
            self._tell(seen)
            self.draw_beside(seen)

    def on_grid_table_moved(self, event: GridTable.Moved) -> None:
        event.stop()
        if (seen := self.foundry.seen) is not None:
            self.draw_beside(seen)

    def on_grid_table_marks_changed(self, event: GridTable.MarksChanged) -> None:
        event.stop()
        model = event.table.view.model
        lost = f"; {event.lost} went with their rows" if event.lost else ""
        noun = model.noun if event.count == 1 else model.plural
        self.say(f"{event.count} {noun} marked{lost}" if event.count or lost else "no mark is left")
        self.retell()

    def on_grid_table_entered(self, event: GridTable.Entered) -> None:
        """One step deeper: from a queue to its runs, a run, a node, a GPU."""
        event.stop()
        row = event.row
        if isinstance(row, Run):
            self.foundry.open_run(row.id)
        elif isinstance(row, Idle):
            self.foundry.open_run(row.run)
        elif isinstance(row, Node):
            self.foundry.open_node(f"{row.source}/{row.name}")
        elif isinstance(row, Gpu):
            self.foundry.open_gpu(f"{row.source}/{row.node}/{row.index}")
        elif isinstance(row, Queue) and (seen := self.foundry.seen) is not None:
            self.foundry.open_runs(where_queue(row, seen.snapshot.queues), row.name)

    # -- keys that the table itself would take, so that hint, help and command line know them

    def do_open(self) -> None:
        self.table.action_open()

    def do_mark(self) -> None:
        self.table.action_mark()

    def do_range(self) -> None:
        self.table.action_mark_range()

    def do_mark_all(self) -> None:
        self.table.action_mark_all()

    def do_sort(self) -> None:
        self.table.focus()
        self.table.action_sort()
        self.say("sort by the column whose letter is underlined; the same letter turns it round")

    # -- filter

    def do_filter(self) -> None:
        before = self.table.state.filter_text

        def restore() -> None:
            self._try_filter(before)

        self.prompt.ask("/", before, changed=self._preview, done=self._keep, left=restore)

    def _preview(self, text: str) -> None:
        self._try_filter(text)

    def _keep(self, text: str) -> None:
        if not self._try_filter(text):
            self.do_filter()
            self.prompt.retype(text)

    def _try_filter(self, text: str) -> bool:
        try:
            self.table.filter(text, self.foundry.site.me)
        except FilterError as error:
            self.note(self._pointed(error))
            return False
        self.note([])
        self.retell()
        return True

    def note(self, parts: list[Part]) -> None:
        """Show words about what is being typed right above it, in the place of the hints."""
        if parts != self._noted:
            self._noted = parts
            self.refresh_lines()

    def _hints(self) -> list[Part]:
        return self._noted or super()._hints()

    def _pointed(self, fault: FilterError) -> list[Part]:
        """Carets right above the token that is not understood, and why."""
        start = 1 + cells(safe(fault.text[: fault.position]))
        token = fault.text[fault.position : fault.position + fault.length]
        carets = "^" * max(1, cells(safe(token)))
        room = self.size.width - start - len(carets) - 1
        if room >= len(fault.message) or room >= start:
            return [(" " * start + carets, "bad"), (f" {fault.message}", "warn")]
        before = safe(fault.message, max_cells=max(8, start - 1))
        return [(before.ljust(start), "warn"), (carets, "bad")]

    def do_back(self) -> None:
        at_first = self._opened_with if self.table.id == "main" else ""
        if self.table.state.filter_text != at_first:
            self._try_filter(at_first)
        else:
            self.foundry.do_back()

    # -- columns, copy, export

    def do_columns(self) -> None:
        table = self.table
        before = table.state
        every = [c.id for c in table.view.model.columns]

        def chosen(text: str) -> None:
            ids = text.replace(",", " ").split()
            table.choose_columns(ids)
            unknown = [i for i in ids if i not in every]
            words = f" there is no column {' or '.join(unknown)}; there are {' '.join(every)}"
            self.note([(words, "warn")] if unknown else [])
            self.retell()

        def done(text: str) -> None:
            chosen(text)
            self.note([])

        def restore() -> None:
            done(" ".join(before.columns))

        shown = " ".join(before.columns or every)
        self.prompt.ask("columns: ", shown, changed=chosen, done=done, left=restore)

    def do_copy(self) -> None:
        rows = self.table.chosen
        found = copies(self.table.view.model, rows, self.table.view.now)
        if not found:
            self.say("there is nothing to copy", "warn")
            return
        texts = {("r" if one.title == "CSV" else one.title[0]): one for one in found}
        menu = {key: ("row as CSV" if key == "r" else one.title) for key, one in texts.items()}
        commands = [c for row in rows if (c := command_of(row))]
        if commands:
            menu["c"] = "command"

        def pick(typed: str) -> None:
            self.prompt.close()
            key = typed[:1].lower()
            if key == "c" and commands:
                self.copied("\n".join(commands), f"command: {commands[0]}")
            elif key in texts:
                self.copied(texts[key].text, texts[key].message)

        words = "  ".join(f"{key} {title}" for key, title in menu.items())
        self.prompt.ask(f" copy: {words}  esc none ", changed=pick, done=pick)

    def copied(self, text: str, message: str) -> None:
        """Give a text to the terminal's clipboard, and say so; nobody can know if it took it."""
        self.app.copy_to_clipboard(text)
        self.say(f"copied {message} (if your terminal allows it)", "good")

    def do_export(self) -> None:
        view = self.table.view
        self._ask_path(f"foundry-{view.model.plural}-{view.now:%Y%m%d-%H%M%S}.csv")

    def _ask_path(self, path: str) -> None:
        self.prompt.ask(" write CSV to: ", path, done=self._export, left=lambda: self.note([]))

    def _export(self, text: str) -> None:
        self.note([])
        if not text.strip():
            self.say("nothing was written")
            return
        table = self.table
        path = Path(text.strip()).expanduser()
        now, rows = table.view.now, tuple(table.shown)
        model: Rows[Any] = table.view.model

        def write() -> int:
            records = (model.record(row, now) for row in rows)
            write_new(path, csvout.to_csv(model.plural, records, model.csv))
            return len(rows)

        def done(count: int) -> None:
            noun = model.noun if count == 1 else model.plural
            self.say(f"wrote {count} {noun} to {path.absolute()}", "good")

        def failed(words: str) -> None:
            self._ask_path(text)
            self.note([(f" {words}", "warn")])

        self.foundry.work_on("export", write, done, failed)

    # -- saved views

    def view_state(self) -> ViewState:
        """What a saved view keeps of this place."""
        return self.table.state

    def restore_view(self, state: ViewState) -> None:
        """Back to a saved view.

        Raises:
            ActionError: its filter is no filter here.
        """
        try:
            self.table.restore(state, self.foundry.site.me)
        except FilterError as error:
            raise ActionError(f"the saved view's filter: {error.message}") from error
        self.retell()


def table_told(table: GridTable[Any]) -> list[Part]:
    """What a table's title says of its filter, order, marks and columns."""
    state = table.state
    told: list[Part] = []
    if state.filter_text:
        told += [(f" · {len(table.shown)} match ", "dim"), (state.filter_text, "accent")]
    if state.sort:
        told.append((f" · by {state.sort}{', down' if state.descending else ''}", "dim"))
    if marked := len(table.marked):
        told.append((f" · {marked} marked", "marked"))
    if hidden := table.hidden_columns:
        told.append((f" · right: {', '.join(hidden).lower()}", "dim"))
    return told
