"""A preflight as lines of text, and as a JSON object."""

from __future__ import annotations

from foundry_tui.estate.text import cells, pad, safe
from foundry_tui.jobs.preflight.verdict import Check, State, Verdict
from foundry_tui.presenters.page import Style, coloured, finish, wrap
from foundry_tui.presenters.records.nouns import Record

WORDS = {State.OK: "ok", State.WARN: "warn", State.FAIL: "FAIL", State.SKIPPED: "skip"}
STATE_CELLS = 4
MAX_NAME_CELLS = 24
GAP = 2

_COLOUR_WORD = {
    State.OK: "ok",
    State.WARN: "stale",
    State.FAIL: "failed",
    State.SKIPPED: "off",
}
"""State of a check -> the state of other nouns that has its colour."""


def preflight_text(verdict: Verdict, style: Style, *, brief: bool = False) -> str:
    """One block per check: its state, its name, its words; below all of them the sum.

    `brief` leaves out what is as it should be, and what was not looked at.
    """
    shown = (*verdict.failed, *verdict.warned) if brief else verdict.checks
    wide = max((cells(check.name) for check in shown), default=0)
    name_cells = min(wide, MAX_NAME_CELLS)
    lines = [line for check in shown for line in _lines(check, name_cells, style)]
    return finish([*lines, summary(verdict)], style)


def summary(verdict: Verdict) -> str:
    """`preflight: 9 checks in 0.3 s: 7 ok, 1 warning, 1 failed`."""
    counts = dict.fromkeys(State, 0)
    for check in verdict.checks:
        counts[check.state] += 1
    warnings = f"{counts[State.WARN]} warning{'' if counts[State.WARN] == 1 else 's'}"
    told = [f"{counts[State.OK]} ok", warnings, f"{counts[State.FAIL]} failed"]
    if counts[State.SKIPPED]:
        told.append(f"{counts[State.SKIPPED]} not looked at")
    total = len(verdict.checks)
    checks = f"{total} check{'' if total == 1 else 's'}"
    return f"preflight: {checks} in {verdict.seconds:.1f} s: {', '.join(told)}"


def _lines(check: Check, name_cells: int, style: Style) -> list[str]:
    word = WORDS[check.state].ljust(STATE_CELLS)
    head = f"{word}{' ' * GAP}{pad(check.name, name_cells)}{' ' * GAP}"
    if style.wide:
        lines = [head + check.words]
    else:
        lines = wrap(check.words, style.width, first=head, rest=" " * len(head))
    if style.colour:
        lines[0] = coloured(_COLOUR_WORD[check.state], word) + lines[0][len(word) :]
    return lines


def preflight_record(source: str, name: str, verdict: Verdict) -> Record:
    """A preflight with every check."""
    return {
        "source": source,
        "name": safe(name),
        "seconds": verdict.seconds,
        "failed": len(verdict.failed),
        "warned": len(verdict.warned),
        "checks": [
            {"name": check.name, "state": check.state, "words": check.words}
            for check in verdict.checks
        ],
    }
