"""The screen Advice: where waiting runs should go, how good that is, what it gains, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.timer import Timer

from foundry_tui.actions import permitted
from foundry_tui.actions.advise import advice
from foundry_tui.actions.site import Site
from foundry_tui.actions.table import Action
from foundry_tui.actions.verdicts import rule_records
from foundry_tui.estate.passages import whole
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.verdict import RuleRecord
from foundry_tui.presenters import units
from foundry_tui.presenters.plannodes import node_lines, touched
from foundry_tui.presenters.planpanel import (
    certificate_lines,
    measure_lines,
    move_lines,
    rest_lines,
    strip_lines,
)
from foundry_tui.presenters.rows.moves import MOVE_ROWS
from foundry_tui.presenters.toned import Line
from foundry_tui.tui.applying import ask_apply
from foundry_tui.tui.bars import Bar, Part
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.messages import Entered
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.screens.listing import Listing
from foundry_tui.tui.screens.panel import Panel
from foundry_tui.tui.widgets.lines import Lines

Made = tuple[Plan, tuple[RuleRecord, ...], dict[str, str]]
"""A plan, how well the rules of advice kept their promises so far, and why not which move."""

STALE_S = 300.0
"""From this age on a plan is called old: runs have started and ended since."""


class Advice(Listing):
    """The optimiser's plan. It is made for one reading of the estate, and `r` makes it anew."""

    DEFAULT_CSS = """
    Advice .strip { display: none; }
    Advice.planned .strip { display: block; }
    Advice.full .strip, Advice.small .strip { display: none; }
    Advice #upper { height: 1fr; }
    Advice #beside { width: 33; }
    Advice #lower { height: 1fr; }
    Advice #rest, Advice #nodes, Advice #proof { display: none; }
    Advice.wide #rest { display: block; }
    Advice.full #nodes, Advice.full #proof { display: block; }
    Advice.full #nodes { width: 54; }
    Advice.small #lower, Advice.small #beside { display: none; }
    Advice.full #beside { width: 66; }
    """
    crumb = "Advice"
    about = "Where waiting runs should go and what is held unused, with the gain and the reason."
    hints = ("open", "mark", "dry_run", "apply", "tradeoffs", "verdicts", "refresh", "filter")

    def __init__(self) -> None:
        super().__init__()
        self._plan: Plan | None = None
        self._made_for: Seen | None = None
        self._asked_at: float | None = None
        self._said = ""
        self._failed = ""
        self._applied = ""
        self._did: set[str] = set()
        self._refused: dict[str, str] = {}
        self._records: tuple[RuleRecord, ...] = ()
        self._ticking: Timer | None = None
        self._stop = threading.Event()

    def panels(self) -> ComposeResult:
        with Vertical():
            for _ in range(2):
                bar = Bar()
                bar.add_class("strip")
                yield bar
            with Horizontal(id="upper"):
                yield self.panel_of(MOVE_ROWS)
                with Vertical(id="beside"):
                    yield Panel(Lines(id="certificate"), id="proof")
                    yield Panel(Lines(id="measures"), id="measured")
            with Horizontal(id="lower"):
                yield Panel(Lines(id="reason"), id="why")
                yield Panel(Lines(id="places"), id="nodes")
                yield Panel(Lines(id="others"), id="rest")

    def fill(self, seen: Seen) -> None:
        if self._plan is None and self._asked_at is None and not self._failed:
            self._solve(seen)
        self.table.show(self._plan.moves if self._plan is not None else (), seen.now)

    def do_refresh(self) -> None:
        """A new plan for the estate as it is now."""
        if (seen := self.foundry.seen) is not None and self._asked_at is None:
            self._solve(seen)

    def do_tradeoffs(self) -> None:
        """Gain against number of moves, of the plan that is shown."""
        from foundry_tui.tui.screens.tradeoffs import TradeOffs

        if (plan := self._plan) is None:
            self.say("there is no plan yet whose moves could be weighed", "warn")
        else:
            self.foundry.enter(TradeOffs(plan))

    def draw(self, seen: Seen) -> None:
        super().draw(seen)
        self.refresh_lines()  # whether a plan can be applied now

    def retell(self) -> None:
        """Draw what follows from marks and choices, and what can be done with them."""
        super().retell()
        self.refresh_lines()

    def chosen(self) -> tuple[Move, ...]:
        """The moves that an act is for: those that are marked, else all that this user may make.

        What belongs together is taken together: the room that is made, and whom it is made for.
        Where none may be made, all that send anything are chosen, so that the reason can be read.
        """
        if (plan := self._plan) is None:
            return ()
        sent = tuple(move for move in plan.moves if move.steps)
        marked = {move.id for move in self.table.view.marked}
        if marked:
            marked = set(whole(plan.moves, tuple(marked)))
            return tuple(move for move in sent if move.id in marked)
        left = self._refused.keys() | self._did
        held = set(whole(plan.moves, tuple(move.id for move in sent if move.id in left)))
        return tuple(move for move in sent if move.id not in held) or sent

    def refusal(self, action: Action) -> str | None:
        why = super().refusal(action)
        if why is not None or action.id not in ("apply", "dry_run"):
            return why
        if self._plan is None:
            return "there is no plan yet"
        if not (moves := self.chosen()):
            return "none of these moves sends anything: they are for people to talk about"
        if action.id == "dry_run":
            return None
        if all(move.id in self._did for move in moves):
            return f"{self._applied} already; r makes a new plan"
        return next((self._refused[m.id] for m in moves if m.id in self._refused), None)

    def do_dry_run(self) -> None:
        """Every step of the chosen moves, with its exact command and what stands in its way."""
        from foundry_tui.tui.screens.dryrun import DryRun

        if (plan := self._plan) is not None:
            only = tuple(move.id for move in self.chosen())
            self.foundry.enter(DryRun(plan, only, self._teller(plan, only)))

    def do_apply(self) -> None:
        """Ask for the chosen moves, hold them, and carry them out one by one."""
        if (plan := self._plan) is not None:
            only = tuple(move.id for move in self.chosen())
            ask_apply(self, plan, only, self._teller(plan, only))

    def _teller(self, plan: Plan, only: tuple[str, ...]) -> Callable[[bool], None]:
        """What notes that these moves were carried out: what the plan was made for is past."""

        def done(all_of_it: bool) -> None:
            if plan is not self._plan:
                return
            self._did |= set(only) if all_of_it else set()
            part = "" if all_of_it else "in part "
            self._applied = f"{part}applied {self.foundry.site.clock():%H:%M}"
            if self.is_mounted:
                self.retell()

        return done

    def _solve(self, seen: Seen) -> None:
        self._asked_at, self._said, self._failed = self.foundry.monotonic(), "solving", ""
        self._ticking = self.set_interval(1.0, self.retell)
        site, stop = self.foundry.site, threading.Event()
        self._stop = stop

        def told(words: str) -> None:
            self._said = words

        def solve() -> Made:
            records = rule_records(site)
            plan = advice(
                site,
                seen.snapshot,
                policy="best",
                limit=None,
                check=True,
                progress=told,
                cancelled=stop.is_set,
                trust=records,
            )
            return plan, records, _refused(site, plan, seen)

        def then(made: Made) -> None:
            self._end()
            plan, self._records, self._refused = made
            self._plan, self._made_for, self._applied, self._did = plan, seen, "", set()
            self.foundry.advice_count = len(plan.moves)
            self.foundry.pacer.paint("advice", self.redraw)

        def failed(words: str) -> None:
            self._end()
            self._failed = words
            self.retell()

        self.foundry.work_on("advice", solve, then, failed)

    def do_back(self) -> None:
        """While a search is on: end it, and show the best that it has found."""
        if self._asked_at is None or self._stop.is_set() or self.table.state.filter_text:
            super().do_back()
        else:
            self._stop.set()
            self.say("the search is ended; the best so far comes")

    def on_unmount(self) -> None:
        self._stop.set()

    def _end(self) -> None:
        self._asked_at = None
        if self._ticking is not None:
            self._ticking.stop()
            self._ticking = None

    def _working(self) -> str:
        if self._asked_at is None:
            return ""
        return f"{self._said} … {units.duration(self.foundry.monotonic() - self._asked_at)}"

    def _tell(self, seen: Seen) -> None:
        """How good the plan is and for when."""
        super()._tell(seen)
        head, working, plan = self.query_one("#list_main", Panel), self._working(), self._plan
        if plan is None:
            head.head("Plan", (f" · {working or 'none'}", "warn" if working else "bad"))
            return
        count = "" if self._applied else f" · {len(plan.moves)} moves"
        head.head(f"Plan {plan.id[:6]}", (count, "dim"), self._aged(plan))
        lines = strip_lines(plan, self.size.width)
        for bar, line in zip(self.query(".strip").results(Bar), lines, strict=True):
            bar.put(line)

    def _aged(self, plan: Plan) -> tuple[str, str]:
        """What is under way or went wrong, else how old the plan is; an old one says what to do."""
        if working := self._working():
            return f" · {working}", "warn"
        if self._applied:
            return f" · {self._applied}, r makes it anew", "good"
        if self._failed:
            return f" · not made anew: {self._failed}", "bad"
        seen = self.foundry.seen
        old_s = units.since_s(plan.generated_at, seen.now) if seen is not None else None
        if old_s is not None and old_s > STALE_S:
            return f" · {units.age(old_s)} old, r makes it anew", "warn"
        return f" · {units.age(old_s)} old", "dim"

    def empty(self, table: GridTable[Any], seen: Seen) -> tuple[str, ...]:
        if (plan := self._plan) is None:
            if working := self._working():
                return (working, "esc ends the search: the best so far is shown then.")
            return (f"No plan: {self._failed}; r tries again.",)
        if plan.moves:
            return super().empty(table, seen)
        looked = len(plan.not_proposed)
        left = f"{looked} were looked at and left as they are" if looked != 1 else "One was left"
        return (
            "Nothing to move: no change was found that gains anything.",
            f"{left}; the reason stands below." if looked else "No run waits, no GPU is held idle.",
        )

    def draw_beside(self, seen: Seen) -> None:
        if (plan := self._plan) is None:
            return
        self.set_class(True, "planned")
        proof, measured = self.query_one("#certificate", Lines), self.query_one("#measures", Lines)
        self.query_one("#proof", Panel).head("Certificate")
        proof.put(certificate_lines(plan, max(20, proof.size.width - 1)))
        self.query_one("#measured", Panel).head("If you apply them")
        measured.put(measure_lines(plan, max(20, measured.size.width - 1)))
        why, reason = self.query_one("#why", Panel), self.query_one("#reason", Lines)
        move = self.table.cursor
        width = max(20, reason.size.width - 1)
        lines: list[Line] = []
        if move is not None:
            shown = () if self.has_class("full") else (move,)
            told = self._refused.get(move.id)
            lines = self._touched(shown, width)
            lines += move_lines(move, plan, width, refusal=told, records=self._records)
        self.query_one("#nodes", Panel).head("Nodes now → after" if plan.moves else "Nodes")
        places = self.query_one("#places", Lines)
        places.put(self._touched(plan.moves, max(20, places.size.width - 1)))
        why.head(f"Why {move.id}" if move is not None else "Why not", *self._choice())
        rest = rest_lines(plan, width)
        if self.has_class("wide"):
            self.query_one("#rest", Panel).head("Why not the others")
            others = self.query_one("#others", Lines)
            others.put(rest_lines(plan, max(20, others.size.width - 1)))
        else:
            lines = [*lines, *([[]] if lines else []), *rest]
        reason.put(lines)

    def _choice(self) -> tuple[Part, ...]:
        """Which moves the keys are for."""
        names = ", ".join(move.id for move in self.chosen())
        return ((f" · A and d are for {names}", "dim"),) if names else ()

    def _touched(self, moves: Sequence[Move], width: int) -> list[Line]:
        """The nodes on which these moves start something, before and after."""
        if (made_for := self._made_for) is None:
            return []
        found = touched(made_for.snapshot, moves)
        return node_lines(found, width, ascii_only=self.foundry.ascii_only)

    def on_grid_table_entered(self, event: Entered) -> None:
        event.stop()
        move = event.row
        if not isinstance(move, Move):
            return
        if move.target.kind == "run":
            self.foundry.open_run(move.target.id)
        elif move.target.kind == "node":
            self.foundry.open_node(move.target.id)
        else:
            self.say(f"{move.target.kind} {move.target.id} has no page")


def _refused(site: Site, plan: Plan, seen: Seen) -> dict[str, str]:
    """Move id -> why this user may not make it; schedulers are asked, so not for the face."""
    found: dict[str, str] = {}
    for move in plan.moves if site.saved is None else ():
        for step in move.steps:
            if (words := permitted.refusal(site, step, seen.snapshot)) is not None:
                found[move.id] = words
                break
    return found
