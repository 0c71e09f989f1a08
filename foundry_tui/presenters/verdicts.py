"""What applied plans promised and what was measured, as text and as the lines of a screen."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.verdict import Kept, RuleRecord, Verdict
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.table import Column, draw
from foundry_tui.presenters.toned import Line, heading, pairs, paragraph

VERDICT_COLUMNS = (
    Column("PLAN"),
    Column("APPLIED"),
    Column("STATE", state=True),
    Column("MOVES", align="right", priority=2),
    Column("KEPT", align="right"),
    Column("OPEN", align="right", priority=1),
    Column("BROKEN", min_width=10, priority=3, stretch=True),
)

PROMISE_COLUMNS = (
    Column("MOVE"),
    Column("RULE", priority=3),
    Column("PROMISE", min_width=8, stretch=True),
    Column("PROMISED", align="right", min_width=8, stretch=True),
    Column("MEASURED", align="right", min_width=8, stretch=True),
    Column("KEPT", state=True),
    Column("WHY", min_width=10, priority=1, stretch=True),
)

RULE_COLUMNS = (
    Column("RULE", min_width=6, stretch=True),
    Column("KEPT", align="right"),
    Column("DECIDED", align="right"),
    Column("SHARE", align="right"),
)

_KEPT = {True: "kept", False: "broken", None: "open"}
_TONES = {True: "good", False: "bad", None: "dim"}
_WHAT = {
    "start": "starts within",
    "node": "on nodes",
    "wait_p50_s": "wait p50",
    "wait_p90_s": "wait p90",
    "gpus_allocated": "GPUs in use",
    "stranded_gpus": "GPUs stranded",
}


def state(verdict: Verdict) -> str:
    """The word for how far a plan has been judged."""
    return "undone" if verdict.undone else "closed" if verdict.closed else "open"


def kept_word(promise: Kept, *, closed: bool) -> str:
    """kept, broken, open, or undecided where nothing will decide it any more."""
    if promise.kept is None and closed:
        return "undecided"
    return _KEPT[promise.kept]


def what(promise: Kept) -> SafeText:
    """What was promised, in words."""
    words = _WHAT.get(promise.what) or promise.what.replace("wait_s of", "wait of")
    return safe(words)


def value(amount: float | str | None, unit: str) -> SafeText:
    """What was promised or measured, with its unit."""
    if amount is None:
        return units.UNKNOWN
    if isinstance(amount, str):
        return safe(amount)
    return units.duration(amount) if unit == "s" else units.number(round(amount, 2))


def broken_words(verdict: Verdict) -> SafeText:
    """The broken promises in short: `m2 start, wait p90`."""
    found = [p for p in verdict.promises if p.kept is False]
    return safe(", ".join(f"{p.move} {p.what}" if p.move else what(p) for p in found))


def verdict_cells(verdict: Verdict) -> tuple[SafeText, ...]:
    """One plan in the order of `VERDICT_COLUMNS`."""
    kept, decided = verdict.counted
    moves = units.UNKNOWN
    if verdict.moves is not None:
        moves = SafeText(f"{verdict.moves_done}/{verdict.moves}")
    return (
        safe(verdict.plan),
        units.when(verdict.applied_at),
        safe(state(verdict)),
        moves,
        SafeText(f"{kept}/{decided}"),
        SafeText(str(verdict.still_open)),
        broken_words(verdict),
    )


def promise_cells(promise: Kept, *, closed: bool) -> tuple[SafeText, ...]:
    """One promise in the order of `PROMISE_COLUMNS`."""
    return (
        safe(promise.move or "plan"),
        safe(promise.rule or ""),
        what(promise),
        value(promise.promised, promise.unit),
        value(promise.measured, promise.unit),
        safe(kept_word(promise, closed=closed)),
        safe(promise.why or ""),
    )


def rule_cells(record: RuleRecord) -> tuple[SafeText, ...]:
    """One rule in the order of `RULE_COLUMNS`."""
    share = None if record.share is None else 100.0 * record.share
    return (
        safe(record.rule),
        SafeText(str(record.kept)),
        SafeText(str(record.decided)),
        units.percent(share),
    )


def verdicts_text(verdicts: Sequence[Verdict], records: Sequence[RuleRecord], style: Style) -> str:
    """Every applied plan on a line, and the record of each rule."""
    drawn = draw(VERDICT_COLUMNS, [verdict_cells(v) for v in verdicts], style)
    lines = [*drawn.lines, *_hidden(drawn.hidden, style.width)]
    return finish([*lines, *_rules(records, style)], style)


def verdict_text(verdict: Verdict, records: Sequence[RuleRecord], style: Style) -> str:
    """One applied plan: promised and measured, promise by promise."""
    rows = [promise_cells(p, closed=verdict.closed) for p in verdict.promises]
    head = wrap(told(verdict), style.width)
    if not rows:
        none = "It promised nothing that can be measured."
        return finish([*head, "", none, *_rules(records, style)], style)
    drawn = draw(PROMISE_COLUMNS, rows, style)
    lines = [*head, "", *drawn.lines, *_hidden(drawn.hidden, style.width)]
    return finish([*lines, *_rules(records, style)], style)


def told(verdict: Verdict) -> str:
    """The whole verdict in a sentence."""
    kept, decided = verdict.counted
    moves = ""
    if verdict.moves is not None:
        moves = f"; {verdict.moves_done} of {verdict.moves} moves were carried out"
    rest = f", {verdict.still_open} open" if verdict.still_open else ""
    what_of = f"{kept} of {decided} decided promises kept{rest}"
    return (
        f"Plan {verdict.plan}, applied {units.when(verdict.applied_at)} "
        f"({state(verdict)}){moves}: {what_of}"
    )


def verdict_lines(verdict: Verdict, width: int) -> list[Line]:
    """The lines of the page of one verdict."""
    kept, decided = verdict.counted
    facts = [
        ("applied", str(units.when(verdict.applied_at))),
        ("judged", f"{units.when(verdict.judged_at)} ({state(verdict)})"),
    ]
    if verdict.moves is not None:
        facts.append(("moves", f"{verdict.moves_done} of {verdict.moves} carried out"))
    facts.append(("promises", f"{kept} of {decided} decided were kept"))
    if verdict.still_open:
        facts.append(("open", str(verdict.still_open)))
    lines = [*pairs(facts, width), [], heading("Promised / measured")]
    for promise in verdict.promises:
        word = kept_word(promise, closed=verdict.closed)
        amounts = f"{value(promise.promised, promise.unit)} / "
        amounts += str(value(promise.measured, promise.unit))
        who = f"{promise.move} " if promise.move else ""
        text = f"{word}: {who}{what(promise)} {amounts}"
        text += f" ({promise.why})" if promise.why else ""
        lines += paragraph(text, width, tone=_TONES[promise.kept], indent=3)
    if not verdict.promises:
        lines += paragraph("nothing that can be measured", width, tone="dim", indent=3)
    return lines


def rule_lines(records: Sequence[RuleRecord], width: int) -> list[Line]:
    """The record of each rule: how many of its decided promises were kept."""
    facts = [(r.rule, f"{r.kept} of {r.decided} promises kept") for r in records]
    return [heading("Rules"), *pairs(facts, width)] if facts else []


def _rules(records: Sequence[RuleRecord], style: Style) -> list[str]:
    if not records:
        return []
    drawn = draw(RULE_COLUMNS, [rule_cells(r) for r in records], style)
    return ["", *drawn.lines]


def _hidden(hidden: Sequence[str], width: int) -> list[str]:
    words = f"not shown at {width} columns: {', '.join(hidden).lower()} (--wide shows all)"
    return wrap(words, width) if hidden else []
