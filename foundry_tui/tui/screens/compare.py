"""The screen Compare: tracked runs side by side, and the curves of one metric over each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container

from foundry_tui.actions.experiments import compare
from foundry_tui.actions.onscreen import key_text
from foundry_tui.actions.site import Site
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.experiments.nouns import Comparison, Difference, Reduce
from foundry_tui.presenters import units
from foundry_tui.presenters.compared import told
from foundry_tui.presenters.comparepanel import (
    RANKS,
    Stand,
    alone,
    by_seed,
    chosen_rows,
    markdown,
    metrics_of,
    ranked,
    side_rows,
    stand_rows,
)
from foundry_tui.presenters.rows.model import Tone
from foundry_tui.presenters.toned import paragraph
from foundry_tui.tui.bars import Part
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.messages import Entered
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.curvespanel import CurvesPanel
from foundry_tui.tui.screens.listing import table_told
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.screens.searched import Searched
from foundry_tui.tui.widgets.lines import Lines

Load = Callable[[Site], compare.Compared]

RANK_WORDS = {
    None: "as they were chosen",
    Reduce.LAST: "by the last value",
    Reduce.MIN: "by the best value",
    Reduce.SMOOTH: "by the smoothed value",
}


class Compare(Searched):
    """Runs as columns, or as rows; the baseline stands first, with the distance of the others."""

    DEFAULT_CSS = """
    Compare #all { layout: vertical; }
    Compare #drawn { height: 10; }
    Compare.full #drawn { height: 22; }
    Compare #list_turned, Compare.turned #list_main { display: none; }
    Compare.turned #list_turned { display: block; }
    Compare #said { display: none; height: 4; }
    Compare #said.told { display: block; }
    Compare.small #drawn, Compare.small #said.told { display: none; }
    """
    crumb = "Compare"
    about = "Tracked runs side by side: only what differs, and one metric's curves."
    hints = ("back", "filter", "every", "metric", "rank", "pin", "transpose", "group", "copy")

    def __init__(self, load: Load, count: int, subject: str) -> None:
        super().__init__()
        self.subject = f"compare {subject}"
        self._load, self._count = load, count
        self._found: compare.Compared | None = None
        self._failed = ""
        self._asking = False
        self._drawn = CurvesPanel(self._paint, id="drawn")
        self._metric: str | None = None
        self._baseline: int | None = None
        self._rank: Reduce | None = None
        self._every = self._grouped = False

    @classmethod
    def of_runs(cls, runs: Sequence[TrackedRun]) -> Compare:
        """Tracked runs that are known."""
        ids = " ".join(run.run_id for run in runs)
        return cls(lambda site: compare.of_runs(site, runs), len(runs), ids)

    @classmethod
    def of_references(cls, references: Sequence[str]) -> Compare:
        """Runs by what the command line calls them: those of a scheduler too."""
        return cls(
            lambda site: compare.diff(site, references), len(references), " ".join(references)
        )

    def panels(self) -> ComposeResult:
        with Container(id="all"):
            yield self.panel_of(side_rows((), None))
            yield self.panel_of(stand_rows((), None), id="turned")
            yield Panel(Lines(id="notes"), id="said")
            yield self._drawn

    def on_mount(self) -> None:
        self._ask()

    @property
    def table(self) -> GridTable[Any]:
        return self.query_one("#turned" if self._turned else "#main", GridTable)

    @property
    def _turned(self) -> bool:
        """Whether each run is a row."""
        return self.has_class("turned")

    def focus_body(self) -> None:
        self.table.focus()

    # -- asking

    def _ask(self) -> None:
        site, load = self.foundry.site, self._load
        self._asking = True

        def then(found: compare.Compared) -> None:
            self._asking, self._failed, self._found = False, "", found
            names = self._metrics()
            if self._metric not in names:
                self._metric = names[0] if names else None
            self._paint()
            self._ask_curves()

        def failed(words: str) -> None:
            self._asking, self._failed = False, words.replace("\n", " ")
            self._paint()

        self.foundry.work_on(self.subject, lambda: load(site), then, failed)

    def _ask_curves(self) -> None:
        found = self._found
        ids = [side.run.run_id for side in found.comparison.sides] if found else []
        self._drawn.ask(self.foundry, self.subject, ids, self._metric)

    def _paint(self) -> None:
        def once() -> None:
            if self.is_mounted:
                self._draw_all(self._now())

        self.foundry.pacer.paint(self.subject, once)

    def do_refresh(self) -> None:
        """Read the records again."""
        self.foundry.do_refresh()
        if not self._asking:
            self._ask()
            self._draw_all(self._now())

    # -- drawing

    def _now(self) -> datetime:
        seen = self.foundry.seen
        return self.foundry.site.clock() if seen is None else seen.now

    @property
    def _comparison(self) -> Comparison | None:
        return None if self._found is None else self._found.comparison

    def _metrics(self) -> tuple[str, ...]:
        found = self._comparison
        return metrics_of([side.run for side in found.sides]) if found else ()

    def _stands(self) -> tuple[Stand, ...]:
        """The columns in the order in which they are shown."""
        found = self._comparison
        if found is None:
            return ()
        stands = by_seed(found) if self._grouped else alone(found)
        return ranked(
            stands, found, self._rank, self._metric, self._drawn.curves, baseline=self._baseline
        )

    def _base(self, stands: Sequence[Stand]) -> Stand | None:
        if self._baseline is None:
            return None
        return next((s for s in stands if self._baseline in s.places), None)

    def _rows(self) -> tuple[Difference, ...]:
        found = self._comparison
        if found is None:
            return ()
        return chosen_rows(found, every=self._every, pattern=self._pattern)

    def draw(self, seen: Seen) -> None:
        self._draw_all(seen.now)

    def draw_nothing(self, told: tuple[str, ...]) -> None:
        self._draw_all(self._now())

    def retell(self) -> None:
        self._draw_all(self._now())

    def draw_beside(self, seen: Seen) -> None:
        """The chart does not follow the cursor."""

    def _draw_all(self, now: datetime) -> None:
        rows, stands = self._rows(), self._stands()
        base = self._base(stands)
        self.query_one("#main", GridTable).show(rows, now, side_rows(stands, base))
        turned = stands if rows else ()
        self.query_one("#turned", GridTable).show(turned, now, stand_rows(rows, base))
        for panel, table in self._tables():
            panel.head(self.title_of(table), *self._state(), *table_told(table))
            table.empty = self._nothing()
        self._draw_notes()
        found = self._comparison
        places = [place for stand in stands for place in stand.places]
        self._drawn.show([found.sides[place] for place in places] if found else [])

    def title_of(self, table: GridTable[Any]) -> str:
        count = len(self._comparison.sides) if self._comparison else self._count
        return f"{count} runs"

    def _state(self) -> list[Part]:
        found = self._found
        if self._failed:
            return [(f" · {self._failed}", "bad")]
        if found is None:
            return [(f" · reading {self._count} records …", "warn")]
        rows = found.comparison.rows
        differ = len(found.comparison.differing)
        parts: list[Part] = [(f" · {differ} rows differ", "strong")]
        parts.append((f", {len(rows) - differ} alike", "dim"))
        if self._asking:
            parts.append((" · reading again …", "warn"))
        if self._pattern:
            parts += [(f" · {len(self._rows())} match ", "dim"), (self._pattern, "accent")]
        if self._rank is not None:
            parts.append((f" · {RANK_WORDS[self._rank]} of {self._metric}", "dim"))
        age_s = (self._now() - found.read_at).total_seconds()
        if age_s >= 60:
            parts.append((f" · {units.age(age_s)} old", "dim"))
        return parts

    def _nothing(self) -> tuple[str, ...]:
        if self._failed:
            return (self._failed, "r tries again.")
        if self._found is None:
            return (f"The records of {self._count} runs and their files are read.",)
        if self._pattern:
            return (f"No row matches `{self._pattern}`: esc clears it.",)
        return (
            "Nothing that is recorded of all of them differs.",
            f"{key_text(self.foundry.keys.key_of('every'))} shows the rows that are alike.",
        )

    def _draw_notes(self) -> None:
        found, panel, said = self._found, self.query_one("#said", Panel), list[tuple[str, Tone]]()
        if found is not None:
            said += [(f"! {note}", "warn") for note in found.notes]
            if self.has_class("full"):
                said += [(f"not known: {words}", "dim") for words in told(found.comparison)]
        width = max(20, self.size.width - 1)
        lines = [line for words, tone in said for line in paragraph(words, width, tone=tone)]
        panel.set_class(bool(lines), "told")
        panel.head("What the records do not tell")
        self.query_one("#notes", Lines).put(lines)

    # -- what is shown, and how

    def _again(self, words: str) -> None:
        self._draw_all(self._now())
        self._fit()
        self.say(words)

    def do_every(self) -> None:
        """All rows, or only those that differ."""
        self._every = not self._every
        self._again("all rows" if self._every else "only rows that differ")

    def do_transpose(self) -> None:
        """Runs as rows, or as columns."""
        self.toggle_class("turned")
        self.call_after_refresh(self.focus_body)
        self._again("a run in each row" if self._turned else "a run in each column")

    def do_group(self) -> None:
        """Runs that differ in their seed alone as one."""
        self._grouped = not self._grouped
        self._again("mean and sd over seeds" if self._grouped else "each run by itself")

    def do_pin(self) -> None:
        """The baseline: the run under the cursor, or the next one where runs are columns."""
        found = self._comparison
        if found is None:
            return
        before = self._baseline
        cursor = self.table.cursor
        if isinstance(cursor, Stand):
            self._baseline = None if before in cursor.places else cursor.places[0]
        else:
            at = 0 if before is None else before + 1
            self._baseline = at if at < len(found.sides) else None
        if self._baseline is None:
            self._again("no baseline")
        else:
            self._again(f"measured against {found.sides[self._baseline].label}")

    def do_rank(self) -> None:
        """Runs as chosen, by the last, the best or the smoothed value."""
        if self._metric is None:
            self.say("these runs have logged no metric", "warn")
            return
        self._rank = RANKS[(RANKS.index(self._rank) + 1) % len(RANKS)]
        self._again(f"runs {RANK_WORDS[self._rank]}")

    def do_metric(self) -> None:
        """The next metric's curves."""
        names = self._metrics()
        if not names:
            self.say("these runs have logged no metric", "warn")
            return
        at = (names.index(self._metric) + 1) % len(names) if self._metric in names else 0
        self._metric = names[at]
        self._ask_curves()
        self.say(f"{self._metric}, {at + 1} of {len(names)}")

    def do_smooth(self) -> None:
        """Curves as a moving average."""
        self._again(self._drawn.turn_smooth())

    def do_log_y(self) -> None:
        """Curves on a logarithmic scale."""
        self._again(self._drawn.turn_log_y())

    def do_x_axis(self) -> None:
        """Curves over steps or time."""
        self._again(self._drawn.turn_x())

    def do_copy(self) -> None:
        """What is shown as a Markdown table."""
        rows, stands = self._rows(), self._stands()
        if not rows:
            self.say("there is nothing to copy", "warn")
            return
        text = markdown(rows, stands, self._base(stands), turned=self._turned)
        self.copied(text, f"{len(rows)} rows as Markdown")

    def on_grid_table_entered(self, event: Entered) -> None:
        event.stop()
        row, found = event.row, self._comparison
        if isinstance(row, Stand) and found is not None:
            self.foundry.open_tracked(found.sides[row.places[0]].run)
        else:
            key = self.foundry.keys.key_of("transpose")
            self.say(f"{key} makes each run a row, which enter opens")
