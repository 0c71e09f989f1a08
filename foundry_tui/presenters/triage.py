"""What triage found: a table per rule with its totals, and the words to each owner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Window
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.records.nouns import Record
from foundry_tui.presenters.table import Column, draw
from foundry_tui.triage.nouns import Finding, Judged

TITLES = {
    "idle": "held and doing nothing",
    "low_use": "nearly unused for a good part of the time limit",
    "walltime": "far less time needed than asked for",
    "cpus": "more CPUs than the GPUs' share of the node",
    "fragments": "scattered over more nodes than needed",
    "half": "a share of a GPU would be enough",
}
COLUMNS = (
    Column("RUN", min_width=8, stretch=True),
    Column("OWNER", min_width=6, stretch=True),
    Column("QUEUE", min_width=5, priority=3, stretch=True),
    Column("STATE", priority=4),
    Column("GPUS", "right", priority=2),
    Column("SINCE", priority=1),
    Column("GPU-H", "right"),
    Column("EVIDENCE", min_width=24, stretch=True),
)
CSV = (
    *("rule", "kind", "run", "runs", "user", "account", "queue", "live", "gpu_milli", "since"),
    *("gpu_hours", "stake", "evidence", "advice"),
)
"""The fields of a finding, in the order of its record."""


def triage_text(
    judged: Sequence[Judged], window: Window, notes: Sequence[str], style: Style
) -> str:
    """The page: a table per rule that found something, the others in a line each."""
    told = f"{units.when(window.start)} to {units.when(window.end)}"
    lines = wrap(f"Triage of what holds GPUs now and of the tries from {told}", style.width)
    for one in judged:
        lines += ["", *_rule(one, style)]
    for note in notes:
        lines += wrap(f"note: {note}", style.width, rest="  ")
    return finish(lines, style)


def _rule(one: Judged, style: Style) -> list[str]:
    title = f"{one.rule.name}: {TITLES[one.rule.kind]}"
    lines = wrap(title, style.width)
    if one.findings:
        drawn = draw(COLUMNS, [_cells(finding) for finding in one.findings], style)
        lines += drawn.lines
        if drawn.hidden:
            hidden = ", ".join(drawn.hidden).lower()
            lines += wrap(f"not shown at {style.width} columns: {hidden}", style.width)
    return [*lines, *wrap(total_words(one), style.width)]


def total_words(one: Judged) -> str:
    """The totals of a rule in a sentence."""
    unjudged = f"; {one.unjudged} could not be judged: {one.why}" if one.unjudged else ""
    if not one.findings:
        return f"nothing found{unjudged}"
    runs = sum(finding.runs for finding in one.findings)
    users = len({finding.user for finding in one.findings})
    known = "an unknown number of" if one.gpu_hours is None else units.gpu_hours(one.gpu_hours)
    untold = sum(finding.gpu_hours is None for finding in one.findings)
    more = f", of {untold} it is not known" if untold and one.gpu_hours is not None else ""
    words = f"{runs} run{'' if runs == 1 else 's'} of {users} user{'' if users == 1 else 's'}: "
    return f"{words}{known} GPU-hours {one.findings[0].stake}{more}{unjudged}"


def _cells(finding: Finding) -> tuple[SafeText, ...]:
    return (
        safe(finding.run),
        safe(finding.user or "?"),
        safe(finding.queue or ""),
        safe("live" if finding.live else "ended"),
        units.gpus(finding.gpu_milli),
        units.when(finding.since),
        units.gpu_hours(finding.gpu_hours),
        safe(finding.evidence, max_cells=400),
    )


def finding_record(finding: Finding) -> Record:
    """One finding as an object."""
    hours = None if finding.gpu_hours is None else round(finding.gpu_hours, 3)
    return {name: getattr(finding, name) for name in CSV} | {"gpu_hours": hours}


def judged_record(one: Judged) -> Record:
    """One rule with what it found."""
    return {
        "name": one.rule.name,
        "kind": one.rule.kind,
        "act": one.rule.act,
        "gpu_hours": one.gpu_hours,
        "unjudged": one.unjudged,
        "why": one.why,
        "findings": [finding_record(finding) for finding in one.findings],
    }


def notice_text(user: str, findings: Sequence[Finding], now: datetime) -> str:
    """What one owner is told: each finding with its evidence and what he could do. Plain text."""
    lines = wrap(f"To {user}, {units.when(now)}: what your runs hold and do not use.", 72)
    for finding in findings:
        hours = "" if finding.gpu_hours is None else f"{finding.gpu_hours:.1f} GPU-hours "
        since = "" if finding.since is None else f" since {units.when(finding.since)}"
        lines += ["", *wrap(f"{finding.run}{since}", 72)]
        lines += wrap(f"{finding.evidence}.", 72, first="  ", rest="  ")
        if hours:
            lines += wrap(f"At stake: {hours}{finding.stake}.", 72, first="  ", rest="  ")
        lines += wrap(f"What you could do: {finding.advice}.", 72, first="  ", rest="  ")
    lines += ["", *wrap("Nothing was changed. If this is meant, no answer is needed.", 72)]
    return "\n".join(line.rstrip() for line in lines) + "\n"
