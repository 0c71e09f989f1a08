"""The user's own runs in a line or two: how many, what the longest wait is for, what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from foundry_tui.estate.run import HOLDING, Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.presenters import totals, units
from foundry_tui.presenters.page import wrap
from foundry_tui.presenters.tables import short_id
from foundry_tui.presenters.toned import Line

HEAD = "Yours: "
NAME_CELLS = 24

_FAILED = frozenset(
    {
        RunState.FAILED,
        RunState.TIMEOUT,
        RunState.OUT_OF_MEMORY,
        RunState.NODE_FAIL,
        RunState.PREEMPTED,
    }
)


def longest_waiting(runs: Iterable[Run], me: frozenset[str], now: datetime) -> Run | None:
    """The run of this user that has waited longest and is not held; else a held one."""
    own = [run for _, run in totals.waits((r for r in runs if r.user in me), now)]
    return next((run for run in own if not run.held), own[0] if own else None)


def last_failure(runs: Iterable[Run], me: frozenset[str]) -> Run | None:
    """The run of this user that failed last, among those with a known end."""
    failed = [(r.ended_at, r.id, r) for r in runs if r.user in me and r.state in _FAILED]
    known = [(ended, key, run) for ended, key, run in failed if ended is not None]
    return max(known, key=lambda found: found[:2])[2] if known else None


def next_end(runs: Iterable[Run], me: frozenset[str]) -> Run | None:
    """The running run of this user that ends first at the latest, by its time limit."""
    own = [(r.ends_by, r.id, r) for r in runs if r.user in me and r.state in HOLDING]
    known = [(ends, key, run) for ends, key, run in own if ends is not None]
    return min(known, key=lambda found: found[:2])[2] if known else None


def your_lines(
    runs: Sequence[Run],
    me: frozenset[str],
    *,
    now: datetime,
    width: int,
    why: str = "",
    hint: str = "",
    most: int = 2,
) -> list[Line]:
    """At most `most` lines of `width` cells about the runs of the user `me`.

    `why` is the reason of `longest_waiting` as a sentence; without one the scheduler's own word
    stands. `hint` ends the reason, such as which key tells the whole of it.
    """
    own = [run for run in runs if run.user in me]
    facts = [_counts(own)]
    if (waiting := longest_waiting(own, me, now)) is not None:
        facts.append(_reason(waiting, now, why, hint))
    if (failed := last_failure(own, me)) is not None:
        code = f" exit {failed.exit_code}" if failed.exit_code is not None else ""
        ended = units.age(units.since_s(failed.ended_at, now))
        facts.append(f"{_named(failed)} {_word(failed.state)}{code}, {ended} ago")
    if (ending := next_end(own, me)) is not None and ending.ends_by is not None:
        left = (ending.ends_by - now).total_seconds()
        when = f"in {units.duration(left)}" if left >= 0 else "at any moment"
        facts.append(f"{_named(ending)} ends {when} at the latest")
    found = wrap(" · ".join(facts), max(1, width), first=HEAD, rest=" " * len(HEAD))
    lines = found[:most]
    if len(found) > most and lines:
        lines[-1] = safe(f"{lines[-1]} {found[most].strip()}", max_cells=width)
    tone = "" if own else "dim"
    return [
        [(HEAD, "strong"), (line[len(HEAD) :], tone)] if line.startswith(HEAD) else [(line, tone)]
        for line in lines
    ]


def _counts(own: Sequence[Run]) -> str:
    if not own:
        return "no run"
    running = sum(run.count for run in own if run.state in HOLDING)
    waiting = sum(run.count for run in own if run.state is RunState.PENDING and not run.held)
    held = sum(run.count for run in own if run.state is RunState.PENDING and run.held)
    words = [f"{running} running"] * bool(running)
    words += [f"{waiting} waiting"] * bool(waiting)
    words += [f"{held} held"] * bool(held)
    return " · ".join(words) or "none running, none waiting"


def _reason(run: Run, now: datetime, why: str, hint: str) -> str:
    waited = run.wait_s(now)
    since = f" for {units.duration(waited)}" if waited is not None else ""
    told = why.strip().rstrip(".") or (run.reason or "nobody says why")
    return f"{short_id(run.native_id)} waits{since}: {told}{f'. {hint}' if hint else ''}"


def _word(state: RunState) -> str:
    return state.value.replace("_", " ")


def _named(run: Run) -> str:
    return f"{short_id(run.native_id)} {safe(run.name, max_cells=NAME_CELLS)}"
